/**
 * The packs of one put while they are being filled.
 * In: offers of chunks from workers. Out: orders where to write the new ones; sealed, committed packs.
 * Holds: room is given once; a pack is sealed only after every order into it was carried out; when an order fails, its pack
 * is abandoned and every piece of work that counted on it says so (`isLost`), so that the caller does that work again.
 * Runs on the main thread and touches no payload.
 */
import { asDigest, DIGEST_BYTES, type Digest, type DigestHex, toHex } from '../digest.ts';
import type { RecordType } from '../store/pack-format.ts';
import { type PackBuilder, recordsOfSealed, type SealedPack, type SealRunner } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';
import type { ChunkRun, StoreOrder } from './ingest-tasks.ts';
import type { KnownChunks } from './known-chunks.ts';

interface OpenPack {
  readonly builder: PackBuilder;
  /** Chunks that are promised to be in this pack. */
  readonly digests: DigestHex[];
  /** Pieces of work that still write into it. */
  writers: number;
  isFull: boolean;
  state: 'open' | 'sealing' | 'committed' | 'failed';
}

/** What one piece of work counts on: packs that exist, and packs that are being made. */
export interface Footing {
  readonly packs: Set<DigestHex>;
  readonly pending: Set<OpenPack>;
  readonly writingInto: Set<OpenPack>;
}

export interface SessionOptions {
  readonly store: Store;
  readonly known: KnownChunks;
  readonly codecId: Digest;
  readonly packBytesTarget: number;
  readonly seal: SealRunner;
  /** How many offered chunks are stored or being stored already, and how many are new. */
  readonly onLooked: (hits: number, misses: number) => void;
  /** Called for each pack once it is committed here; the session waits for it in `finish`. */
  readonly onCommitted: (pack: SealedPack) => Promise<void>;
}

export class PackSession {
  readonly #options: SessionOptions;
  readonly #pending = new Map<DigestHex, OpenPack>();
  readonly #settling = new Set<Promise<void>>();
  readonly #errors: unknown[] = [];
  readonly #sealedIds = new Map<OpenPack, DigestHex>();
  #current: OpenPack | undefined;
  /** Of packs that were committed: what was promised and then abandoned does not count. */
  newChunks = 0;
  newBytes = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  begin(): Footing {
    return { packs: new Set(), pending: new Set(), writingInto: new Set() };
  }

  /** Decides which of the offered chunks are new and gives each of those its place. */
  offer(footing: Footing, run: ChunkRun, type: RecordType): StoreOrder[] {
    const holders = this.#options.known.find(run.digests);
    const orders = new Map<string, { offset: number; chunkIndexes: number[] }>();
    for (const [i, length] of run.lengths.entries()) {
      const digest = asDigest(run.digests.slice(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES));
      if (this.#isThere(footing, digest, holders[i])) continue;
      const pack = this.#roomFor(length);
      const { path, offset } = pack.builder.allocate([{ digest, length, type }]);
      this.#promise(toHex(digest), pack, footing);
      // Room given during this call is contiguous within a pack, so one order a pack is enough.
      const order = orders.get(path);
      if (order === undefined) orders.set(path, { offset, chunkIndexes: [i] });
      else order.chunkIndexes.push(i);
    }
    const misses = [...orders.values()].reduce((sum, { chunkIndexes }) => sum + chunkIndexes.length, 0);
    this.#options.onLooked(run.lengths.length - misses, misses);
    return [...orders].map(([packPath, { offset, chunkIndexes }]) => ({
      packPath,
      offset,
      chunkIndexes: Uint32Array.from(chunkIndexes),
    }));
  }

  #isThere(footing: Footing, digest: Digest, holder: DigestHex | undefined): boolean {
    if (holder !== undefined) {
      footing.packs.add(holder);
      return true;
    }
    const promised = this.#pending.get(toHex(digest));
    if (promised !== undefined) footing.pending.add(promised);
    return promised !== undefined;
  }

  #roomFor(bytes: number): OpenPack {
    const current = this.#current;
    if (current !== undefined && current.builder.bytes + bytes <= this.#options.packBytesTarget)
      return current;
    if (current !== undefined) this.#close(current);
    const builder = this.#options.store.createPack({ kind: 'chunks', codecId: this.#options.codecId });
    this.#current = { builder, digests: [], writers: 0, isFull: false, state: 'open' };
    return this.#current;
  }

  #promise(hex: DigestHex, pack: OpenPack, footing: Footing): void {
    this.#pending.set(hex, pack);
    pack.digests.push(hex);
    footing.pending.add(pack);
    if (footing.writingInto.has(pack)) return;
    footing.writingInto.add(pack);
    pack.writers++;
  }

  #close(pack: OpenPack): void {
    pack.isFull = true;
    if (this.#current === pack) this.#current = undefined;
    if (pack.writers === 0 && pack.state === 'open') this.#settle(pack);
  }

  /** Every order of this piece of work was carried out. */
  completed(footing: Footing): void {
    for (const pack of footing.writingInto) this.#leave(pack);
    footing.writingInto.clear();
  }

  /** Orders of this piece of work may not have been carried out: nobody may count on the packs it wrote into. */
  failed(footing: Footing): void {
    for (const pack of footing.writingInto) {
      if (pack.state === 'open') this.#fail(pack);
      this.#leave(pack);
    }
    footing.writingInto.clear();
  }

  #leave(pack: OpenPack): void {
    pack.writers--;
    if (pack.writers > 0) return;
    if (pack.state === 'failed') pack.builder.abandon();
    else if (pack.isFull) this.#settle(pack);
  }

  #fail(pack: OpenPack): void {
    pack.state = 'failed';
    this.#close(pack);
    for (const digest of pack.digests) if (this.#pending.get(digest) === pack) this.#pending.delete(digest);
  }

  #settle(pack: OpenPack): void {
    pack.state = 'sealing';
    const settling = this.#sealAndCommit(pack).catch((error) => {
      this.#errors.push(error);
    });
    this.#settling.add(settling);
    settling.finally(() => this.#settling.delete(settling));
  }

  async #sealAndCommit(pack: OpenPack): Promise<void> {
    try {
      const sealed = await pack.builder.seal(this.#options.seal);
      const info = await this.#options.store.commitPack(sealed);
      this.#options.known.add(recordsOfSealed(sealed), info.sequence);
      this.#sealedIds.set(pack, sealed.id);
      pack.state = 'committed';
      this.newChunks += pack.digests.length;
      for (const { length } of pack.builder.records) this.newBytes += length;
      for (const digest of pack.digests) this.#pending.delete(digest);
      await this.#options.onCommitted(sealed);
    } catch (error) {
      if (pack.state !== 'committed') this.#fail(pack);
      throw error;
    }
  }

  /** Packs that are sealed, committed and handed on but not settled yet; the caller slows down when there are many. */
  get settlingCount(): number {
    return this.#settling.size;
  }

  async settleOne(): Promise<void> {
    await Promise.race(this.#settling);
  }

  /** Seals what is open and waits until every pack is committed and handed on. @throws the first error. */
  async settleAll(): Promise<void> {
    if (this.#current !== undefined) this.#close(this.#current);
    while (this.#settling.size > 0) await Promise.all(this.#settling);
    this.throwFailure();
  }

  /** @throws the first error of a pack that could not be sealed, committed or handed on; none of them goes away. */
  throwFailure(): void {
    if (this.#errors.length > 0) throw this.#errors[0];
  }

  /** True when a pack that this piece of work counted on was abandoned. */
  isLost(footing: Footing): boolean {
    return [...footing.pending].some((pack) => pack.state === 'failed');
  }

  /** The packs that hold the chunks of this piece of work; call after settleAll. */
  packsOf(footing: Footing): DigestHex[] {
    const made = [...footing.pending].flatMap((pack) => this.#sealedIds.get(pack) ?? []);
    return [...footing.packs, ...made];
  }

  /** Gives up everything that is not committed. */
  async abandon(): Promise<void> {
    const open = this.#current;
    if (open !== undefined) {
      this.#fail(open);
      if (open.writers === 0) open.builder.abandon();
    }
    await Promise.all(this.#settling);
  }
}
