/**
 * The control store of a fleet: an etcd, version 3.4 or later, shared by the nodes of all machines.
 * In: where etcd is and the cluster's name. Out: a ControlStore whose keys lie under /kwam/<cluster>/.
 * Uses ranges, transactions, leases and watches; never etcd's locks or elections, which can have two holders (fence with
 * `modRevision`). All reads are linearizable.
 * Leases are of whole seconds, rounded up, and etcd grants none below 1.5 times its election timeout. Does not compact: etcd does
 * (--auto-compaction-mode). Does not store anything on this machine.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { controlPageEntriesMax } from '../limits.ts';
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
import { EtcdClient } from './etcd-client.ts';
import {
  type KeyValue,
  METHODS,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  revisionOf,
} from './etcd-protocol.ts';
import type { EtcdPlace } from './etcd-url.ts';
import { followEtcd, type WatchedRange } from './etcd-watch.ts';
import { afterPrefix } from './records.ts';
import { checkKey, checkLease, checkTransaction, keyBytes, leaseGone } from './requests.ts';

export interface EtcdControlStoreOptions extends EtcdPlace {
  readonly clock: Clock;
  /** After so long without an answer a call ends with UNAVAILABLE. */
  readonly callMs?: number;
}

/** One moment of a range. */
interface Listing {
  readonly revision: number;
  readonly entries: ControlEntry[];
}

export class EtcdControlStore implements ControlStore {
  readonly #client: EtcdClient;
  readonly #clock: Clock;
  readonly #namespace: Buffer;

  constructor(options: EtcdControlStoreOptions) {
    this.#client = new EtcdClient(options);
    this.#clock = options.clock;
    this.#namespace = Buffer.from(`/kwam/${options.cluster}/`);
  }

  async get(key: string): Promise<ControlEntry | undefined> {
    checkKey(key);
    const { kvs } = await this.#client.call(METHODS.range, { key: this.#keyOf(key) }, 'freely');
    return kvs[0] && this.#entryOf(kvs[0]);
  }

  async list(prefix: string, { after, limit }: ListOptions = {}): Promise<ControlEntry[]> {
    if (prefix !== '') checkKey(prefix);
    if (limit === 0) return [];
    const first = this.#keyOf(prefix);
    const next = after === undefined ? first : successorOf(this.#keyOf(after));
    const start = Buffer.compare(next, first) > 0 ? next : first;
    return (await this.#listing(start, afterPrefix(first), limit)).entries;
  }

  async transact(compares: readonly Compare[], operations: readonly Operation[]): Promise<TransactionResult> {
    checkTransaction(compares, operations);
    const compare = compares.map(
      ({ key, modRevision }) =>
        ({ result: 'EQUAL', target: 'MOD', key: this.#keyOf(key), modRevision }) as const,
    );
    const request = { compare, success: this.#requestsOf(operations) };
    try {
      const { succeeded, header } = await this.#client.call(METHODS.txn, request, 'once');
      return { committed: succeeded, revision: revisionOf(header.revision) };
    } catch (error) {
      throw isNotFound(error) ? leaseGone(leasesOf(operations)) : error;
    }
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    checkLease(ttlMs);
    // One that is granted twice because its first answer was lost ends by itself.
    const { ID } = await this.#client.call(METHODS.leaseGrant, { TTL: Math.ceil(ttlMs / 1000) }, 'freely');
    return ID as LeaseId;
  }

  async keepAlive(lease: LeaseId): Promise<boolean> {
    const { first, cancel } = await this.#client.open(METHODS.leaseKeepAlive, { ID: lease });
    cancel();
    return Number(first.TTL) > 0;
  }

  async revokeLease(lease: LeaseId): Promise<void> {
    try {
      await this.#client.call(METHODS.leaseRevoke, { ID: lease }, 'freely');
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  watch(prefix: string, { fromRevision, signal }: WatchOptions): AsyncIterable<ControlEvent> {
    const range = this.#watchedRange(prefix);
    return followEtcd({ client: this.#client, clock: this.#clock, range, fromRevision, signal });
  }

  /** etcd's members compare their contents (--corrupt-check-time) and refuse every read and write once they differ. */
  async requireWhole(): Promise<void> {}

  async close(): Promise<void> {
    this.#client.close();
  }

  #watchedRange(prefix: string): WatchedRange {
    const key = this.#keyOf(prefix);
    const rangeEnd = afterPrefix(key);
    return {
      key,
      rangeEnd,
      snapshot: () => this.#listing(key, rangeEnd),
      changeOf: ({ type, kv }) => {
        const revision = revisionOf(kv.modRevision);
        if (type === 'DELETE') return { kind: 'delete', revision, key: this.#nameOf(kv) };
        return { kind: 'put', revision, entry: this.#entryOf(kv) };
      },
    };
  }

  #requestsOf(operations: readonly Operation[]): RequestOp[] {
    // etcd answers a transaction without any request from what one member happens to know; a read makes it linearizable.
    if (operations.length === 0) return [{ requestRange: { key: this.#namespace } }];
    return operations.map((operation) => {
      const key = this.#keyOf(operation.key);
      if (operation.kind === 'delete') return { requestDeleteRange: { key } };
      const { value, lease } = operation;
      return { requestPut: { key, value, ...(lease && { lease }) } };
    });
  }

  /** In pages, all of one revision; a page that is too large for a message is halved. */
  async #listing(
    start: Uint8Array,
    rangeEnd: Uint8Array,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<Listing> {
    const entries: ControlEntry[] = [];
    let pageMax = controlPageEntriesMax;
    let key = start;
    let revision: number | undefined;
    for (;;) {
      const wanted = Math.min(pageMax, limit - entries.length);
      const page = await this.#page({ key, rangeEnd, limit: wanted, ...(revision && { revision }) });
      if (page === 'too large') {
        pageMax = Math.max(1, Math.floor(wanted / 2));
        continue;
      }
      if (page === 'forgotten') return this.#listing(start, rangeEnd, limit);
      revision ??= revisionOf(page.header.revision);
      entries.push(...page.kvs.map((kv) => this.#entryOf(kv)));
      if (!page.more || entries.length >= limit) return { revision, entries };
      key = successorOf(page.kvs.at(-1)!.key);
    }
  }

  async #page(range: RangeRequest): Promise<RangeResponse | 'too large' | 'forgotten'> {
    try {
      return await this.#client.call(METHODS.range, range, 'freely');
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      if (error.code === 'LIMIT_EXCEEDED' && range.limit! > 1) return 'too large';
      if (error.context['status'] === 'OUT_OF_RANGE' && range.revision !== undefined) return 'forgotten';
      throw error;
    }
  }

  #keyOf(name: string): Buffer {
    return Buffer.concat([this.#namespace, keyBytes(name)]);
  }

  #nameOf({ key }: KeyValue): string {
    return key.toString('utf8', this.#namespace.length);
  }

  #entryOf(kv: KeyValue): ControlEntry {
    return {
      key: this.#nameOf(kv),
      // A copy: the bytes lie within the whole message otherwise.
      value: Uint8Array.from(kv.value),
      createRevision: revisionOf(kv.createRevision),
      modRevision: revisionOf(kv.modRevision),
      ...(kv.lease === '0' ? {} : { lease: kv.lease as LeaseId }),
    };
  }
}

/** The least key above. */
function successorOf(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

function isNotFound(error: unknown): boolean {
  return error instanceof KwamError && error.code === 'NOT_FOUND';
}

/** etcd does not say which one is gone. */
function leasesOf(operations: readonly Operation[]): string {
  const leases = operations.map((one) => (one.kind === 'put' ? one.lease : undefined));
  return [...new Set(leases)].filter((lease) => lease !== undefined).join(' or ');
}
