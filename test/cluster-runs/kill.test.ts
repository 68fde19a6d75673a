/**
 * kill -9 at random moments of every kind of work, over and over: what was acknowledged stays readable, bit for bit, what was
 * interrupted can be repeated, and in the end nothing lies around that nobody needs.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../src/random.ts';
import { TestCluster, until } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { changeTree, makeTree } from '../faults/trees.ts';

const seed = chosenSeed('kill');
const random = seededRandom(seed);
/** Each kind of work twice. */
const ROUNDS = CAMPAIGN ? 200 : 8;
const TREE_BYTES = 800_000;
/** Short, so that the clean-up of what killed puts leave runs all the time; far above the time of one put. */
const orphans = { graceMs: 3000, intervalMs: 300 };

let cluster: TestCluster;
let objects: KnownObjects;
let tree: string;
/** Milliseconds that one put takes here, undisturbed. */
let putMs: number;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 4, factor: 2, packBytesTarget: 128 * 1024, node: { orphans } });
  objects = new KnownObjects(cluster);
  tree = join(cluster.directory, 'input');
  makeTree(tree, seed, TREE_BYTES);
  const started = performance.now();
  expect(await objects.put('n0001', 'first', tree)).toBe(ACKNOWLEDGED);
  putMs = performance.now() - started;
});

afterAll(() => cluster?.close());

const pick = (names: readonly string[]): string => names[random.below(names.length)]!;

/** Kills a node some time into `work`, waits for `work` to end either way, and starts the node again. */
async function killDuring(name: string, work: Promise<unknown>): Promise<void> {
  const ended = work.catch(() => undefined); // whether it failed is for the caller to know
  await delay(random.below(Math.ceil(putMs * 1.2)));
  await cluster.kill(name);
  await ended;
  await cluster.startNode(name);
}

async function duringPut(round: number, victim: 'sender' | 'receiver'): Promise<void> {
  const sender = pick(cluster.running);
  const name = `object-${round % 3}`;
  changeTree(tree, seed + round);
  const killed = victim === 'sender' ? sender : pick(cluster.running.filter((one) => one !== sender));
  await killDuring(killed, objects.put(sender, name, tree));
  expect(await objects.put(sender, name, tree), 'the put can be repeated').toBe(ACKNOWLEDGED);
}

/** Some of a node's packs are gone, repair brings them back, and one of those that take part dies. */
async function duringRepair(): Promise<void> {
  const poor = pick(cluster.running);
  await cluster.kill(poor);
  for (const id of cluster.packsOf(poor)) if (random.below(2) === 0) fs.rmSync(cluster.packPath(poor, id));
  await cluster.startNode(poor);
  await killDuring(pick(cluster.running), cluster.repairAll());
  const { remaining, unrepairable, waiting } = await cluster.repairAll();
  expect({ remaining, unrepairable, waiting }).toEqual({ remaining: 0, unrepairable: [], waiting: [] });
  // Copies that were too many were given up meanwhile, by several nodes and under the kill: never one too many of them.
  expect(await fewerThanAsked()).toEqual([]);
}

async function fewerThanAsked(): Promise<string[]> {
  const holders = cluster.holders();
  const fewer: string[] = [];
  for await (const { id, copies } of cluster.catalog.packs())
    if ((holders.get(id)?.length ?? 0) < copies!) fewer.push(id);
  return fewer;
}

async function duringCompaction(round: number): Promise<void> {
  const name = pick(objects.names);
  const node = pick(cluster.running);
  const other = pick(cluster.running.filter((one) => one !== node));
  changeTree(tree, seed + round);
  await objects.remove(other, name);
  const compaction = cluster.ask(node, 'node.compact');
  const put = objects.put(other, `object-${round % 3}`, tree);
  await killDuring(node, Promise.allSettled([compaction, put]));
  await cluster.ask(node, 'node.compact').catch((error: { code?: string }) => {
    // Others compact by themselves and change the catalog meanwhile.
    expect(error.code).toBe('UNAVAILABLE');
  });
  expect(await objects.put(other, `object-${round % 3}`, tree)).toBe(ACKNOWLEDGED);
}

test(`nothing acknowledged is lost in ${ROUNDS} kills`, { timeout: 3600_000 }, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const where = `round ${round}, KWAM_SEED=${seed}`;
    if (round % 20 === 19) console.log(`${round + 1} rounds`);
    if (round % 4 === 0) await duringPut(round, 'sender');
    else if (round % 4 === 1) await duringPut(round, 'receiver');
    else if (round % 4 === 2) await duringRepair();
    else await duringCompaction(round);
    expect(cluster.running.length, `${where}: nobody died by itself`).toBe(4);
    const node = pick(cluster.running);
    expect(await objects.wrong(node, pick(objects.names)), where).toBeUndefined();
  }
  for (const node of cluster.running) expect(await objects.allWrong(node), `KWAM_SEED=${seed}`).toEqual([]);
  expect((await cluster.scrubAll()).corrupt, 'nothing torn').toBe(0);
});

test('what killed puts and compactions left behind goes away', async () => {
  const listed = async (): Promise<Set<string>> => {
    const ids = new Set<string>();
    for await (const { id } of cluster.catalog.packs()) ids.add(id);
    return ids;
  };
  await until(async () => {
    const ids = await listed();
    return [...cluster.holders().keys()].every((id) => ids.has(id));
  }, 'packs that nobody lists to be gone');
  expect(await objects.allWrong(pick(cluster.running))).toEqual([]);
  // The canary: a check that compares nothing would find this object right too.
  changeTree(tree, seed - 1);
  await cluster.ask('n0001', 'object.put', { path: tree, name: objects.names[0]! });
  expect(await objects.wrong('n0002', objects.names[0]!)).toMatch('other content than was put');
});
