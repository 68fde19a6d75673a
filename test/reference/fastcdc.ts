/**
 * FastCDC as published, the yardstick for deduplication: slow and plain.
 * In: bytes and sizes. Out: ascending end offsets.
 * Source: Xia et al., "FastCDC", USENIX ATC 2016: gear hash, skip to min, two masks (normalisation level 1). Masks: the paper's for
 * 64 bytes to 128 KiB, continued by restic-FastCDC to 1 MiB. Gear table: the first 8 bytes of MD5 of 64 times the byte, as in the fastcdc crate, so
 * cuts agree with that crate's v2016 module: the byte that fires the hash begins the next chunk.
 */
import { createHash } from 'node:crypto';

export interface FastCdcSizes {
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

/** Bits 47…32 and 31…0 of the mask for 2^8 to 2^20; a mask has as many ones as the logarithm plus a constant spread. */
const MASKS = new Map<number, bigint>([
  [7, 0x0000000018035100n],
  [8, 0x0000001800035300n],
  [9, 0x0000019000353000n],
  [10, 0x0000590003530000n],
  [11, 0x0000d90003530000n],
  [12, 0x0000d90103530000n],
  [13, 0x0000d90303530000n],
  [14, 0x0000d90313530000n],
  [15, 0x0000d90f03530000n],
  [16, 0x0000d90303537000n],
  [17, 0x0000d90703537000n],
  [18, 0x0000d90707537000n],
  [19, 0x0000d91707537000n],
  [20, 0x0000d91747537000n],
  [21, 0x0000d91767537000n],
]);

export const GEAR: readonly bigint[] = Array.from({ length: 256 }, (_, byte) =>
  createHash('md5').update(new Uint8Array(64).fill(byte)).digest().readBigUInt64BE(0),
);
const GEAR_HIGH = Int32Array.from(GEAR, (word) => Number(BigInt.asIntN(32, word >> 32n)));
const GEAR_LOW = Int32Array.from(GEAR, (word) => Number(BigInt.asIntN(32, word)));

function maskOf(bits: number): { high: number; low: number } {
  const mask = MASKS.get(bits);
  if (mask === undefined) throw new RangeError(`no published mask for 2^${bits}`);
  return { high: Number(mask >> 32n), low: Number(BigInt.asIntN(32, mask)) };
}

/** Length of the chunk at the start of `bytes`. The 64-bit hash is kept in two 32-bit halves, for speed alone. */
function cutLength(bytes: Uint8Array, sizes: FastCdcSizes): number {
  if (bytes.length <= sizes.min) return bytes.length;
  const end = Math.min(bytes.length, sizes.max);
  const center = Math.min(end, sizes.average);
  const bits = Math.round(Math.log2(sizes.average));
  let mask = maskOf(bits + 1);
  let high = 0;
  let low = 0;
  for (let i = sizes.min; i < end; i++) {
    if (i === center) mask = maskOf(bits - 1);
    const gear = bytes[i]!;
    high = (high << 1) | (low >>> 31);
    const shifted = low << 1;
    low = (shifted + GEAR_LOW[gear]!) | 0;
    const carry = low >>> 0 < shifted >>> 0 ? 1 : 0;
    high = (high + GEAR_HIGH[gear]! + carry) | 0;
    if ((high & mask.high) === 0 && (low & mask.low) === 0) return i;
  }
  return end;
}

export function fastCdcCuts(bytes: Uint8Array, sizes: FastCdcSizes): number[] {
  const cuts: number[] = [];
  for (let at = 0; at < bytes.length; cuts.push(at)) at += cutLength(bytes.subarray(at), sizes);
  return cuts;
}
