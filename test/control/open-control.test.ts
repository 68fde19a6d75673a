/** Which store a directory belongs to, and that it stays there. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openControl } from '../../src/control/open-control.ts';
import { EtcdCluster } from '../faults/etcd-cluster.ts';

let etcd: EtcdCluster;
let directory: string;
beforeAll(async () => {
  etcd = await EtcdCluster.start();
});
afterAll(() => etcd.close());
beforeEach(() => {
  directory = join(fs.mkdtempSync(join(tmpdir(), 'kwam-open-')), 'control');
});
afterEach(() => fs.rmSync(join(directory, '..'), { recursive: true }));

async function nameOf(url?: string, where = directory): Promise<string> {
  const { store, name } = await openControl({ directory: where, url, clock: systemClock });
  await store.close();
  return name;
}

it('is SQLite unless something else is said', async () => {
  expect(await nameOf()).toBe('sqlite');
  expect(await nameOf('sqlite')).toBe('sqlite');
  expect(fs.readdirSync(directory).some((file) => file.startsWith('control.sqlite'))).toBe(true);
});

it('remembers an etcd and takes other addresses of it', async () => {
  const url = `${etcd.url}/remembered`;
  expect(await nameOf(url)).toBe(url);
  expect(await nameOf()).toBe(url);
  const other = url.replace('://', '://127.0.0.1:1,');
  expect(await nameOf(other)).toBe(other);
  expect(await nameOf()).toBe(other);
});

it('gives all machines of a cluster the same store, whoever comes first', async () => {
  const url = `${etcd.url}/first`;
  const machines = Array.from({ length: 5 }, (_, i) => join(directory, String(i)));
  await Promise.all(machines.map((machine) => nameOf(url, machine)));
  const notes = machines.map((machine) => fs.readFileSync(join(machine, 'etcd.json'), 'utf8'));
  expect(new Set(notes).size).toBe(1);
  for (const machine of machines) expect(await nameOf(undefined, machine)).toBe(url);
});

it.each([
  ['sqlite', 'etcd/one'],
  ['etcd/one', 'sqlite'],
  ['etcd/one', 'etcd/two'],
])('refuses to take a directory from %s to %s, and forgets nothing', async (first, second) => {
  const urlOf = (text: string): string => text.replace('etcd', etcd.url);
  const name = await nameOf(urlOf(first));
  await expect(nameOf(urlOf(second))).rejects.toMatchObject({ code: 'USAGE' });
  expect(await nameOf()).toBe(name);
});

it('refuses a note that is no note', async () => {
  fs.mkdirSync(directory);
  for (const text of ['', '{}', '[1', '{"url": 1}']) {
    fs.writeFileSync(join(directory, 'etcd.json'), text);
    await expect(nameOf()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('etcd.json'),
    });
  }
});
