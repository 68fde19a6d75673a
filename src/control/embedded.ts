/**
 * The embedded control store of one machine: one SQLite file that all node processes of the machine have open at once.
 * In: a directory and a clock. Out: a ControlStore. What lies in the file: records.ts.
 * Holds: a process killed inside a transaction leaves nothing of it and does not block the others; a transaction is synced
 * before it resolves. Transactions run on the calling thread and take about one fsync: control changes are few and small.
 * Leases end by wall time, which the processes of one machine share. Does not work on network file systems.
 * Why not LMDB as in the store: in one campaign of 300 kills among two writing processes a survivor's write failed in lmdb 3.5.6
 * (MDB_NOTFOUND from mdb_page_alloc; cause not established), and opening a file that is not LMDB crashes the process.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
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
import * as records from './records.ts';
import { checkKey, checkLease, checkTransaction, leaseGone, storeClosed } from './requests.ts';
import { SqliteTable, translated } from './sqlite-table.ts';
import { type Change, type ChangeLog, Watchers } from './watch.ts';

export interface EmbeddedControlStoreOptions {
  /** Made when missing; for the cluster in D it is D/control. */
  readonly directory: string;
  readonly clock: Clock;
  readonly logEventsMax?: number;
  readonly pollMs?: number;
}

/** Changes read at once by a watcher, rounded up to whole transactions. */
const changesPerPage = 256;

/** Where it lies in its directory. */
export function controlFile(directory: string): string {
  return path.join(directory, 'control.sqlite');
}

export class EmbeddedControlStore implements ControlStore, ChangeLog {
  readonly #table: SqliteTable;
  readonly #clock: Clock;
  readonly #logEventsMax: number;
  readonly #closing = new AbortController();
  readonly #watchers: Watchers;

  static open(options: EmbeddedControlStoreOptions): EmbeddedControlStore {
    return translated(`open the control store ${options.directory}`, () => {
      fs.mkdirSync(options.directory, { recursive: true });
      const table = SqliteTable.open(controlFile(options.directory));
      return new EmbeddedControlStore(table, options);
    });
  }

  private constructor(table: SqliteTable, options: EmbeddedControlStoreOptions) {
    this.#table = table;
    this.#clock = options.clock;
    this.#logEventsMax = options.logEventsMax ?? controlLogEventsMax;
    this.#watchers = new Watchers(this, options.clock, options.pollMs ?? controlPollMs, this.#closing.signal);
  }

  async get(key: string): Promise<ControlEntry | undefined> {
    checkKey(key);
    return this.#read(() => this.#entry(key));
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ControlEntry[]> {
    if (prefix !== '') checkKey(prefix);
    return this.#read(() => this.#entries(prefix, options));
  }

  async transact(compares: readonly Compare[], operations: readonly Operation[]): Promise<TransactionResult> {
    checkTransaction(compares, operations);
    return this.#write(() => {
      const committed = compares.every(
        ({ key, modRevision }) => (this.#entry(key)?.modRevision ?? 0) === modRevision,
      );
      if (committed) this.#apply(operations);
      return { committed, revision: this.#meta().revision };
    });
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    checkLease(ttlMs);
    return this.#write(() => {
      const meta = this.#meta();
      const lease = String(meta.leasesGranted + 1) as LeaseId;
      this.#putMeta({ ...meta, leasesGranted: meta.leasesGranted + 1 });
      this.#putLease(lease, { ttlMs, deadlineMs: this.#clock.now() + ttlMs, keys: [] });
      return lease;
    });
  }

  async keepAlive(lease: LeaseId): Promise<boolean> {
    return this.#write(() => {
      const found = this.#lease(lease);
      if (found !== undefined)
        this.#putLease(lease, { ...found, deadlineMs: this.#clock.now() + found.ttlMs });
      return found !== undefined;
    });
  }

  async revokeLease(lease: LeaseId): Promise<void> {
    this.#write(() => this.#drop(lease));
  }

  watch(prefix: string, options: WatchOptions): AsyncIterable<ControlEvent> {
    return this.#watchers.watch(prefix, options);
  }

  async requireWhole(): Promise<void> {
    this.#read(() => this.#table.requireWhole());
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(storeClosed());
    this.#table.close();
  }

  changesFrom(revision: number): { changes: Change[]; last: number } | undefined {
    this.#dropExpired();
    return this.#read(() => {
      const meta = this.#meta();
      if (revision <= meta.compactedRevision) return undefined;
      if (revision > meta.revision) return { changes: [], last: meta.revision };
      return this.#page(revision, meta.revision);
    });
  }

  snapshot(prefix: string): { revision: number; entries: ControlEntry[] } {
    this.#dropExpired();
    return this.#read(() => ({ revision: this.#meta().revision, entries: this.#entries(prefix, {}) }));
  }

  /** One consistent view, not older than any transaction that has resolved in any process. */
  #read<T>(look: () => T): T {
    this.#closing.signal.throwIfAborted();
    return this.#table.read(look);
  }

  /** All of `change` or nothing; leases that have run out go first, under revisions of their own. */
  #write<T>(change: () => T): T {
    this.#closing.signal.throwIfAborted();
    const { result, changed } = this.#table.write(() => {
      const before = this.#meta().revision;
      for (const lease of this.#expired()) this.#drop(lease);
      return { result: change(), changed: this.#meta().revision !== before };
    });
    if (changed) this.#watchers.ring();
    return result;
  }

  #dropExpired(): void {
    if (this.#read(() => this.#expired()).length > 0) this.#write(() => undefined);
  }

  #meta(): records.Meta {
    const stored = this.#table.get(records.metaKey);
    return stored === undefined ? records.metaFirst : records.unsealMeta(stored);
  }

  #putMeta(meta: records.Meta): void {
    this.#table.put(records.metaKey, records.sealMeta(meta));
  }

  #storedLease(lease: LeaseId): records.LeaseRecord | undefined {
    const stored = this.#table.get(records.leaseKey(lease));
    return stored === undefined ? undefined : records.unsealLease(lease, stored);
  }

  /** A lease that has run out is gone, whether or not anybody has removed it yet. */
  #lease(lease: LeaseId): records.LeaseRecord | undefined {
    const record = this.#storedLease(lease);
    return record === undefined || record.deadlineMs <= this.#clock.now() ? undefined : record;
  }

  #putLease(lease: LeaseId, record: records.LeaseRecord): void {
    this.#table.put(records.leaseKey(lease), records.sealLease(lease, record));
  }

  #expired(): LeaseId[] {
    const start = Buffer.from('l');
    const leases: LeaseId[] = [];
    for (const { key } of this.#table.range(start, records.afterPrefix(start))) {
      const lease = records.leaseOfKey(key);
      if (this.#lease(lease) === undefined) leases.push(lease);
    }
    return leases;
  }

  #live(key: string, stored: Buffer): ControlEntry | undefined {
    const entry = records.unsealEntry(key, stored);
    return entry.lease === undefined || this.#lease(entry.lease) !== undefined ? entry : undefined;
  }

  #entry(key: string): ControlEntry | undefined {
    const stored = this.#table.get(records.entryKey(key));
    return stored === undefined ? undefined : this.#live(key, stored);
  }

  #entries(prefix: string, { after, limit }: ListOptions): ControlEntry[] {
    const first = records.entryKey(prefix);
    const resume = after === undefined ? first : records.entryKey(after);
    const start = Buffer.compare(resume, first) > 0 ? resume : first;
    const entries: ControlEntry[] = [];
    for (const { key, value } of this.#table.range(start, records.afterPrefix(first))) {
      if (entries.length === limit) break;
      const name = key.toString('utf8', 1);
      const entry = name === after ? undefined : this.#live(name, value);
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  #drop(lease: LeaseId): void {
    const record = this.#storedLease(lease);
    if (record === undefined) return;
    this.#change(record.keys.map((key) => ({ kind: 'delete', key })));
    this.#table.remove(records.leaseKey(lease));
  }

  #moveKey(key: string, from: LeaseId | undefined, to: LeaseId | undefined): void {
    if (from === to) return;
    const old = from && this.#storedLease(from);
    if (old) this.#putLease(from, { ...old, keys: old.keys.filter((held) => held !== key) });
    const next = to && this.#storedLease(to);
    if (next) this.#putLease(to, { ...next, keys: [...next.keys, key] });
  }

  #apply(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const lease = operation.kind === 'put' ? operation.lease : undefined;
      if (lease !== undefined && this.#lease(lease) === undefined) throw leaseGone(lease);
    }
    this.#change(operations);
  }

  #change(operations: readonly Operation[]): void {
    const meta = this.#meta();
    const revision = meta.revision + 1;
    let { logEvents, logBytes } = meta;
    let index = 0;
    for (const operation of operations) {
      const change = this.#perform(operation, revision);
      if (change === undefined) continue;
      const tableKey = records.changeKey(revision, index++);
      const sealed = records.sealChange(tableKey, change);
      this.#table.put(tableKey, sealed);
      logEvents++;
      logBytes += sealed.length;
    }
    if (index > 0) this.#putMeta(this.#compacted({ ...meta, revision, logEvents, logBytes }));
  }

  #perform(operation: Operation, revision: number): Change | undefined {
    const { key } = operation;
    const tableKey = records.entryKey(key);
    const stored = this.#table.get(tableKey);
    const old = stored === undefined ? undefined : records.unsealEntry(key, stored);
    const lease = operation.kind === 'put' ? operation.lease : undefined;
    this.#moveKey(key, old?.lease, lease);
    if (operation.kind === 'delete') {
      return this.#table.remove(tableKey) ? { kind: 'delete', revision, key } : undefined;
    }
    const entry: ControlEntry = {
      key,
      value: operation.value,
      createRevision: old?.createRevision ?? revision,
      modRevision: revision,
      ...(lease && { lease }),
    };
    this.#table.put(tableKey, records.sealEntry(entry));
    return { kind: 'put', revision, entry };
  }

  /** Forgets the oldest whole transactions until the log is within its bounds. */
  #compacted(meta: records.Meta): records.Meta {
    let { logEvents, logBytes, compactedRevision } = meta;
    while (logEvents > this.#logEventsMax || logBytes > controlLogBytesMax) {
      compactedRevision++;
      for (let index = 0; ; index++) {
        const key = records.changeKey(compactedRevision, index);
        const stored = this.#table.get(key);
        if (stored === undefined) break;
        this.#table.remove(key);
        logEvents--;
        logBytes -= stored.length;
      }
      if (compactedRevision > meta.revision) throw records.damaged('a change log shorter than its count');
    }
    return { ...meta, logEvents, logBytes, compactedRevision };
  }

  #page(revision: number, newest: number): { changes: Change[]; last: number } {
    const changes: Change[] = [];
    const start = records.changeKey(revision, 0);
    for (const { key, value } of this.#table.range(start, Buffer.from('d'))) {
      const last = changes.at(-1)?.revision;
      if (last !== undefined && changes.length >= changesPerPage && records.revisionOfChange(key) !== last) {
        return { changes, last };
      }
      changes.push(records.unsealChange(key, value));
    }
    return { changes, last: newest };
  }
}
