/**
 * Content-defined chunk boundaries.
 * In: bytes anywhere in linear memory. Out: ascending u32 end offsets, relative to the first byte, in region CUTS; returns how many.
 *
 * The rule. For a chunk that starts at s, every length c in [min, max] has a hash H(c) of the 34 bytes that end at s + c:
 *   filter f = (A·w(-34) + B·w(-18) + C·w(-2)) mod 2^16 >> 4    w(i) = the two bytes at s + c + i, little-endian
 *   judge  g = (K0·d(-32) + K1·d(-24) + K2·d(-16) + K3·d(-8)) mod 2^64, folded and mixed to 32 bits   d(i) = eight bytes
 *   H = f · 2^32 + g, 44 bits
 * With D = target - min, the chunk ends at the first c with
 *   min <= c < target   and H(c) >= 2^44 - floor(2^44 / D) / 2, that is with probability 1 / 2D, or
 *   target <= c <= max  and H(c) >= 2^44 - floor(2^44 / D) · 3, at least 0, that is with probability 3 / D;
 * if there is none up to max, at the c whose H is largest, the latest such c when several are equal. What is left at the end of the
 * input is the last chunk. On random data the mean length is about target: 2D(1 - e^-1/2) + e^-1/2 D / 3 = 0.99 D beyond min.
 *
 * Why so: f needs 14 SIMD operations for 16 positions (three multiplies for each 8, no table, no lane crossing), and one position in
 * 4096 reaches g. The fallback to the largest hash resynchronises where thresholds find nothing: constant data is cut at max,
 * periodic data at one phase of its period, low-entropy data at its rarest place. Two thresholds keep lengths near target: an edit
 * spoils the chunk it falls in, so what counts is the mean length seen from a byte, 74 KiB for 16/64/256 KiB where one threshold of
 * the same mean gives 100 KiB; on edited binaries it saves 3 % more bytes (bench/results/2026-11-22-chunk-rule.md).
 * Sources: skip to min and two thresholds, FastCDC (Xia et al., USENIX ATC 2016); extremum as a cut, MinCDC (O. Peters).
 *
 * Holds: min <= chunk <= max except the last chunk; a cut depends on the bytes since the chunk's start only.
 * Uses at most length / min + 1 entries of CUTS: 16385 for 16 MiB and the smallest min, half of the region.
 * Does not check its arguments (the door does), hash for names, copy or allocate.
 */
import { CUTS } from './memory';

/**
 * Multipliers of the filter: odd, and A + B + C = 249 / 257 mod 2^16, so a run of one byte value v has f = 249·v >> 4 and never
 * reaches the threshold. C is not 1: with it, small negative numbers after zeros pass the filter in droves (Go binaries: a third more
 * chunks and less deduplication).
 */
const A: u32 = 0xb5a7;
const B: u32 = 0xe88f;
const C: u32 = 0x69c3;
/** Multipliers of the judge: odd, digits of the golden ratio and of square roots (SplitMix64, xxHash64). */
const K0: u64 = 0x9e3779b97f4a7c15;
const K1: u64 = 0xbf58476d1ce4e5b9;
const K2: u64 = 0x94d049bb133111eb;
const K3: u64 = 0xc2b2ae3d27d4eb4f;

const WINDOW: u32 = 34;
const FILTER_DROPPED_BITS: u32 = 4;
/** Number of different hashes. */
const HASHES: u64 = 1 << 44;
/** Positions that one turn of the hot loop covers: 8 vectors of 16. */
const BLOCK: u32 = 128;

/** The multipliers in memory: from there they enter registers once; as constants they would be rebuilt at every use. */
// @ts-ignore: memory.data is the AssemblyScript form for static data
const MULTIPLIERS: usize = memory.data<u16>(
  [
    0xb5a7, 0xb5a7, 0xb5a7, 0xb5a7, 0xb5a7, 0xb5a7, 0xb5a7, 0xb5a7, 0xe88f, 0xe88f, 0xe88f, 0xe88f, 0xe88f, 0xe88f, 0xe88f,
    0xe88f, 0x69c3, 0x69c3, 0x69c3, 0x69c3, 0x69c3, 0x69c3, 0x69c3, 0x69c3,
  ],
  16,
);

/** Largest filter value that firstCut saw since nextLength began; bestCut needs it. */
let filterMax: u32 = 0;

class Filter {
  // @ts-ignore: decorator
  @inline
  static sum(x0: v128, x1: v128, x2: v128, a: v128, b: v128, c: v128): v128 {
    return i16x8.add(i16x8.add(i16x8.mul(x0, a), i16x8.mul(x1, b)), i16x8.mul(x2, c));
  }

  /** Largest filter sum of 64 positions of equal parity, the first of them with its window at p. */
  // @ts-ignore: decorator
  @inline
  static best64(p: usize, a: v128, b: v128, c: v128): v128 {
    const x0 = v128.load(p, 0);
    const x1 = v128.load(p, 16);
    const x2 = v128.load(p, 32);
    let best = Filter.sum(x0, x1, x2, a, b, c);
    const x3 = v128.load(p, 48);
    best = i16x8.max_u(best, Filter.sum(x1, x2, x3, a, b, c));
    const x4 = v128.load(p, 64);
    best = i16x8.max_u(best, Filter.sum(x2, x3, x4, a, b, c));
    const x5 = v128.load(p, 80);
    best = i16x8.max_u(best, Filter.sum(x3, x4, x5, a, b, c));
    const x6 = v128.load(p, 96);
    best = i16x8.max_u(best, Filter.sum(x4, x5, x6, a, b, c));
    const x7 = v128.load(p, 112);
    best = i16x8.max_u(best, Filter.sum(x5, x6, x7, a, b, c));
    const x8 = v128.load(p, 128);
    best = i16x8.max_u(best, Filter.sum(x6, x7, x8, a, b, c));
    const x9 = v128.load(p, 144);
    return i16x8.max_u(best, Filter.sum(x7, x8, x9, a, b, c));
  }
}

/** H(c) for the position whose window starts at p. */
function hashAt(p: usize): u64 {
  const s = <u32>load<u16>(p) * A + <u32>load<u16>(p, 16) * B + <u32>load<u16>(p, 32) * C;
  let g = load<u64>(p, 2) * K0 + load<u64>(p, 10) * K1 + load<u64>(p, 18) * K2 + load<u64>(p, 26) * K3;
  g = (g ^ (g >> 32)) * K0;
  return (<u64>((s & 0xffff) >> FILTER_DROPPED_BITS) << 32) | (g >> 32);
}

/** One bit for each of the 16 positions from p on whose filter sum is at least `floor`. */
function passing16(p: usize, floor: v128): u32 {
  const a = v128.load(MULTIPLIERS);
  const b = v128.load(MULTIPLIERS, 16);
  const c = v128.load(MULTIPLIERS, 32);
  const even = i16x8.ge_u(Filter.sum(v128.load(p, 0), v128.load(p, 16), v128.load(p, 32), a, b, c), floor);
  const odd = i16x8.ge_u(Filter.sum(v128.load(p, 1), v128.load(p, 17), v128.load(p, 33), a, b, c), floor);
  return i8x16.bitmask(v128.bitselect(even, odd, i16x8.splat(0x00ff)));
}

/** First position in [p, p + 128) whose hash reaches `bar`, or 0. */
function firstInBlock(p: usize, floor: v128, bar: u64): usize {
  for (let q = p; q < p + BLOCK; q += 16) {
    let bits = passing16(q, floor);
    while (bits != 0) {
      const at = q + ctz(bits);
      if (hashAt(at) >= bar) return at;
      bits &= bits - 1;
    }
  }
  return 0;
}

/** First window start in [p, last] whose hash reaches `bar`, or 0; one position at a time, for runs shorter than a block. */
function firstSlow(p: usize, last: usize, bar: u64): usize {
  for (; p <= last; p++) {
    const hash = hashAt(p);
    if (hash >= bar) return p;
    filterMax = max(filterMax, <u32>(hash >> 32));
  }
  return 0;
}

/**
 * First window start in [first, last] whose hash reaches `bar`, or 0 and filterMax raised.
 * The final block is laid so that it ends with `last`: it overlaps the one before, where nothing was found.
 */
function firstCut(first: usize, last: usize, bar: u64): usize {
  if (last - first + 1 < BLOCK) return firstSlow(first, last, bar);
  const floor = i16x8.splat(<i16>(<u32>(bar >> 32) << FILTER_DROPPED_BITS));
  const a = v128.load(MULTIPLIERS);
  const b = v128.load(MULTIPLIERS, 16);
  const c = v128.load(MULTIPLIERS, 32);
  const lastBlock = last + 1 - BLOCK;
  let best = i16x8.splat(0);
  let p = first;
  while (true) {
    const block = i16x8.max_u(Filter.best64(p, a, b, c), Filter.best64(p + 1, a, b, c));
    if (v128.any_true(i16x8.ge_u(block, floor))) {
      const found = firstInBlock(p, floor, bar);
      if (found != 0) return found;
    }
    best = i16x8.max_u(best, block);
    if (p == lastBlock) break;
    p = min(p + BLOCK, lastBlock);
  }
  filterMax = max(filterMax, largestLane(best) >> FILTER_DROPPED_BITS);
  return 0;
}

function largestLane(v: v128): u32 {
  v = i16x8.max_u(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  v = i16x8.max_u(v, i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  v = i16x8.max_u(v, i8x16.shuffle(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
  return i16x8.extract_lane_u(v, 0);
}

/** Whether the windows of all 16 positions from p on hold one byte value. */
function constant16(p: usize): bool {
  const a = v128.xor(v128.load(p, 0), v128.load(p, 1));
  const b = v128.xor(v128.load(p, 16), v128.load(p, 17));
  const c = v128.xor(v128.load(p, 32), v128.load(p, 33));
  return !v128.any_true(v128.or(v128.or(a, b), c));
}

/** Window start in [first, last] with the largest hash, the latest of equals; filterMax is that of all these positions. */
function bestCut(first: usize, last: usize): usize {
  const floor = i16x8.splat(<i16>(filterMax << FILTER_DROPPED_BITS));
  let best: u64 = 0;
  let bestAt = first;
  let p = first;
  for (; p + 15 <= last; p += 16) {
    let bits = passing16(p, floor);
    // Sixteen equal hashes, of which the latest counts: without this, runs of zeros would cost a wide hash a byte.
    if (bits == 0xffff && constant16(p)) bits = 0x8000;
    while (bits != 0) {
      const at = p + ctz(bits);
      const hash = hashAt(at);
      if (hash >= best) {
        best = hash;
        bestAt = at;
      }
      bits &= bits - 1;
    }
  }
  for (; p <= last; p++) {
    const hash = hashAt(p);
    if (hash >= best) {
      best = hash;
      bestAt = p;
    }
  }
  return bestAt;
}

/** First length in [from, to] whose hash reaches `bar`, or 0. */
function firstLength(start: usize, from: u32, to: u32, bar: u64): u32 {
  const found = firstCut(start + from - WINDOW, start + to - WINDOW, bar);
  return found == 0 ? 0 : <u32>(found + WINDOW - start);
}

/** Length of the chunk at `start`, after which `rest` bytes lie, or 0 when more input could still change it. */
function nextLength(start: usize, rest: u32, bytesMin: u32, bytesTarget: u32, bytesMax: u32, pass: u64): u32 {
  if (rest < bytesMin) return 0;
  const longest = min(rest, bytesMax);
  filterMax = 0;
  let length = firstLength(start, bytesMin, min(bytesTarget - 1, longest), HASHES - pass / 2);
  if (length != 0) return length;
  if (longest >= bytesTarget) length = firstLength(start, bytesTarget, longest, HASHES - min(pass * 3, HASHES));
  if (length != 0 || rest < bytesMax) return length;
  return <u32>(bestCut(start + bytesMin - WINDOW, start + bytesMax - WINDOW) + WINDOW - start);
}

/**
 * Scans `length` bytes at `offset`, which is the start of a chunk.
 * final = 0: writes only the cuts that further input cannot change. final = 1: the rest becomes the last chunk.
 */
export function chunkScan(
  offset: u32,
  length: u32,
  chunkBytesMin: u32,
  chunkBytesTarget: u32,
  chunkBytesMax: u32,
  final: u32,
): u32 {
  const pass = HASHES / <u64>(chunkBytesTarget - chunkBytesMin);
  let end: u32 = 0;
  let count: u32 = 0;
  while (end < length) {
    let chunk = nextLength(offset + end, length - end, chunkBytesMin, chunkBytesTarget, chunkBytesMax, pass);
    if (chunk == 0) {
      if (!final) break;
      chunk = length - end;
    }
    end += chunk;
    store<u32>(CUTS + (count << 2), end);
    count++;
  }
  return count;
}
