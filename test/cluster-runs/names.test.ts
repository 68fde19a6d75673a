/**
 * The control store is deleted; the names of objects, and everything they need, come back from the packs. Real nodes, with copies and with
 * stripes, of which shards are missing; the command line asks them.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { ErasureScheme } from '../../src/plan.ts';
import type { ObjectRecord, PackRecordEntry } from '../../src/replication/catalog.ts';
import { mainHere } from '../cli/run.ts';
import { TestCluster, type TestClusterOptions, until } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { chosenSeed } from '../faults/seed.ts';
import { changeTree, makeTree } from '../faults/trees.ts';

const seed = chosenSeed('names');
const NODES = ['n0001', 'n0002', 'n0003', 'n0004'];
const SCHEME: ErasureScheme = { dataShards: 2, parityShards: 1, matrix: 'vandermonde' };

let cluster: TestCluster;
let objects: KnownObjects;

afterEach(() => cluster?.close());

async function start(options: Partial<TestClusterOptions>): Promise<void> {
  cluster = await TestCluster.start({ nodes: NODES.length, factor: 2, ...options });
  objects = new KnownObjects(cluster);
}

async function put(name: string, change: (tree: string) => void): Promise<void> {
  const tree = join(cluster.directory, 'input');
  change(tree);
  // A node that has just started may not know the others yet.
  await until(async () => (await objects.put('n0001', name, tree)) === ACKNOWLEDGED, `${name} to be stored`);
}

/** Links with long targets: a manifest that is stored in two parts. */
function addLinks(tree: string): void {
  for (let i = 0; i < 900; i++) fs.symlinkSync(`${i}/${'target'.repeat(600)}`, join(tree, `link-${i}`));
}

/** Packs in any order. */
async function listed(): Promise<ObjectRecord[]> {
  const found: ObjectRecord[] = [];
  for await (const object of cluster.catalog.objects())
    found.push({ ...object, packs: object.packs.toSorted() });
  return found;
}

async function listedPacks(): Promise<PackRecordEntry[]> {
  const found: PackRecordEntry[] = [];
  for await (const entry of cluster.catalog.packs()) found.push(entry);
  return found;
}

async function stopAll(): Promise<void> {
  await cluster.forgetControl();
  for (const name of cluster.running) await cluster.stop(name);
}

async function loseControl(): Promise<void> {
  await stopAll();
  fs.rmSync(join(cluster.directory, 'control'), { recursive: true });
}

async function startNodes(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => cluster.startNode(name)));
  const { length } = cluster.running;
  await cluster.untilMembers((members) => members.filter(({ state }) => state === 'up').length === length);
}

interface Report {
  readonly isNeeded: boolean;
  readonly isComplete: boolean;
  readonly added: readonly string[];
  readonly kept: readonly { readonly name: string }[];
  readonly incomplete: readonly { readonly name: string; readonly reason: string }[];
  readonly refused: readonly unknown[];
  readonly unreadable: readonly unknown[];
  readonly silent: readonly string[];
  readonly adopted: readonly string[];
}

async function names(): Promise<Report & { readonly code: number | null }> {
  const { code, stdout } = await mainHere(['repair', '--names', '--json', '--dir', cluster.directory]);
  return { code, ...(JSON.parse(stdout) as Report) };
}

test('with copies: every name is back as it was, and the nodes take the catalog when nothing is missing', async () => {
  await start({});
  await put('first', (tree) => makeTree(tree, seed, 500_000));
  await put('first', (tree) => changeTree(tree, seed + 1));
  await put('in two parts', addLinks);
  const before = await listed();
  expect(before.map(({ parts }) => parts.length)).toEqual([1, 2]);
  expect(await names()).toMatchObject({ isNeeded: false, added: [], code: 0 });

  await loseControl();
  await startNodes(['n0001', 'n0002', 'n0003']);
  expect(await names()).toMatchObject({ isComplete: false, silent: ['n0004'], adopted: [], code: 4 });
  await put('second', (tree) => changeTree(tree, seed + 2));

  await startNodes(['n0004']);
  await until(async () => (await names()).isComplete, 'the fourth node to be known');
  expect((await listed()).filter(({ name }) => name !== 'second')).toEqual(before);
  expect(await objects.allWrong('n0004')).toEqual([]);
  expect(await cluster.metricOfAll('kwam_catalog_in_doubt')).toBe(0);
  expect((await cluster.repairAll()).remaining).toBe(0);
});

test('with stripes: those that lack a shard are made anew, and every entry is as it was', async () => {
  await start({ erasure: SCHEME });
  await put('tree', (tree) => makeTree(tree, seed, 700_000));
  const before = { objects: await listed(), packs: await listedPacks() };
  // The last one with a shard: the node that put may not have known all the others yet.
  const poor = NODES.findLast((name) => cluster.packsOf(name).length > 0)!;
  const lost = cluster.packsOf(poor);
  await loseControl();
  fs.rmSync(join(cluster.directory, poor), { recursive: true });
  await startNodes(NODES);
  const report = await names();
  expect(report).toMatchObject({
    isComplete: true,
    added: ['tree'],
    unreadable: [],
    adopted: NODES,
    code: 0,
  });
  expect({ objects: await listed(), packs: await listedPacks() }).toEqual(before);
  expect(await objects.allWrong(poor)).toEqual([]);
  expect([...cluster.holders().keys()].sort()).toEqual(expect.arrayContaining(lost));
});

test('what is lost is named, an older version is better than none, and what is listed stays', async () => {
  await start({ nodes: 2 });
  const tree = join(cluster.directory, 'input');
  const control = join(cluster.directory, 'control');
  await put('model', () => makeTree(tree, seed, 300_000));
  await put('other', () => undefined);
  const older = await cluster.catalog.object('model');
  await stopAll();
  fs.cpSync(control, `${control}-saved`, { recursive: true });
  await startNodes(['n0001', 'n0002']);
  await put('model', () => makeTree(join(tree, 'more'), seed + 1, 600_000));
  const lost = (await cluster.catalog.object('model')).packs.find((pack) => !older.packs.includes(pack))!;
  fs.rmSync(join(tree, 'more'), { recursive: true });
  await put('other', () => changeTree(tree, seed + 2));

  await stopAll();
  fs.rmSync(control, { recursive: true });
  fs.renameSync(`${control}-saved`, control);
  for (const node of ['n0001', 'n0002']) fs.rmSync(cluster.packPath(node, lost));
  await startNodes(['n0001', 'n0002']);
  await cluster.catalog.removeObject('model');
  const report = await names();
  expect(report).toMatchObject({ isComplete: false, added: ['model'], adopted: [], code: 4 });
  // A put that was refused, because it came before the node knew the other one, left a manifest of its own.
  expect(report.incomplete.length).toBeGreaterThan(0);
  for (const { name, reason } of report.incomplete) {
    expect([name, reason]).toEqual(['model', expect.stringMatching(/\d+ of its \d+ chunks/)]);
  }
  expect((await cluster.catalog.object('model')).manifest).toBe(older.manifest);
  expect(report.kept).toMatchObject([{ name: 'other' }]);
  expect(await objects.wrong('n0002', 'other')).toMatch('other content than was put');
  await cluster.ask('n0001', 'object.remove', { name: 'other' });
  expect(await names()).toMatchObject({ added: ['other'], kept: [] });
  expect(await objects.wrong('n0002', 'other')).toBeUndefined();
});
