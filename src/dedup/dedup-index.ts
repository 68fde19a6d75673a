/**
 * Dedup index: which chunks are there, and where. Digest → u32 in 12 bytes a slot; at most 16 bytes a chunk once it has
 * grown past its first 7,208 entries (12 / 0.88 = 13.6 when full, 15.96 just after growing).
 * In: digests back to back, 32 bytes each. Out: values, or ABSENT. Kernel: assembly/dedup-index.ts; it takes an
 * instance of its own, whose whole memory from REGION.index on becomes the table.
 * **A hit is a candidate only**: the table keeps 8 bytes of a digest. At 300 million entries a foreign digest hits one with
 * probability 1.6e-11; so the caller compares the full digest where the value leads, before it trusts a hit.
 * Does not shrink after removals, does not persist itself: it is derived from the store and rebuilt from it.
 */
import { DIGEST_BYTES } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import { dedupEntriesHighest } from '../limits.ts';
import { CUTS_MAX, type KernelExports, type Kernels, REGION } from '../wasm/kernels.ts';

export const ABSENT = 0xffff_ffff;

/** 96 KiB: small enough to stay in the L2 cache while a store is small. */
const SLOTS_INITIAL = 8192;
const SLOT_BYTES = 12;
/**
 * Slots behind the last home, for the run that ends there: longer than 256 with probability below 1e-20 at load 0.91 of the homes. The tail
 * doubles when it overflows all the same, which takes keys made to collide.
 */
const TAIL_SLOTS_INITIAL = 256;
/** Any number will do (first digits of π); not 0, so that the one prefix that shares a key is not the all-zero one. */
const SEED_DEFAULT = 0x3141_5926_5358_9793n;
/**
 * Measured with 0.7 to 1 million entries, median of 9 turns: 0.88 with growth 1.17 inserts 1.24× as fast as 0.85 with 1.125 and
 * looks up 1.1× as fast; 0.9 with 1.1875 was no faster again.
 */
const LOAD_MAX = 0.88;
/** 0.88 / 1.17 = 0.752 ≥ 12/16. Every entry is moved 7 times in all while the table grows, in address order. */
const GROWTH = 1.17;

export interface DedupIndexOptions {
  /** The most entries; up to dedupEntriesHighest. */
  readonly entriesMax: number;
  /** Starts with room for so many, as when the index is rebuilt from a store: no growing on the way there. */
  readonly entriesExpected?: number;
  /** 64 bits mixed into the keys; drawn at random, nobody can choose data whose keys crowd together. Same seed, same table. */
  readonly seed?: bigint;
}

export interface DedupEntries {
  /** The first 8 bytes of each digest, back to back. */
  readonly prefixes: Uint8Array;
  readonly values: Uint32Array;
}

export class DedupIndex {
  readonly entriesMax: number;
  readonly #kernels: Kernels;
  readonly #exports: KernelExports;
  #tail = TAIL_SLOTS_INITIAL;

  /** Takes over the instance: nothing else may use `kernels` while the index lives. */
  constructor(kernels: Kernels, options: DedupIndexOptions) {
    if (!(options.entriesMax >= 1 && options.entriesMax <= dedupEntriesHighest)) {
      throw new KwamError(
        'LIMIT_EXCEEDED',
        `expected entriesMax from 1 to ${dedupEntriesHighest}, got ${options.entriesMax}; ` +
          'for more, keep several indexes, sharded by digest prefix',
        { context: { entriesMax: options.entriesMax } },
      );
    }
    this.entriesMax = Math.floor(options.entriesMax);
    this.#kernels = kernels;
    this.#exports = kernels.exports;
    const seed = BigInt.asUintN(64, options.seed ?? SEED_DEFAULT);
    const slots = slotsFor(Math.min(options.entriesExpected ?? 0, this.entriesMax));
    const limit = this.#limitAt(slots, this.#tail);
    const [low, high] = [Number(seed & 0xffff_ffffn), Number(seed >> 32n)];
    if (!this.#exports.dedupReset(slots, this.#tail, limit, low, high)) {
      throw new KwamError(
        'INDEX_FULL',
        `expected ${slots * SLOT_BYTES} bytes of memory for the dedup index, got less; raise the memory budget or expect fewer entries`,
        { context: { slots, entriesMax: this.entriesMax } },
      );
    }
  }

  get size(): number {
    return this.#exports.dedupEntries() >>> 0;
  }

  /** Bytes of the table itself; the instance's fixed regions (2 MiB) are not counted. */
  get bytes(): number {
    return SLOT_BYTES * this.#slots;
  }

  get bytesPerEntry(): number {
    return this.bytes / this.size;
  }

  /** One value a digest, in order; ABSENT where there is none. */
  lookup(digests: Uint8Array): Uint32Array {
    const values = new Uint32Array(countOf(digests));
    this.#inBatches(digests, (from, count) => {
      this.#exports.dedupLookup(count);
      values.set(this.#values(count), from);
    });
    return values;
  }

  /**
   * Like Map.set, one after the other: a digest that is already there gets the new value.
   * @throws KwamError INDEX_FULL  the table holds entriesMax or memory is exhausted. The digests before
   *   context.inserted are in, the others are not, and all earlier entries stay.
   */
  insert(digests: Uint8Array, values: Uint32Array): void {
    if (values.length !== countOf(digests)) {
      throw new KwamError('USAGE', `expected ${countOf(digests)} values, one a digest, got ${values.length}`);
    }
    const reserved = values.indexOf(ABSENT);
    if (reserved >= 0) {
      throw new KwamError(
        'USAGE',
        `expected values below ${ABSENT}, which means absent; values[${reserved}] is it`,
      );
    }
    this.#inBatches(digests, (from, count) => {
      this.#values(count).set(values.subarray(from, from + count));
      let done = this.#exports.dedupInsert(0, count) >>> 0;
      while (done < count) {
        this.#grow(from + done);
        done = this.#exports.dedupInsert(done, count) >>> 0;
      }
    });
  }

  /** Returns how many were there. The room is used again by later entries; memory is not given back. */
  remove(digests: Uint8Array): number {
    let removed = 0;
    this.#inBatches(digests, (_from, count) => {
      removed += this.#exports.dedupRemove(count);
    });
    return removed;
  }

  /** All entries in batches of at most 32768, in an order that depends on the set and the seed; do not change the index meanwhile. */
  *entries(): Generator<DedupEntries> {
    for (let slot = 0; slot < this.#slots; slot += CUTS_MAX) {
      const count = this.#exports.dedupScan(slot, slot + CUTS_MAX) >>> 0;
      if (count === 0) continue;
      const prefixes = this.#kernels.bytes().slice(REGION.digests, REGION.digests + 8 * count);
      yield { prefixes, values: this.#values(count).slice() };
    }
  }

  get #slots(): number {
    return this.#exports.dedupSlots() >>> 0;
  }

  #limitAt(slots: number, tail: number): number {
    return Math.min(this.entriesMax, Math.floor((slots - tail + TAIL_SLOTS_INITIAL) * LOAD_MAX));
  }

  #values(count: number): Uint32Array {
    return this.#kernels.words().subarray(REGION.cuts / 4, REGION.cuts / 4 + count);
  }

  #inBatches(digests: Uint8Array, run: (from: number, count: number) => void): void {
    const total = countOf(digests);
    for (let from = 0; from < total; from += CUTS_MAX) {
      const count = Math.min(CUTS_MAX, total - from);
      const part = digests.subarray(from * DIGEST_BYTES, (from + count) * DIGEST_BYTES);
      this.#kernels.bytes().set(part, REGION.digests);
      run(from, count);
    }
  }

  /** One step: GROWTH times the slots when the load is reached; a longer tail when keys crowd past the last home. */
  #grow(inserted: number): void {
    if (this.size >= this.entriesMax) throw this.#full('its limit', inserted);
    let [slots, tail] = [this.#slots, this.#tail];
    let crowded = this.size < this.#limitAt(slots, tail);
    if (!crowded) slots = nextSlots(slots);
    for (; ; crowded = true) {
      if (crowded) [slots, tail] = [slots + tail, 2 * tail];
      if (REGION.index + 8 + SLOT_BYTES * slots > 2 ** 32)
        throw this.#full('all that wasm32 can address', inserted);
      const result = this.#exports.dedupGrow(slots, tail, this.#limitAt(slots, tail));
      if (result === 0) throw this.#full('the end of the memory that it can get', inserted);
      if (result !== 1) continue;
      this.#tail = tail;
      return;
    }
  }

  #full(bound: string, inserted: number): KwamError {
    return new KwamError(
      'INDEX_FULL',
      `the dedup index is full: it holds ${this.size} entries, of at most ${this.entriesMax}, and has reached ${bound}; ` +
        'nothing is lost. Remove entries, raise entriesMax or the memory budget, or shard by digest prefix',
      { context: { entries: this.size, entriesMax: this.entriesMax, bytes: this.bytes, inserted } },
    );
  }
}

/** Known answers from the running instance: growth, replacement, deletion. Overwrites whatever index it held. */
export function selfTestDedupIndex(kernels: Kernels): void {
  const count = 9000;
  const digests = new Uint8Array(count * DIGEST_BYTES);
  const words = new DataView(digests.buffer);
  for (let i = 0; i < count; i++) words.setUint32(i * DIGEST_BYTES, i);
  const index = new DedupIndex(kernels, { entriesMax: count });
  index.insert(digests, new Uint32Array(count).fill(7));
  index.insert(
    digests,
    Uint32Array.from({ length: count }, (_, i) => i),
  );
  const removed = index.remove(digests.subarray(0, 100 * DIGEST_BYTES));
  const values = index.lookup(digests);
  const wrong = values.findIndex((value, i) => value !== (i < 100 ? ABSENT : i));
  if (removed === 100 && wrong < 0 && index.size === count - 100) return;
  throw new KwamError(
    'SELF_TEST_FAILED',
    `the dedup index gave a wrong answer for test key ${wrong}; expected ${count - 100} entries, got ${index.size}; ` +
      'do not trust this core or build: rebuild the kernels, then check the hardware',
    { context: { removed, wrong } },
  );
}

function countOf(digests: Uint8Array): number {
  if (digests.length % DIGEST_BYTES !== 0) {
    throw new KwamError(
      'USAGE',
      `expected digests of ${DIGEST_BYTES} bytes, got ${digests.length} bytes in all`,
    );
  }
  return digests.length / DIGEST_BYTES;
}

function slotsFor(entries: number): number {
  return Math.max(SLOTS_INITIAL, 8 * Math.ceil(entries / LOAD_MAX / 8));
}

function nextSlots(slots: number): number {
  return Math.floor((slots * GROWTH) / 8) * 8;
}

assert(LOAD_MAX / GROWTH >= SLOT_BYTES / 16, 'an entry costs at most 16 bytes just after growing');
