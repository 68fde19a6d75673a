/**
 * The control store in one process's memory: the plainly right twin for tests and simulations.
 * In: a clock for leases. Out: a ControlStore. Nothing survives `close`; several users of one cluster share one instance.
 */
import type { Clock } from '../clock.ts';
import { controlLogBytesMax, controlLogEventsMax, controlPollMs } from '../limits.ts';
import type {
  Compare,
  ControlEntry,
  ControlEvent,
  ControlStore,
  LeaseId,
  ListOptions,
  Operation,
  TransactionResult,
  WatchOptions,
} from './control-store.ts';
import { checkKey, checkLease, checkTransaction, compareKeys, leaseGone, storeClosed } from './requests.ts';
import { type Change, type ChangeLog, Watchers } from './watch.ts';

export interface MemoryControlStoreOptions {
  readonly clock: Clock;
  readonly logEventsMax?: number;
  /** How often a watcher looks for leases that ran out while nobody changed anything. */
  readonly pollMs?: number;
}

interface Lease {
  readonly ttlMs: number;
  deadlineMs: number;
}

function copyOf(entry: ControlEntry): ControlEntry {
  return { ...entry, value: entry.value.slice() };
}

function copyOfChange(change: Change): Change {
  return change.kind === 'put' ? { ...change, entry: copyOf(change.entry) } : change;
}

export class MemoryControlStore implements ControlStore, ChangeLog {
  readonly #clock: Clock;
  readonly #logEventsMax: number;
  readonly #entries = new Map<string, ControlEntry>();
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #closing = new AbortController();
  readonly #watchers: Watchers;
  #log: Change[] = [];
  #logBytes = 0;
  #revision = 1;
  #compactedRevision = 1;
  #leasesGranted = 0;

  constructor(options: MemoryControlStoreOptions) {
    this.#clock = options.clock;
    this.#logEventsMax = options.logEventsMax ?? controlLogEventsMax;
    this.#watchers = new Watchers(this, options.clock, options.pollMs ?? controlPollMs, this.#closing.signal);
  }

  async get(key: string): Promise<ControlEntry | undefined> {
    checkKey(key);
    this.#settle();
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : copyOf(entry);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ControlEntry[]> {
    this.#settle();
    const { after } = options;
    const keys = [...this.#entries.keys()]
      .filter((key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0))
      .sort(compareKeys)
      .slice(0, options.limit);
    return keys.map((key) => copyOf(this.#entries.get(key)!));
  }

  async transact(compares: readonly Compare[], operations: readonly Operation[]): Promise<TransactionResult> {
    checkTransaction(compares, operations);
    this.#settle();
    const holds = compares.every(
      ({ key, modRevision }) => (this.#entries.get(key)?.modRevision ?? 0) === modRevision,
    );
    if (holds) this.#apply(operations);
    return { committed: holds, revision: this.#revision };
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    checkLease(ttlMs);
    this.#settle();
    const lease = String(++this.#leasesGranted) as LeaseId;
    this.#leases.set(lease, { ttlMs, deadlineMs: this.#clock.now() + ttlMs });
    return lease;
  }

  async keepAlive(lease: LeaseId): Promise<boolean> {
    this.#settle();
    const found = this.#leases.get(lease);
    if (found === undefined) return false;
    found.deadlineMs = this.#clock.now() + found.ttlMs;
    return true;
  }

  async revokeLease(lease: LeaseId): Promise<void> {
    this.#settle();
    this.#drop(lease);
  }

  watch(prefix: string, options: WatchOptions): AsyncIterable<ControlEvent> {
    return this.#watchers.watch(prefix, options);
  }

  async requireWhole(): Promise<void> {
    this.#closing.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#closing.abort(storeClosed());
  }

  changesFrom(revision: number): { changes: Change[]; last: number } | undefined {
    this.#settle();
    if (revision <= this.#compactedRevision) return undefined;
    const changes = this.#log.filter((change) => change.revision >= revision).map(copyOfChange);
    return { changes, last: this.#revision };
  }

  snapshot(prefix: string): { revision: number; entries: ControlEntry[] } {
    this.#settle();
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix));
    entries.sort((a, b) => compareKeys(a.key, b.key));
    return { revision: this.#revision, entries: entries.map(copyOf) };
  }

  /** Before every look: the store is open and no lease that has run out is left. */
  #settle(): void {
    this.#closing.signal.throwIfAborted();
    const now = this.#clock.now();
    for (const [lease, { deadlineMs }] of this.#leases) if (deadlineMs <= now) this.#drop(lease);
  }

  #drop(lease: LeaseId): void {
    if (!this.#leases.delete(lease)) return;
    const keys = [...this.#entries.values()].filter((entry) => entry.lease === lease).map(({ key }) => key);
    this.#apply(keys.sort(compareKeys).map((key) => ({ kind: 'delete', key })));
  }

  #apply(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const lease = operation.kind === 'put' ? operation.lease : undefined;
      if (lease !== undefined && !this.#leases.has(lease)) throw leaseGone(lease);
    }
    const effective = operations.filter(({ kind, key }) => kind === 'put' || this.#entries.has(key));
    if (effective.length === 0) return;
    this.#revision++;
    for (const operation of effective) this.#record(this.#change(operation, this.#revision));
    this.#compact();
    this.#watchers.ring();
  }

  #change(operation: Operation, revision: number): Change {
    const { key } = operation;
    if (operation.kind === 'delete') {
      this.#entries.delete(key);
      return { kind: 'delete', revision, key };
    }
    const entry: ControlEntry = {
      key,
      value: operation.value.slice(),
      createRevision: this.#entries.get(key)?.createRevision ?? revision,
      modRevision: revision,
      ...(operation.lease === undefined ? {} : { lease: operation.lease }),
    };
    this.#entries.set(key, entry);
    return { kind: 'put', revision, entry };
  }

  #record(change: Change): void {
    this.#log.push(change);
    this.#logBytes += change.kind === 'put' ? change.entry.value.length : 0;
  }

  #compact(): void {
    while (this.#log.length > this.#logEventsMax || this.#logBytes > controlLogBytesMax) {
      const { revision } = this.#log[0]!;
      const dropped = this.#log.filter((change) => change.revision === revision);
      this.#log = this.#log.slice(dropped.length);
      for (const change of dropped) this.#logBytes -= change.kind === 'put' ? change.entry.value.length : 0;
      this.#compactedRevision = revision;
    }
  }
}
