import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/digest.ts';
import { arbitrate } from '../../src/hashing/arbitration.ts';
import { digestOfRun, type HashEngine } from '../../src/hashing/engine.ts';
import { nativeEngine } from '../../src/hashing/native-engine.ts';
import { portableEngine } from '../../src/hashing/portable-engine.ts';
import { wasmEngine } from '../../src/hashing/wasm-engine.ts';
import { seededRandom } from '../../src/random.ts';
import { REGION } from '../../src/wasm/kernels.ts';
import { loadKernels } from '../../src/wasm/load.ts';

/** Flips a bit of one digest of each call. */
function faulty(engine: HashEngine, run: number): HashEngine {
  return {
    ...engine,
    hashRuns(runs) {
      const digests = engine.hashRuns(runs).slice();
      digests[Math.min(run, runs.length / 2 - 1) * 32]! ^= 1;
      return digests;
    },
  };
}

describe('arbitrate', async () => {
  const kernels = loadKernels();
  const [wasm, native] = [wasmEngine(kernels), nativeEngine(kernels)];
  const referee = await portableEngine(kernels);
  seededRandom(3).fill(kernels.bytes().subarray(REGION.input, REGION.input + 50_000));
  const runs = Uint32Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? REGION.input + 7 * i : 500 + i));
  const right = native.hashRuns(runs).slice();

  it('returns what the first engine said when the second agrees, though they share memory', () => {
    for (const [first, other] of [
      [wasm, native],
      [native, wasm],
      [wasm, wasm],
    ] as const) {
      const { digests, overruled } = arbitrate(runs, first.hashRuns(runs), { other, referee }, 1);
      expect(Buffer.from(digests).equals(right)).toBe(true);
      expect(overruled).toEqual([]);
    }
  });

  it('replaces an answer that both others refute, and says which', () => {
    const wrong = faulty(native, 5).hashRuns(runs);
    const { digests, overruled } = arbitrate(runs, wrong, { other: wasm, referee }, 1);
    expect(Buffer.from(digests).equals(right)).toBe(true);
    expect(overruled).toEqual([toHex(digestOfRun(wrong, 5))]);
  });

  it('looks at a sample only, which is never empty', () => {
    const wrong = native.hashRuns(runs).map((byte, i) => (i % 32 === 7 ? byte ^ 1 : byte));
    expect(arbitrate(runs, wrong, { other: wasm, referee }, 1000).overruled).toHaveLength(1);
    expect(arbitrate(new Uint32Array(0), new Uint8Array(0), { other: wasm, referee }, 4).overruled).toEqual(
      [],
    );
  });

  it('trusts nobody when the second engine is the wrong one, or all differ', () => {
    const disagreement = expect.objectContaining({ code: 'INTEGRITY' });
    const broken = faulty(wasm, 3);
    expect(() => arbitrate(runs, right, { other: broken, referee }, 1)).toThrowError(disagreement);
    const wrong = faulty(native, 3).hashRuns(runs);
    const other = { ...wasm, hashRuns: (one: Uint32Array) => wasm.hashRuns(one).map((byte) => byte ^ 2) };
    expect(() => arbitrate(runs, wrong, { other, referee }, 1)).toThrowError(disagreement);
  });
});
