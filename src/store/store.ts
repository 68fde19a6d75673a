/**
 * The store of one node: which packs and chunks it holds, across any crash.
 * In: sealed packs, questions by digest. Out: locations that workers read from (pack-reader.ts), and reports of damage.
 * Holds: a pack is served from `commitPack` on and found again after any crash, because its file was durable before;
 * packs in quarantine, missing or retired are never located. A location is a hint, so readers compare and, when they lose a
 * race against retirement or quarantine (NOT_FOUND), locate again.
 * Lives on the node's main thread. Does not read payloads, schedule scrubs or talk to other nodes.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { type Clock, systemClock } from '../clock.ts';
import { type Digest, type DigestHex, toHex } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import { type FileSystem, nodeFileSystem } from '../filesystem.ts';
import { remoteLocationsMax } from '../limits.ts';
import { systemRandom } from '../random.ts';
import { ChunkIndex, type PackInfo, type PackState, type Place } from './chunk-index.ts';
import { breakSeal, discardIndex, inspectIndex, sealIndex } from './index-seal.ts';
import { evidencePath, layoutOf, makeLayout, packPath, type StoreLayout } from './layout.ts';
import { getNote, putNote } from './notes.ts';
import { type PackHeader, type PackRecord, parsePackHeader, RECORD_TYPE } from './pack-format.ts';
import { openPack, type PackContents } from './pack-reader.ts';
import { PackBuilder, recordsOfSealed, type SealedPack } from './pack-writer.ts';
import {
  type DroppedFile,
  quarantineFile,
  type StoreScan,
  scanStore,
  settleEvidence,
  tryOpenPack,
} from './recovery.ts';
import { acquireStoreLock, type StoreLock } from './store-lock.ts';

export type { PackInfo, PackState } from './chunk-index.ts';

export interface StoreOptions {
  readonly directory: string;
  readonly fileSystem?: FileSystem;
  readonly clock?: Clock;
  /** An index entry or a note did not match its checksum; it counts as missing, and the index is repaired. */
  readonly onDamage?: (site: 'packs' | 'chunks' | 'meta' | 'note', key: string) => void;
}

export interface Location extends PackRecord {
  readonly packId: DigestHex;
  readonly sequence: number;
  /** `remote`: in the cluster, not in this store. */
  readonly state: 'present' | 'remote';
}

export interface RecoveryReport {
  /** kept: sealed by a clean stop. created: there was none. rebuilt: from packs/, remote packs are forgotten. */
  readonly index: 'kept' | 'created' | 'rebuilt';
  /** Where a damaged index was moved. */
  readonly indexEvidence?: string;
  /** Files that were being written or received, never acknowledged. */
  readonly incomingDropped: readonly DroppedFile[];
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

/** Index entries written without letting other events in: about 10 ms. */
const ENTRIES_PER_TURN = 1024;

interface MutableReport {
  index: RecoveryReport['index'];
  indexEvidence?: string;
  packsIndexed: DigestHex[];
  packsMissing: DigestHex[];
  packsQuarantined: { id: DigestHex; problem: string }[];
}

export class Store {
  readonly layout: StoreLayout;
  readonly #fileSystem: FileSystem;
  readonly #clock: Clock;
  readonly #onDamage: NonNullable<StoreOptions['onDamage']>;
  readonly #lock: StoreLock;
  readonly #index: ChunkIndex;
  readonly #packs = new Map<DigestHex, PackInfo>();
  readonly #bySequence = new Map<number, PackInfo>();
  #nextSequence: number;
  #damagedEntries = 0;
  #repairNeeded = false;
  #writes: Promise<unknown> = Promise.resolve();
  #report!: RecoveryReport;
  #closed = false;

  private constructor(options: StoreOptions, layout: StoreLayout, lock: StoreLock) {
    this.layout = layout;
    this.#fileSystem = options.fileSystem ?? nodeFileSystem;
    this.#clock = options.clock ?? systemClock;
    this.#onDamage = options.onDamage ?? (() => undefined);
    this.#lock = lock;
    this.#index = new ChunkIndex(layout.index, (table, key) => this.#damaged(table, toHex(key)));
    this.#nextSequence = this.#index.nextSequence;
  }

  /** Takes the directory for this process and recovers it. The report of what was found is `recovery`. */
  static async open(options: StoreOptions): Promise<Store> {
    const fileSystem = options.fileSystem ?? nodeFileSystem;
    const layout = layoutOf(options.directory);
    makeLayout(fileSystem, layout);
    const lock = await acquireStoreLock(options.directory);
    try {
      const scan = scanStore(fileSystem, layout);
      const state = inspectIndex(fileSystem, layout);
      const evidence = state === 'sealed' ? undefined : discardIndex(fileSystem, layout, state);
      if (state === 'sealed') breakSeal(fileSystem, layout);
      const index = state === 'sealed' ? 'kept' : state === 'absent' ? 'created' : 'rebuilt';
      const store = new Store(options, layout, lock);
      await store.#recover(scan, index, evidence);
      return store;
    } catch (error) {
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
    const report: MutableReport = { index, packsIndexed: [], packsMissing: [], packsQuarantined: [] };
    if (indexEvidence !== undefined) report.indexEvidence = indexEvidence;
    for (const info of this.#index.packs()) this.#remember(info);
    for (const id of scan.packs) await this.#recoverPack(id, report);
    for (const info of [...this.#packs.values()])
      if (info.state === 'present' && !scan.packs.has(info.id)) {
        this.#setState(info, scan.quarantined.has(info.id) ? 'quarantined' : 'missing');
        if (!scan.quarantined.has(info.id)) report.packsMissing.push(info.id);
      }
    for (const [id, n] of scan.quarantined)
      if (!this.#packs.has(id)) this.#rememberQuarantined(id, evidencePath(this.layout.quarantine, id, n));
    const { incomingDropped, strangers } = scan;
    this.#report = { ...report, incomingDropped, strangers };
  }

  async #recoverPack(id: DigestHex, report: MutableReport): Promise<void> {
    if (this.#packs.get(id)?.state === 'present') return;
    const contents = tryOpenPack(this.#fileSystem, packPath(this.layout.packs, id), id);
    if (typeof contents !== 'string') {
      await this.#indexContents(contents);
      report.packsIndexed.push(id);
      return;
    }
    const evidence = { id, reason: contents, atMs: this.#clock.now() };
    const n = quarantineFile(this.#fileSystem, this.layout, evidence);
    this.#rememberQuarantined(id, evidencePath(this.layout.quarantine, id, n));
    report.packsQuarantined.push({ id, problem: contents });
  }

  #rememberQuarantined(id: DigestHex, path: string): void {
    const contents = tryOpenPack(this.#fileSystem, path, id);
    // Its structure may be all that is damaged; then nothing but its id is known.
    const known = typeof contents === 'string' ? undefined : contents;
    this.#putPack(
      id,
      'quarantined',
      known?.header ?? { kind: 'chunks' },
      known?.bytes ?? 0,
      known?.records.length ?? 0,
    );
  }

  /** Waits for writes in progress, closes and seals the index. A store with a damaged index is left unsealed: rebuilt next time. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writes;
    await this.#index.close();
    if (!this.#repairNeeded) sealIndex(this.#fileSystem, this.layout);
    await this.#lock.release();
  }

  // — questions —

  locate(digest: Digest): Location | undefined {
    let best: Location | undefined;
    for (const place of this.#index.places(digest)) {
      const pack = this.#bySequence.get(place.sequence);
      if (pack === undefined || (pack.state !== 'present' && pack.state !== 'remote')) continue;
      if (best !== undefined && !isBetter(pack, best)) continue;
      best = { ...place, digest, packId: pack.id, state: pack.state };
    }
    return best;
  }

  locateMany(digests: readonly Digest[]): (Location | undefined)[] {
    return digests.map((digest) => this.locate(digest));
  }

  /** Every chunk that is present or remote, in order of digest: feeds the deduplication index at start. */
  *chunks(): Generator<Location> {
    for (const { digest } of this.#index.chunks()) {
      const location = this.locate(digest);
      if (location !== undefined) yield location;
    }
  }

  /** True only for packs that can be served. */
  hasPack(id: DigestHex): boolean {
    return this.#packs.get(id)?.state === 'present';
  }

  packInfo(id: DigestHex): PackInfo | undefined {
    return this.#packs.get(id);
  }

  packBySequence(sequence: number): PackInfo | undefined {
    return this.#bySequence.get(sequence);
  }

  packFile(id: DigestHex): string {
    return packPath(this.layout.packs, id);
  }

  /** Packs of every state, ascending by id; give the last id to continue. */
  listPacks(after: DigestHex | undefined, limit: number): PackInfo[] {
    return this.#index.packIds(after, limit).flatMap((id) => this.#packs.get(id) ?? []);
  }

  /** @throws KwamError NOT_FOUND when the pack is not present, PACK_INVALID when its structure is damaged. */
  recordsOf(id: DigestHex): readonly PackRecord[] {
    if (!this.hasPack(id)) throw packNotFound(id, this.#packs.get(id)?.state);
    return openPack(this.#fileSystem, this.packFile(id), id).records;
  }

  statistics(): StoreStatistics {
    const counts = { present: 0, quarantined: 0, missing: 0, remote: 0 };
    let bytes = 0;
    for (const pack of this.#packs.values()) {
      counts[pack.state]++;
      if (pack.state === 'present') bytes += pack.bytes;
    }
    const { present: packs, quarantined, missing, remote } = counts;
    const chunks = this.#index.chunkCount;
    return { packs, bytes, chunks, quarantined, missing, remote, damagedEntries: this.#damagedEntries };
  }

  getNote(key: string): string | undefined {
    return getNote(this.#fileSystem, this.layout.notes, key, () => this.#damaged('note', key));
  }

  putNote(key: string, text: string): void {
    putNote(this.#fileSystem, this.layout.notes, key, text);
  }

  // — changes, one after another —

  /** A new pack in incoming/. Seal it in a worker, then commit it here. */
  createPack(header: PackHeader): PackBuilder {
    const name = `${toHex(systemRandom.fill(new Uint8Array(16)))}.part`;
    return new PackBuilder({ fileSystem: this.#fileSystem, layout: this.layout, header, name });
  }

  /**
   * Serves a pack whose file is durable under packs/ (sealPackFile, installPackFile). After it resolves the pack may be
   * acknowledged. A pack that was quarantined, missing or remote is present again.
   * When the index has no room (DISK_FULL) a new file is removed again; nothing committed before is lost.
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
        this.#repairNeeded = true;
        this.#fileSystem.remove(this.packFile(sealed.id));
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
      const info = this.#putPack(id, 'remote', header, bytes, records.length);
      if (header.kind === 'chunks') await this.#addPlaces(info, records);
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
    this.#remember({ ...info, state: 'quarantined' });
    return this.#serially(async () => {
      if (!this.#packs.has(id)) throw packNotFound(id, undefined);
      const n = quarantineFile(this.#fileSystem, this.layout, { id, reason, atMs: this.#clock.now() });
      this.#setState(info, 'quarantined');
      return evidencePath(this.layout.quarantine, id, n);
    });
  }

  /** The file of a present pack is gone or cannot be opened: it is not located any more, and asks for repair. */
  markMissing(id: DigestHex): void {
    const info = this.#packs.get(id);
    if (info?.state === 'present') this.#setState(info, 'missing');
  }

  /**
   * Forgets a pack and gives its space back. Commit what replaces it first. Readers that have it open finish; others get
   * NOT_FOUND and locate again. A crash on the way leaves the pack whole or gone.
   */
  retirePack(id: DigestHex): Promise<void> {
    return this.#serially(async () => {
      const info = this.#packs.get(id);
      if (info === undefined) return;
      const contents =
        info.state === 'present' ? tryOpenPack(this.#fileSystem, this.packFile(id), id) : undefined;
      this.#forget(info);
      if (info.state === 'quarantined') settleEvidence(this.#fileSystem, this.layout, id);
      this.#fileSystem.remove(this.packFile(id));
      this.#fileSystem.syncDirectory(this.layout.packs);
      if (typeof contents === 'object' && info.kind === 'chunks')
        await this.#inTurns(contents.records, (record) =>
          this.#updatePlaces(record.digest, (places) => places),
        );
    });
  }

  async #indexContents(pack: Pick<PackContents, 'id' | 'header' | 'bytes' | 'records'>): Promise<PackInfo> {
    const { id, header, bytes, records } = pack;
    const sequence = this.#packs.get(id)?.sequence ?? this.#takeSequence();
    const info = packInfoOf(id, sequence, 'present', header, bytes, records.length);
    if (header.kind === 'chunks') await this.#addPlaces(info, records);
    this.#index.putPack(info);
    this.#remember(info);
    return info;
  }

  /** Shard slices are not chunks: nobody looks them up by digest. */
  #addPlaces(info: PackInfo, records: readonly PackRecord[]): Promise<void> {
    return this.#inTurns(records, ({ digest, offset, length, type }) => {
      assert(type !== RECORD_TYPE.shardSlice, 'a pack of chunks holds no shard slice');
      this.#updatePlaces(
        digest,
        (places) => {
          const remote = places.filter(({ sequence }) => this.#bySequence.get(sequence)?.state === 'remote');
          if (info.state === 'remote' && remote.length >= remoteLocationsMax) return places;
          return [...places, { sequence: info.sequence, offset, length, type }];
        },
        info.sequence,
      );
    });
  }

  /** Rewrites the places of a digest without those of forgotten packs and of `replacing`. */
  #updatePlaces(digest: Digest, change: (places: Place[]) => Place[], replacing?: number): void {
    const before = this.#index.places(digest);
    const living = before.filter(({ sequence }) => sequence !== replacing && this.#bySequence.has(sequence));
    this.#index.putPlaces(digest, change(living));
  }

  async #inTurns(records: readonly PackRecord[], act: (record: PackRecord) => void): Promise<void> {
    for (let first = 0; first < records.length; first += ENTRIES_PER_TURN) {
      if (first > 0) await yieldToEvents();
      this.#index.transaction(() => records.slice(first, first + ENTRIES_PER_TURN).forEach(act));
    }
  }

  #serially<T>(act: () => Promise<T>): Promise<T> {
    assert(!this.#closed, 'the store is open');
    const result = this.#writes.then(act);
    this.#writes = result.catch(() => undefined); // the caller gets the error from `result`
    return result;
  }

  #takeSequence(): number {
    const sequence = this.#nextSequence++;
    this.#index.putNextSequence(this.#nextSequence);
    return sequence;
  }

  #putPack(
    id: DigestHex,
    state: PackState,
    header: Pick<PackHeader, 'kind' | 'stripe'>,
    bytes: number,
    recordCount: number,
  ): PackInfo {
    const info = packInfoOf(id, this.#takeSequence(), state, header, bytes, recordCount);
    this.#index.putPack(info);
    this.#remember(info);
    return info;
  }

  #setState(info: PackInfo, state: PackState): void {
    const changed = { ...info, state };
    this.#remember(changed);
    this.#index.putPack(changed);
  }

  #remember(info: PackInfo): void {
    this.#packs.set(info.id, info);
    this.#bySequence.set(info.sequence, info);
  }

  #forget(info: PackInfo): void {
    this.#packs.delete(info.id);
    this.#bySequence.delete(info.sequence);
    this.#index.removePack(info.id);
  }

  #damaged(site: 'packs' | 'chunks' | 'meta' | 'note', key: string): void {
    this.#damagedEntries++;
    this.#onDamage(site, key);
    if (site === 'note' || this.#repairNeeded) return;
    this.#repairNeeded = true; // until the index is rebuilt at the next start it is not sealed again
    if (!this.#closed) void this.#serially(() => this.#reindex());
  }

  /** Writes every entry again that packs/ knows. */
  async #reindex(): Promise<void> {
    for (const info of [...this.#packs.values()]) {
      if (info.state !== 'present') continue;
      const contents = tryOpenPack(this.#fileSystem, this.packFile(info.id), info.id);
      if (typeof contents === 'string') continue;
      if (info.kind === 'chunks') await this.#addPlaces(info, contents.records);
      const now = this.#packs.get(info.id); // it may have been quarantined meanwhile
      if (now !== undefined) this.#index.putPack(now);
    }
  }
}

function packInfoOf(
  id: DigestHex,
  sequence: number,
  state: PackState,
  { kind, stripe }: Pick<PackHeader, 'kind' | 'stripe'>,
  bytes: number,
  recordCount: number,
): PackInfo {
  const info = { id, sequence, state, kind, bytes, recordCount };
  return stripe === undefined ? info : { ...info, stripe };
}

/** Present before remote; among equals the newest, which outlives the others in a compaction. */
function isBetter(pack: PackInfo, best: Location): boolean {
  if (pack.state !== best.state) return pack.state === 'present';
  return pack.sequence > best.sequence;
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
