import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('a full disk is met with the reserve, then refuses calls, and leaves the chain whole', async () => {
  const disk = fs.mkdtempSync(join(tmpdir(), 'kwam-audit-disk-'));
  const program = join(import.meta.dirname, 'full-disk.ts');
  const args = ['--map-root-user', '--mount', process.execPath, program, disk];
  const { stdout } = await promisify(execFile)('unshare', args);
  const { before, onReserve, still, full, startedFull, after } = JSON.parse(stdout);
  expect(before).toEqual(['N.log', 'reserve.bin']);
  // As many as limits.ts says that the reserve is for.
  expect(onReserve.admitted).toBeGreaterThan(1000);
  expect(onReserve.refused).toMatchObject({ code: 'DISK_FULL', retryable: true });
  expect(onReserve.refused.message).toMatch(/expected to record a decision, got ENOSPC; .*free space/);
  expect([still, startedFull]).toEqual([0, 0]);
  expect(full).toEqual({ names: ['N.log'], chain: 'whole', records: onReserve.admitted });
  expect(after).toEqual({
    names: ['N.log', 'reserve.bin'],
    chain: 'whole',
    records: onReserve.admitted + 1,
  });
  fs.rmSync(disk, { recursive: true });
});
