/**
 * The SHA-256 compression function for four messages at once, one in each 32-bit lane.
 * In: LANES, and four block pointers (any alignment). Out: LANES, each message advanced by `blocks` blocks.
 * Source: FIPS 180-4, sections 4.1.2 and 6.2.2; lanes as in the multi-buffer code of Gueron and Krasnov,
 * "Parallelizing message schedules to accelerate the computations of hash functions", 2012.
 *
 *   LANES + 16·i:  | word i of lane 0 | of lane 1 | of lane 2 | of lane 3 |      i = 0 (a) … 7 (h)
 *
 * Sixteen rounds are unrolled and run four times, Ch and Maj are made of xor and and, and constants come from a splatted
 * table: each choice is the quickest of those measured in bench/results/2026-11-22-sha256-lanes.md. Does not pad.
 */
import { ROUND_CONSTANTS } from './sha256-one';

export const LANES: usize = memory.data(128, 16);

/** Each round constant four times, 64 × 16 bytes; filled when the module starts. */
const SPLATTED: usize = memory.data(1024, 16);
const SPLATTED_END: usize = SPLATTED + 1024;
for (let i: usize = 0; i < 64; i++) {
  v128.store(SPLATTED + (i << 4), i32x4.splat(load<i32>(ROUND_CONSTANTS + (i << 2))));
}

class Lanes {
  @inline static load(index: usize): v128 { return v128.load(LANES + (index << 4)); }
  @inline static add(index: usize, value: v128): v128 {
    const sum = i32x4.add(v128.load(LANES + (index << 4)), value);
    v128.store(LANES + (index << 4), sum);
    return sum;
  }
  /** Four message words of one lane, big-endian as the standard counts them. */
  @inline static words(block: usize, index: usize): v128 {
    return i8x16.swizzle(v128.load(block + (index << 4)), i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
  }
  @inline static lowPairs(x: v128, y: v128): v128 { return v128.shuffle<u32>(x, y, 0, 4, 1, 5); }
  @inline static highPairs(x: v128, y: v128): v128 { return v128.shuffle<u32>(x, y, 2, 6, 3, 7); }
  @inline static lowHalves(x: v128, y: v128): v128 { return v128.shuffle<u64>(x, y, 0, 2); }
  @inline static highHalves(x: v128, y: v128): v128 { return v128.shuffle<u64>(x, y, 1, 3); }

  @inline static xor3(x: v128, y: v128, z: v128): v128 { return v128.xor(v128.xor(x, y), z); }
  /** Rotates each lane to the right; `left` is 32 - `right`. */
  @inline static rotate(x: v128, right: i32, left: i32): v128 {
    return v128.xor(i32x4.shr_u(x, right), i32x4.shl(x, left));
  }
  /** T1 = h + Σ1(e) + Ch(e, f, g) + K + W. */
  @inline static first(e: v128, f: v128, g: v128, h: v128, w: v128, constants: usize, index: usize): v128 {
    const keyed = i32x4.add(i32x4.add(h, v128.load(constants + (index << 4))), w);
    const sum = Lanes.xor3(Lanes.rotate(e, 6, 26), Lanes.rotate(e, 11, 21), Lanes.rotate(e, 25, 7));
    return i32x4.add(keyed, i32x4.add(sum, v128.xor(g, v128.and(e, v128.xor(f, g)))));
  }
  /** T2 = Σ0(a) + Maj(a, b, c). b ^ c is last round's a ^ b, which the engine finds by value numbering. */
  @inline static second(a: v128, b: v128, c: v128): v128 {
    const sum = Lanes.xor3(Lanes.rotate(a, 2, 30), Lanes.rotate(a, 13, 19), Lanes.rotate(a, 22, 10));
    return i32x4.add(sum, v128.xor(b, v128.and(v128.xor(a, b), v128.xor(b, c))));
  }
  /** W[t] from W[t-16], W[t-15], W[t-7] and W[t-2]. */
  @inline static next(w16: v128, w15: v128, w7: v128, w2: v128): v128 {
    const sigma0 = Lanes.xor3(Lanes.rotate(w15, 7, 25), Lanes.rotate(w15, 18, 14), i32x4.shr_u(w15, 3));
    const sigma1 = Lanes.xor3(Lanes.rotate(w2, 17, 15), Lanes.rotate(w2, 19, 13), i32x4.shr_u(w2, 10));
    return i32x4.add(i32x4.add(w16, sigma0), i32x4.add(w7, sigma1));
  }
}

/** Reads 64·`blocks` bytes from each pointer; the caller keeps all four ranges inside memory. */
export function compressLanes(block0: usize, block1: usize, block2: usize, block3: usize, blocks: u32): void {
  let a = Lanes.load(0), b = Lanes.load(1), c = Lanes.load(2), d = Lanes.load(3);
  let e = Lanes.load(4), f = Lanes.load(5), g = Lanes.load(6), h = Lanes.load(7);
  for (; blocks != 0; blocks--) {
    let x0 = Lanes.words(block0, 0), x1 = Lanes.words(block1, 0), x2 = Lanes.words(block2, 0), x3 = Lanes.words(block3, 0);
    let y0 = Lanes.lowPairs(x0, x1), y1 = Lanes.highPairs(x0, x1), y2 = Lanes.lowPairs(x2, x3), y3 = Lanes.highPairs(x2, x3);
    let w0 = Lanes.lowHalves(y0, y2), w1 = Lanes.highHalves(y0, y2), w2 = Lanes.lowHalves(y1, y3), w3 = Lanes.highHalves(y1, y3);
    x0 = Lanes.words(block0, 1); x1 = Lanes.words(block1, 1); x2 = Lanes.words(block2, 1); x3 = Lanes.words(block3, 1);
    y0 = Lanes.lowPairs(x0, x1); y1 = Lanes.highPairs(x0, x1); y2 = Lanes.lowPairs(x2, x3); y3 = Lanes.highPairs(x2, x3);
    let w4 = Lanes.lowHalves(y0, y2), w5 = Lanes.highHalves(y0, y2), w6 = Lanes.lowHalves(y1, y3), w7 = Lanes.highHalves(y1, y3);
    x0 = Lanes.words(block0, 2); x1 = Lanes.words(block1, 2); x2 = Lanes.words(block2, 2); x3 = Lanes.words(block3, 2);
    y0 = Lanes.lowPairs(x0, x1); y1 = Lanes.highPairs(x0, x1); y2 = Lanes.lowPairs(x2, x3); y3 = Lanes.highPairs(x2, x3);
    let w8 = Lanes.lowHalves(y0, y2), w9 = Lanes.highHalves(y0, y2), w10 = Lanes.lowHalves(y1, y3), w11 = Lanes.highHalves(y1, y3);
    x0 = Lanes.words(block0, 3); x1 = Lanes.words(block1, 3); x2 = Lanes.words(block2, 3); x3 = Lanes.words(block3, 3);
    y0 = Lanes.lowPairs(x0, x1); y1 = Lanes.highPairs(x0, x1); y2 = Lanes.lowPairs(x2, x3); y3 = Lanes.highPairs(x2, x3);
    let w12 = Lanes.lowHalves(y0, y2), w13 = Lanes.highHalves(y0, y2), w14 = Lanes.lowHalves(y1, y3), w15 = Lanes.highHalves(y1, y3);
    let constants = SPLATTED;
    while (true) {
      h = Lanes.first(e, f, g, h, w0, constants, 0); d = i32x4.add(d, h); h = i32x4.add(h, Lanes.second(a, b, c));
      g = Lanes.first(d, e, f, g, w1, constants, 1); c = i32x4.add(c, g); g = i32x4.add(g, Lanes.second(h, a, b));
      f = Lanes.first(c, d, e, f, w2, constants, 2); b = i32x4.add(b, f); f = i32x4.add(f, Lanes.second(g, h, a));
      e = Lanes.first(b, c, d, e, w3, constants, 3); a = i32x4.add(a, e); e = i32x4.add(e, Lanes.second(f, g, h));
      d = Lanes.first(a, b, c, d, w4, constants, 4); h = i32x4.add(h, d); d = i32x4.add(d, Lanes.second(e, f, g));
      c = Lanes.first(h, a, b, c, w5, constants, 5); g = i32x4.add(g, c); c = i32x4.add(c, Lanes.second(d, e, f));
      b = Lanes.first(g, h, a, b, w6, constants, 6); f = i32x4.add(f, b); b = i32x4.add(b, Lanes.second(c, d, e));
      a = Lanes.first(f, g, h, a, w7, constants, 7); e = i32x4.add(e, a); a = i32x4.add(a, Lanes.second(b, c, d));
      h = Lanes.first(e, f, g, h, w8, constants, 8); d = i32x4.add(d, h); h = i32x4.add(h, Lanes.second(a, b, c));
      g = Lanes.first(d, e, f, g, w9, constants, 9); c = i32x4.add(c, g); g = i32x4.add(g, Lanes.second(h, a, b));
      f = Lanes.first(c, d, e, f, w10, constants, 10); b = i32x4.add(b, f); f = i32x4.add(f, Lanes.second(g, h, a));
      e = Lanes.first(b, c, d, e, w11, constants, 11); a = i32x4.add(a, e); e = i32x4.add(e, Lanes.second(f, g, h));
      d = Lanes.first(a, b, c, d, w12, constants, 12); h = i32x4.add(h, d); d = i32x4.add(d, Lanes.second(e, f, g));
      c = Lanes.first(h, a, b, c, w13, constants, 13); g = i32x4.add(g, c); c = i32x4.add(c, Lanes.second(d, e, f));
      b = Lanes.first(g, h, a, b, w14, constants, 14); f = i32x4.add(f, b); b = i32x4.add(b, Lanes.second(c, d, e));
      a = Lanes.first(f, g, h, a, w15, constants, 15); e = i32x4.add(e, a); a = i32x4.add(a, Lanes.second(b, c, d));
      constants += 256;
      if (constants == SPLATTED_END) break;
      w0 = Lanes.next(w0, w1, w9, w14);
      w1 = Lanes.next(w1, w2, w10, w15);
      w2 = Lanes.next(w2, w3, w11, w0);
      w3 = Lanes.next(w3, w4, w12, w1);
      w4 = Lanes.next(w4, w5, w13, w2);
      w5 = Lanes.next(w5, w6, w14, w3);
      w6 = Lanes.next(w6, w7, w15, w4);
      w7 = Lanes.next(w7, w8, w0, w5);
      w8 = Lanes.next(w8, w9, w1, w6);
      w9 = Lanes.next(w9, w10, w2, w7);
      w10 = Lanes.next(w10, w11, w3, w8);
      w11 = Lanes.next(w11, w12, w4, w9);
      w12 = Lanes.next(w12, w13, w5, w10);
      w13 = Lanes.next(w13, w14, w6, w11);
      w14 = Lanes.next(w14, w15, w7, w12);
      w15 = Lanes.next(w15, w0, w8, w13);
    }
    a = Lanes.add(0, a); b = Lanes.add(1, b); c = Lanes.add(2, c); d = Lanes.add(3, d);
    e = Lanes.add(4, e); f = Lanes.add(5, f); g = Lanes.add(6, g); h = Lanes.add(7, h);
    block0 += 64; block1 += 64; block2 += 64; block3 += 64;
  }
}
