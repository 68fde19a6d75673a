/** Which store a directory belongs to; nothing here needs an etcd that runs. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openControl } from '../../src/control/open-control.ts';

let directory: string;
beforeEach(() => {
  directory = join(fs.mkdtempSync(join(tmpdir(), 'kwam-open-')), 'control');
});
afterEach(() => fs.rmSync(join(directory, '..'), { recursive: true }));

async function nameOf(url?: string): Promise<string> {
  const { store, name } = await openControl({ directory, url, clock: systemClock });
  await store.close();
  return name;
}

it('is SQLite unless something else is said', async () => {
  expect(await nameOf()).toBe('sqlite');
  expect(await nameOf('sqlite')).toBe('sqlite');
  expect(fs.readdirSync(directory).some((file) => file.startsWith('control.sqlite'))).toBe(true);
});

it('remembers an etcd, takes new addresses of it, and names no files of its TLS', async () => {
  expect(await nameOf('etcds://127.0.0.1:1/prod?cacert=ca.pem')).toBe('etcds://127.0.0.1:1/prod');
  expect(await nameOf()).toBe('etcds://127.0.0.1:1/prod');
  expect(await nameOf('etcd://127.0.0.1:2,127.0.0.1:3/prod')).toBe('etcd://127.0.0.1:2,127.0.0.1:3/prod');
  expect(await nameOf()).toBe('etcd://127.0.0.1:2,127.0.0.1:3/prod');
});

it.each([
  ['sqlite', 'etcd://127.0.0.1:1'],
  ['etcd://127.0.0.1:1', 'sqlite'],
  ['etcd://127.0.0.1:1/one', 'etcd://127.0.0.1:1/two'],
])('refuses to take a directory from %s to %s, and forgets nothing', async (first, second) => {
  const name = await nameOf(first);
  await expect(nameOf(second)).rejects.toMatchObject({ code: 'USAGE' });
  expect(await nameOf()).toBe(name);
});
