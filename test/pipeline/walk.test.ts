import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pathKey } from '../../src/manifest/entry-path.ts';
import type { ManifestEntry } from '../../src/manifest/manifest.ts';
import { splitOrphanLinks, walk as walkOn } from '../../src/pipeline/walk.ts';
import type { WorkerPool } from '../../src/workers/pool.ts';
import { testPool } from './memory-cluster.ts';
import { oddTree, write } from './trees.ts';

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'kwam-walk-'));
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

let pool: WorkerPool;
beforeAll(() => {
  pool = testPool({ threads: 1 });
});
afterAll(() => pool.close());

const walk = (path = root) => walkOn(pool, path);
const byPath = (entries: readonly ManifestEntry[]) =>
  new Map(entries.map((entry) => [String(entry.path), entry]));

describe('walking a tree', () => {
  it('lists every entry once, as the file system has it', async () => {
    oddTree(root);
    const { entries, problems, base } = await walk();
    expect(problems).toEqual([]);
    expect(base).toBe(root);
    const found = execFileSync('find', [root, '-printf', '%P\\0'], { encoding: 'latin1' })
      .split('\0')
      .slice(0, -1);
    const listed = entries.map((entry) => Buffer.from(entry.path).toString('latin1'));
    expect(listed.map((path) => (path === '.' ? '' : path)).sort()).toEqual(found.sort());
    const at = byPath(entries);
    expect(at.get('.')).toMatchObject({ type: 'directory' });
    expect(at.get('dangling')).toMatchObject({ type: 'symlink', target: '../outside/nowhere' });
    expect(at.get('d0/f0.bin')).toMatchObject({ type: 'file', size: 0, mode: 0o4755 });
    expect(at.get('sparse')).toMatchObject({ type: 'file', size: 9_500_000, sparse: true });
    expect(at.get('d2/f5.bin')).toMatchObject({ sparse: false });
    const links = ['hard', 'd0/hard-too', 'd1/f4.bin'].map((path) => at.get(path)!);
    expect(links.filter((entry) => entry.type === 'file').length).toBe(1);
    const first = links.find((entry) => entry.type === 'file')!;
    for (const entry of links) if (entry.type === 'hardlink') expect(entry.target).toEqual(first.path);
  });

  it('keeps names that are not UTF-8 as bytes, also of what lies below them', async () => {
    oddTree(root);
    const bytes = (await walk()).entries
      .map((entry) => entry.path)
      .filter((path) => typeof path !== 'string');
    expect(bytes.map((path) => Buffer.from(path).toString('latin1')).sort()).toEqual([
      'bad-\xff\xfe',
      'dir-\xff',
      'dir-\xff/inside',
    ]);
  });

  it('gives the same list every time, whatever the order of creation, and small files in one run before large ones', async () => {
    const names = ['b/2', 'a/1', 'c', 'B', 'a/big', 'b/big'];
    const other = fs.mkdtempSync(join(tmpdir(), 'kwam-walk-'));
    for (const [at, list] of [
      [root, names],
      [other, names.toReversed()],
    ] as const)
      for (const name of list) write(join(at, name), new Uint8Array(name.endsWith('big') ? 20_000 : 10));
    const paths = async (at: string) => (await walk(at)).entries.map((entry) => pathKey(entry.path));
    expect(await paths(root)).toEqual(await paths(other));
    const files = (await walk()).entries.filter((entry) => entry.type === 'file');
    expect(files.map((file) => file.path)).toEqual(['B', 'a/1', 'b/2', 'c', 'a/big', 'b/big']);
    fs.rmSync(other, { recursive: true });
  });

  it('names what it cannot list and goes on', async () => {
    write(join(root, 'good'), 'x');
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'socket'), resolve));
    const { entries, problems } = await walk();
    await new Promise((resolve) => server.close(resolve));
    expect(entries.map((entry) => entry.path)).toEqual(['.', 'good']);
    expect(problems.map(({ path, reason }) => [path, reason])).toEqual([
      ['"fifo"', 'unsupported'],
      ['"socket"', 'unsupported'],
    ]);
  });

  it('takes a single file, also through a link that is the root, but follows no link below it', async () => {
    write(join(root, 'd', 'file'), 'x');
    fs.symlinkSync('d/file', join(root, 'link'));
    fs.symlinkSync('d', join(root, 'dlink'));
    expect(await walk(join(root, 'link'))).toMatchObject({
      base: join(root, 'd'),
      entries: [{ type: 'file', path: 'file' }],
    });
    expect((await walk(join(root, 'dlink'))).entries.map((entry) => entry.path)).toEqual(['.', 'file']);
    expect(byPath((await walk()).entries).get('dlink')).toMatchObject({ type: 'symlink' });
  });

  it.each(['missing', 'loop', 'fifo', 'dangling'])('refuses a root that is %s', async (name) => {
    fs.symlinkSync('loop', join(root, 'loop'));
    fs.symlinkSync('nowhere', join(root, 'dangling'));
    execFileSync('mkfifo', [join(root, 'fifo')]);
    await expect(walk(join(root, name))).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('sends a long list in pages and loses none', async () => {
    fs.mkdirSync(join(root, 'many'));
    for (let i = 0; i < 9000; i++) fs.symlinkSync('x', join(root, 'many', `f${i}`));
    const { entries } = await walk();
    expect(new Set(entries.map((entry) => entry.path)).size).toBe(9002);
  });

  it('takes a hard link apart from the rest when its file is not there, and says so', async () => {
    const inode = { mode: 0o644, mtimeNs: 0n, uid: 0, gid: 0 };
    const file: ManifestEntry = { type: 'file', path: 'a', size: 1, sparse: false, ...inode };
    const kept: ManifestEntry = { type: 'hardlink', path: 'b', target: 'a' };
    const orphan: ManifestEntry = { type: 'hardlink', path: 'c', target: 'gone' };
    const split = splitOrphanLinks([file, kept, orphan]);
    expect(split.kept).toEqual([file, kept]);
    expect(split.orphans).toMatchObject([{ path: '"c"', reason: 'unreadable' }]);
  });
});
