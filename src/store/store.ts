/**
 * The store of one node: which packs and chunks it holds, across any crash.
 * In: sealed packs, questions by digest. Out: locations that workers read from (pack-reader.ts), and reports of damage.
 * Holds: a pack is served from `commitPack` on and found again after any crash, because its file was durable before;
 * packs in quarantine, missing or retired are never located. A location is a hint, so readers compare and, when they lose a
 * race against retirement or quarantine (NOT_FOUND), locate again.
 * Lives on the node's main thread. Does not read payloads, schedule scrubs or talk to other nodes.
 */
import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import { type Digest, type DigestHex, toHex } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import { type AsyncFiles, type FileSystem, nodeAsyncFiles, nodeFileSystem } from '../filesystem.ts';
import { type Random, systemRandom } from '../random.ts';
import { ChunkPlaces, type Location } from './chunk-places.ts';
import { breakSeal, discardIndex, type IndexState, inspectIndex, sealIndex } from './index-seal.ts';
import { IndexTables, type PackInfo, type PackState } from './index-tables.ts';
import { evidencePath, layoutOf, makeLayout, packPath, type StoreLayout } from './layout.ts';
import { getNote, putNote } from './notes.ts';
import { type PackHeader, type PackRecord, parsePackHeader } from './pack-format.ts';
import { openPack, type PackContents, withFile } from './pack-reader.ts';
import { PackTable } from './pack-table.ts';
import { PackBuilder, recordsOfSealed, type SealedPack } from './pack-writer.ts';
import {
  type DroppedFile,
  evidenceOf,
  quarantineFile,
  type StoreScan,
  scanStore,
  settleEvidence,
  tryOpenPack,
} from './recovery.ts';
import { acquireStoreLock, type StoreLock } from './store-lock.ts';

export interface StoreOptions {
  readonly directory: string;
  readonly fileSystem?: FileSystem;
  /** The same disk as `fileSystem`. */
  readonly files?: AsyncFiles;
  readonly clock?: Clock;
  /** Makes names of files that are being written. */
  readonly random?: Random;
  /** An index entry or a note did not match its checksum; it counts as missing, and the index is repaired. */
  readonly onDamage?: (site: DamageSite, key: string) => void;
  /** A pack was moved to quarantine, by a caller or by recovery. */
  readonly onQuarantined?: (id: DigestHex, bytes: number) => void;
}

export type DamageSite = 'packs' | 'chunks' | 'meta' | 'note';

export interface RecoveryReport {
  /** kept: sealed by a clean stop. created: there was none. rebuilt: from packs/, remote packs are forgotten. */
  readonly index: 'kept' | 'created' | 'rebuilt';
  /** Where a damaged index was moved. */
  readonly indexEvidence?: string;
  /** Files that were being written or received, never acknowledged. */
  readonly incomingDropped: readonly DroppedFile[];
  /** Quarantines that a crash had interrupted and that are complete now. */
  readonly quarantinesFinished: readonly DigestHex[];
  /** Packs found under packs/ that the index did not know. */
  readonly packsIndexed: readonly DigestHex[];
  /** Packs that the index knew and whose file is gone. */
  readonly packsMissing: readonly DigestHex[];
  /** Packs moved to quarantine now, with the reason. */
  readonly packsQuarantined: readonly { readonly id: DigestHex; readonly problem: string }[];
  /** Names under packs/ that no pack has; left alone. */
  readonly strangers: readonly string[];
}

export interface StoreStatistics {
  readonly packs: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly quarantined: number;
  readonly missing: number;
  readonly remote: number;
  /** Index entries and notes that did not match their checksum since the store was opened. */
  readonly damagedEntries: number;
}

const INDEX_OUTCOME: Record<IndexState, RecoveryReport['index']> = {
  sealed: 'kept',
  absent: 'created',
  unsealed: 'rebuilt',
  damaged: 'rebuilt',
};

export class Store {
  readonly layout: StoreLayout;
  /** The disk that this store is on, for whoever reads and writes its files. */
  readonly fileSystem: FileSystem;
  readonly files: AsyncFiles;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #onDamage: NonNullable<StoreOptions['onDamage']>;
  readonly #onQuarantined: NonNullable<StoreOptions['onQuarantined']>;
  readonly #lock: StoreLock;
  readonly #index: IndexTables;
  readonly #packs: PackTable;
  readonly #places: ChunkPlaces;
  #damagedEntries = 0;
  /** The index is not what packs/ says: it stays unsealed, so that the next start rebuilds it. */
  #indexDamaged = false;
  #writes: Promise<unknown> = Promise.resolve();
  #report!: RecoveryReport;
  #closed = false;

  private constructor(options: StoreOptions, layout: StoreLayout, lock: StoreLock) {
    this.layout = layout;
    this.fileSystem = options.fileSystem ?? nodeFileSystem;
    this.files = options.files ?? nodeAsyncFiles;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#onDamage = options.onDamage ?? (() => undefined);
    this.#onQuarantined = options.onQuarantined ?? (() => undefined);
    this.#lock = lock;
    this.#index = new IndexTables(layout.index, (table, key) => this.#damaged(table, toHex(key)));
    this.#packs = new PackTable(this.#index);
    this.#places = new ChunkPlaces(this.#index, this.#packs);
  }

  /** Takes the directory for this process and recovers it. `recovery` says what was found. */
  static async open(options: StoreOptions): Promise<Store> {
    const fileSystem = options.fileSystem ?? nodeFileSystem;
    const layout = layoutOf(options.directory);
    makeLayout(fileSystem, layout);
    const lock = await acquireStoreLock(options.directory);
    let store: Store | undefined;
    try {
      const scan = scanStore(fileSystem, layout);
      const state = inspectIndex(fileSystem, layout);
      const evidence = state === 'sealed' ? undefined : discardIndex(fileSystem, layout, state);
      breakSeal(fileSystem, layout);
      store = new Store(options, layout, lock);
      await store.#recover(scan, INDEX_OUTCOME[state], evidence);
      return store;
    } catch (error) {
      if (store !== undefined) await store.#index.close();
      await lock.release();
      throw error;
    }
  }

  get recovery(): RecoveryReport {
    return this.#report;
  }

  async #recover(
    scan: StoreScan,
    index: RecoveryReport['index'],
    indexEvidence: string | undefined,
  ): Promise<void> {
    const packsIndexed: DigestHex[] = [];
    const packsQuarantined: { id: DigestHex; problem: string }[] = [];
    for (const id of scan.packs) {
      if (this.hasPack(id)) continue;
      const problem = await this.#recoverPack(id);
      if (problem === undefined) packsIndexed.push(id);
      else packsQuarantined.push({ id, problem });
    }
    const { quarantined, incomingDropped, quarantinesFinished, strangers } = scan;
    const packsMissing = this.#recoverVanished(scan);
    for (const [id, n] of quarantined) if (this.#packs.get(id) === undefined) this.#putQuarantined(id, n);
    const rest = { incomingDropped, quarantinesFinished, packsIndexed, packsMissing, packsQuarantined };
    this.#report = { index, ...rest, strangers, ...(indexEvidence === undefined ? {} : { indexEvidence }) };
  }

  /** Indexes a pack file, or moves it to quarantine and says why. */
  async #recoverPack(id: DigestHex): Promise<string | undefined> {
    const contents = tryOpenPack(this.fileSystem, this.packFile(id), id);
    if (typeof contents === 'string') {
      this.#putQuarantined(id, this.#setAside(id, contents));
      return contents;
    }
    await this.#indexContents(contents);
    return undefined;
  }

  #recoverVanished(scan: StoreScan): DigestHex[] {
    const vanished = this.#packs.all().filter(({ id, state }) => state === 'present' && !scan.packs.has(id));
    for (const info of vanished)
      this.#packs.put({ ...info, state: scan.quarantined.has(info.id) ? 'quarantined' : 'missing' });
    return vanished.map(({ id }) => id).filter((id) => !scan.quarantined.has(id));
  }

  /** When its structure is damaged too, nothing but its id is known: kind `chunks`, 0 bytes, 0 records. */
  #putQuarantined(id: DigestHex, n: number): void {
    const contents = tryOpenPack(this.fileSystem, evidencePath(this.layout.quarantine, id, n), id);
    const facts =
      typeof contents === 'string'
        ? { id, header: { kind: 'chunks' as const }, bytes: 0, recordCount: 0 }
        : { ...contents, recordCount: contents.records.length };
    this.#packs.put(this.#packs.infoOf(facts, 'quarantined'));
  }

  /** Waits for writes in progress, then closes and seals the index. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writes;
    await this.#index.close();
    try {
      if (!this.#indexDamaged) sealIndex(this.fileSystem, this.layout);
    } finally {
      await this.#lock.release();
    }
  }

  // — questions —

  /** The best place of a chunk: present before remote, then the newest pack. */
  locate(digest: Digest): Location | undefined {
    return this.#places.locate(digest);
  }

  locateMany(digests: readonly Digest[]): (Location | undefined)[] {
    return digests.map((digest) => this.#places.locate(digest));
  }

  /** Every chunk that is present or remote, ascending by digest: feeds the deduplication index at start. */
  chunks(): Generator<Location> {
    return this.#places.all();
  }

  /** True only for packs that can be served. */
  hasPack(id: DigestHex): boolean {
    return this.#packs.get(id)?.state === 'present';
  }

  packInfo(id: DigestHex): PackInfo | undefined {
    return this.#packs.get(id);
  }

  packFile(id: DigestHex): string {
    return packPath(this.layout.packs, id);
  }

  /** The damaged file of a pack that is in quarantine now: its good records spare a repair the network. */
  latestEvidence(id: DigestHex): string | undefined {
    if (this.#packs.get(id)?.state !== 'quarantined') return undefined;
    const n = evidenceOf(this.fileSystem, this.layout).get(id);
    return n === undefined ? undefined : evidencePath(this.layout.quarantine, id, n);
  }

  /** Packs of every state, ascending by id; give the last id to continue. */
  listPacks(after: DigestHex | undefined, limit: number): PackInfo[] {
    return this.#packs.page(after, limit);
  }

  /** @throws KwamError NOT_FOUND when the pack is not present, PACK_INVALID when its structure is damaged. */
  recordsOf(id: DigestHex): readonly PackRecord[] {
    if (!this.hasPack(id)) throw packNotFound(id, this.#packs.get(id)?.state);
    return openPack(this.fileSystem, this.packFile(id), id).records;
  }

  statistics(): StoreStatistics {
    const counts = { present: 0, quarantined: 0, missing: 0, remote: 0 };
    for (const { state } of this.#packs.all()) counts[state]++;
    const { present: _, ...others } = counts;
    const { chunkCount: chunks } = this.#index;
    return { ...this.presence(), chunks, ...others, damagedEntries: this.#damagedEntries };
  }

  /** What is present; unlike all `statistics` it asks the index for nothing, and may be looked at every second. */
  presence(): Pick<StoreStatistics, 'packs' | 'bytes'> {
    let [packs, bytes] = [0, 0];
    for (const pack of this.#packs.all()) {
      if (pack.state !== 'present') continue;
      packs++;
      bytes += pack.bytes;
    }
    return { packs, bytes };
  }

  getNote(key: string): string | undefined {
    return getNote(this.fileSystem, this.layout.notes, key, () => this.#damaged('note', key));
  }

  putNote(key: string, text: string): void {
    putNote(this.fileSystem, this.layout.notes, key, text, { durable: false });
  }

  /** Survives a power failure too, once it returns. */
  putDurableNote(key: string, text: string): void {
    putNote(this.fileSystem, this.layout.notes, key, text, { durable: true });
  }

  // — changes, one after another —

  /** A new pack in incoming/. Seal it in a worker, then commit it here. */
  createPack(header: PackHeader): PackBuilder {
    const name = `${toHex(this.#random.fill(new Uint8Array(16)))}.part`;
    return new PackBuilder({ fileSystem: this.fileSystem, layout: this.layout, header, name });
  }

  /** A new name in incoming/ for records of a pack that are brought here to be read, not to be kept. */
  readingPath(id: DigestHex): string {
    return join(this.layout.incoming, `${id}.${toHex(this.#random.fill(new Uint8Array(4)))}.reading`);
  }

  /**
   * Serves a pack whose file is durable under packs/ (sealPackFile, installPackFile). After it resolves the pack may be
   * acknowledged. A pack that was quarantined, missing or remote is present again.
   * @throws KwamError DISK_FULL when the index has no room: the file is removed again; nothing committed before is lost.
   */
  commitPack(sealed: SealedPack): Promise<PackInfo> {
    return this.#serially(async () => {
      const known = this.#packs.get(sealed.id);
      if (known?.state === 'present') return known;
      const header = parsePackHeader(sealed.header);
      const records = recordsOfSealed(sealed);
      try {
        return await this.#indexContents({ ...sealed, header, records });
      } catch (error) {
        // A damaged index may have forgotten that this pack was acknowledged before: then the file stays, and the next start finds it.
        if (this.#damagedEntries === 0) this.fileSystem.remove(this.packFile(sealed.id));
        this.#indexDamaged = true;
        throw error;
      }
    });
  }

  /** Chunks of a pack that other nodes hold. Forgotten when the index is rebuilt; then learn it again. */
  learnRemotePack(
    id: DigestHex,
    header: Pick<PackHeader, 'kind' | 'stripe'>,
    bytes: number,
    records: readonly PackRecord[],
  ): Promise<PackInfo> {
    return this.#serially(async () => {
      const known = this.#packs.get(id);
      if (known !== undefined) return known;
      const facts = { id, header, bytes, recordCount: records.length };
      const info = this.#packs.put(this.#packs.infoOf(facts, 'remote'));
      await this.#places.add(info, records);
      return info;
    });
  }

  /**
   * The pack is damaged: it is not located any more from the moment of the call on, and its file becomes evidence.
   * @returns the path of the evidence.
   * @throws KwamError NOT_FOUND when the pack is not present.
   */
  quarantine(id: DigestHex, reason: string): Promise<string> {
    const info = this.#packs.get(id);
    if (info?.state !== 'present') return Promise.reject(packNotFound(id, info?.state));
    const quarantined: PackInfo = { ...info, state: 'quarantined' };
    this.#packs.remember(quarantined);
    return this.#serially(async () => {
      if (this.#packs.get(id) === undefined) throw packNotFound(id, undefined);
      const n = this.#setAside(id, reason);
      this.#packs.put(quarantined);
      return evidencePath(this.layout.quarantine, id, n);
    });
  }

  /** @returns the number of the evidence. */
  #setAside(id: DigestHex, reason: string): number {
    const n = quarantineFile(this.fileSystem, this.layout, { id, reason, atMs: this.#clock.now() });
    const path = evidencePath(this.layout.quarantine, id, n);
    this.#onQuarantined(
      id,
      withFile(this.fileSystem, path, (file) => this.fileSystem.bytes(file)),
    );
    return n;
  }

  /** The file of a present pack is gone or cannot be opened: it is not located any more, and asks for repair. */
  markMissing(id: DigestHex): void {
    const info = this.#packs.get(id);
    if (info?.state === 'present') this.#packs.put({ ...info, state: 'missing' });
  }

  /**
   * Forgets a pack of any state and gives its space back. Commit what replaces it first. Readers that have it open finish;
   * others get NOT_FOUND and locate again. A crash on the way leaves the pack whole or gone.
   */
  retirePack(id: DigestHex): Promise<void> {
    return this.#serially(async () => {
      const info = this.#packs.get(id);
      if (info === undefined) return;
      const path = this.packFile(id);
      const contents = info.state === 'present' ? tryOpenPack(this.fileSystem, path, id) : '';
      this.#packs.forget(info);
      if (info.state === 'quarantined') settleEvidence(this.fileSystem, this.layout, id);
      this.fileSystem.remove(path);
      this.fileSystem.syncDirectory(this.layout.packs);
      if (typeof contents !== 'string' && info.kind === 'chunks') await this.#places.sweep(contents.records);
    });
  }

  async #indexContents(pack: Pick<PackContents, 'id' | 'header' | 'bytes' | 'records'>): Promise<PackInfo> {
    const info = this.#packs.infoOf({ ...pack, recordCount: pack.records.length }, 'present');
    await this.#places.add(info, pack.records);
    return this.#packs.put(info);
  }

  #serially<T>(act: () => Promise<T>): Promise<T> {
    assert(!this.#closed, 'the store is open');
    const result = this.#writes.then(act);
    this.#writes = result.catch(() => undefined); // the caller gets the error from `result`
    return result;
  }

  #damaged(site: DamageSite, key: string): void {
    this.#damagedEntries++;
    this.#onDamage(site, key);
    if (site === 'note' || this.#indexDamaged) return;
    this.#indexDamaged = true;
    // A failure here needs no report of its own: the index stays unsealed and the next start rebuilds it.
    if (!this.#closed) this.#serially(() => this.#reindex()).catch(() => undefined);
  }

  /** Writes every place again that packs/ knows. */
  async #reindex(): Promise<void> {
    for (const info of this.#packs.all()) {
      const contents =
        info.state === 'present' ? tryOpenPack(this.fileSystem, this.packFile(info.id), info.id) : '';
      if (typeof contents !== 'string') await this.#places.add(info, contents.records);
    }
  }
}

function packNotFound(id: DigestHex, state: PackState | undefined): KwamError {
  return new KwamError(
    'NOT_FOUND',
    `expected pack ${id} to be present, got ${state ?? 'no such pack'}; locate again`,
    {
      context: { pack: id, state: state ?? 'unknown' },
      retryable: true,
    },
  );
}
