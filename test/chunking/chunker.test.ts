/**
 * The chunk kernel against its slow reference and its own promises, on both builds.
 */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { Chunker, chunkCuts, selfTestChunker } from '../../src/chunking/chunker.ts';
import { KwamError } from '../../src/errors.ts';
import {
  chunkBytesMaxDefault,
  chunkBytesMaxHighest,
  chunkBytesMinDefault,
  chunkBytesMinLowest,
  chunkBytesTargetDefault,
} from '../../src/limits.ts';
import type { ChunkerSizes } from '../../src/plan.ts';
import { CUTS_MAX, INPUT_BYTES, type Kernels, REGION } from '../../src/wasm/kernels.ts';
import { type KernelBuild, loadKernels } from '../../src/wasm/load.ts';
import { referenceCuts } from '../reference/chunker.ts';
import vectors from '../vectors/chunker.json' with { type: 'json' };
import { VECTOR_INPUTS } from '../vectors/chunker-inputs.ts';
import { constantBytes, DATA_KINDS, periodicBytes, randomBytes } from './data-kinds.ts';

const CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';
/** A campaign may take its time. */
vi.setConfig({ testTimeout: CAMPAIGN ? 900_000 : 60_000 });
const BUILDS: readonly KernelBuild[] = ['release', 'debug'];
const DEFAULT: ChunkerSizes = sizes(chunkBytesMinDefault, chunkBytesTargetDefault, chunkBytesMaxDefault);
const SMALL: ChunkerSizes = sizes(1024, 3000, 8000);

function sizes(chunkBytesMin: number, chunkBytesTarget: number, chunkBytesMax: number): ChunkerSizes {
  return { chunkBytesMin, chunkBytesTarget, chunkBytesMax };
}

function lengthsOf(cuts: readonly number[]): number[] {
  return cuts.map((cut, i) => cut - (cuts[i - 1] ?? 0));
}

/** Sizes near the bottom, where every path is reached quickly; ranges below and above a block of 128. */
const anySizes = fc
  .record({
    chunkBytesMin: fc.integer({ min: chunkBytesMinLowest, max: 1300 }),
    toTarget: fc.oneof(...[64, 3000, 20_000].map((max) => fc.integer({ min: 1, max }))),
    toMax: fc.oneof(...[300, 9000].map((max) => fc.integer({ min: 1, max }))),
  })
  .map(({ chunkBytesMin, toTarget, toMax }) =>
    sizes(chunkBytesMin, chunkBytesMin + toTarget, chunkBytesMin + toTarget + toMax),
  );
const anyKind = fc.constantFrom(...Object.keys(DATA_KINDS));
const anySeed = fc.integer({ min: 0, max: 2 ** 31 });

describe.each(BUILDS)('%s build', (build) => {
  const kernels = loadKernels(build);
  const scale = build === 'release' ? 1 : 0.25;

  test.each(vectors.vectors)('vector: $input, $chunkBytesMin/$chunkBytesTarget/$chunkBytesMax', (vector) => {
    expect(chunkCuts(kernels, vector, VECTOR_INPUTS[vector.input]!)).toEqual(vector.cuts);
  });

  test('agrees with the reference on every kind of data and odd sizes', () => {
    const input = fc.record({
      kind: anyKind,
      seed: anySeed,
      length: fc.integer({ min: 0, max: 30_000 }),
      anySizes,
    });
    fc.assert(
      fc.property(input, ({ kind, seed, length, anySizes: chosen }) => {
        const bytes = DATA_KINDS[kind]!(length, seed);
        expect(chunkCuts(kernels, chosen, bytes)).toEqual(referenceCuts(bytes, chosen));
      }),
      { numRuns: (CAMPAIGN ? 20_000 : 400) * scale },
    );
  });

  test('agrees with the reference around min and max', () => {
    for (const kind of ['random', 'zeros', 'period 34', 'bits']) {
      for (const edge of [0, 34, 1024, 1024 + 127, 1024 + 128, 8000, 8000 + 1024]) {
        for (let length = Math.max(0, edge - 2); length <= edge + 2; length++) {
          const bytes = DATA_KINDS[kind]!(length, length);
          expect(chunkCuts(kernels, SMALL, bytes)).toEqual(referenceCuts(bytes, SMALL));
        }
      }
    }
  });

  test('scans the same wherever the bytes lie and whatever lies around them', () => {
    const bytes = randomBytes(60_000, 5);
    const expected = referenceCuts(bytes, SMALL);
    const chunker = new Chunker(kernels, SMALL);
    for (const offset of [0, 1, 15, 33, 64, INPUT_BYTES - bytes.length]) {
      kernels.bytes().fill(offset * 37, REGION.input);
      kernels.bytes().set(bytes, REGION.input + offset);
      expect([...chunker.scan(offset, bytes.length, true)]).toEqual(expected);
    }
  });

  test('passes its self-test, and fails it when a scan is wrong', () => {
    expect(() => selfTestChunker(kernels)).not.toThrow();
    expect(() => selfTestChunker(withWrongCut(kernels))).toThrow(
      expect.objectContaining({ code: 'SELF_TEST_FAILED' }),
    );
  });
});

/** A core that miscounts once. */
function withWrongCut(kernels: Kernels): Kernels {
  const { exports } = kernels;
  const chunkScan: typeof exports.chunkScan = (...args) => {
    const count = exports.chunkScan(...args);
    kernels.words()[REGION.cuts / 4 + 3]! ^= 1;
    return count;
  };
  return { ...kernels, exports: { ...exports, memory: exports.memory, chunkScan } };
}

describe('feeding', () => {
  const kernels = loadKernels();

  test('a scan without an end gives exactly the cuts that no continuation changes', () => {
    fc.assert(
      fc.property(
        anyKind,
        anySeed,
        fc.integer({ min: 0, max: 20_000 }),
        anySizes,
        (kind, seed, length, chosen) => {
          const bytes = DATA_KINDS[kind]!(length, seed);
          kernels.bytes().set(bytes, REGION.input);
          const decided = [...new Chunker(kernels, chosen).scan(0, length, false)];
          for (const continuation of [bytes, new Uint8Array(20_000), randomBytes(20_000, seed)]) {
            const all = chunkCuts(kernels, chosen, concat(bytes, continuation));
            expect(all.slice(0, decided.length)).toEqual(decided);
          }
          expect(length - (decided.at(-1) ?? 0)).toBeLessThan(chosen.chunkBytesMax);
        },
      ),
      { numRuns: CAMPAIGN ? 20_000 : 200 },
    );
  });

  test('input larger than INPUT has the same cuts as one scan of its parts from true cuts', () => {
    const bytes = randomBytes(2 * INPUT_BYTES + 12_345, 9);
    const cuts = chunkCuts(kernels, DEFAULT, bytes);
    expect(cuts.at(-1)).toBe(bytes.length);
    const from = cuts[17]!;
    const tail = chunkCuts(kernels, DEFAULT, bytes.subarray(from)).map((cut) => cut + from);
    expect(tail).toEqual(cuts.slice(18));
  });
});

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

describe('sizes of chunks', () => {
  const kernels = loadKernels();

  test('on random data the mean is what the two thresholds give', () => {
    const bytes = randomBytes(24 * 2 ** 20, 3);
    const { chunkBytesMin: min, chunkBytesTarget: target, chunkBytesMax: max } = sizes(2048, 8192, 32768);
    const lengths = lengthsOf(chunkCuts(kernels, sizes(min, target, max), bytes));
    const mean = bytes.length / lengths.length;
    const range = target - min;
    const late = (range / 3) * (1 - Math.exp((3 * (target - max)) / range));
    const expected = min + 2 * range * (1 - Math.exp(-1 / 2)) + Math.exp(-1 / 2) * late;
    // Standard error of the mean: about 43 % of the mean over the root of 3000 chunks, 0.8 %.
    expect(Math.abs(mean / expected - 1)).toBeLessThan(0.025);
    expect(Math.abs(mean / target - 1)).toBeLessThan(0.04);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(max);
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThanOrEqual(min);
  });

  test.each(Object.keys(DATA_KINDS))(
    '%s: between min and max, on average not below half the target',
    (kind) => {
      const bytes = DATA_KINDS[kind]!(2 ** 20, 11);
      const chosen = sizes(1024, 4096, 16384);
      const lengths = lengthsOf(chunkCuts(kernels, chosen, bytes)).slice(0, -1);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(chosen.chunkBytesMax);
      expect(Math.min(...lengths)).toBeGreaterThanOrEqual(chosen.chunkBytesMin);
      if (!kind.startsWith('period')) expect(bytes.length / lengths.length).toBeGreaterThan(2048);
    },
  );

  test('every constant is cut at max, with the lowest target too', () => {
    for (let value = 0; value < 256; value++) {
      const chosen = sizes(1024, 2048, 4000);
      expect(chunkCuts(kernels, chosen, constantBytes(value)(8500, 0))).toEqual([4000, 8000, 8500]);
    }
  });

  test.each([2, 3, 7, 16, 34, 251])(
    'period %d: all chunks are the longest run of whole periods',
    (period) => {
      const bytes = Uint8Array.from({ length: 2 ** 20 }, (_, i) => i % period);
      const lengths = lengthsOf(chunkCuts(kernels, sizes(1024, 65_536, 131_072), bytes)).slice(1, -1);
      expect(new Set(lengths)).toEqual(new Set([131_072 - (131_072 % period)]));
    },
  );

  test('periodic data gives few different chunks: at most one for each threshold in a period', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), anySeed, (period, seed) => {
        const bytes = periodicBytes(period)(60_000, seed);
        const lengths = lengthsOf(chunkCuts(kernels, sizes(1024, 4096, 8192), bytes)).slice(1, -1);
        // Places of a period that pass a threshold are Poisson with mean 3000 · 3.5 / 3072 or less: above 12 in one of 30,000.
        expect(new Set(lengths).size).toBeLessThanOrEqual(12);
      }),
      { numRuns: CAMPAIGN ? 5000 : 100, seed: 1974 },
    );
  });

  test('the most cuts that INPUT can give fit CUTS', () => {
    const chosen = sizes(chunkBytesMinLowest, chunkBytesMinLowest + 1, chunkBytesMinLowest + 2);
    const { length } = new Chunker(kernels, chosen).scan(0, INPUT_BYTES, true);
    expect(length).toBeGreaterThan(INPUT_BYTES / (chunkBytesMinLowest + 2));
    expect(length).toBeLessThanOrEqual(INPUT_BYTES / chunkBytesMinLowest + 1);
    expect(INPUT_BYTES / chunkBytesMinLowest + 1).toBeLessThan(CUTS_MAX);
  });
});

describe('after an edit', () => {
  const kernels = loadKernels();
  const EDIT_SIZES = sizes(1024, 4096, 16384);
  const EDITS: Readonly<Record<string, (bytes: Uint8Array, at: number) => Uint8Array>> = {
    insert: (bytes, at) => concat(concat(bytes.subarray(0, at), randomBytes(7, at)), bytes.subarray(at)),
    delete: (bytes, at) => concat(bytes.subarray(0, at), bytes.subarray(at + 5)),
    replace: (bytes, at) => concat(bytes.subarray(0, at), concat(randomBytes(9, at), bytes.subarray(at + 9))),
  };

  /** Bytes of `after` that lie in chunks which `before` does not have. */
  function newBytes(before: Uint8Array, after: Uint8Array): number {
    const chunks = (bytes: Uint8Array): string[] => {
      const cuts = chunkCuts(kernels, EDIT_SIZES, bytes);
      return cuts.map((cut, i) => Buffer.from(bytes.subarray(cuts[i - 1] ?? 0, cut)).toString('latin1'));
    };
    const known = new Set(chunks(before));
    return chunks(after).reduce((sum, chunk) => sum + (known.has(chunk) ? 0 : chunk.length), 0);
  }

  test.each(['random', 'text', 'bf16', 'zero-rich', 'records', 'bits', 'four values'])(
    '%s: an edit makes some three chunks new, ten at most',
    (kind) => {
      const before = DATA_KINDS[kind]!(2 ** 19, 21);
      for (const edit of Object.values(EDITS)) {
        const positions = [1000, 150_000, 333_333, 500_001];
        const total = positions.reduce((sum, at) => sum + newBytes(before, edit(before, at)), 0);
        expect(total / positions.length).toBeLessThan(10 * EDIT_SIZES.chunkBytesTarget);
      }
    },
  );
});

describe('bad arguments', () => {
  const kernels = loadKernels();

  test.each([
    sizes(1023, 4096, 8192),
    sizes(1024, 1024, 8192),
    sizes(1024, 8192, 8192),
    sizes(1024, 4096, chunkBytesMaxHighest + 1),
    sizes(1024.5, 4096, 8192),
    sizes(Number.NaN, 4096, 8192),
  ])('sizes %o are refused', (chosen) => {
    expect(() => new Chunker(kernels, chosen)).toThrow(KwamError);
    expect(() => new Chunker(kernels, chosen)).toThrow(/1024 ≤ min < target < max ≤ 4194304/);
  });

  test.each([
    [-1, 10],
    [0, INPUT_BYTES + 1],
    [INPUT_BYTES, 1],
    [0.5, 10],
  ])('a run at %d of %d bytes is refused', (offset, length) => {
    const chunker = new Chunker(kernels, DEFAULT);
    expect(() => chunker.scan(offset, length, true)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
