/** A node with a bad disk among real processes: it is emptied while it serves, and a node with a single flip is not. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GuardPlan } from '../../src/plan.ts';
import { seededRandom } from '../../src/random.ts';
import { TestCluster, until } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { rangeOf } from '../faults/packs.ts';
import { chosenSeed } from '../faults/seed.ts';
import { flipByte, makeTree } from '../faults/trees.ts';

const seed = chosenSeed('drain');
const random = seededRandom(seed);
/** Of a guard, what a node acts on. */
const guard = { name: 'sla', onViolation: 'quarantine' } as GuardPlan;
const patience = { delayMs: 500, urgentMs: 500, domainWaitMs: 600_000, freshMs: 300 };
const FACTOR = 2;

let cluster: TestCluster;
let objects: KnownObjects;

beforeAll(async () => {
  cluster = await TestCluster.start({
    nodes: 4,
    factor: FACTOR,
    packBytesTarget: 64 * 1024,
    node: { redundancy: { everyMs: 300, healthEveryMs: 100, patience }, storageLookMs: 200 },
    adapt: (plan) => ({ ...plan, guard }),
  });
  objects = new KnownObjects(cluster);
  await put('tree', 1_000_000);
});

afterAll(() => cluster?.close());

async function put(name: string, bytes: number): Promise<void> {
  const tree = join(cluster.directory, `input-${name}`);
  makeTree(tree, seed + bytes, bytes);
  expect(await objects.put('n0003', name, tree)).toBe(ACKNOWLEDGED);
}

/** One flipped bit in each of so many packs; not of those that another node has, which has no good copy of everything either. */
function damage(node: string, packs: number, spared?: string): void {
  const held = new Set(spared === undefined ? [] : cluster.packsOf(spared));
  const chosen = cluster
    .packsOf(node)
    .filter((pack) => !held.has(pack))
    .slice(0, packs);
  expect(chosen.length).toBe(packs);
  for (const pack of chosen) {
    const path = cluster.packPath(node, pack);
    flipByte(path, random, ...rangeOf(path, 'payload'));
  }
}

const becomes = (value: number): Promise<void> =>
  until(async () => (await cluster.metric('n0003', 'kwam_draining')) === value, `its metric to be ${value}`);

test('is emptied while it serves, gets nothing new, and comes back when it is told to', async () => {
  damage('n0002', 1, 'n0003');
  damage('n0003', 3);
  expect((await cluster.scrubAll()).corrupt).toBe(4);
  await becomes(1);
  await until(() => cluster.packsOf('n0003').length === 0, 'n0003 to be empty');
  const drained = (await cluster.members()).filter(({ drain }) => drain !== undefined);
  expect(drained.map(({ name, drain }) => [name, drain!.by])).toEqual([['n0003', 'guard sla']]);
  expect([...cluster.holders().values()].every(({ length }) => length === FACTOR)).toBe(true);
  expect(await objects.wrong('n0003', 'tree')).toBeUndefined();
  await put('other', 300_000);
  expect(cluster.packsOf('n0003')).toEqual([]);

  expect(await cluster.ask('n0001', 'node.undrain', { node: 'n0003' })).toMatchObject({ wasDrained: true });
  await becomes(0);
  expect(await cluster.metric('n0003', 'kwam_storage_damaged_packs')).toBe(0);
  expect(await cluster.metric('n0002', 'kwam_storage_damaged_packs')).toBe(1);
});

test('an operator may drain another, as long as enough nodes are left', async () => {
  const drain = (node: string): Promise<unknown> =>
    cluster.ask('n0001', 'node.drain', { node, reason: 'a test' });
  for (const node of ['n0003', 'n0004']) await drain(node);
  await cluster.untilMembers((members) => members.filter(({ weight }) => weight === 0).length === 2);
  await expect(drain('n0002')).rejects.toMatchObject({ code: 'REFUSED' });
  await expect(drain('n0009')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
