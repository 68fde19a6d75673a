/**
 * Any division of a file over workers gives the cuts of one scan, and what is kept of each part was truly found there.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkCuts } from '../../src/chunking/chunker.ts';
import { type PartCuts, type Rescan, stitchCuts } from '../../src/chunking/stitch.ts';
import type { ChunkerSizes } from '../../src/plan.ts';
import { REGION } from '../../src/wasm/kernels.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { DATA_KINDS, randomBytes } from './data-kinds.ts';

const CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';
const SIZES: ChunkerSizes = { chunkBytesMin: 1024, chunkBytesTarget: 2048, chunkBytesMax: 4096 };
const kernels = loadKernels();

/** What a worker does with its part: decided cuts only, unless the part ends the file. */
function scanPart(bytes: Uint8Array, start: number, end: number): PartCuts {
  const isLast = end === bytes.length;
  const part = bytes.subarray(start, end);
  kernels.bytes().set(part, REGION.input);
  const { chunkBytesMin, chunkBytesTarget, chunkBytesMax } = SIZES;
  const { chunkScan } = kernels.exports;
  const final = isLast ? 1 : 0;
  const count = chunkScan(REGION.input, part.length, chunkBytesMin, chunkBytesTarget, chunkBytesMax, final);
  const cuts = kernels.words().slice(REGION.cuts / 4, REGION.cuts / 4 + count);
  return { start, end, cuts: [...cuts].map((cut) => cut + start) };
}

/** Rescans by brute force and counts the bytes of the chunks it gives. */
function rescanOf(bytes: Uint8Array): { rescan: Rescan; bytesRescanned: () => number } {
  let total = 0;
  const rescan: Rescan = async (from, isEnough) => {
    const all = chunkCuts(kernels, SIZES, bytes.subarray(from)).map((cut) => cut + from);
    const met = all.findIndex(isEnough);
    const cuts = met < 0 ? all : all.slice(0, met + 1);
    total += cuts.at(-1)! - from;
    return cuts;
  };
  return { rescan, bytesRescanned: () => total };
}

function divideAt(bytes: Uint8Array, boundaries: readonly number[]): PartCuts[] {
  const inner = [...new Set(boundaries)].filter((at) => at > 0 && at < bytes.length).sort((a, b) => a - b);
  const edges = [0, ...inner, bytes.length];
  return edges.slice(1).map((end, i) => scanPart(bytes, edges[i]!, end));
}

test('any division gives the cuts of one scan, and each kept chunk is the one its part found', async () => {
  const input = fc.record({
    kind: fc.constantFrom(...Object.keys(DATA_KINDS)),
    seed: fc.nat(),
    length: fc.integer({ min: 1, max: 60_000 }),
    boundaries: fc.array(fc.nat(60_000), { maxLength: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(input, async ({ kind, seed, length, boundaries }) => {
      const bytes = DATA_KINDS[kind]!(length, seed);
      const parts = divideAt(bytes, boundaries);
      const runs = await stitchCuts(parts, rescanOf(bytes).rescan);
      expect(runs.flatMap((run) => run.cuts)).toEqual(chunkCuts(kernels, SIZES, bytes));
      for (const { start, cuts, found } of runs) {
        if (found === undefined) continue;
        const part = parts[found.part]!;
        expect(part.cuts.slice(found.firstChunk, found.firstChunk + cuts.length)).toEqual(cuts);
        expect(part.cuts[found.firstChunk - 1] ?? part.start).toBe(start);
      }
    }),
    { numRuns: CAMPAIGN ? 5000 : 150 },
  );
});

test('on random data a boundary costs a few chunks', async () => {
  const bytes = randomBytes(4 * 2 ** 20, 6);
  const boundaries = Array.from({ length: 15 }, (_, i) => (i + 1) * 2 ** 18);
  const { rescan, bytesRescanned } = rescanOf(bytes);
  await stitchCuts(divideAt(bytes, boundaries), rescan);
  expect(bytesRescanned() / boundaries.length).toBeLessThan(8 * SIZES.chunkBytesTarget);
});

test('an empty file has no chunks', async () => {
  const { rescan } = rescanOf(new Uint8Array(0));
  expect(await stitchCuts([{ start: 0, end: 0, cuts: [] }], rescan)).toEqual([]);
});

test('parts with a gap are a bug of the caller', async () => {
  const parts = [
    { start: 0, end: 10, cuts: [] },
    { start: 11, end: 20, cuts: [20] },
  ];
  await expect(stitchCuts(parts, async () => [10])).rejects.toThrow(/parts follow one another/);
});
