/**
 * The code as a whole, on both builds of the kernels: published vectors, exhaustive losses, extremes, refusals.
 */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { combineInPlace, combineThrough, layoutSlices } from '../../src/erasure/combination.ts';
import { multiply } from '../../src/erasure/galois.ts';
import { LinearCode, selfTestLinearCode } from '../../src/erasure/linear-code.ts';
import { KwamError } from '../../src/errors.ts';
import { codingSliceBytes, decodeRecipesMax } from '../../src/limits.ts';
import type { ErasureScheme, MatrixName } from '../../src/plan.ts';
import { seededRandom } from '../../src/random.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../../src/wasm/kernels.ts';
import { loadKernels } from '../../src/wasm/load.ts';

interface VectorStripe extends ErasureScheme {
  readonly dataBytes: number;
  readonly parity: readonly string[];
}

const VECTORS = JSON.parse(
  readFileSync(new URL('../vectors/reed-solomon.json', import.meta.url), 'utf8'),
) as { readonly stripes: readonly VectorStripe[] };

const MATRICES: readonly MatrixName[] = ['vandermonde', 'cauchy1'];
const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

/** The data of test/vectors/reed-solomon.generate.c, split as klauspost's Split does, with room for parity. */
function vectorShards({ dataShards, parityShards, dataBytes }: VectorStripe): Uint8Array[] {
  const shardBytes = Math.ceil(dataBytes / dataShards);
  const shards = Array.from({ length: dataShards + parityShards }, () => new Uint8Array(shardBytes));
  let x = dataShards + 256 * parityShards;
  for (let i = 0; i < dataBytes; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    shards[Math.floor(i / shardBytes)]![i % shardBytes] = x >>> 24;
  }
  return shards;
}

function randomShards(count: number, bytes: number, seed: number): Uint8Array[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.fill(new Uint8Array(bytes)));
}

/** Overwrites the missing shards with rubbish, so that a shard that is not recreated cannot pass. */
function damage(shards: readonly Uint8Array[], present: readonly boolean[]): Uint8Array[] {
  return shards.map((shard, i) => (present[i] ? shard.slice() : shard.map((byte) => byte ^ 0xa5)));
}

function captured(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

for (const build of ['release', 'debug'] as const) {
  describe(`Reed–Solomon, ${build} build`, () => {
    let kernels: Kernels;
    beforeEach(() => {
      kernels = loadKernels(build);
    });

    // Backblaze LinearCodeTest.testOneEncode, klauspost TestOneEncode
    it('encodes the published 5+5 stripe', () => {
      const codec = new LinearCode(kernels, { dataShards: 5, parityShards: 5, matrix: 'vandermonde' });
      const data = [bytesOf(0, 1), bytesOf(4, 5), bytesOf(2, 3), bytesOf(6, 7), bytesOf(8, 9)];
      const parity = Array.from({ length: 5 }, () => new Uint8Array(2));
      codec.encode([...data, ...parity]);
      expect(parity.map((shard) => [...shard])).toEqual([
        [12, 13],
        [10, 11],
        [14, 15],
        [90, 91],
        [94, 95],
      ]);
    });

    // klauspost galois_test.go, testGalois: galMulSlice(25), then galMulSliceXor(52); galMulSlice(177), then 117
    it('multiplies and adds the published slices', () => {
      const input = bytesOf(
        ...[0, 1, 2, 3, 4, 5, 6, 10, 50, 100, 150, 174, 201, 255, 99, 32, 67, 85, 200, 199, 198, 197, 196],
        ...[195, 194, 193, 192, 191, 190, 189, 188, 187, 186, 185],
      );
      const codec = new LinearCode(kernels, { dataShards: 2, parityShards: 1, matrix: 'vandermonde' });
      const into = new Uint8Array(input.length);
      const hexOf = (coefficients: number[]): string => {
        codec.combine(
          bytesOf(...coefficients),
          coefficients.map(() => input),
          into,
        );
        return Buffer.from(into).toString('hex');
      };
      expect(hexOf([25])).toBe('0019322b647d56fab86dc785c31f220725feda5d446f7639200b121108233a756c47');
      expect(hexOf([25, 52])).toBe('002d5a77b499ee2f79f20751d41931c9f8fcf94f621538fbd6a18c96bbcce1220f78');
      expect(hexOf([177])).toBe('00b17fcefe4f819e0306e875bd4036a395cb0cdd6ca21323925ced1baa64d5e5549a');
      expect(hexOf([177, 117])).toBe('00c4955137f3a2fbecc5d0c75388a3a50678979f5b0acea86c3df9df1b4a8ee82c7d');
    });

    it.each(VECTORS.stripes)(
      'equals ISA-L: $matrix $dataShards+$parityShards, $dataBytes bytes',
      (stripe) => {
        const shards = vectorShards(stripe);
        new LinearCode(kernels, stripe).encode(shards);
        const parity = shards.slice(stripe.dataShards).map((shard) => Buffer.from(shard).toString('hex'));
        expect(parity).toEqual(stripe.parity);
      },
    );

    it('multiplies every byte by every coefficient, in the wide path and in the tail', () => {
      const all = Uint8Array.from({ length: 256 + 31 }, (_, i) => i * 9);
      for (const rows of [1, 2, 3, 4, 255]) {
        for (let first = 0; first < 256; first += rows) {
          const coefficients = Uint8Array.from({ length: Math.min(rows, 256 - first) }, (_, i) => first + i);
          const outputs = Array.from(coefficients, () => new Uint8Array(all.length));
          combineThrough(kernels, coefficients, [all], outputs);
          outputs.forEach((output, i) => {
            expect(output).toEqual(all.map((byte) => multiply(coefficients[i]!, byte)));
          });
        }
      }
    });

    it.each([
      [4, 2],
      [6, 3],
      [8, 3],
    ])('recreates every loss that rs(%i, %i) tolerates, data and parity, and leaves the rest', (k, m) => {
      for (const matrix of MATRICES) {
        const codec = new LinearCode(kernels, { dataShards: k, parityShards: m, matrix });
        const shards = randomShards(k + m, 97, 100 * k + m);
        codec.encode(shards);
        for (let mask = 0; mask < 1 << (k + m); mask++) {
          const present = shards.map((_, i) => ((mask >> i) & 1) === 1);
          if (present.filter(Boolean).length < k) continue;
          const damaged = damage(shards, present);
          codec.reconstruct(damaged, present);
          expect(damaged, `${matrix} present ${mask.toString(2)}`).toEqual(shards);
        }
      }
    });

    it('recreates only what is wanted', () => {
      const codec = new LinearCode(kernels, { dataShards: 4, parityShards: 3, matrix: 'vandermonde' });
      const shards = randomShards(7, 300, 5);
      codec.encode(shards);
      const present = [true, false, true, true, false, true, true];
      const damaged = damage(shards, present);
      const untouched = damaged[1]!.slice();
      codec.reconstruct(damaged, present, [true, false, false, false, true, false, false]);
      expect(damaged[4]).toEqual(shards[4]);
      expect(damaged[1]).toEqual(untouched);
    });

    it.each([
      [1, 254],
      [254, 1],
      [128, 127],
      [127, 128],
      [200, 55],
    ])('works at the limit, rs(%i, %i), with as many losses as it tolerates', (k, m) => {
      for (const matrix of MATRICES) {
        const codec = new LinearCode(kernels, { dataShards: k, parityShards: m, matrix });
        const shards = randomShards(k + m, 65, k);
        codec.encode(shards);
        const present = shards.map((_, i) => i >= Math.floor(k / 2) + m || i < Math.floor(k / 2));
        expect(present.filter(Boolean)).toHaveLength(k);
        const damaged = damage(shards, present);
        codec.reconstruct(damaged, present);
        expect(damaged).toEqual(shards);
      }
    });

    it('streams shards that are longer than a slice', () => {
      const codec = new LinearCode(kernels, { dataShards: 3, parityShards: 2, matrix: 'cauchy1' });
      const shards = randomShards(5, 2 * codingSliceBytes + 777, 9);
      codec.encode(shards);
      const present = [false, true, true, false, true];
      const damaged = damage(shards, present);
      codec.reconstruct(damaged, present);
      damaged.forEach((shard, i) => {
        expect(Buffer.compare(shard, shards[i]!)).toBe(0);
      });
    });

    it('gives the same bytes in place, at any alignment, and writes nothing else', () => {
      const scheme: ErasureScheme = { dataShards: 5, parityShards: 3, matrix: 'vandermonde' };
      const codec = new LinearCode(kernels, scheme);
      const sliceBytes = 1003;
      const shards = randomShards(8, sliceBytes, 11);
      codec.encode(shards);
      const addresses = shards.map((_, i) => REGION.input + 5 + i * 1019);
      const memory = kernels.bytes();
      memory.fill(0xee, REGION.input, REGION.input + 9000);
      shards.slice(0, 5).forEach((shard, i) => {
        memory.set(shard, addresses[i]);
      });
      codec.encodeInPlace(addresses, sliceBytes);
      const image = new Uint8Array(9000).fill(0xee);
      shards.forEach((shard, i) => {
        image.set(shard, addresses[i]! - REGION.input);
      });
      expect(memory.slice(REGION.input, REGION.input + 9000)).toEqual(image);
      const present = [true, false, true, false, true, true, false, true];
      for (const lost of [1, 3, 6]) memory.fill(0, addresses[lost], addresses[lost]! + sliceBytes);
      codec.reconstructInPlace(addresses, present, sliceBytes);
      expect(memory.slice(REGION.input, REGION.input + 9000)).toEqual(image);
    });

    it('rebuilds a shard from partial sums that helpers made apart', () => {
      const codec = new LinearCode(kernels, { dataShards: 6, parityShards: 3, matrix: 'vandermonde' });
      const shards = randomShards(9, 500, 13);
      codec.encode(shards);
      const present = shards.map((_, i) => i !== 2);
      const { sources, targets, coefficients } = codec.recipe(present);
      expect(targets).toEqual([2]);
      let sum = new Uint8Array(500);
      sources.forEach((source, j) => {
        const next = new Uint8Array(500);
        codec.combine(bytesOf(1, coefficients[j]!), [sum, shards[source]!], next);
        sum = next;
      });
      expect(sum).toEqual(shards[2]);
    });

    it('refuses too few shards and writes nothing', () => {
      const codec = new LinearCode(kernels, { dataShards: 4, parityShards: 2, matrix: 'cauchy1' });
      const shards = randomShards(6, 100, 17);
      const before = shards.map((shard) => shard.slice());
      const present = [true, false, true, false, true, false];
      const memoryBefore = kernels.bytes().slice();
      const error = captured(() => codec.reconstruct(shards, present));
      expect(error).toBeInstanceOf(KwamError);
      expect(error).toMatchObject({ code: 'STRIPE_TOO_FEW_SHARDS', context: { needed: 4, present: 3 } });
      const slices = layoutSlices(6).addresses;
      expect(captured(() => codec.reconstructInPlace(slices, present, 64))).toMatchObject({
        code: 'STRIPE_TOO_FEW_SHARDS',
      });
      expect(shards).toEqual(before);
      expect(Buffer.compare(kernels.bytes(), memoryBefore)).toBe(0);
    });

    it('finds a kernel that computes wrongly', () => {
      expect(() => selfTestLinearCode(kernels)).not.toThrow();
      // A faulty core, as the host would see it: one bit of one output byte is wrong, for one number of rows at a time.
      for (let faultyRows = 1; faultyRows <= 5; faultyRows++) {
        const rsCode = (inputs: number, outputs: number, bytes: number): void => {
          kernels.exports.rsCode(inputs, outputs, bytes);
          if (outputs !== faultyRows) return;
          const output = kernels.words()[(REGION.scratch + 0x1_0400) / 4 + outputs - 1]!;
          kernels.bytes()[output + bytes - 1]! ^= 1;
        };
        const faulty: Kernels = { ...kernels, exports: { ...kernels.exports, rsCode } };
        expect(captured(() => selfTestLinearCode(faulty))).toMatchObject({ code: 'SELF_TEST_FAILED' });
      }
    });

    it('asserts what would corrupt memory', () => {
      const codec = new LinearCode(kernels, { dataShards: 2, parityShards: 1, matrix: 'vandermonde' });
      const at = (...offsets: number[]): number[] => offsets.map((offset) => REGION.input + offset);
      expect(() => codec.encodeInPlace(at(0, 100, 150), 64)).toThrow(/overlaps an input/);
      expect(() => codec.encodeInPlace(at(0, 100, INPUT_BYTES - 63), 64)).toThrow(/outside INPUT/);
      expect(() => codec.encodeInPlace(at(-1, 100, 200), 64)).toThrow(/outside INPUT/);
      expect(() => codec.encodeInPlace(at(0, 100), 64)).toThrow(/expected 3 slices/);
      expect(() => combineInPlace(kernels, bytesOf(1, 2), at(0), at(100, 130), 64)).toThrow(
        /overlaps another/,
      );
      expect(() => codec.encode(randomShards(2, 10, 1))).toThrow(/expected 3 shards/);
      expect(() => codec.encode([...randomShards(2, 10, 1), new Uint8Array(9)])).toThrow(/equal length/);
      expect(() => codec.recipe([true, true])).toThrow(/expected 3 flags/);
      const inside = kernels.bytes().subarray(REGION.input, REGION.input + 10);
      expect(() => codec.encode([...randomShards(2, 10, 1), inside])).toThrow(/host memory/);
    });
  });
}

describe('Reed–Solomon schemes', () => {
  const kernels = loadKernels();

  it.each([
    [0, 2],
    [3, 0],
    [200, 56],
    [1.5, 2],
    [Number.NaN, 2],
  ])('refuses rs(%d, %d)', (dataShards, parityShards) => {
    const make = (): LinearCode => new LinearCode(kernels, { dataShards, parityShards, matrix: 'cauchy1' });
    expect(captured(make)).toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  it('keeps recipes by loss pattern, and only so many', () => {
    const codec = new LinearCode(kernels, { dataShards: 8, parityShards: 3, matrix: 'vandermonde' });
    const lose = (a: number, b: number): boolean[] =>
      Array.from({ length: 11 }, (_, i) => i !== a && i !== b);
    const first = codec.recipe(lose(0, 1));
    expect(codec.recipe(lose(0, 1))).toBe(first);
    const wanted = Array.from({ length: 11 }, (_, i) => i === 1);
    expect(codec.recipe(lose(0, 1), wanted).targets).toEqual([1]);
    let others = 0;
    for (let a = 1; a < 11; a++) {
      for (let b = a + 1; b < 11; b++, others++) codec.recipe(lose(a, b));
    }
    expect(others).toBeGreaterThan(decodeRecipesMax);
    expect(codec.recipe(lose(0, 1))).not.toBe(first);
    expect(codec.recipe(lose(0, 1))).toEqual(first);
  });

  it('lays out slices apart, aligned, inside INPUT and off the power of two', () => {
    for (const count of [1, 2, 11, 14, 64, 255, 256]) {
      const { sliceBytes, addresses } = layoutSlices(count, 1 << 20);
      expect(sliceBytes % 64).toBe(0);
      expect(sliceBytes).toBeGreaterThan(0);
      addresses.forEach((address, i) => {
        expect(address % 64).toBe(0);
        expect(address - (addresses[i - 1] ?? address - sliceBytes - 64)).toBe(sliceBytes + 64);
      });
      expect(addresses.at(-1)! + sliceBytes).toBeLessThanOrEqual(REGION.input + INPUT_BYTES);
    }
  });
});
