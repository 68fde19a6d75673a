import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { MIB } from '../../src/limits.ts';

const program = fileURLToPath(new URL('./stream-memory.ts', import.meta.url));

async function peakOf(mebibytes: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, String(mebibytes)]);
  const { bytes, peak } = JSON.parse(stdout) as { bytes: number; peak: number };
  expect(bytes).toBe(mebibytes * 1.25 * MIB);
  return peak;
}

it('1 GiB streams through in the memory of 128 MiB', async () => {
  const small = await peakOf(128);
  const large = await peakOf(1024);
  // V8 frees arrays outside its heap in batches: the noise is tens of MiB, a leak would be 1 GiB.
  expect(large - small).toBeLessThan(128 * MIB);
});
