/**
 * The SHA-256 compression function for one message.
 * In: eight state words at `state`, `blocks` 64-byte blocks at `block` (any alignment). Out: the state, updated in place.
 * Source: FIPS 180-4, sections 4.1.2, 4.2.2 and 6.2.2.
 * The message schedule runs four words at a time in vector registers, beside the rounds, which are scalar: the two
 * share few execution ports, so the schedule is nearly free. Does not pad, does not touch the block.
 */

/** K of FIPS 180-4: first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
export const ROUND_CONSTANTS: usize = memory.data<u32>(
  [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  ],
  16,
);
export const ROUND_CONSTANTS_END: usize = ROUND_CONSTANTS + 256;

/** W[t] + K[t] of the 16 rounds at hand. */
const KEYED: usize = memory.data(64, 16);

class Word {
  @inline static load(state: usize, index: usize): u32 { return load<u32>(state + (index << 2)); }
  @inline static add(state: usize, index: usize, value: u32): u32 {
    const sum = load<u32>(state + (index << 2)) + value;
    store<u32>(state + (index << 2), sum);
    return sum;
  }
  /** T1 without its state-independent part: h + Σ1(e) + Ch(e, f, g) + (K + W). */
  @inline static first(e: u32, f: u32, g: u32, h: u32, index: usize): u32 {
    return h + load<u32>(KEYED + (index << 2)) + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + (g ^ (e & (f ^ g)));
  }
  /** T2 = Σ0(a) + Maj(a, b, c). b ^ c is last round's a ^ b, which the engine finds by value numbering. */
  @inline static second(a: u32, b: u32, c: u32): u32 {
    return (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + (b ^ ((a ^ b) & (b ^ c)));
  }
}

class Schedule {
  /** Four message words, as the standard counts them: big-endian. */
  @inline static words(block: usize, index: usize): v128 {
    return i8x16.swizzle(v128.load(block + (index << 4)), i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
  }
  @inline static sigma0(x: v128): v128 {
    return v128.xor(
      v128.xor(v128.xor(i32x4.shr_u(x, 7), i32x4.shl(x, 25)), v128.xor(i32x4.shr_u(x, 18), i32x4.shl(x, 14))),
      i32x4.shr_u(x, 3),
    );
  }
  @inline static sigma1(x: v128): v128 {
    return v128.xor(
      v128.xor(v128.xor(i32x4.shr_u(x, 17), i32x4.shl(x, 15)), v128.xor(i32x4.shr_u(x, 19), i32x4.shl(x, 13))),
      i32x4.shr_u(x, 10),
    );
  }
  /**
   * The four words after w0..w15, where a = w0..w3, b = w4..w7, c = w8..w11, d = w12..w15. σ1 of the upper two needs the
   * lower two, hence two halves; zeros pass through σ1 as zeros.
   */
  @inline static next(a: v128, b: v128, c: v128, d: v128): v128 {
    const zero = i32x4.splat(0);
    const part = i32x4.add(
      i32x4.add(a, Schedule.sigma0(v128.shuffle<u32>(a, b, 1, 2, 3, 4))),
      v128.shuffle<u32>(c, d, 1, 2, 3, 4),
    );
    const low = i32x4.add(part, Schedule.sigma1(v128.shuffle<u32>(d, zero, 2, 3, 4, 5)));
    return i32x4.add(low, Schedule.sigma1(v128.shuffle<u32>(zero, low, 0, 1, 4, 5)));
  }
  @inline static key(words: v128, constants: usize, index: usize): void {
    v128.store(KEYED + (index << 4), i32x4.add(words, v128.load(constants + (index << 4))));
  }
}

export function compressOne(state: usize, block: usize, blocks: u32): void {
  let a = Word.load(state, 0), b = Word.load(state, 1), c = Word.load(state, 2), d = Word.load(state, 3);
  let e = Word.load(state, 4), f = Word.load(state, 5), g = Word.load(state, 6), h = Word.load(state, 7);
  for (; blocks != 0; blocks--, block += 64) {
    let w0 = Schedule.words(block, 0), w1 = Schedule.words(block, 1);
    let w2 = Schedule.words(block, 2), w3 = Schedule.words(block, 3);
    let constants = ROUND_CONSTANTS;
    while (true) {
      Schedule.key(w0, constants, 0);
      Schedule.key(w1, constants, 1);
      Schedule.key(w2, constants, 2);
      Schedule.key(w3, constants, 3);
      h = Word.first(e, f, g, h, 0); d += h; h += Word.second(a, b, c);
      g = Word.first(d, e, f, g, 1); c += g; g += Word.second(h, a, b);
      f = Word.first(c, d, e, f, 2); b += f; f += Word.second(g, h, a);
      e = Word.first(b, c, d, e, 3); a += e; e += Word.second(f, g, h);
      d = Word.first(a, b, c, d, 4); h += d; d += Word.second(e, f, g);
      c = Word.first(h, a, b, c, 5); g += c; c += Word.second(d, e, f);
      b = Word.first(g, h, a, b, 6); f += b; b += Word.second(c, d, e);
      a = Word.first(f, g, h, a, 7); e += a; a += Word.second(b, c, d);
      h = Word.first(e, f, g, h, 8); d += h; h += Word.second(a, b, c);
      g = Word.first(d, e, f, g, 9); c += g; g += Word.second(h, a, b);
      f = Word.first(c, d, e, f, 10); b += f; f += Word.second(g, h, a);
      e = Word.first(b, c, d, e, 11); a += e; e += Word.second(f, g, h);
      d = Word.first(a, b, c, d, 12); h += d; d += Word.second(e, f, g);
      c = Word.first(h, a, b, c, 13); g += c; c += Word.second(d, e, f);
      b = Word.first(g, h, a, b, 14); f += b; b += Word.second(c, d, e);
      a = Word.first(f, g, h, a, 15); e += a; a += Word.second(b, c, d);
      constants += 64;
      if (constants == ROUND_CONSTANTS_END) break;
      w0 = Schedule.next(w0, w1, w2, w3);
      w1 = Schedule.next(w1, w2, w3, w0);
      w2 = Schedule.next(w2, w3, w0, w1);
      w3 = Schedule.next(w3, w0, w1, w2);
    }
    a = Word.add(state, 0, a); b = Word.add(state, 1, b); c = Word.add(state, 2, c); d = Word.add(state, 3, d);
    e = Word.add(state, 4, e); f = Word.add(state, 5, f); g = Word.add(state, 6, g); h = Word.add(state, 7, h);
  }
}
