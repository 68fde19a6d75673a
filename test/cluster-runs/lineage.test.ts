/**
 * A control store that is replaced, or restored to an earlier state, under nodes whose packs it does not list: no pack is removed, by nobody,
 * until somebody says that this catalog counts. Grace times are tiny: without the guard every test here finds its packs gone.
 * The tests run in order on one cluster.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster, until } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { chosenSeed } from '../faults/seed.ts';
import { makeTree } from '../faults/trees.ts';

const seed = chosenSeed('lineage');
const graceMs = 500;

let cluster: TestCluster;
let objects: KnownObjects;
let control: string;
let saved: string;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 2, factor: 2, node: { orphans: { graceMs, intervalMs: 100 } } });
  objects = new KnownObjects(cluster);
  control = join(cluster.directory, 'control');
  saved = join(cluster.directory, 'control-saved');
  await put('first', seed);
});

afterAll(() => cluster?.close());

async function put(name: string, treeSeed: number): Promise<void> {
  const tree = join(cluster.directory, `input-${name}`);
  makeTree(tree, treeSeed, 600_000);
  // A node that has just started may not know the other one yet.
  await until(async () => (await objects.put('n0001', name, tree)) === ACKNOWLEDGED, `${name} to be stored`);
}

async function stopAll(): Promise<void> {
  await cluster.forgetControl();
  for (const name of cluster.running) await cluster.stop(name);
}

async function startAll(): Promise<void> {
  await Promise.all(['n0001', 'n0002'].map((name) => cluster.startNode(name)));
}

const files = (): string[][] => ['n0001', 'n0002'].map((name) => cluster.packsOf(name));

/** Nothing that lies there is too young to be removed. */
async function untilOld(): Promise<void> {
  const ages = (): number[] =>
    cluster.running.flatMap((name) =>
      cluster.packsOf(name).map((id) => Date.now() - fs.statSync(cluster.packPath(name, id)).ctimeMs),
    );
  await until(() => ages().every((age) => age > graceMs), 'packs to be old');
}

/** Every way in which packs are removed because a catalog does not list them. */
async function expectNothingRemoved(before: string[][]): Promise<void> {
  await untilOld();
  for (const name of cluster.running) {
    const refusal = { code: 'INTEGRITY', message: expect.stringContaining('repair --adopt') };
    await expect(cluster.ask(name, 'node.orphans'), name).rejects.toMatchObject(refusal);
    await expect(cluster.ask(name, 'node.compact'), name).rejects.toMatchObject(refusal);
    const packs = cluster.packsOf(name);
    await expect(cluster.ask(name, 'pack.retire', { packs }), name).rejects.toMatchObject(refusal);
    expect(await cluster.metric(name, 'kwam_catalog_in_doubt')).toBe(1);
    expect(cluster.node(name).log()).toMatch('this node keeps every pack');
    expect(await cluster.ask(name, 'node.status')).toMatchObject({
      catalogDoubt: expect.stringContaining('expected'),
    });
  }
  expect(files()).toEqual(before);
}

test('without objects that need them, packs are removed: the sweep works', async () => {
  const [before] = files();
  await put('removed', seed + 1);
  await objects.remove('n0001', 'removed');
  await cluster.ask('n0001', 'node.compact');
  await until(async () => files().every((packs) => packs.length <= before!.length), 'space to come back');
  expect(await cluster.metricOfAll('kwam_catalog_in_doubt')).toBe(0);
});

test('a catalog restored to an earlier state takes no pack with it, whatever happens afterwards', async () => {
  await stopAll();
  fs.cpSync(control, saved, { recursive: true });
  await startAll();
  await put('second', seed + 2);
  await stopAll();
  const newest = join(cluster.directory, 'control-newest');
  fs.renameSync(control, newest);
  fs.cpSync(saved, control, { recursive: true });
  const before = files();
  for (let start = 0; start < 2; start++) {
    await startAll();
    await expectNothingRemoved(before);
    for (let i = 0; i < 50; i++) await cluster.catalog.raisePackEpoch();
    await stopAll();
  }
  fs.rmSync(control, { recursive: true });
  fs.renameSync(newest, control);
  await startAll();
  for (const name of cluster.running) expect(await objects.allWrong(name)).toEqual([]);
  expect(await cluster.metricOfAll('kwam_catalog_in_doubt')).toBe(0);
});

test('a deleted control store takes no pack with it; adopted, it counts', async () => {
  await stopAll();
  fs.rmSync(control, { recursive: true });
  const before = files();
  expect(before[0]!.length).toBeGreaterThan(2);
  await startAll();
  await expectNothingRemoved(before);
  await cluster.ask('n0001', 'node.adopt');
  await until(() => cluster.packsOf('n0001').length === 0, 'the first node to drop what nobody lists');
  expect(cluster.packsOf('n0002'), 'the other one was not asked').toEqual(before[1]);
});
