/**
 * The cut rule of assembly/chunker.ts, slow and plainly right: one position at a time, no vectors, no blocks.
 * In: all bytes of a stream and sizes. Out: ascending end offsets of its chunks.
 */
import type { ChunkerSizes } from '../../src/plan.ts';

const mod64 = (word: bigint): bigint => BigInt.asUintN(64, word);

/** The filter: 12 bits from three pairs of bytes of the 34 before `end`. */
function filterAt(bytes: Uint8Array, end: number): number {
  const pair = (at: number): number => bytes[end + at]! + bytes[end + at + 1]! * 256;
  return ((pair(-34) * 0xb5a7 + pair(-18) * 0xe88f + pair(-2) * 0x69c3) % 65536) >>> 4;
}

/** The judge: 32 bits from all of the 32 bytes before `end`. */
function judgeAt(view: DataView, end: number): number {
  const word = (at: number): bigint => view.getBigUint64(end + at, true);
  const sum = mod64(
    word(-32) * 0x9e3779b97f4a7c15n +
      word(-24) * 0xbf58476d1ce4e5b9n +
      word(-16) * 0x94d049bb133111ebn +
      word(-8) * 0xc2b2ae3d27d4eb4fn,
  );
  return Number(mod64((sum ^ (sum >> 32n)) * 0x9e3779b97f4a7c15n) >> 32n);
}

/** The lowest hash that `pass` of all 2^44 hashes reach. */
function barOf(pass: bigint): { filter: number; judge: number } {
  const bar = pass < 2n ** 44n ? 2n ** 44n - pass : 0n;
  return { filter: Number(bar >> 32n), judge: Number(bar & 0xffffffffn) };
}

/** Length of the chunk that starts at `start`. Hashes are compared as (filter, judge), the judge only where it matters. */
function chunkLength(bytes: Uint8Array, view: DataView, start: number, sizes: ChunkerSizes): number {
  const { chunkBytesMin, chunkBytesTarget, chunkBytesMax } = sizes;
  const rest = bytes.length - start;
  const pass = 2n ** 44n / BigInt(chunkBytesTarget - chunkBytesMin);
  const early = barOf(pass / 2n);
  const late = barOf(pass * 3n);
  let best = { length: 0, filter: -1, judge: -1 };
  for (let length = chunkBytesMin; length <= Math.min(rest, chunkBytesMax); length++) {
    const bar = length < chunkBytesTarget ? early : late;
    const filter = filterAt(bytes, start + length);
    if (filter < best.filter && filter < bar.filter) continue;
    const judge = judgeAt(view, start + length);
    if (filter > bar.filter || (filter === bar.filter && judge >= bar.judge)) return length;
    if (filter > best.filter || (filter === best.filter && judge >= best.judge))
      best = { length, filter, judge };
  }
  return rest < chunkBytesMax ? rest : best.length;
}

export function referenceCuts(bytes: Uint8Array, sizes: ChunkerSizes): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cuts: number[] = [];
  let start = 0;
  while (start < bytes.length) {
    start += chunkLength(bytes, view, start, sizes);
    cuts.push(start);
  }
  return cuts;
}
