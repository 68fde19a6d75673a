/** The self-test must pass on a sound kernel and fail for every fault that is put into its constants. */
import { describe, expect, it } from 'vitest';
import { selfTestSha256 } from '../../src/hashing/self-test.ts';
import { wasmEngine } from '../../src/hashing/wasm-engine.ts';
import { type Kernels, REGION } from '../../src/wasm/kernels.ts';
import { loadKernels } from '../../src/wasm/load.ts';

const failed = expect.objectContaining({ code: 'SELF_TEST_FAILED' });

/** Where a static table of 32-bit words lies, found by its first words. */
function findWords(kernels: Kernels, ...first: number[]): number {
  const words = kernels.words();
  for (let at = 0; at < REGION.cuts / 4; at++)
    if (first.every((word, i) => words[at + i] === word)) return at;
  throw new Error('the table is not in static memory');
}

function expectEveryFlipToFail(kernels: Kernels, from: number, count: number): void {
  const words = kernels.words();
  for (let i = 0; i < count; i++) {
    words[from + i]! ^= 1 << (i % 32);
    expect(() => selfTestSha256(kernels), `word ${i}`).toThrowError(failed);
    words[from + i]! ^= 1 << (i % 32);
  }
  selfTestSha256(kernels);
}

describe.each(['release', 'debug'] as const)('selfTestSha256, %s kernels', (build) => {
  const kernels = loadKernels(build);

  it('passes, and leaves INPUT and SCRATCH as they were', () => {
    kernels.bytes().fill(0xa5, REGION.scratch);
    const before = kernels.bytes().slice(REGION.scratch);
    selfTestSha256(wasmEngine(kernels));
    expect(Buffer.compare(kernels.bytes().subarray(REGION.scratch), before)).toBe(0);
    selfTestSha256(kernels);
    expect(
      Buffer.compare(kernels.bytes().subarray(REGION.input), before.subarray(REGION.input - REGION.scratch)),
    ).toBe(0);
  });
  it('fails when any round constant of the one-message code is wrong', () =>
    expectEveryFlipToFail(kernels, findWords(kernels, 0x428a2f98, 0x71374491), 64));
  it('fails when any lane of any round constant is wrong', () =>
    expectEveryFlipToFail(kernels, findWords(kernels, 0x428a2f98, 0x428a2f98, 0x428a2f98, 0x428a2f98), 256));
  it('fails when the initial value is wrong', () =>
    expectEveryFlipToFail(kernels, findWords(kernels, 0x6a09e667, 0xbb67ae85), 8));
  it('names the case, what was expected and what came', () => {
    const at = findWords(kernels, 0x428a2f98, 0x71374491);
    kernels.words()[at]! ^= 1;
    expect(() => selfTestSha256(kernels)).toThrow(
      /expected [0-9a-f]{64} for \d+ bytes, got [0-9a-f]{64}; retire/,
    );
    kernels.words()[at]! ^= 1;
  });
});
