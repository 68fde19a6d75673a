import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { EmbeddedControlStore } from '../../src/control/embedded.ts';
import { controlStoreSuite } from '../suites/control-store.suite.ts';

const temporary = () => fs.mkdtempSync(path.join(os.tmpdir(), 'kwam-control-'));

controlStoreSuite('embedded', (options) => {
  const directory = temporary();
  const opened: EmbeddedControlStore[] = [];
  return {
    open() {
      const store = EmbeddedControlStore.open({ ...options, directory });
      opened.push(store);
      return store;
    },
    async dispose() {
      for (const store of opened) await store.close();
      fs.rmSync(directory, { recursive: true });
    },
  };
});

describe('the embedded control store on disk', () => {
  let directory: string;
  const open = () => EmbeddedControlStore.open({ directory, clock: systemClock });
  const put = (key: string, value: string) =>
    ({ kind: 'put', key, value: new TextEncoder().encode(value) }) as const;
  beforeEach(() => {
    directory = temporary();
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  it('is the same after reopening: entries, revisions, leases and the change log', async () => {
    const before = open();
    const lease = await before.grantLease(60_000);
    const { revision } = await before.transact([], [put('a', '1'), { ...put('b', '2'), lease }]);
    const entries = await before.list('');
    await before.close();
    const after = open();
    expect(await after.list('')).toEqual(entries);
    expect(await after.transact([], [])).toEqual({ committed: true, revision });
    expect(await after.keepAlive(lease)).toBe(true);
    const ending = new AbortController();
    const keys: string[] = [];
    for await (const event of after.watch('', { fromRevision: revision, signal: ending.signal })) {
      if (event.kind === 'put') keys.push(event.entry.key);
      if (keys.length === 2) ending.abort();
    }
    expect(keys).toEqual(['a', 'b']);
    await after.close();
  });

  it('reports a value that rotted on disk as INTEGRITY and says what to do', async () => {
    const marker = 'a value that is easy to find on the disk';
    const before = open();
    await before.transact([], [put('victim', marker), put('healthy', 'untouched')]);
    await before.close();
    const file = path.join(directory, 'control.sqlite');
    const bytes = fs.readFileSync(file);
    for (let at = bytes.indexOf(marker); at !== -1; at = bytes.indexOf(marker, at + 1)) bytes[at]! ^= 1;
    fs.writeFileSync(file, bytes);
    const after = open();
    await expect(after.get('victim')).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('put back a copy'),
    });
    expect(await after.get('healthy')).toBeDefined();
    await after.close();
  });

  it('refuses a file that is no control store as INTEGRITY', () => {
    fs.writeFileSync(path.join(directory, 'control.sqlite'), 'not a database '.repeat(4096));
    expect(open).toThrowError(expect.objectContaining({ code: 'INTEGRITY' }));
  });

  it('refuses a file that was cut off as INTEGRITY', async () => {
    const before = open();
    for (let i = 0; i < 200; i++) await before.transact([], [put(`key ${i}`, 'x'.repeat(500))]);
    await before.close();
    const file = path.join(directory, 'control.sqlite');
    for (const bytes of [8192, 8191, 10]) {
      fs.truncateSync(file, bytes);
      expect(open).toThrowError(expect.objectContaining({ code: 'INTEGRITY' }));
    }
  });

  it('refuses a bit that flipped in its file, or answers as before', async () => {
    const before = open();
    for (let i = 0; i < 40; i++) await before.transact([], [put(`key ${i}`, 'x'.repeat(50))]);
    await before.close();
    const file = path.join(directory, 'control.sqlite');
    const good = fs.readFileSync(file);
    // The pages at the end hold the entries and the index of their keys; a prime visits every bit of a byte.
    const stride = process.env['KWAM_CAMPAIGN'] === '1' ? 7 : 1997;
    let refused = 0;
    for (let bit = 0; bit < 8 * good.length; bit += stride) {
      const bad = new Uint8Array(good);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      fs.writeFileSync(file, bad);
      for (const end of ['-wal', '-shm']) fs.rmSync(file + end, { force: true });
      try {
        const store = open();
        const keys = (await store.list('key ').finally(() => store.close())).map(({ key }) => key);
        expect(keys.length, `bit ${bit}`).toBe(40);
      } catch (error) {
        expect(error, `bit ${bit}`).toMatchObject({ code: 'INTEGRITY' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(10);
  }, 600_000);

  it('finds a key that rots while it is open, which a read does not show', async () => {
    const store = open();
    for (const name of ['a', 'b', 'c']) await store.transact([], [put(`objects/${name}`, name)]);
    await store.requireWhole();
    const file = path.join(directory, 'control.sqlite');
    const other = new DatabaseSync(file);
    other.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    const bytes = fs.readFileSync(file);
    bytes[bytes.lastIndexOf('eobjects/b') + 3]! ^= 1;
    fs.writeFileSync(file, bytes);
    other.exec("INSERT INTO control VALUES (x'7a', x'00')");
    other.close();
    expect(await store.get('objects/b')).toBeUndefined();
    await expect(store.requireWhole()).rejects.toMatchObject({ code: 'INTEGRITY' });
    await store.close();
  });

  it('says so when its folder cannot be made', () => {
    fs.writeFileSync(path.join(directory, 'file'), '');
    expect(() =>
      EmbeddedControlStore.open({ directory: path.join(directory, 'file', 'control'), clock: systemClock }),
    ).toThrowError(expect.objectContaining({ code: 'UNAVAILABLE' }));
  });
});
