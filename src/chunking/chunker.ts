/**
 * The door of the chunk kernel.
 * In: bytes that the caller has put into region INPUT, or any bytes (chunkCuts). Out: end offsets of chunks.
 * Source: the rule is specified in assembly/chunker.ts; its slow twin is test/reference/chunker.ts.
 * Holds: min ≤ chunk ≤ max except the last chunk of a stream; cuts do not depend on how the stream was fed.
 * Does not hash and keeps no state between calls. Browser-safe.
 */
import { KwamError } from '../errors.ts';
import { chunkBytesMaxHighest, chunkBytesMinLowest } from '../limits.ts';
import type { ChunkerSizes } from '../plan.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../wasm/kernels.ts';

/** Names the rule in manifests. A change of any cut is a new name: old and new data would no longer share chunks. */
export const CHUNKER_RULE = 'kwam-window34-v1';

export class Chunker {
  readonly sizes: ChunkerSizes;
  readonly #kernels: Kernels;

  /** @throws KwamError USAGE  sizes outside the limits. */
  constructor(kernels: Kernels, sizes: ChunkerSizes) {
    checkSizes(sizes);
    this.#kernels = kernels;
    this.sizes = sizes;
  }

  /**
   * Cuts INPUT[inputOffset, inputOffset + length), which begins a chunk.
   * @returns ascending end offsets relative to inputOffset: a view of CUTS, valid until the next kernel call.
   *          final = false: only cuts that more input cannot change; scan again from the last one when more is there (less than
   *          chunkBytesMax remains). final = true: the rest is the last chunk, so the last offset is `length`.
   */
  scan(inputOffset: number, length: number, final: boolean): Uint32Array {
    const isInside = isWhole(inputOffset, 0, INPUT_BYTES) && isWhole(length, 0, INPUT_BYTES - inputOffset);
    if (!isInside) {
      throw new KwamError(
        'USAGE',
        `expected a run inside the ${INPUT_BYTES} bytes of INPUT, got offset ${inputOffset} and length ${length}; scan in parts`,
        { context: { inputOffset, length } },
      );
    }
    const { chunkBytesMin, chunkBytesTarget, chunkBytesMax } = this.sizes;
    const count = this.#kernels.exports.chunkScan(
      REGION.input + inputOffset,
      length,
      chunkBytesMin,
      chunkBytesTarget,
      chunkBytesMax,
      final ? 1 : 0,
    );
    const first = REGION.cuts / Uint32Array.BYTES_PER_ELEMENT;
    return this.#kernels.words().subarray(first, first + count);
  }
}

/** End offsets of all chunks of `bytes`, whatever its length. Overwrites INPUT and CUTS. */
export function chunkCuts(kernels: Kernels, sizes: ChunkerSizes, bytes: Uint8Array): number[] {
  const chunker = new Chunker(kernels, sizes);
  const cuts: number[] = [];
  let start = 0;
  while (start < bytes.length) {
    const part = bytes.subarray(start, start + INPUT_BYTES);
    kernels.bytes().set(part, REGION.input);
    // INPUT holds several chunks of the largest size, so a full part always yields a cut.
    const found = chunker.scan(0, part.length, start + part.length === bytes.length);
    for (const end of found) cuts.push(start + end);
    start = cuts[cuts.length - 1]!;
  }
  return cuts;
}

function isWhole(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}

function checkSizes(sizes: ChunkerSizes): void {
  const { chunkBytesMin: min, chunkBytesTarget: target, chunkBytesMax: max } = sizes;
  const isOrdered = [min, target, max].every(Number.isInteger) && min < target && target < max;
  if (isOrdered && min >= chunkBytesMinLowest && max <= chunkBytesMaxHighest) return;
  throw new KwamError(
    'USAGE',
    `expected chunk sizes ${chunkBytesMinLowest} ≤ min < target < max ≤ ${chunkBytesMaxHighest} in whole bytes, ` +
      `got ${min}, ${target}, ${max}; correct the chunker of the plan`,
    { context: { chunkBytesMin: min, chunkBytesTarget: target, chunkBytesMax: max } },
  );
}

const SELF_TEST_BYTES = 49152;
/** Small sizes, so that a few kilobytes exercise blocks, overlaps, the threshold and the fallback. */
const SELF_TEST_SIZES: ChunkerSizes = {
  chunkBytesMin: 1024,
  chunkBytesTarget: 3000,
  chunkBytesMax: 6000,
};
/** By test/reference/chunker.ts over these bytes. */
const SELF_TEST_CUTS =
  '3149,5376,8817,11652,15413,16891,19595,22674,23940,29940,35940,37125,38525,39925,41325,42725,44125,45525,46925,48325,49152';

/** 24 KiB of a linear congruential sequence (Numerical Recipes' constants), 12 KiB of zeros, 12 KiB of a period of 700. */
function fillSelfTest(bytes: Uint8Array): void {
  let state = 1;
  for (let i = 0; i < 24576; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  bytes.fill(0, 24576, 36864);
  for (let i = 36864; i < bytes.length; i++) bytes[i] = bytes[i % 700]!;
}

/**
 * Known answer, to be checked before a worker is trusted and again while it works. Overwrites 48 KiB of INPUT, and CUTS.
 * @throws KwamError SELF_TEST_FAILED  the kernel must not be used.
 */
export function selfTestChunker(kernels: Kernels): void {
  fillSelfTest(kernels.bytes().subarray(REGION.input, REGION.input + SELF_TEST_BYTES));
  const cuts = new Chunker(kernels, SELF_TEST_SIZES).scan(0, SELF_TEST_BYTES, true).join();
  if (cuts === SELF_TEST_CUTS) return;
  throw new KwamError(
    'SELF_TEST_FAILED',
    `chunker self-test: expected cuts ${SELF_TEST_CUTS}, got ${cuts}; retire this worker`,
  );
}
