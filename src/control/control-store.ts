/**
 * The shared memory of a cluster: small values under ordered keys, changed by compare-and-set, watched by revision.
 * In and out: keys are non-empty well-formed strings without NUL, ordered by their UTF-8 bytes; values are bytes.
 * Source of the semantics: etcd v3 (KV transactions, leases, watches), so that an etcd client can stand behind this
 * interface without any caller noticing:
 * - one revision counter for the whole store; a transaction that changes something raises it by one and all its changes
 *   carry that revision; one that changes nothing does not raise it;
 * - `createRevision` is the revision at which the key last came into being, `modRevision` that of its last put;
 * - a put without a lease detaches the key from the lease it had.
 * Does not store bulk data (see limits.ts), offers no locks (fence with `modRevision`), knows nothing of JSON.
 *
 * Errors are KwamErrors: UNAVAILABLE (retryable; nothing is known about the transaction, read before repeating it),
 * DISK_FULL, LIMIT_EXCEEDED, USAGE, NOT_FOUND (a put under a lease that is gone; nothing was written),
 * INTEGRITY (the store is damaged; nothing it says may be trusted).
 */
export type LeaseId = string & { readonly __leaseId: true };

export interface ControlEntry {
  readonly key: string;
  /** Belongs to the caller. */
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease?: LeaseId;
}

/** Holds when the key's modRevision is the given one; 0 = the key must not exist. */
export interface Compare {
  readonly key: string;
  readonly modRevision: number;
}

export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease?: LeaseId }
  | { readonly kind: 'delete'; readonly key: string };

export interface TransactionResult {
  readonly committed: boolean;
  /** The store's revision after the transaction, also when it was not committed. */
  readonly revision: number;
}

export type ControlEvent =
  | { readonly kind: 'put'; readonly revision: number; readonly entry: ControlEntry }
  | { readonly kind: 'delete'; readonly revision: number; readonly key: string }
  /** All there is under the prefix at `revision`: whatever the watcher knew before is replaced by this. */
  | { readonly kind: 'snapshot'; readonly revision: number; readonly entries: readonly ControlEntry[] };

export interface ListOptions {
  /** Only keys after this one; the last key of one page is the `after` of the next. */
  readonly after?: string;
  readonly limit?: number;
}

export interface WatchOptions {
  /**
   * Changes from this revision on. Left out: a snapshot of now comes first, then every later change.
   * A revision that the bounded change log no longer holds also yields a snapshot first.
   */
  readonly fromRevision?: number;
  /** Ends the iteration quietly. */
  readonly signal: AbortSignal;
}

export interface ControlStore {
  get(key: string): Promise<ControlEntry | undefined>;
  /** Ascending by key. */
  list(prefix: string, options?: ListOptions): Promise<ControlEntry[]>;
  /** All operations or none, if every compare holds. A key may be changed once. Durable when it resolves. */
  transact(compares: readonly Compare[], operations: readonly Operation[]): Promise<TransactionResult>;
  grantLease(ttlMs: number): Promise<LeaseId>;
  /** Restarts the lease's time; false when it has expired or was revoked: its keys are gone. */
  keepAlive(lease: LeaseId): Promise<boolean>;
  /** Deletes the lease and its keys; one that is already gone is no error. */
  revokeLease(lease: LeaseId): Promise<void>;
  /**
   * Every change under the prefix, once, by ascending revision and in the order of its transaction's operations. To go
   * on after a break, pass the last revision whose events were all seen, plus one. Ends with UNAVAILABLE when the store is closed, or
   * cannot be reached any more.
   */
  watch(prefix: string, options: WatchOptions): AsyncIterable<ControlEvent>;
  /**
   * To be asked after the reading, before anything is done for good because an entry was not found.
   * @throws KwamError INTEGRITY  the stored bytes are damaged, also where a read shows no error: an entry whose key rotted is just not found.
   */
  requireWhole(): Promise<void>;
  close(): Promise<void>;
}
