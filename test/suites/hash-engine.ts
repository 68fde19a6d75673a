/**
 * What every HashEngine must do, run against each of them.
 * `make` gives an engine over memory that reaches at least to the end of INPUT.
 */
import { hash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../src/digest.ts';
import { type HashEngine, runCountMax } from '../../src/hashing/engine.ts';
import { selfTestSha256 } from '../../src/hashing/self-test.ts';
import { seededRandom } from '../../src/random.ts';
import { REGION } from '../../src/wasm/kernels.ts';

export type Run = readonly [offset: number, length: number];

export const flatten = (runs: readonly Run[]): Uint32Array => Uint32Array.from(runs.flat());

/** Digests of the runs by node:crypto, one hexadecimal string each. */
export function expectedOf(memory: Uint8Array, runs: readonly Run[]): string[] {
  return runs.map(([offset, length]) => hash('sha256', memory.subarray(offset, offset + length)));
}

export function splitDigests(digests: Uint8Array): string[] {
  return Array.from({ length: digests.length / 32 }, (_, i) => toHex(digests.subarray(32 * i, 32 * i + 32)));
}

export function hashEngineSuite(title: string, make: () => Promise<HashEngine>): void {
  describe(`HashEngine: ${title}`, () => {
    let engine: HashEngine;
    beforeAll(async () => {
      engine = await make();
      seededRandom(1).fill(engine.memory.bytes().subarray(REGION.input, REGION.input + 300_000));
    });
    const check = (runs: readonly Run[]): void => {
      const expected = expectedOf(engine.memory.bytes(), runs);
      expect(splitDigests(engine.hashRuns(flatten(runs)))).toEqual(expected);
    };

    it('passes its self-test and gives the borrowed memory back', () => {
      const before = hash('sha256', engine.memory.bytes().subarray(REGION.scratch));
      selfTestSha256(engine);
      expect(hash('sha256', engine.memory.bytes().subarray(REGION.scratch))).toBe(before);
    });
    it('hashes nothing for no runs', () => expect(engine.hashRuns(new Uint32Array(0)).length).toBe(0));
    it('keeps the order of unequal runs', () =>
      check([
        [REGION.input, 70_000],
        [REGION.input + 1, 0],
        [REGION.input + 3, 64],
        [REGION.input + 100, 129],
        [REGION.input + 5, 9_999],
        [REGION.input + 5, 9_999],
      ]));
    it('reads the last byte of memory, and an empty run behind it', () => {
      const end = engine.memory.bytes().length;
      check([
        [end - 100, 100],
        [end, 0],
        [end - 1, 1],
      ]);
    });
    it('hashes as many runs as DIGESTS holds, and refuses one more by name', () => {
      const runs = Array.from({ length: runCountMax }, (_, i): Run => [REGION.input + i, (i * 37) % 131]);
      check(runs);
      expect(() => engine.hashRuns(flatten([...runs, [REGION.input, 1]]))).toThrowError(
        expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
      );
    });
    it('refuses runs that leave memory and half a run', () => {
      const end = engine.memory.bytes().length;
      expect(() => engine.hashRuns(Uint32Array.of(end - 3, 4))).toThrow('assertion failed');
      expect(() => engine.hashRuns(Uint32Array.of(0xffff_ffff, 2))).toThrow('assertion failed');
      expect(() => engine.hashRuns(Uint32Array.of(0))).toThrow('assertion failed');
    });
    it('only reads the runs and their bytes', () => {
      const runs = flatten([[REGION.input, 200_000]]);
      const bytes = engine.memory.bytes().slice(REGION.input);
      engine.hashRuns(runs);
      expect(runs).toEqual(Uint32Array.of(REGION.input, 200_000));
      expect(Buffer.compare(engine.memory.bytes().subarray(REGION.input), bytes)).toBe(0);
    });
    it('gives a result whose slice() outlives the next call', () => {
      const kept = engine.hashRuns(Uint32Array.of(REGION.input, 10)).slice();
      const [before] = splitDigests(kept);
      engine.hashRuns(Uint32Array.of(REGION.input, 11));
      expect(splitDigests(kept)).toEqual([before]);
    });
    it('is not misled by what an earlier, longer call left behind', () => {
      check(Array.from({ length: 50 }, (_, i): Run => [REGION.input + i, 1000 + i]));
      check([[REGION.input + 7, 77]]);
      check([
        [REGION.input + 9, 3],
        [REGION.input, 190],
      ]);
    });
  });
}
