/**
 * Removal and compaction racing with puts that deduplicate against what is being removed: no acknowledged put may lose a chunk.
 * The clean-up of unlisted packs has no grace time here and comes in the middle of each put, so that some are refused.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../src/random.ts';
import { TestCluster, until } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { changeTree, makeTree } from '../faults/trees.ts';

const seed = chosenSeed('compaction');
const random = seededRandom(seed);
const ROUNDS = CAMPAIGN ? 300 : 6;
/** Never by itself: the tests say when. */
const orphans = { graceMs: 0, intervalMs: 3_600_000 };

let cluster: TestCluster;
let objects: KnownObjects;
const trees: string[] = [];

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 3, factor: 2, packBytesTarget: 64 * 1024, node: { orphans } });
  objects = new KnownObjects(cluster);
  for (let i = 0; i < 2; i++) {
    trees.push(join(cluster.directory, `input-${i}`));
    // The same seed: the two trees begin with the same content and drift apart.
    makeTree(trees[i]!, seed, 400_000);
  }
});

afterAll(() => cluster?.close());

const pick = (names: readonly string[]): string => names[random.below(names.length)]!;

async function packsListed(): Promise<number> {
  let count = 0;
  for await (const _ of cluster.catalog.packs()) count++;
  return count;
}

async function sweepAll(): Promise<void> {
  await Promise.all(cluster.running.map((name) => cluster.ask(name, 'node.orphans')));
}

test(`puts that count on chunks of a removed object keep them, in ${ROUNDS} races`, {
  timeout: 3600_000,
}, async () => {
  let acknowledged = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const where = `round ${round}, KWAM_SEED=${seed}`;
    if (round % 20 === 19) console.log(`${round + 1} rounds`);
    const [doomed, wanted] = [`doomed-${round}`, `wanted-${round}`];
    const [a, b, c] = [pick(cluster.running), pick(cluster.running), pick(cluster.running)];
    const tree = trees[round % 2]!;
    changeTree(tree, seed + round);
    const started = performance.now();
    expect(await objects.put(a, doomed, tree), where).toBe(ACKNOWLEDGED);
    const putMs = performance.now() - started;
    await objects.remove(c, doomed);
    changeTree(tree, seed - round);
    const compaction = cluster.ask(c, 'node.compact').catch(() => undefined); // a refused one is tried again later
    const putting = objects.put(b, wanted, tree);
    await delay(random.below(Math.ceil(putMs)));
    await sweepAll();
    const answer = await putting;
    if (answer === ACKNOWLEDGED) acknowledged++;
    else expect(answer, 'refused, not broken').toMatch(/try again|start more nodes|locate again/);
    await compaction;
    if (answer === ACKNOWLEDGED) expect(await objects.wrong(c, wanted), where).toBeUndefined();
    if (round >= 3 && objects.names.includes(`wanted-${round - 3}`))
      await objects.remove(a, `wanted-${round - 3}`);
  }
  expect(acknowledged, 'most races are won').toBeGreaterThan(ROUNDS / 2);
  for (const node of cluster.running) expect(await objects.allWrong(node), `KWAM_SEED=${seed}`).toEqual([]);
});

test('an empty cluster has empty disks', async () => {
  expect(await packsListed()).toBeGreaterThan(0);
  for (const name of objects.names) await objects.remove('n0001', name);
  // All at once, and nodes do so by themselves too: none of them makes another one fail.
  const compactions = cluster.running.map((name) =>
    cluster.ask<{ packsRetired: number }>(name, 'node.compact'),
  );
  for (const { packsRetired } of await Promise.all(compactions))
    expect(packsRetired).toBeGreaterThanOrEqual(0);
  expect(await packsListed()).toBe(0);
  await until(async () => {
    await cluster.ask('n0001', 'node.compact').catch(() => undefined); // changed meanwhile: once more
    await sweepAll();
    return (await packsListed()) === 0 && cluster.holders().size === 0;
  }, 'every pack to be gone');
});
