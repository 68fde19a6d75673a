/**
 * A stripe with local groups on sixteen nodes of seventeen: what one lost shard costs, which losses are read through, and what is said of the others.
 * Real stores and workers, network of the memory twin, whose bytes are counted. KWAM_CAMPAIGN=1 prints the costs beside those of rs(12, 4).
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { schemeText } from '../../src/erasure/scheme.ts';
import { KwamError } from '../../src/errors.ts';
import { KIB } from '../../src/limits.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { seededRandom } from '../../src/random.ts';
import { type RebuildServices, rebuildShard } from '../../src/repair/rebuild-shard.ts';
import { repair } from '../../src/repair/repair.ts';
import { surveyHolders } from '../../src/replication/holders.ts';
import { missingOf, spareOf } from '../../src/replication/redundancy.ts';
import type { StripedEntry } from '../../src/replication/stripe-identity.ts';
import { CAMPAIGN } from '../faults/seed.ts';
import { type Cluster, startCluster, type TestNode } from '../pipeline/memory-cluster.ts';

const LRC: ErasureScheme = { dataShards: 12, parityShards: 4, matrix: 'lrc', localGroups: 2 };
const RS: ErasureScheme = { dataShards: 12, parityShards: 4, matrix: 'vandermonde' };
/** One more than there are shards: it rebuilds, and has nothing that it need not pull. */
const NODES = 17;
const NO_SUMS: RebuildServices['sums'] = {
  sum() {
    throw new KwamError('UNAVAILABLE', 'no sums here');
  },
};
/** Large enough that what is not shards does not count. */
const SHARD_BYTES = 256 * KIB;

describe.each(CAMPAIGN ? [LRC, RS] : [LRC])('$matrix', (erasure) => {
  let cluster: Cluster;
  let entry: StripedEntry;
  let shardBytes: number;
  let files: Uint8Array[];
  let source: Uint8Array;
  let restored = 0;

  beforeAll(async () => {
    const memory = fs.existsSync('/dev/shm') ? { directory: '/dev/shm' } : {};
    cluster = await startCluster({ nodes: NODES, erasure, packBytesTarget: 64 * 1024 * KIB, ...memory });
    const tree = join(cluster.directory, 'tree');
    fs.mkdirSync(tree);
    source = seededRandom(12).fill(new Uint8Array(12 * SHARD_BYTES));
    fs.writeFileSync(join(tree, 'data'), source);
    await cluster.nodes[0]!.put(tree, 'object');
    for await (const pack of cluster.catalog.packs())
      if (pack.bytes >= source.length) entry = pack as StripedEntry;
    files = entry.stripe.shards.map((id, shard) => fs.readFileSync(holderOf(shard).store.packFile(id)));
    shardBytes = files[0]!.length;
  }, 60_000);
  afterAll(() => cluster?.close());

  function holderOf(shard: number): TestNode {
    return cluster.nodes.find(({ store }) => store.hasPack(entry.stripe.shards[shard]!))!;
  }

  async function lose(...shards: number[]): Promise<void> {
    for (const shard of shards) await holderOf(shard).store.retirePack(entry.stripe.shards[shard]!);
  }

  async function rebuild(
    node: TestNode,
    shard: number,
    services: RebuildServices = node.rebuild,
  ): Promise<void> {
    await rebuildShard(services, entry.id, shard);
    const path = node.store.packFile(entry.stripe.shards[shard]!);
    expect(Buffer.compare(fs.readFileSync(path), files[shard]!)).toBe(0);
  }

  async function read(): Promise<Uint8Array> {
    const destination = join(cluster.directory, `restored-${restored++}`);
    await cluster.nodes[15]!.get('object', destination);
    return fs.readFileSync(join(destination, 'data'));
  }

  test('the stripe is one shard a node', () => {
    expect(entry.stripe).toMatchObject(erasure);
    expect(new Set(files.map((_, shard) => holderOf(shard).name)).size).toBe(16);
  });

  /** What travels, in shards: every one that is read, each once; and what of that goes into the node that rebuilds. */
  async function cost(shard: number, way: 'chain' | 'gather'): Promise<{ sent: number; into: number }> {
    for (const { seen } of cluster.nodes) Object.assign(seen, { bytesIn: 0, bytesOut: 0, rebuilt: [] });
    const node = cluster.nodes.find(({ store }) => !entry.stripe.shards.some((id) => store.hasPack(id)))!;
    await lose(shard);
    await rebuild(node, shard, way === 'chain' ? node.rebuild : { ...node.rebuild, sums: NO_SUMS });
    expect(node.seen.rebuilt).toEqual([way]);
    const sent = cluster.nodes.reduce((sum, { seen }) => sum + seen.bytesOut, 0);
    return { sent: sent / shardBytes, into: node.seen.bytesIn / shardBytes };
  }

  const expected = erasure === LRC ? 6 : 12;

  test.each(['chain', 'gather'] as const)(`one lost shard costs ${expected} by %s`, async (way) => {
    const { sent, into } = await cost(3, way);
    const figures = `${sent.toFixed(2)} shards are read, ${into.toFixed(2)} go into the rebuilding node`;
    if (CAMPAIGN) console.log(`${schemeText(erasure)} by ${way}: ${figures}`);
    expect(sent).toBeGreaterThan(expected - 0.01);
    expect(sent).toBeLessThan(expected + 0.1);
    expect(into).toBeLessThan((way === 'chain' ? 1 : expected) + 0.1);
  });

  // What follows is about groups.
  if (erasure !== LRC) return;

  test('a lost local parity costs six, a lost global one twelve', async () => {
    expect(Math.round((await cost(12, 'chain')).sent)).toBe(6);
    expect(Math.round((await cost(14, 'chain')).sent)).toBe(12);
  });

  test('any three may be lost: reads are right, and all come back', async () => {
    const random = seededRandom(16);
    const drawn = Array.from({ length: CAMPAIGN ? 40 : 1 }, () => {
      const left = [...files.keys()];
      return Array.from({ length: 3 }, () => left.splice(random.below(left.length), 1)[0]!);
    });
    for (const lost of [[0, 1, 2], [4, 12, 15], ...drawn]) {
      await lose(...lost);
      const { holders } = await surveyHolders(
        cluster.nodes[0]!.peers,
        cluster.nodes[0]!.store,
        entry.stripe.shards,
      );
      expect(missingOf(entry, holders)).toBe(3);
      expect(spareOf(entry, holders), `${lost}`).toBeGreaterThanOrEqual(0);
      expect(Buffer.compare(await read(), source), `${lost}`).toBe(0);
      for (const shard of lost) await rebuild(cluster.nodes[shard]!, shard);
    }
  });

  async function repaired() {
    const results = [];
    for (const { store, peers, services } of cluster.nodes) {
      const quiet = { onRepaired: () => undefined, onRelaxed: () => undefined };
      const { catalog } = cluster;
      const { replicate } = services;
      results.push(
        await repair(
          { store, peers, catalog, replicate, clock: systemClock, ...quiet },
          { onProgress: () => undefined },
        ),
      );
    }
    return results;
  }

  test('four of two groups are read through; four of one are an error, and called beyond repair', async () => {
    await lose(0, 1, 6, 7);
    expect(Buffer.compare(await read(), source)).toBe(0);
    for (const shard of [0, 1, 6, 7]) await rebuild(cluster.nodes[shard]!, shard);
    await lose(0, 1, 2, 12);
    await expect(read()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('"object"'),
      cause: { code: 'STRIPE_TOO_FEW_SHARDS', message: expect.stringContaining('lrc(12, 2, 2)') },
    });
    const results = await repaired();
    expect(results.flatMap(({ unrepairable }) => unrepairable)).toEqual([
      { pack: entry.id, objects: ['object'] },
    ]);
    expect(results.reduce((sum, { remaining }) => sum + remaining, 0)).toBe(4);
  });
});
