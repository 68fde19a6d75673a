/**
 * The chunker's cut rule in plain TypeScript, for machines whose WebAssembly has no SIMD.
 * In: bytes and sizes. Out: the length of the chunk that starts at `start`, or 0 when more input could still change it.
 * Source: the rule is specified in assembly/chunker.ts, H = filter · 2^32 + judge over the 34 bytes before a cut.
 * Holds: the same cuts as the kernel. Quicker than the reference of the tests because the judge, 64-bit arithmetic
 * in four 16-bit limbs, is asked only where the filter can win. Browser-safe; keeps no state, checks no sizes.
 */
import type { ChunkerSizes } from '../plan.ts';

const WINDOW = 34;
/** Multipliers of the judge as limbs, low first: K0 … K3 of assembly/chunker.ts. */
const K0 = [0x7c15, 0x7f4a, 0x79b9, 0x9e37] as const;
const K1 = [0xe5b9, 0x1ce4, 0x476d, 0xbf58] as const;
const K2 = [0x11eb, 0x1331, 0x49bb, 0x94d0] as const;
const K3 = [0xeb4f, 0x27d4, 0xae3d, 0xc2b2] as const;
const JUDGES = [K0, K1, K2, K3] as const;
const JUDGE_AT = [-32, -24, -16, -8] as const;

type Limbs = readonly [number, number, number, number];

function filterAt(bytes: Uint8Array, end: number): number {
  const a = bytes[end - 34]! | (bytes[end - 33]! << 8);
  const b = bytes[end - 18]! | (bytes[end - 17]! << 8);
  const c = bytes[end - 2]! | (bytes[end - 1]! << 8);
  return ((Math.imul(a, 0xb5a7) + Math.imul(b, 0xe88f) + Math.imul(c, 0x69c3)) & 0xffff) >>> 4;
}

/** Low 64 bits of x · k, added to `sum`. Products of limbs stay below 2^34 in a double, so nothing is lost. */
function addProduct(sum: number[], x: Limbs, k: Limbs): void {
  let carry = 0;
  for (let limb = 0; limb < 4; limb++) {
    let value = sum[limb]! + carry;
    for (let i = 0; i <= limb; i++) value += x[i]! * k[limb - i]!;
    sum[limb] = value % 0x1_0000;
    carry = Math.floor(value / 0x1_0000);
  }
}

function judgeAt(bytes: Uint8Array, end: number): number {
  const pair = (at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
  const sum = [0, 0, 0, 0];
  for (let word = 0; word < 4; word++) {
    const at = end + JUDGE_AT[word]!;
    addProduct(sum, [pair(at), pair(at + 2), pair(at + 4), pair(at + 6)], JUDGES[word]!);
  }
  const mixed = [0, 0, 0, 0];
  addProduct(mixed, [sum[0]! ^ sum[2]!, sum[1]! ^ sum[3]!, sum[2]!, sum[3]!], K0);
  return mixed[2]! + mixed[3]! * 0x1_0000;
}

interface Bar {
  readonly filter: number;
  readonly judge: number;
}

/** The lowest hash that `pass` of all 2^44 hashes reach, as (filter, judge); exact in doubles. */
function barOf(pass: number): Bar {
  const bar = Math.max(0, 2 ** 44 - pass);
  return { filter: Math.floor(bar / 2 ** 32), judge: bar % 2 ** 32 };
}

export function portableCut(
  bytes: Uint8Array,
  start: number,
  end: number,
  sizes: ChunkerSizes,
  final: boolean,
): number {
  const { chunkBytesMin, chunkBytesTarget, chunkBytesMax } = sizes;
  const last = Math.min(end, start + chunkBytesMax);
  const pass = Math.floor(2 ** 44 / (chunkBytesTarget - chunkBytesMin));
  const early = barOf(Math.floor(pass / 2));
  const late = barOf(pass * 3);
  let best = 0;
  let bestFilter = -1;
  let bestJudge = -1;
  let equalBytes = 1;
  for (let at = start + chunkBytesMin; at <= last; at++) {
    equalBytes = bytes[at - 1] === bytes[at - 2] ? equalBytes + 1 : 1;
    const bar = at < start + chunkBytesTarget ? early : late;
    if (equalBytes > WINDOW && at !== start + chunkBytesTarget) {
      // The window holds the same bytes as the one before it: the same hash under the same bar; of equals the latest counts.
      if (best === at - 1 - start) best = at - start;
      continue;
    }
    const filter = filterAt(bytes, at);
    if (filter < bestFilter && filter < bar.filter) continue;
    const judge = judgeAt(bytes, at);
    if (filter > bar.filter || (filter === bar.filter && judge >= bar.judge)) return at - start;
    if (filter < bestFilter || (filter === bestFilter && judge < bestJudge)) continue;
    best = at - start;
    bestFilter = filter;
    bestJudge = judge;
  }
  if (last - start === chunkBytesMax) return best;
  return final ? end - start : 0;
}
