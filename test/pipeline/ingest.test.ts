/** Putting trees through real workers and a real store. */

import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chunkCuts } from '../../src/chunking/chunker.ts';
import { toHex } from '../../src/digest.ts';
import { KwamError } from '../../src/errors.ts';
import { sha256Native } from '../../src/hashing/native-engine.ts';
import { MIB } from '../../src/limits.ts';
import type { FileEntry, Manifest } from '../../src/manifest/manifest.ts';
import { ingest } from '../../src/pipeline/ingest.ts';
import { readManifest } from '../../src/pipeline/restore.ts';
import { divide } from '../../src/pipeline/segments.ts';
import { walk } from '../../src/pipeline/walk.ts';
import { PackAccess } from '../../src/replication/pack-access.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { referenceCuts } from '../reference/chunker.ts';
import { type Cluster, faultCell, meddling, SIZES, startCluster, type TestNode } from './memory-cluster.ts';
import { bytesOf, oddTree, ordinaryTree, write } from './trees.ts';

let root: string;
let cluster: Cluster;
let node: TestNode;
let count = 0;

beforeAll(async () => {
  root = fs.mkdtempSync(join(tmpdir(), 'kwam-ingest-'));
  cluster = await startCluster();
  node = cluster.nodes[0]!;
});
afterAll(async () => {
  await cluster.close();
  fs.rmSync(root, { recursive: true, force: true });
});

let tree: string;
beforeEach(() => {
  tree = join(root, `tree${count++}`);
  fs.mkdirSync(tree);
});

async function manifestOf(name: string, from: TestNode = node): Promise<Manifest> {
  const record = await from.services.catalog.object(name);
  const access = await PackAccess.create(from.restore, record.packs);
  const manifest = await readManifest(from.restore, access, record);
  await access.close();
  return manifest;
}

const errorOf = (run: Promise<unknown>): Promise<KwamError> =>
  run.then(
    () => expect.unreachable('it succeeded'),
    (error: KwamError) => error,
  );

/** What nobody acknowledged must not lie around. */
function leftovers(of: TestNode): string[] {
  return fs.readdirSync(of.store.layout.incoming);
}

/** The chunks that the rule of ARCHITECTURE.md gives, slowly: segment after segment, cut by the reference, hashed by OpenSSL. */
async function slowChunks(
  path: string,
  cut: (bytes: Uint8Array) => number[],
): Promise<{ lengths: number[]; digests: string[] }> {
  const { entries, base } = await walk(cluster.pool, path);
  const files = entries.filter((entry): entry is FileEntry => entry.type === 'file');
  const segments = [...divide(files)].flatMap((work) =>
    work.kind === 'large' ? [[work.file]] : work.segments,
  );
  const lengths: number[] = [];
  const digests: string[] = [];
  for (const segment of segments) {
    const bytes = Buffer.concat(
      segment.map((file) =>
        fs.readFileSync(Buffer.concat([Buffer.from(`${base}/`), Buffer.from(file.path)])),
      ),
    );
    let start = 0;
    for (const end of cut(bytes)) {
      lengths.push(end - start);
      digests.push(toHex(sha256Native(bytes.subarray(start, end))));
      start = end;
    }
  }
  return { lengths, digests };
}

function chunksOf(manifest: Manifest): { lengths: number[]; digests: string[] } {
  const { lengths, digests } = manifest.chunks;
  return {
    lengths: [...lengths],
    digests: Array.from(lengths, (_, i) => toHex(digests.subarray(i * 32, i * 32 + 32))),
  };
}

describe('a put', () => {
  it('makes the chunks that the reference chunker and OpenSSL make, in the order of the manifest', async () => {
    oddTree(tree);
    const result = await node.put(tree, 'odd');
    expect(result.problems).toEqual([]);
    const manifest = await manifestOf('odd');
    expect(chunksOf(manifest)).toEqual(await slowChunks(tree, (bytes) => referenceCuts(bytes, SIZES)));
    const files = manifest.files.filter((entry) => entry.type === 'file');
    expect(manifest.bytes).toBe(files.reduce((sum, file) => sum + file.size, 0));
    expect(result).toMatchObject({ bytes: manifest.bytes, chunks: manifest.chunks.lengths.length });
    expect(leftovers(node)).toEqual([]);
  });

  it('cuts a large file as one uninterrupted scan does, whatever the number of workers', async () => {
    const kernels = loadKernels();
    const random = bytesOf(5, 40 * MIB);
    // Zeros and a period across the bounds of the parts, where only the largest chunk ends a chunk.
    random.fill(0, 7.9 * MIB, 8.3 * MIB);
    for (let i = 16 * MIB; i < 17 * MIB; i++) random[i] = i % 700;
    const file = join(tree, 'large');
    write(file, random);
    const expected = chunkCuts(kernels, SIZES, random);
    for (const threads of [1, 2, 4]) {
      const other = threads === 2 ? cluster : await startCluster({ threads });
      const name = `large-${threads}`;
      await other.nodes[0]!.put(file, name);
      const manifest = await manifestOf(name, other.nodes[0]!);
      let end = 0;
      const ends = Array.from(manifest.chunks.lengths, (length) => {
        end += length;
        return end;
      });
      expect(ends).toEqual(expected);
      if (other !== cluster) await other.close();
    }
  });

  it('stores a tree once: the second put, a moved folder and an added file bring little', async () => {
    ordinaryTree(tree, 4000);
    const first = await node.put(tree, 'first');
    const again = await node.put(tree, 'again');
    expect(again).toMatchObject({ chunks: first.chunks, bytes: first.bytes, newChunks: 1 });
    const manifest = await node.services.catalog.object('again');
    expect(manifest.parts.length).toBe(1);
    fs.renameSync(join(tree, 'small'), join(tree, 'tiny'));
    const moved = await node.put(tree, 'moved');
    expect(moved.newBytes).toBeLessThan(first.bytes / 10);
    write(join(tree, 'd0', 'added'), 'new');
    const added = await node.put(tree, 'added');
    expect(added.newBytes).toBeLessThan(first.bytes / 10);
  });

  it('beside another put of the same tree gives two whole objects', async () => {
    ordinaryTree(tree, 5000);
    const [one, two] = await Promise.all([node.put(tree, 'side-1'), node.put(tree, 'side-2')]);
    expect(one!.chunks).toBe(two!.chunks);
    for (const name of ['side-1', 'side-2']) expect((await node.get(name)).failures).toEqual([]);
  });

  it('replaces the object of the same name', async () => {
    write(join(tree, 'a'), 'one');
    await node.put(tree, 'replaced');
    write(join(tree, 'a'), 'two!');
    await node.put(tree, 'replaced');
    expect((await manifestOf('replaced')).bytes).toBe(4);
  });

  it('takes an empty tree, a single file, and an empty file', async () => {
    expect(await node.put(tree, 'empty')).toMatchObject({ files: 0, bytes: 0, chunks: 0 });
    write(join(tree, 'one'), 'x');
    expect(await node.put(join(tree, 'one'), 'single')).toMatchObject({ files: 1, bytes: 1, chunks: 1 });
    write(join(tree, 'none'), '');
    expect(await node.put(join(tree, 'none'), 'nothing')).toMatchObject({ files: 1, bytes: 0, chunks: 0 });
  });

  it.each(['', 'a\0b', 'x'.repeat(513), '\ud800'])('refuses the name %j', async (name) => {
    expect(await errorOf(node.put(tree, name))).toMatchObject({ code: 'USAGE' });
  });
});

describe('bad input', () => {
  /** Runs `act` once the walk is done and before the first byte is read. */
  async function putAfterWalk(path: string, name: string, act: () => void) {
    const pool = meddling(node.services.pool, {
      after: (task) => {
        if (task === 'walk-tree') act();
      },
    });
    return ingest({ ...node.services, pool }, { path, name, onProgress: () => undefined });
  }

  it('that vanished, or is something else by now, is named and the rest goes on', async () => {
    for (const name of ['good', 'vanished', 'fifo', 'link', 'folder', 'huge-vanished', 'huge-fifo'])
      write(join(tree, name), bytesOf(1, name.startsWith('huge') ? 9 * MIB : 20_000));
    fs.linkSync(join(tree, 'vanished'), join(tree, 'zz-hard'));
    const result = await putAfterWalk(tree, 'bad', () => {
      for (const name of ['vanished', 'fifo', 'link', 'folder', 'huge-vanished', 'huge-fifo'])
        fs.rmSync(join(tree, name));
      for (const name of ['fifo', 'huge-fifo']) execFileSync('mkfifo', [join(tree, name)]);
      fs.symlinkSync('/etc/passwd', join(tree, 'link'));
      fs.mkdirSync(join(tree, 'folder'));
    });
    expect(Object.fromEntries(result.problems.map(({ path, reason }) => [JSON.parse(path), reason]))).toEqual(
      {
        vanished: 'vanished',
        fifo: 'changed',
        link: 'unreadable',
        folder: 'changed',
        'huge-vanished': 'vanished',
        'huge-fifo': 'changed',
        'zz-hard': 'unreadable',
      },
    );
    expect(result.files).toBe(1);
    expect((await node.get('bad')).failures).toEqual([]);
  });

  it('whose size changed since it was listed is read as it is now, also when it outgrew its batch or shrank to nothing', async () => {
    for (const name of ['grown', 'shrunk', 'outgrown']) write(join(tree, name), bytesOf(2, 20_000));
    for (const name of ['huge-shrunk', 'huge-emptied', 'huge-grown'])
      write(join(tree, name), bytesOf(2, 20 * MIB));
    const now: Record<string, number> = {
      grown: 30_000,
      shrunk: 10,
      outgrown: 17 * MIB,
      'huge-shrunk': 9 * MIB,
      'huge-emptied': 0,
      'huge-grown': 26 * MIB,
    };
    const result = await putAfterWalk(tree, 'resized', () => {
      for (const [name, size] of Object.entries(now)) write(join(tree, name), bytesOf(3, size));
    });
    expect(result.problems).toEqual([]);
    const { files } = await manifestOf('resized');
    const sizes = files.flatMap((entry) => (entry.type === 'file' ? [[entry.path, entry.size]] : []));
    expect(Object.fromEntries(sizes)).toEqual(now);
    const back = join(root, 'resized');
    await node.get('resized', back);
    for (const [name, size] of Object.entries(now))
      expect(Buffer.compare(fs.readFileSync(join(back, name)), bytesOf(3, size))).toBe(0);
  });

  it('that changes between two parts is read again; one that never holds still is reported', async () => {
    for (const name of ['once', 'always']) write(join(tree, name), bytesOf(6, 20 * MIB));
    let parts = 0;
    const pool = meddling(node.services.pool, {
      after: (task) => {
        if (task !== 'ingest-part') return;
        if (parts++ === 0) fs.appendFileSync(join(tree, 'once'), 'more');
        fs.appendFileSync(join(tree, 'always'), 'more');
      },
    });
    const request = { path: tree, name: 'moving', onProgress: () => undefined };
    const result = await ingest({ ...node.services, pool }, request);
    expect(result.problems).toMatchObject([{ path: '"always"', reason: 'changed' }]);
    const back = join(root, 'moving');
    await node.get('moving', back);
    expect(fs.readdirSync(back)).toEqual(['once']);
    expect(Buffer.compare(fs.readFileSync(join(back, 'once')), fs.readFileSync(join(tree, 'once')))).toBe(0);
  });

  it('that somebody writes all the time is stored as it was at one moment, or reported, and never torn', async () => {
    write(join(tree, 'steady'), 'x');
    const sizes = { log: 100_000, 'huge-log': 20 * MIB };
    for (const [name, size] of Object.entries(sizes)) write(join(tree, name), bytesOf(6, size));
    // A process of its own, so that it also writes while a worker reads: a counter at both ends of each file, first this one.
    const script = `import { openSync, writeSync } from 'node:fs';
      const files = ${JSON.stringify(Object.entries(sizes))}.map(([name, size]) => [openSync(process.argv[1] + '/' + name, 'r+'), size]);
      console.log('on');
      for (let i = 0; ; i++) for (const [file, size] of files)
        for (const at of [0, size - 8]) writeSync(file, String(i).padStart(8), at);`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script, tree], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => writer.stdout.once('data', resolve));
    const result = await node.put(tree, 'changing').finally(() => writer.kill('SIGKILL'));
    const back = join(root, 'changing');
    await node.get('changing', back);
    expect(fs.readFileSync(join(back, 'steady'), 'utf8')).toBe('x');
    const reported = result.problems.map(({ path }) => JSON.parse(path));
    expect([...reported, ...fs.readdirSync(back)].sort()).toEqual(['huge-log', 'log', 'steady']);
    for (const name of fs.readdirSync(back).filter((name) => name !== 'steady')) {
      const stored = fs.readFileSync(join(back, name));
      const [first, last] = [stored.subarray(0, 8), stored.subarray(-8)].map((text) => Number(text));
      // Between the two writes of a round the ends differ by one; a torn read differs by more.
      expect(first! - last!).toBeGreaterThanOrEqual(0);
      expect(first! - last!).toBeLessThanOrEqual(1);
    }
  });

  it('that is the whole object and cannot be read fails the put: no name stands for nothing', async () => {
    const file = join(tree, 'file');
    write(file, 'x');
    const error = await errorOf(putAfterWalk(file, 'no-object', () => fs.rmSync(file)));
    expect(error).toMatchObject({ code: 'IO', retryable: true });
    expect(await errorOf(node.get('no-object'))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('trouble on the way', () => {
  it.each([2, 4, 7])('a worker that crashes at task %i costs a second try and nothing else', async (at) => {
    ordinaryTree(tree, 7000);
    write(join(tree, 'large'), bytesOf(8, 30 * MIB));
    const cell = faultCell(0);
    const crashing = await startCluster({ worker: { sabotage: { crash: cell } } });
    const [one] = crashing.nodes;
    let started = 0;
    // Armed between tasks, so that tasks of every kind are hit.
    const pool = meddling(crashing.pool, {
      before: () => {
        if (++started === at) new Int32Array(cell)[0] = 1;
      },
    });
    const request = { path: tree, name: 'crashed', onProgress: () => undefined };
    const result = await ingest({ ...one!.services, pool }, request);
    expect(crashing.replaced).toEqual(['died']);
    expect(result.problems).toEqual([]);
    const kernels = loadKernels();
    const expected = await slowChunks(tree, (bytes) => chunkCuts(kernels, SIZES, bytes));
    expect(chunksOf(await manifestOf('crashed', one))).toEqual(expected);
    expect((await one!.get('crashed')).failures).toEqual([]);
    expect(leftovers(one!)).toEqual([]);
    await crashing.close();
  });

  it('a signal ends it with CANCELLED, acknowledges nothing and leaves no file that is not whole', async () => {
    write(join(tree, 'large'), bytesOf(10, 40 * MIB));
    ordinaryTree(tree, 8000);
    const stop = new AbortController();
    const request = { path: tree, name: 'stopped', signal: stop.signal, onProgress: () => stop.abort() };
    expect(await errorOf(ingest(node.services, request))).toMatchObject({ code: 'CANCELLED' });
    expect(await errorOf(node.get('stopped'))).toMatchObject({ code: 'NOT_FOUND' });
    expect(leftovers(node)).toEqual([]);
    const paced = { ...request, signal: AbortSignal.timeout(50), bytesPerSecondMax: 1 };
    expect(await errorOf(ingest(node.services, { ...paced, onProgress: () => undefined }))).toMatchObject({
      code: 'CANCELLED',
    });
    expect((await node.put(tree, 'stopped')).problems).toEqual([]);
    expect((await node.get('stopped')).failures).toEqual([]);
  });

  it('a pack that cannot be sealed fails the put; nothing is acknowledged and the next put works', async () => {
    ordinaryTree(tree, 9000);
    const pool = meddling(node.services.pool, {
      before: (task) => {
        if (task === 'seal-pack') throw new KwamError('IO', 'fsync failed');
      },
    });
    const request = { path: tree, name: 'unsealed', onProgress: () => undefined };
    expect(await errorOf(ingest({ ...node.services, pool }, request))).toMatchObject({
      code: 'IO',
    });
    expect(await errorOf(node.get('unsealed'))).toMatchObject({ code: 'NOT_FOUND' });
    expect(leftovers(node)).toEqual([]);
    await node.put(tree, 'unsealed');
    expect((await node.get('unsealed')).failures).toEqual([]);
  });

  it('packs that are retired before the publication are made again', async () => {
    ordinaryTree(tree, 11_000);
    await node.put(tree, 'old');
    const { catalog } = node.services;
    const packs = (await catalog.object('old')).packs;
    let isFirst = true;
    const retiring = Object.create(catalog, {
      publish: {
        value: async (...args: Parameters<typeof catalog.publish>) => {
          if (isFirst) {
            isFirst = false;
            const epochs = { packs: await catalog.packEpoch(), objects: await catalog.objectEpoch() };
            const old = await catalog.object('old');
            expect(
              await catalog.replacePacks(
                { retired: packs, added: [], objects: [{ ...old, packs: [] }] },
                epochs,
              ),
            ).toBe(true);
            for (const pack of packs) await node.store.retirePack(pack);
          }
          return catalog.publish(...args);
        },
      },
      object: { value: catalog.object.bind(catalog) },
      pack: { value: catalog.pack.bind(catalog) },
      packEpoch: { value: catalog.packEpoch.bind(catalog) },
    });
    await ingest(
      { ...node.services, catalog: retiring },
      { path: tree, name: 'renewed', onProgress: () => undefined },
    );
    expect((await node.get('renewed')).failures).toEqual([]);
  });
});
