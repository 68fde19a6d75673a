/** The kernel modules as they were built: their map is the one that TypeScript knows, and they depend on nothing. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/digest.ts';
import { CUTS_MAX, INPUT_BYTES, instantiateKernels, REGION, SCRATCH_BYTES } from '../../src/wasm/kernels.ts';
import { loadKernels, readCodecId, readKernelBytes } from '../../src/wasm/load.ts';

const MEMORY_MAP = readFileSync(new URL('../../assembly/memory.ts', import.meta.url), 'utf8');

function constantOf(name: string): number {
  const value = new RegExp(`export const ${name}: \\w+ = (\\w+);`).exec(MEMORY_MAP)?.[1];
  if (value === undefined) throw new Error(`assembly/memory.ts has no constant ${name}`);
  return value === 'INPUT' ? constantOf('INPUT') : Number(value.replaceAll('_', ''));
}

describe('the memory map', () => {
  test('is the same in AssemblyScript and in TypeScript', () => {
    const map = {
      cuts: 'CUTS',
      jobs: 'JOBS',
      digests: 'DIGESTS',
      scratch: 'SCRATCH',
      input: 'INPUT',
      index: 'INDEX',
    };
    for (const [region, name] of Object.entries(map)) {
      expect(REGION[region as keyof typeof REGION], name).toBe(constantOf(name));
    }
    expect([CUTS_MAX, SCRATCH_BYTES, INPUT_BYTES]).toEqual([
      constantOf('CUTS_MAX'),
      constantOf('SCRATCH_BYTES'),
      constantOf('INPUT_BYTES'),
    ]);
  });

  test('has no regions that overlap, and ends where the initial memory does', () => {
    expect(REGION.cuts + 4 * CUTS_MAX).toBeLessThanOrEqual(REGION.jobs);
    expect(REGION.jobs + 8 * CUTS_MAX).toBeLessThanOrEqual(REGION.digests);
    expect(REGION.digests + 32 * CUTS_MAX).toBeLessThanOrEqual(REGION.scratch);
    expect(REGION.scratch + SCRATCH_BYTES).toBeLessThanOrEqual(REGION.input);
    expect(loadKernels().bytes().length).toBe(REGION.input + INPUT_BYTES);
  });
});

describe.each(['release', 'debug'] as const)('the %s build', (build) => {
  test('imports nothing', () => {
    const module = new WebAssembly.Module(readKernelBytes(build) as Uint8Array<ArrayBuffer>);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
  });

  test('keeps its static tables below the first region', () => {
    const bytes = loadKernels(build).bytes();
    expect(bytes.subarray(REGION.cuts, REGION.cuts + 4 * CUTS_MAX).every((byte) => byte === 0)).toBe(true);
  });
});

test('the codec id is the SHA-256 of the release build', () => {
  expect(toHex(readCodecId())).toBe(createHash('sha256').update(readKernelBytes('release')).digest('hex'));
});

test('a module that is none is refused by name', () => {
  expect(() => instantiateKernels(new Uint8Array([0, 97, 115, 109]))).toThrow(
    /expected WebAssembly with SIMD128/,
  );
});
