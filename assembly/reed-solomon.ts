/**
 * Linear combinations of shards over GF(2^8): the one operation behind encode, reconstruct and partial sums.
 * In: a coefficient matrix and the addresses of input and output shards, all in SCRATCH (picture below); the shards
 *     themselves anywhere in INPUT, at any alignment, of any length. Out: every output shard, overwritten:
 *     output[r] = Σ coefficient[r][j] · input[j], byte by byte.
 * Source: field x^8+x^4+x^3+x^2+1 (0x11d) as in Backblaze, klauspost and ISA-L; nibble tables as in
 *     Plank, Greenan, Miller, "Screaming fast Galois field arithmetic using Intel SIMD instructions", FAST 2013.
 * Holds: outputs do not overlap inputs (the caller sees to it); inputs are only read. Knows nothing of schemes,
 *     matrices or missing shards (src/erasure/), and does not check its arguments.
 *
 *   SCRATCH +0        coefficients   u8[outputs][inputs], row after row, at most 255 × 255
 *           +0x10000  inputs         u32[256] addresses
 *           +0x10400  outputs        u32[256] addresses
 *           +0x10800  nibble mask    made here; v128 of 0x0f
 *           +0x10840  tables         made here; 32 bytes a coefficient, see makeTable
 */
import { SCRATCH, SCRATCH_BYTES } from './memory';

const COEFFICIENTS: usize = SCRATCH;
const INPUTS: usize = SCRATCH + 0x1_0000;
const OUTPUTS: usize = SCRATCH + 0x1_0400;
/** In memory, because V8 rebuilds a vector constant at every use: loaded once it costs a third less time (measured). */
const NIBBLE_MASK: usize = SCRATCH + 0x1_0800;
const TABLES: usize = SCRATCH + 0x1_0840;
const TABLES_BYTES: u32 = SCRATCH_BYTES - 0x1_0840;
const TABLE_BYTES: u32 = 32;

/** Rows computed together: the nibbles of an input are split once for all of them. Five need more than 15 registers. */
const FUSED_ROWS: u32 = 4;
/** Bytes that one turn of a row kernel covers. */
const STEP_BYTES: u32 = 32;
/** All inputs of one column block together, so that the next group of rows finds them in the 512 KiB L2 (Zen 3). */
const BLOCK_INPUT_BYTES: u32 = 0x2_0000;

class Gf {
  /** c · 2: shift, and reduce by 0x11d when the top bit falls out. */
  @inline static twice(c: u32): u32 {
    return ((c << 1) ^ (0x11d & (0 - (c >> 7)))) & 0xff;
  }

  @inline static low(x: v128, mask: v128): v128 {
    return v128.and(x, mask);
  }

  /** x86 has no byte shift: shift 16-bit lanes, then drop what came over from the neighbour. */
  @inline static high(x: v128, mask: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), mask);
  }

  /** sum + c · x. Nibbles are masked to 0..15, where relaxed_swizzle is exact on every machine. */
  @inline static add(sum: v128, lowTable: v128, highTable: v128, low: v128, high: v128): v128 {
    return v128.xor(
      sum,
      v128.xor(i8x16.relaxed_swizzle(lowTable, low), i8x16.relaxed_swizzle(highTable, high)),
    );
  }
}

/** 32 bytes: c · x for x = 0..15, then c · 16x. Lane x is the sum of c · 2^b over the bits b of x. */
function makeTable(table: usize, c: u32): void {
  let power = c;
  for (let half: usize = 0; half < 32; half += 16) {
    let sum = v128.and(i8x16.splat(power as i8), i16x8.splat(0xff00 as i16));
    power = Gf.twice(power);
    sum = v128.xor(sum, v128.and(i8x16.splat(power as i8), i32x4.splat(0xffff0000)));
    power = Gf.twice(power);
    sum = v128.xor(sum, v128.and(i8x16.splat(power as i8), i64x2.splat(0xffffffff00000000)));
    power = Gf.twice(power);
    sum = v128.xor(sum, v128.and(i8x16.splat(power as i8), i64x2(0, -1)));
    power = Gf.twice(power);
    v128.store(table + half, sum);
  }
}

/** Tables of rows [row, row + fused), grouped by input, so that a row kernel walks them front to back. */
function makeTables(table: usize, row: u32, fused: u32, inputs: u32): void {
  for (let j: u32 = 0; j < inputs; j++) {
    for (let r: u32 = 0; r < fused; r++) {
      makeTable(table, load<u8>(COEFFICIENTS + (row + r) * inputs + j));
      table += TABLE_BYTES;
    }
  }
}

function rows1(table: usize, end: usize, outputs: usize, from: u32, to: u32): void {
  const mask = v128.load(NIBBLE_MASK);
  const out0: usize = load<u32>(outputs);
  for (let at: usize = from; at < to; at += STEP_BYTES) {
    let a = i8x16.splat(0);
    let b = i8x16.splat(0);
    let t = table;
    for (let p = INPUTS; p < end; p += 4) {
      const input: usize = (load<u32>(p) as usize) + at;
      const x = v128.load(input);
      const y = v128.load(input, 16);
      const low = v128.load(t);
      const high = v128.load(t, 16);
      a = Gf.add(a, low, high, Gf.low(x, mask), Gf.high(x, mask));
      b = Gf.add(b, low, high, Gf.low(y, mask), Gf.high(y, mask));
      t += TABLE_BYTES;
    }
    v128.store(out0 + at, a);
    v128.store(out0 + at, b, 16);
  }
}

function rows2(table: usize, end: usize, outputs: usize, from: u32, to: u32): void {
  const mask = v128.load(NIBBLE_MASK);
  const out0: usize = load<u32>(outputs);
  const out1: usize = load<u32>(outputs, 4);
  for (let at: usize = from; at < to; at += STEP_BYTES) {
    let a0 = i8x16.splat(0);
    let b0 = i8x16.splat(0);
    let a1 = i8x16.splat(0);
    let b1 = i8x16.splat(0);
    let t = table;
    for (let p = INPUTS; p < end; p += 4) {
      const input: usize = (load<u32>(p) as usize) + at;
      const x = v128.load(input);
      const y = v128.load(input, 16);
      const xl = Gf.low(x, mask);
      const xh = Gf.high(x, mask);
      const yl = Gf.low(y, mask);
      const yh = Gf.high(y, mask);
      let low = v128.load(t);
      let high = v128.load(t, 16);
      a0 = Gf.add(a0, low, high, xl, xh);
      b0 = Gf.add(b0, low, high, yl, yh);
      low = v128.load(t, 32);
      high = v128.load(t, 48);
      a1 = Gf.add(a1, low, high, xl, xh);
      b1 = Gf.add(b1, low, high, yl, yh);
      t += 2 * TABLE_BYTES;
    }
    v128.store(out0 + at, a0);
    v128.store(out0 + at, b0, 16);
    v128.store(out1 + at, a1);
    v128.store(out1 + at, b1, 16);
  }
}

function rows3(table: usize, end: usize, outputs: usize, from: u32, to: u32): void {
  const mask = v128.load(NIBBLE_MASK);
  const out0: usize = load<u32>(outputs);
  const out1: usize = load<u32>(outputs, 4);
  const out2: usize = load<u32>(outputs, 8);
  for (let at: usize = from; at < to; at += STEP_BYTES) {
    let a0 = i8x16.splat(0);
    let b0 = i8x16.splat(0);
    let a1 = i8x16.splat(0);
    let b1 = i8x16.splat(0);
    let a2 = i8x16.splat(0);
    let b2 = i8x16.splat(0);
    let t = table;
    for (let p = INPUTS; p < end; p += 4) {
      const input: usize = (load<u32>(p) as usize) + at;
      const x = v128.load(input);
      const y = v128.load(input, 16);
      const xl = Gf.low(x, mask);
      const xh = Gf.high(x, mask);
      const yl = Gf.low(y, mask);
      const yh = Gf.high(y, mask);
      let low = v128.load(t);
      let high = v128.load(t, 16);
      a0 = Gf.add(a0, low, high, xl, xh);
      b0 = Gf.add(b0, low, high, yl, yh);
      low = v128.load(t, 32);
      high = v128.load(t, 48);
      a1 = Gf.add(a1, low, high, xl, xh);
      b1 = Gf.add(b1, low, high, yl, yh);
      low = v128.load(t, 64);
      high = v128.load(t, 80);
      a2 = Gf.add(a2, low, high, xl, xh);
      b2 = Gf.add(b2, low, high, yl, yh);
      t += 3 * TABLE_BYTES;
    }
    v128.store(out0 + at, a0);
    v128.store(out0 + at, b0, 16);
    v128.store(out1 + at, a1);
    v128.store(out1 + at, b1, 16);
    v128.store(out2 + at, a2);
    v128.store(out2 + at, b2, 16);
  }
}

function rows4(table: usize, end: usize, outputs: usize, from: u32, to: u32): void {
  const mask = v128.load(NIBBLE_MASK);
  const out0: usize = load<u32>(outputs);
  const out1: usize = load<u32>(outputs, 4);
  const out2: usize = load<u32>(outputs, 8);
  const out3: usize = load<u32>(outputs, 12);
  for (let at: usize = from; at < to; at += STEP_BYTES) {
    let a0 = i8x16.splat(0);
    let b0 = i8x16.splat(0);
    let a1 = i8x16.splat(0);
    let b1 = i8x16.splat(0);
    let a2 = i8x16.splat(0);
    let b2 = i8x16.splat(0);
    let a3 = i8x16.splat(0);
    let b3 = i8x16.splat(0);
    let t = table;
    for (let p = INPUTS; p < end; p += 4) {
      const input: usize = (load<u32>(p) as usize) + at;
      const x = v128.load(input);
      const y = v128.load(input, 16);
      const xl = Gf.low(x, mask);
      const xh = Gf.high(x, mask);
      const yl = Gf.low(y, mask);
      const yh = Gf.high(y, mask);
      let low = v128.load(t);
      let high = v128.load(t, 16);
      a0 = Gf.add(a0, low, high, xl, xh);
      b0 = Gf.add(b0, low, high, yl, yh);
      low = v128.load(t, 32);
      high = v128.load(t, 48);
      a1 = Gf.add(a1, low, high, xl, xh);
      b1 = Gf.add(b1, low, high, yl, yh);
      low = v128.load(t, 64);
      high = v128.load(t, 80);
      a2 = Gf.add(a2, low, high, xl, xh);
      b2 = Gf.add(b2, low, high, yl, yh);
      low = v128.load(t, 96);
      high = v128.load(t, 112);
      a3 = Gf.add(a3, low, high, xl, xh);
      b3 = Gf.add(b3, low, high, yl, yh);
      t += 4 * TABLE_BYTES;
    }
    v128.store(out0 + at, a0);
    v128.store(out0 + at, b0, 16);
    v128.store(out1 + at, a1);
    v128.store(out1 + at, b1, 16);
    v128.store(out2 + at, a2);
    v128.store(out2 + at, b2, 16);
    v128.store(out3 + at, a3);
    v128.store(out3 + at, b3, 16);
  }
}

/** The last bytes of a shard whose length is no multiple of STEP_BYTES. */
function rowsTail(table: usize, end: usize, outputs: usize, fused: u32, from: u32, to: u32): void {
  for (let r: u32 = 0; r < fused; r++) {
    const out: usize = load<u32>(outputs + r * 4);
    for (let at: usize = from; at < to; at++) {
      let sum: u32 = 0;
      let t = table + r * TABLE_BYTES;
      for (let p = INPUTS; p < end; p += 4) {
        const x = load<u8>((load<u32>(p) as usize) + at) as usize;
        sum ^= load<u8>(t + (x & 15)) ^ load<u8>(t + (x >> 4), 16);
        t += fused * TABLE_BYTES;
      }
      store<u8>(out + at, sum);
    }
  }
}

function rowsFused(table: usize, end: usize, outputs: usize, fused: u32, from: u32, to: u32): void {
  const wide = from + ((to - from) & ~(STEP_BYTES - 1));
  if (fused == 4) rows4(table, end, outputs, from, wide);
  else if (fused == 3) rows3(table, end, outputs, from, wide);
  else if (fused == 2) rows2(table, end, outputs, from, wide);
  else rows1(table, end, outputs, from, wide);
  if (wide < to) rowsTail(table, end, outputs, fused, wide, to);
}

/** One column block, all rows [first, last): the inputs come from memory once and from L2 for every further group. */
function codeBlock(inputs: u32, first: u32, last: u32, from: u32, to: u32): void {
  const end = INPUTS + inputs * 4;
  let table = TABLES;
  for (let row = first; row < last; row += FUSED_ROWS) {
    const fused = min(FUSED_ROWS, last - row);
    rowsFused(table, end, OUTPUTS + row * 4, fused, from, to);
    table += inputs * fused * TABLE_BYTES;
  }
}

function makeAllTables(inputs: u32, first: u32, last: u32): void {
  let table = TABLES;
  for (let row = first; row < last; row += FUSED_ROWS) {
    const fused = min(FUSED_ROWS, last - row);
    makeTables(table, row, fused, inputs);
    table += inputs * fused * TABLE_BYTES;
  }
}

/** See the head of this file. Rows whose tables do not fit SCRATCH together are done in several passes. */
export function rsCode(inputs: u32, outputs: u32, shardBytes: u32): void {
  v128.store(NIBBLE_MASK, i8x16.splat(15));
  const rowsMax = (TABLES_BYTES / (inputs * TABLE_BYTES)) & ~(FUSED_ROWS - 1);
  const blockBytes = (BLOCK_INPUT_BYTES / inputs) & ~(STEP_BYTES - 1);
  for (let first: u32 = 0; first < outputs; first += rowsMax) {
    const last = min(outputs, first + rowsMax);
    makeAllTables(inputs, first, last);
    for (let from: u32 = 0; from < shardBytes; from += blockBytes) {
      codeBlock(inputs, first, last, from, min(shardBytes, from + blockBytes));
    }
  }
}
