/**
 * Which chunks need not be stored again.
 * In: digests. Out: the pack that holds each, or nothing. The dedup index answers most questions without the disk: a miss
 * there is certain, a hit is confirmed with the full digest in the store, because the index keeps 8 bytes of it.
 * The index is a bounded cache: when it is full it takes nothing more, and chunks that it does not know are stored once more.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { ABSENT, type DedupIndex } from '../dedup/dedup-index.ts';
import { asDigest, DIGEST_BYTES, type DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { PackRecord } from '../store/pack-format.ts';
import { recordsOfSealed, type SealedPack } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';

/** Entries per turn of the event loop while the index is filled at start. */
const ENTRIES_PER_TURN = 8192;

export class KnownChunks {
  readonly #index: DedupIndex;
  readonly #store: Store;
  readonly #onFull: (entries: number) => void;
  #isFull = false;

  constructor(index: DedupIndex, store: Store, onFull: (entries: number) => void = () => undefined) {
    this.#index = index;
    this.#store = store;
    this.#onFull = onFull;
  }

  /** Takes up every chunk that the store knows, its own and remote ones. */
  async load(): Promise<void> {
    const digests = new Uint8Array(ENTRIES_PER_TURN * DIGEST_BYTES);
    const values = new Uint32Array(ENTRIES_PER_TURN);
    let count = 0;
    const flush = async (): Promise<void> => {
      this.#remember(digests.subarray(0, count * DIGEST_BYTES), values.subarray(0, count));
      count = 0;
      await yieldToEvents();
    };
    for (const chunk of this.#store.chunks()) {
      digests.set(chunk.digest, count * DIGEST_BYTES);
      values[count++] = chunk.sequence;
      if (count === ENTRIES_PER_TURN) await flush();
    }
    await flush();
  }

  /** Chunks of a pack that this store has just committed. */
  addPack(sealed: SealedPack): void {
    const info = this.#store.packInfo(sealed.id);
    if (info !== undefined && info.kind === 'chunks') this.add(recordsOfSealed(sealed), info.sequence);
  }

  add(records: readonly PackRecord[], packSequence: number): void {
    const digests = new Uint8Array(records.length * DIGEST_BYTES);
    for (const [i, record] of records.entries()) digests.set(record.digest, i * DIGEST_BYTES);
    this.#remember(digests, new Uint32Array(records.length).fill(packSequence));
  }

  #remember(digests: Uint8Array, values: Uint32Array): void {
    if (this.#isFull) return;
    try {
      this.#index.insert(digests, values);
    } catch (error) {
      if (!(error instanceof KwamError) || error.code !== 'INDEX_FULL') throw error;
      this.#isFull = true;
      this.#onFull(this.#index.size);
    }
  }

  /** One answer a digest. */
  find(digests: Uint8Array): (DigestHex | undefined)[] {
    const candidates = this.#index.lookup(digests);
    return Array.from(candidates, (candidate, i) => {
      if (candidate === ABSENT) return undefined;
      const digest = asDigest(digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES));
      return this.#store.locate(digest)?.packId;
    });
  }
}
