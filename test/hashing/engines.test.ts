/** The engines against their compliance suite; the cross-check; the choice between them. */
import { describe, expect, it } from 'vitest';
import { chooseEngine } from '../../src/hashing/choose-engine.ts';
import { crossCheck } from '../../src/hashing/cross-check.ts';
import type { HashEngine } from '../../src/hashing/engine.ts';
import { nativeEngine, sha256Native } from '../../src/hashing/native-engine.ts';
import { portableEngine } from '../../src/hashing/portable-engine.ts';
import { wasmEngine } from '../../src/hashing/wasm-engine.ts';
import { seededRandom } from '../../src/random.ts';
import { type Kernels, REGION } from '../../src/wasm/kernels.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { flatten, hashEngineSuite, type Run, splitDigests } from '../suites/hash-engine.ts';

const plainMemory = () => {
  const bytes = new Uint8Array(REGION.input + 400_000);
  return { bytes: () => bytes };
};

hashEngineSuite('wasm, release', async () => wasmEngine(loadKernels('release')));
hashEngineSuite('wasm, debug', async () => wasmEngine(loadKernels('debug')));
hashEngineSuite('native over kernel memory', async () => nativeEngine(loadKernels()));
hashEngineSuite('native over other memory', async () => nativeEngine(plainMemory()));
hashEngineSuite('portable over kernel memory', async () => portableEngine(loadKernels()));
hashEngineSuite('portable over other memory', async () => portableEngine(plainMemory()));

describe('engines and a memory that grows', () => {
  it('follow it', async () => {
    const kernels = loadKernels();
    const engines = [wasmEngine(kernels), nativeEngine(kernels), await portableEngine(kernels)];
    const runs = Uint32Array.of(REGION.input, 5000, REGION.input + 9, 100);
    const before = engines.map((engine) => splitDigests(engine.hashRuns(runs)));
    kernels.exports.memory.grow(3);
    expect(engines.map((engine) => splitDigests(engine.hashRuns(runs)))).toEqual(before);
  });
});

describe('sha256Native', () => {
  it('gives a digest of its own for bytes anywhere', () => {
    const digest = sha256Native(Uint8Array.of(0, 0x61, 0x62, 0x63).subarray(1));
    expect(splitDigests(digest)).toEqual([
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    ]);
  });
});

/** Passes calls on and tells what it was asked. */
function spyOn(engine: HashEngine, see: (runs: Uint32Array) => void): HashEngine {
  return {
    ...engine,
    hashRuns(runs) {
      see(runs);
      return engine.hashRuns(runs);
    },
  };
}

describe('crossCheck', () => {
  const kernels = loadKernels();
  const [wasm, native] = [wasmEngine(kernels), nativeEngine(kernels)];
  seededRandom(2).fill(kernels.bytes().subarray(REGION.input, REGION.input + 100_000));
  const runs = flatten(Array.from({ length: 40 }, (_, i): Run => [REGION.input + i, 900 + 31 * i]));

  it('agrees in both directions and with an engine that overwrites the digests it is to check', () => {
    const bytes = Array.from({ length: 40 }, (_, i) => 900 + 31 * i).reduce((sum, one) => sum + one, 0);
    expect(crossCheck(runs, wasm.hashRuns(runs), native, 1)).toEqual({ runs: 40, bytes });
    expect(crossCheck(runs, native.hashRuns(runs), wasm, 1)).toEqual({ runs: 40, bytes });
    expect(crossCheck(runs, wasm.hashRuns(runs), wasm, 7).runs).toBeGreaterThanOrEqual(5);
  });
  it('looks at one run at least, at none of none, and at the same ones again', () => {
    const digests = wasm.hashRuns(runs).slice();
    expect(crossCheck(runs, digests, native, 1_000_000).runs).toBe(1);
    expect(crossCheck(new Uint32Array(0), new Uint8Array(0), native, 4)).toEqual({ runs: 0, bytes: 0 });
    const seen: number[][] = [];
    const spy = spyOn(native, (asked) => seen.push([...asked]));
    crossCheck(runs, digests, spy, 9);
    crossCheck(runs, digests, spy, 9);
    expect(seen[0]).toEqual(seen[1]);
  });
  it('lets no position of the list stay unseen over changing data', () => {
    const seen = new Set<number>();
    const spy = spyOn(native, (asked) => seen.add((asked[0]! - REGION.input) % 97));
    for (let shift = 0; shift < 200; shift++) {
      const moved = flatten(Array.from({ length: 16 }, (_, i): Run => [REGION.input + 97 * shift + i, 500]));
      crossCheck(moved, wasm.hashRuns(moved), spy, 16);
    }
    expect(seen.size).toBe(16);
  });
  it('names offset and both digests for every single wrong bit it looks at', () => {
    const right = native.hashRuns(runs).slice();
    for (let bit = 0; bit < 256; bit++) {
      const wrong = right.slice();
      const at = 32 * 17 + (bit >> 3);
      wrong[at] = wrong[at]! ^ (1 << (bit & 7));
      expect(() => crossCheck(runs, wrong, wasm, 1)).toThrowError(
        expect.objectContaining({
          code: 'INTEGRITY',
          context: {
            offset: REGION.input + 17,
            bytes: 900 + 31 * 17,
            digest: splitDigests(wrong)[17],
            otherDigest: splitDigests(right)[17],
            otherEngine: 'wasm',
          },
        }),
      );
    }
  });
});

/** Kernels on which each engine's round takes as long as told, by a clock that only they move. */
function pacedKernels(
  wasmMs: number,
  nativeMs: number,
): { kernels: Kernels; clock: { monotonic(): number } } {
  const real = loadKernels();
  let now = 0;
  let wasmRuns = false;
  const kernels: Kernels = {
    exports: {
      ...real.exports,
      sha256Jobs(count) {
        now += wasmMs;
        wasmRuns = true;
        real.exports.sha256Jobs(count);
      },
    },
    bytes: () => real.bytes(),
    words: () => real.words(),
  };
  const monotonic = (): number => {
    // A round that did not enter the kernel was the native one.
    now += wasmRuns ? 0.001 : nativeMs;
    wasmRuns = false;
    return now;
  };
  return { kernels, clock: { monotonic } };
}

describe('chooseEngine', () => {
  it('does as told', () => {
    const kernels = loadKernels();
    expect(chooseEngine(kernels, 'wasm')).toMatchObject({
      engine: { name: 'wasm' },
      other: { name: 'native' },
    });
    expect(chooseEngine(kernels, 'native')).toMatchObject({
      engine: { name: 'native' },
      other: { name: 'wasm' },
    });
  });
  it('takes the faster one of two, and the other for checks', () => {
    const slowWasm = pacedKernels(5, 1);
    expect(chooseEngine(slowWasm.kernels, 'auto', slowWasm.clock)).toMatchObject({
      engine: { name: 'native' },
      other: { name: 'wasm' },
    });
    const fastWasm = pacedKernels(1, 5);
    expect(chooseEngine(fastWasm.kernels, 'auto', fastWasm.clock)).toMatchObject({
      engine: { name: 'wasm' },
      other: { name: 'native' },
    });
  });
  it('is not misled when the faster one is interrupted for longer than the measurement takes', () => {
    const slowWasm = pacedKernels(5, 1);
    let calls = 0;
    const monotonic = (): number => {
      calls++;
      // The first call sets the end; each engine's round takes two more, the native one's after the other's.
      return slowWasm.clock.monotonic() + (calls < 5 ? 0 : 1000);
    };
    expect(chooseEngine(slowWasm.kernels, 'auto', { monotonic })).toMatchObject({
      engine: { name: 'native' },
    });
  });
  it('ends by the real clock, with an engine that works', () => {
    const { engine, other } = chooseEngine(loadKernels(), 'auto');
    const runs = Uint32Array.of(REGION.input, 1000);
    expect(splitDigests(engine.hashRuns(runs))).toEqual(splitDigests(other.hashRuns(runs)));
  });
  it('refuses a machine on which the two disagree', () => {
    const kernels = loadKernels();
    const broken: Kernels = {
      ...kernels,
      exports: {
        ...kernels.exports,
        sha256Jobs(count) {
          kernels.exports.sha256Jobs(count);
          kernels.bytes()[REGION.digests + 40]! ^= 1;
        },
      },
    };
    expect(() => chooseEngine(broken, 'auto')).toThrowError(expect.objectContaining({ code: 'INTEGRITY' }));
  });
});
