/** In which order an identity reaches the disk: whatever ends the process or the power, the old files are there or the new ones. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { initAuthority, issueIdentity } from '../../src/identity/identity-files.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';

const calls: string[] = [];
let errno: string | undefined;

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const names = new Map<number, string>();
  const noting = (what: string, file: number): void =>
    void calls.push(`${what} ${names.get(file)?.replace(`${process.pid}`, 'PID')}`);
  return {
    ...fs,
    openSync: (...args: Parameters<typeof fs.openSync>) => {
      const file = fs.openSync(...args);
      names.set(file, basename(String(args[0])));
      return file;
    },
    writeSync: (file: number, text: string) => {
      noting('write', file);
      if (errno !== undefined) throw Object.assign(new Error(errno), { code: errno });
      return fs.writeSync(file, text);
    },
    fsyncSync: (file: number) => {
      noting('sync', file);
      fs.fsyncSync(file);
    },
    closeSync: (file: number) => {
      noting('close', file);
      fs.closeSync(file);
    },
    renameSync: (from: string, to: string) => {
      calls.push(`rename to ${basename(to)}`);
      fs.renameSync(from, to);
    },
  };
});

const root = mkdtempSync(join(tmpdir(), 'kwam-durable-'));
afterAll(() => rmSync(root, { recursive: true }));
const NOW = { nowMs: Date.now() };
const ID = parseSpiffeId('spiffe://kwam.test/node/n1');
const issue = () => issueIdentity(root, 'n1', ID, NOW, () => undefined);

const written = (file: string): string[] => [
  `write .${file}.PID.tmp`,
  `sync .${file}.PID.tmp`,
  `close .${file}.PID.tmp`,
  `rename to ${file}`,
  `sync ${basename(root)}`,
  `close ${basename(root)}`,
];

it('each file beside its place, synced, renamed, its name synced; the key before the certificate', async () => {
  await initAuthority(root, parseTrustDomain('kwam.test'), NOW);
  expect(calls.splice(0)).toEqual([...written('ca.key'), ...written('ca.pem')]);
  await issue();
  expect(calls).toEqual([...written('n1.key'), ...written('n1.pem')]);
});

it.each([
  ['ENOSPC', 'DISK_FULL'],
  ['EIO', 'ENVIRONMENT'],
])('%s is told as %s, no file stays open, and the next try is not in its own way', async (code, told) => {
  errno = code;
  calls.length = 0;
  await expect(issue()).rejects.toMatchObject({ code: told, context: { errno: code } });
  expect(calls).toEqual(['write .n1.key.PID.tmp', 'close .n1.key.PID.tmp']);
  errno = undefined;
  await issue();
});
