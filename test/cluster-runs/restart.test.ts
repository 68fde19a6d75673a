/**
 * What repair says of packs whose only copy is on a node that is away, that has just come back, or that has lost it: real
 * processes with one copy of everything, so that every pack depends on one node.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { makeTree } from '../faults/trees.ts';

const seed = chosenSeed('restart');
const ROUNDS = CAMPAIGN ? 40 : 2;
const timeout = CAMPAIGN ? 3600_000 : 60_000;
const AWAY = 'n0002';

let cluster: TestCluster;
let objects: KnownObjects;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 3, factor: 1, packBytesTarget: 64 * 1024 });
  objects = new KnownObjects(cluster);
  const tree = join(cluster.directory, 'input');
  // Some fifty packs on three nodes: each seed gives the one that goes away its share.
  makeTree(tree, seed, 3_200_000);
  expect(await objects.put('n0001', 'tree', tree)).toBe(ACKNOWLEDGED);
  expect(cluster.packsOf(AWAY).length).toBeGreaterThan(2);
});

afterAll(() => cluster?.close());

async function repaired(): Promise<object> {
  const { remaining, unrepairable, waiting } = await cluster.repairAll();
  return { remaining, unrepairable, waiting };
}

test('a node that has just started again is waited for: nothing is called unrepairable', {
  timeout,
}, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    // The others know the node and have connections to its earlier process.
    expect((await cluster.repairAll()).remaining).toBe(0);
    await cluster.kill(AWAY);
    const starting = cluster.startNode(AWAY);
    const where = `round ${round}, KWAM_SEED=${seed}`;
    // Half of the rounds do not even wait for it to be ready: it may take longer than repair waits, and is then named.
    if (round % 2 === 1) {
      const { remaining, unrepairable, waiting } = await cluster.repairAll();
      expect([remaining - waiting.length, unrepairable], where).toEqual([0, []]);
      for (const { nodes } of waiting) expect(nodes, where).toEqual([AWAY]);
    }
    await starting;
    expect(await repaired(), where).toEqual({ remaining: 0, unrepairable: [], waiting: [] });
  }
  expect(await objects.wrong('n0003', 'tree')).toBeUndefined();
});

test('while it stays away, its packs wait for it by name', async () => {
  const had = cluster.packsOf(AWAY);
  await cluster.kill(AWAY);
  const { remaining, unrepairable, waiting } = await cluster.repairAll();
  expect(unrepairable).toEqual([]);
  expect(remaining).toBe(had.length);
  expect(waiting.map(({ pack }) => pack).sort()).toEqual(had);
  for (const one of waiting) expect(one).toMatchObject({ nodes: [AWAY], objects: ['tree'] });
});

test('when it is back without a pack, that one is unrepairable, and only that one', async () => {
  const [lost] = cluster.packsOf(AWAY);
  fs.rmSync(cluster.packPath(AWAY, lost!));
  await cluster.startNode(AWAY);
  const { unrepairable, waiting } = await cluster.repairAll();
  expect(waiting).toEqual([]);
  // Said by more than one node where they do not agree yet who is responsible.
  expect(new Set(unrepairable.map(({ pack }) => pack))).toEqual(new Set([lost]));
  expect(unrepairable[0]).toMatchObject({ objects: ['tree'] });
});
