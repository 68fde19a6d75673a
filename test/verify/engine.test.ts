import { afterEach, describe, expect, it, vi } from 'vitest';
import { seededRandom } from '../../src/random.ts';
import { referenceCuts } from '../reference/chunker.ts';
import { sha256Hex } from './streams.ts';

const random = seededRandom(21);
const sizes = { chunkBytesMin: 1024, chunkBytesTarget: 3000, chunkBytesMax: 6000 };

afterEach(() => {
  vi.restoreAllMocks();
  vi.resetModules();
});

/** A fresh copy of the engine module, as a program without SIMD or with it would see it. */
async function freshEngine(simd: boolean) {
  vi.resetModules();
  if (!simd) vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);
  const module = await import('../../src/verify/engine.ts');
  return module.verifyEngine();
}

const periodic = Uint8Array.from({ length: 40_000 }, (_, i) => (i % 700) * 31);
const lowEntropy = random.fill(new Uint8Array(40_000)).map((byte) => (byte > 250 ? byte : 0));
const mixed = new Uint8Array(60_000);
random.fill(mixed.subarray(0, 20_000));
random.fill(mixed.subarray(41_000));
const INPUTS: readonly [string, Uint8Array][] = [
  ['random bytes', random.fill(new Uint8Array(120_000))],
  ['zeros', new Uint8Array(50_000)],
  ['a period', periodic],
  ['mostly zeros', lowEntropy],
  ['random bytes around zeros', mixed],
  ['less than a chunk', random.fill(new Uint8Array(700))],
  ['nothing', new Uint8Array(0)],
];

describe.each([
  ['wasm', true],
  ['portable', false],
] as const)('engine %s', (name, simd) => {
  it.each(INPUTS)('cuts %s as the reference does', async (_, bytes) => {
    const engine = await freshEngine(simd);
    expect(engine.name).toBe(name);
    expect(engine.cut(bytes, sizes, true)).toEqual(referenceCuts(bytes, sizes));
  });

  it('cuts nothing that more input could change', async () => {
    const engine = await freshEngine(simd);
    for (const [, bytes] of INPUTS) {
      const all = referenceCuts(bytes, sizes);
      const early = engine.cut(bytes, sizes, false);
      expect(all.slice(0, early.length)).toEqual(early);
      expect(bytes.length - (early.at(-1) ?? 0)).toBeLessThan(sizes.chunkBytesMax);
    }
  });

  it('hashes as node:crypto does', async () => {
    const engine = await freshEngine(simd);
    const messages = [0, 1, 55, 56, 64, 1000, 65_536, 262_144].map((length) =>
      random.fill(new Uint8Array(length)),
    );
    const digests = engine.hash(messages).map((digest) => Buffer.from(digest).toString('hex'));
    expect(digests).toEqual(messages.map(sha256Hex));
    expect(engine.hash([])).toEqual([]);
  });
});

describe('kernels that are not there', () => {
  it('are a clear error that says what to do, and the next call tries again', async () => {
    const { useKernels, verifyEngine } = await import('../../src/verify/engine.ts');
    await expect(useKernels('./nowhere.wasm')).rejects.toThrow(
      /expected the verification kernels at file:.*useKernels/,
    );
    await expect(useKernels(new Uint8Array(8))).rejects.toThrow(
      expect.objectContaining({ code: 'ENVIRONMENT', message: expect.stringContaining('kernel module') }),
    );
    expect((await verifyEngine()).name).toBe('wasm');
  });
});
