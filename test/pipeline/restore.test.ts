/** Getting objects back through real workers and a real store. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type DigestHex, toHex } from '../../src/digest.ts';
import { KwamError } from '../../src/errors.ts';
import { sha256Native } from '../../src/hashing/native-engine.ts';
import { MIB, silenceMsMax } from '../../src/limits.ts';
import { type RestoreServices, restore } from '../../src/pipeline/restore.ts';
import { RECORD_HEADER_BYTES } from '../../src/store/pack-format.ts';
import { type Cluster, meddling, startCluster, type TestNode } from './memory-cluster.ts';
import { bytesOf, describeTree, diskBytes, oddTree, ordinaryTree, write } from './trees.ts';

let root: string;
let tree: string;
let count = 0;
const clusters: Cluster[] = [];

beforeAll(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'kwam-restore-'));
});
beforeEach(() => {
  tree = join(root, `tree${count++}`);
  fs.mkdirSync(tree);
});
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

async function start(options: Parameters<typeof startCluster>[0] = {}): Promise<Cluster> {
  const cluster = await startCluster(options);
  clusters.push(cluster);
  return cluster;
}

const target = (): string => `${tree}-back`;
const errorOf = (run: Promise<unknown>): Promise<KwamError> =>
  run.then(
    () => expect.unreachable('it succeeded'),
    (error: KwamError) => error,
  );

/** Flips a byte in the payload of the chunk with this content, wherever the node has it. */
function corrupt(node: TestNode, content: Uint8Array): DigestHex {
  const place = node.store.locate(sha256Native(content))!;
  flip(node.store.packFile(place.packId), place.offset + RECORD_HEADER_BYTES);
  return place.packId;
}

function flip(path: string, at: number): void {
  const file = fs.openSync(path, 'r+');
  const byte = new Uint8Array(1);
  fs.readSync(file, byte, 0, 1, at);
  byte[0]! ^= 0x10;
  fs.writeSync(file, byte, 0, 1, at);
  fs.closeSync(file);
}

/** Nothing at the destination, and nothing half-made beside it. */
function expectNothing(): void {
  expect(fs.readdirSync(root).filter((name) => name.includes(`tree${count - 1}-back`))).toEqual([]);
}

describe('a get', () => {
  it('gives back every entry of every kind: content, names, modes, owners, times to the microsecond', async () => {
    const [node] = (await start()).nodes;
    oddTree(tree);
    const before = describeTree(tree);
    await node!.put(tree, 'odd');
    const result = await node!.get('odd', target());
    expect(describeTree(target())).toEqual(before);
    expect(result.failures).toEqual([]);
    expect(fs.readdirSync(node!.store.layout.incoming)).toEqual([]);
    expect(diskBytes(join(target(), 'sparse'))).toBeLessThan(2 * MIB);
    expect(fs.statSync(join(target(), 'sparse')).size).toBe(9_500_000);
  });

  it('makes a single file, an empty file, an empty tree', async () => {
    const [node] = (await start()).nodes;
    write(join(tree, 'one'), 'content');
    write(join(tree, 'none'), '');
    fs.mkdirSync(join(tree, 'folder'));
    for (const name of ['one', 'none', 'folder']) {
      await node!.put(join(tree, name), name);
      await node!.get(name, `${target()}-${name}`);
      expect(describeTree(`${target()}-${name}`)).toEqual(describeTree(join(tree, name)));
    }
  });

  it('goes into an empty directory, and refuses anything else that is there', async () => {
    const [node] = (await start()).nodes;
    write(join(tree, 'a'), 'x');
    await node!.put(tree, 'object');
    fs.mkdirSync(target());
    await node!.get('object', target());
    expect(describeTree(target())).toEqual(describeTree(tree));
    expect(await errorOf(node!.get('object', target()))).toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await errorOf(node!.get('object', join(tree, 'a')))).toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await errorOf(node!.get('nothing', `${target()}2`))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('restores 5,000 small files', async () => {
    const [node] = (await start()).nodes;
    for (let i = 0; i < 5000; i++) write(join(tree, `d${i % 50}`, `f${i}`), `content ${i}`);
    const put = await node!.put(tree, 'many');
    expect(put).toMatchObject({ files: 5000, problems: [] });
    await node!.get('many', target());
    expect(describeTree(target())).toEqual(describeTree(tree));
  });

  it('writes nothing and names the file when the only copy of a chunk is bad', async () => {
    const [node] = (await start()).nodes;
    ordinaryTree(tree, 300);
    write(join(tree, 'the-bad-one'), bytesOf(77, 30_000));
    await node!.put(tree, 'bad');
    const pack = corrupt(node!, bytesOf(77, 30_000));
    const verified = await node!.get('bad');
    expect(verified.failures).toMatchObject([
      { path: '"the-bad-one"', digest: toHex(sha256Native(bytesOf(77, 30_000))) },
    ]);
    expect(verified.damage).toEqual({ chunks: 1, files: 1, paths: ['"the-bad-one"'] });
    expect(node!.seen.ownCorrupt).toEqual([pack]);
    expect(node!.store.packInfo(pack)?.state).toBe('quarantined');
    const error = await errorOf(node!.get('bad', target()));
    expect(['INTEGRITY', 'UNAVAILABLE']).toContain(error.code);
    expectNothing();
  });

  it('says INTEGRITY and the name of the file when damage is found on the way', async () => {
    const [node] = (await start()).nodes;
    ordinaryTree(tree, 400);
    write(join(tree, 'the-bad-one'), bytesOf(78, 30_000));
    await node!.put(tree, 'bad');
    corrupt(node!, bytesOf(78, 30_000));
    const error = await errorOf(node!.get('bad', target()));
    expect(error).toMatchObject({ code: 'INTEGRITY', context: { chunks: 1, files: 1 } });
    expect(error.message).toContain('the-bad-one');
    expectNothing();
  });

  it('leaves no hole when a task fails: what it was given is read again', async () => {
    const cluster = await start({ packBytesTarget: MIB });
    const [node] = cluster.nodes;
    write(join(tree, 'a'), bytesOf(1, 3 * MIB));
    await node!.put(tree, 'object');
    let failures = 2;
    const pool = meddling(cluster.pool, {
      after: (task) => {
        if (task === 'restore-pack' && failures-- > 0)
          throw new KwamError('NOT_FOUND', 'the pack was retired');
      },
    });
    const request = { name: 'object', destination: target(), onProgress: () => undefined };
    await restore({ ...node!.restore, pool }, request);
    expect(failures).toBeLessThan(1);
    expect(describeTree(target())).toEqual(describeTree(tree));
  });

  it('finds its packs again when they are replaced while it reads', async () => {
    const cluster = await start();
    const [node] = cluster.nodes;
    write(join(tree, 'a'), bytesOf(2, 100_000));
    await node!.put(tree, 'object');
    const { catalog, store } = node!.services;
    const old = await catalog.object('object');
    // The same content in a second put of another name gives other packs only after the first ones are gone.
    let isReplaced = false;
    const replace = async (): Promise<void> => {
      isReplaced = true;
      for (const pack of old.packs) await store.retirePack(pack);
      await node!.put(tree, 'twin');
      const twin = await catalog.object('twin');
      const epochs = { packs: await catalog.packEpoch(), objects: await catalog.objectEpoch() };
      const now = { ...(await catalog.object('object')), packs: [...twin.packs] };
      expect(await catalog.replacePacks({ retired: old.packs, added: [], objects: [now] }, epochs)).toBe(
        true,
      );
    };
    const pool = {
      ...meddling(cluster.pool, {}),
      async run(task: { name: string }, input: never, options?: never) {
        if (task.name === 'restore-pack' && !isReplaced) await replace();
        return cluster.pool.run(task as never, input, options);
      },
    };
    const request = { name: 'object', destination: target(), onProgress: () => undefined };
    await restore({ ...node!.restore, pool: pool as never }, request);
    expect(describeTree(target())).toEqual(describeTree(tree));
    expect(isReplaced).toBe(true);
  });
});

describe('a get from other nodes', () => {
  it('reads on when the own copy is damaged anywhere: payload, record header, index, trailer, or gone', async () => {
    const cluster = await start({ nodes: 3, factor: 3 });
    const [node] = cluster.nodes;
    write(join(tree, 'a'), bytesOf(3, 200_000));
    const damages: [string, (path: string) => void][] = [
      ['payload', (path) => flip(path, 128 + RECORD_HEADER_BYTES + 5)],
      ['record header', (path) => flip(path, 130)],
      ['pack header', (path) => flip(path, 20)],
      ['index', (path) => flip(path, fs.statSync(path).size - 64 - 10)],
      ['trailer', (path) => flip(path, fs.statSync(path).size - 10)],
      ['truncated', (path) => fs.truncateSync(path, 1000)],
      ['gone', (path) => fs.rmSync(path)],
    ];
    for (const [name, damage] of damages) {
      write(join(tree, 'which'), name);
      await node!.put(tree, name);
      const { packs } = await node!.services.catalog.object(name);
      for (const pack of packs) if (node!.store.hasPack(pack)) damage(node!.store.packFile(pack));
      await node!.get(name, `${target()}-${name}`);
      expect(describeTree(`${target()}-${name}`)).toEqual(describeTree(tree));
      for (const pack of packs) {
        const isServed = node!.store.hasPack(pack);
        // A damaged record header or trailer next to good payloads is harmless to a reader; scrub finds it.
        if (isServed) expect(fs.existsSync(node!.store.packFile(pack))).toBe(true);
      }
    }
  });

  it('asks a second node when the first sends bad bytes, and tells the first', async () => {
    const cluster = await start({ nodes: 4, factor: 2 });
    write(join(tree, 'a'), bytesOf(4, 150_000));
    await cluster.nodes[0]!.put(tree, 'object');
    const { packs } = await cluster.catalog.object('object');
    const reader = cluster.nodes.find((node) => packs.every((pack) => !node.store.hasPack(pack)))!;
    const holders = cluster.nodes.filter((node) => node.store.hasPack(packs[0]!));
    expect(holders.length).toBe(2);
    for (const one of holders) {
      const path = one.store.packFile(packs[0]!);
      const { offset } = one.store.recordsOf(packs[0]!)[0]!;
      flip(path, offset + RECORD_HEADER_BYTES + 1);
      await reader.get('object', target());
      expect(describeTree(target())).toEqual(describeTree(tree));
      fs.rmSync(target(), { recursive: true });
      flip(path, offset + RECORD_HEADER_BYTES + 1);
    }
    expect(reader.seen.foreignCorrupt.length).toBeGreaterThanOrEqual(1);
    expect(holders.flatMap((one) => one.seen.suspected)).toContain(packs[0]);
    expect(fs.readdirSync(reader.store.layout.incoming)).toEqual([]);
  });

  describe('from a node that has not heard of the holder yet', () => {
    interface Early {
      readonly cluster: Cluster;
      readonly holder: number;
      readonly services: RestoreServices;
      readonly sleeps: number[];
    }

    /** The only copy lies with a node that counts as down; time passes only where the reader sleeps. */
    async function early(onSleep: (early: Early) => void): Promise<Early> {
      const cluster = await start({ nodes: 3 });
      ordinaryTree(tree, 600);
      await cluster.nodes[0]!.put(tree, 'object');
      const [pack] = (await cluster.catalog.object('object')).packs;
      const holder = cluster.nodes.findIndex((node) => node.store.hasPack(pack!));
      // Neither the producer, which is connected to the holder, nor the holder.
      const reader = cluster.nodes.find((_, i) => i !== 0 && i !== holder)!;
      cluster.know(holder, { state: 'down' });
      const sleeps: number[] = [];
      const now = (): number => sleeps.reduce((sum, ms) => sum + ms, 0);
      const sleep = async (ms: number): Promise<void> => {
        sleeps.push(ms);
        onSleep(result);
      };
      const clock = { now, monotonic: now, sleep };
      const result: Early = { cluster, holder, services: { ...reader.restore, clock }, sleeps };
      return result;
    }

    it('waits until it has', async () => {
      const { services, sleeps } = await early(({ cluster, holder, sleeps }) => {
        if (sleeps.length === 3) cluster.know(holder, { state: 'up' });
      });
      await restore(services, { name: 'object', destination: target(), onProgress: () => undefined });
      expect(describeTree(target())).toEqual(describeTree(tree));
      expect(sleeps).toHaveLength(3);
    });

    it('waits for the holder of data too, once it has the manifest', async () => {
      const { cluster, holder, services, sleeps } = await early(() => undefined);
      cluster.know(holder, { state: 'up' });
      const trust: typeof services.trust = (keyid) => {
        cluster.kill(holder);
        return services.trust(keyid);
      };
      const request = { name: 'object', destination: target(), onProgress: () => undefined };
      const error = await errorOf(restore({ ...services, trust }, request));
      expect(error).toMatchObject({ code: 'UNAVAILABLE', context: { silent: cluster.nodes[holder]!.name } });
      expect(error.message).toContain('cannot be restored, nothing was written');
      expect(sleeps.reduce((sum, ms) => sum + ms)).toBe(silenceMsMax);
      expectNothing();
    });

    it('says in the end who gave no answer, and calls nothing lost', async () => {
      const { cluster, holder, services, sleeps } = await early(() => undefined);
      const { name } = cluster.nodes[holder]!;
      const error = await errorOf(
        restore(services, { name: 'object', destination: target(), onProgress: () => undefined }),
      );
      expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true, context: { silent: name } });
      expect(error.message).toContain(`${name} gave no answer`);
      expect(sleeps.reduce((sum, ms) => sum + ms)).toBe(silenceMsMax);
      expectNothing();
    });

    it('does not wait when everybody has answered', async () => {
      const { cluster, holder, services, sleeps } = await early(() => undefined);
      cluster.know(holder, { state: 'up' });
      const { store } = cluster.nodes[holder]!;
      for (const { id } of store.listPacks(undefined, 100)) await store.retirePack(id);
      const error = await errorOf(
        restore(services, { name: 'object', destination: target(), onProgress: () => undefined }),
      );
      expect(error).toMatchObject({ code: 'INTEGRITY', message: expect.stringContaining('no intact copy') });
      expect(sleeps).toEqual([]);
    });
  });

  it('makes packs again from their shards, on any node, with losses and a corrupt shard', async () => {
    const erasure = { dataShards: 4, parityShards: 2, matrix: 'vandermonde' as const };
    const cluster = await start({ nodes: 6, erasure });
    ordinaryTree(tree, 500);
    await cluster.nodes[0]!.put(tree, 'striped');
    const { packs } = await cluster.catalog.object('striped');
    const entry = (await cluster.catalog.pack(packs[0]!))!;
    cluster.kill(5);
    const reader = cluster.nodes[1]!;
    const shardHolder = cluster.nodes.find(
      (node) =>
        node !== reader &&
        node.name !== 'n5' &&
        entry.stripe!.shards.some((shard) => node.store.hasPack(shard)),
    )!;
    const shard = entry.stripe!.shards.find((id) => shardHolder.store.hasPack(id))!;
    flip(shardHolder.store.packFile(shard), 128 + RECORD_HEADER_BYTES + 3);
    await reader.get('striped', target());
    expect(describeTree(target())).toEqual(describeTree(tree));
    expect(fs.readdirSync(reader.store.layout.incoming)).toEqual([]);
    cluster.kill(4);
    cluster.kill(3);
    const clock = { ...systemClock, monotonic: () => Number.POSITIVE_INFINITY };
    const destination = `${target()}2`;
    const error = await errorOf(
      restore({ ...reader.restore, clock }, { name: 'striped', destination, onProgress: () => undefined }),
    );
    expect(error.code).toBe('UNAVAILABLE');
    expect(fs.existsSync(`${target()}2`)).toBe(false);
    expect(fs.readdirSync(reader.store.layout.incoming)).toEqual([]);
  });
});
