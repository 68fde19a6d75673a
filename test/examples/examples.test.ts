/** The examples run as their heads say, to the end. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('a trainer beside its sidecar loses its machine and goes on with verified weights', async () => {
  const { stdout } = await run(process.execPath, ['examples/trainer/trainer.ts'], { cwd: ROOT });
  expect(stdout).toContain('the sidecar stored step-000001, step-000002, step-000003, step-000004');
  expect(stdout).toContain('a new job goes on at step 5 with 4194304 verified bytes');
});

test('the library verifies a file and finds a flipped bit', async () => {
  const { stdout } = await run(process.execPath, ['examples/verify-chunks/verify-chunks.ts'], { cwd: ROOT });
  expect(stdout).toContain('all verified');
  expect(stdout).toMatch(/CHUNK_DIGEST_MISMATCH/);
});
