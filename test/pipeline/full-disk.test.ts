import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('a full disk is DISK_FULL, acknowledges nothing, leaves no half file, and puts work again when there is room', async () => {
  const disk = fs.mkdtempSync(join(tmpdir(), 'kwam-disk-'));
  const tree = fs.mkdtempSync(join(tmpdir(), 'kwam-tree-'));
  const program = join(import.meta.dirname, 'full-disk.ts');
  const args = ['--map-root-user', '--mount', process.execPath, program, disk, tree];
  const { stdout } = await promisify(execFile)('unshare', args);
  expect(JSON.parse(stdout)).toEqual({
    tooMuch: 'DISK_FULL',
    acknowledged: 'NOT_FOUND',
    leftovers: [],
    readFailures: 0,
    restored: 'DISK_FULL',
    staging: [],
    after: 0,
  });
  fs.rmSync(disk, { recursive: true });
  fs.rmSync(tree, { recursive: true });
});
