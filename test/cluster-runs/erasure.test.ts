/**
 * Six real node processes with rs(4, 2): every pack is six shards and no full copy, and any two may be lost.
 * The tests run in order on one cluster; each leaves it with full redundancy, except the last.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { seededRandom } from '../../src/random.ts';
import { TestCluster } from '../faults/cluster.ts';
import { PACK_PARTS, rangeOf } from '../faults/packs.ts';
import { chosenSeed } from '../faults/seed.ts';
import { describeTree, flipByte, makeTree } from '../faults/trees.ts';

const seed = chosenSeed('erasure');
const random = seededRandom(seed);

let cluster: TestCluster;
let tree: string;
let restored = 0;

beforeAll(async () => {
  const erasure = { dataShards: 4, parityShards: 2, matrix: 'vandermonde' } as const;
  // Nobody tends redundancy meanwhile: what a repair restored is counted here.
  cluster = await TestCluster.start({ nodes: 6, erasure, node: { redundancy: { everyMs: 3_600_000 } } });
  tree = join(cluster.directory, 'input');
  makeTree(tree, seed, 2_000_000);
});

afterAll(() => cluster?.close());

async function restore(node: string, name: string): Promise<Map<string, string>> {
  const destination = join(cluster.directory, `restored-${restored++}`);
  await cluster.ask(node, 'object.get', { name, destination });
  const found = describeTree(destination);
  fs.rmSync(destination, { recursive: true });
  return found;
}

/** Shard ids as the producer recorded them, by pack. */
async function stripes(): Promise<Map<DigestHex, readonly DigestHex[]>> {
  const found = new Map<DigestHex, readonly DigestHex[]>();
  for await (const { id, stripe } of cluster.catalog.packs()) found.set(id, stripe!.shards);
  return found;
}

/** Recorded shards that no running node has, and pack files that are no recorded shard. */
async function differences(): Promise<{ missing: string[]; others: string[] }> {
  const recorded = [...(await stripes()).values()].flat();
  const held = cluster.holders();
  return {
    missing: recorded.filter((id) => !held.has(id)),
    others: [...held.keys()].filter((id) => !recorded.includes(id)),
  };
}

const WHOLE = { missing: [], others: [] };

test('put leaves shards and nothing else, one a node', async () => {
  await cluster.ask('n0001', 'object.put', { path: tree, name: 'tree' });
  expect(await differences()).toEqual(WHOLE);
  const held = cluster.holders();
  for (const [pack, shards] of await stripes()) {
    expect(new Set(shards.flatMap((id) => held.get(id)!)).size, pack).toBe(6);
  }
  expect(await restore('n0004', 'tree')).toEqual(describeTree(tree));
  // The canary: a shard that is gone does show up as missing.
  const [[id, [holder]]] = [...held] as [[DigestHex, [string]]];
  fs.renameSync(cluster.packPath(holder, id), `${cluster.packPath(holder, id)}.away`);
  expect((await differences()).missing).toEqual([id]);
  fs.renameSync(`${cluster.packPath(holder, id)}.away`, cluster.packPath(holder, id));
});

test('two nodes may be lost; repair rebuilds exactly the recorded shards', async () => {
  const names = [...cluster.running];
  const lost = [0, 1].map(() => names.splice(random.below(names.length), 1)[0]!);
  for (const name of lost) await cluster.kill(name);
  for (const name of [names[0]!, names[3]!])
    expect(await restore(name, 'tree'), name).toEqual(describeTree(tree));
  const { missing } = await differences();
  const { repaired, remaining } = await cluster.repairAll();
  expect({ repaired, remaining }).toEqual({ repaired: missing.length, remaining: 0 });
  expect(await differences()).toEqual(WHOLE);
  expect((await cluster.scrubAll()).corrupt).toBe(0);
  await cluster.untilDown(...lost);
  for (const name of lost) await cluster.startNode(name);
  expect(await restore(lost[0]!, 'tree')).toEqual(describeTree(tree));
});

test('damaged shards are found, not used and rebuilt', async () => {
  const flipped: [node: string, id: DigestHex][] = [];
  for (const [i, shards] of [...(await stripes()).values()].entries()) {
    // Two of each stripe, so that any third loss would be one too many.
    for (const shard of [i % 6, (i + 3) % 6]) {
      const id = shards[shard]!;
      for (const node of cluster.holders().get(id)!) {
        const path = cluster.packPath(node, id);
        flipByte(path, random, ...rangeOf(path, PACK_PARTS[(i + shard) % PACK_PARTS.length]!));
        flipped.push([node, id]);
      }
    }
  }
  expect(await restore('n0002', 'tree')).toEqual(describeTree(tree));
  await cluster.scrubAll();
  for (const [node, id] of flipped)
    expect(fs.existsSync(cluster.packPath(node, id)), `${id} left packs/ of ${node}`).toBe(false);
  expect((await cluster.repairAll()).remaining).toBe(0);
  expect(await differences()).toEqual(WHOLE);
  expect((await cluster.scrubAll()).corrupt).toBe(0);
  expect(await restore('n0005', 'tree')).toEqual(describeTree(tree));
});

test('removal gives back the shards too', async () => {
  const other = join(cluster.directory, 'other');
  makeTree(other, seed + 1, 700_000);
  await cluster.ask('n0003', 'object.put', { path: other, name: 'other' });
  await cluster.ask('n0003', 'object.remove', { name: 'tree' });
  await cluster.ask('n0003', 'node.compact');
  expect(await differences()).toEqual(WHOLE);
  expect(await restore('n0006', 'other')).toEqual(describeTree(other));
});

test('beyond two losses: a clear error, a list of what is lost, and nothing wrong is written', async () => {
  // The manifest lies in the last pack.
  const [first] = (await cluster.catalog.object('other')).packs;
  const shards = (await stripes()).get(first!)!;
  for (const id of shards.slice(0, 3)) {
    for (const node of cluster.holders().get(id)!) {
      const path = cluster.packPath(node, id);
      flipByte(path, random, ...rangeOf(path, 'payload'));
    }
  }
  await cluster.scrubAll();
  const { damage } = await cluster.ask<{ damage: { paths: string[] } }>('n0001', 'object.verify', {
    name: 'other',
  });
  expect(damage.paths.length).toBeGreaterThan(0);
  expect(await cluster.ask('n0005', 'object.damage', { name: 'other' })).toEqual({
    isWhole: false,
    ...damage,
  });
  await expect(restore('n0001', 'other')).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringMatching(new RegExp(`"other" cannot .* of ${damage.paths[0]}`)),
  });
  expect(fs.readdirSync(cluster.directory).filter((name) => name.includes('restored-'))).toEqual([]);
  const { unrepairable, remaining } = await cluster.repairAll();
  expect(unrepairable.flatMap(({ objects }) => objects)).toContain('other');
  expect(remaining).toBe(3);
  expect((await differences()).missing.sort()).toEqual(shards.slice(0, 3).toSorted());
  expect((await cluster.scrubAll()).corrupt).toBe(0);
});
