/**
 * Six real node processes with three copies of everything: put, get, a lost node, damaged packs, removal.
 * The tests run in order on one cluster; each leaves it with full redundancy.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { DOMAINS } from '../../src/plan.ts';
import { seededRandom } from '../../src/random.ts';
import { type PutAnswer, TestCluster } from '../faults/cluster.ts';
import { PACK_PARTS, rangeOf } from '../faults/packs.ts';
import { chosenSeed } from '../faults/seed.ts';
import { changeTree, describeTree, flipByte, makeTree } from '../faults/trees.ts';

const seed = chosenSeed('replication');
const random = seededRandom(seed);
const TREE_BYTES = 3_000_000;

let cluster: TestCluster;
let tree: string;
let restored = 0;

beforeAll(async () => {
  // Unlisted packs are removed when a test says so, and then at once.
  const orphans = { graceMs: 0, intervalMs: 3_600_000 };
  cluster = await TestCluster.start({ nodes: 6, node: { orphans } });
  tree = join(cluster.directory, 'input');
  makeTree(tree, seed, TREE_BYTES);
});

afterAll(() => cluster?.close());

async function restore(node: string, name: string): Promise<Map<string, string>> {
  const destination = join(cluster.directory, `restored-${restored++}`);
  await cluster.ask(node, 'object.get', { name, destination });
  const found = describeTree(destination);
  fs.rmSync(destination, { recursive: true });
  return found;
}

function put(node: string, name: string): Promise<PutAnswer> {
  return cluster.ask<PutAnswer>(node, 'object.put', { path: tree, name });
}

async function listed(): Promise<Map<DigestHex, number>> {
  const found = new Map<DigestHex, number>();
  for await (const { id, copies } of cluster.catalog.packs()) found.set(id, copies ?? 0);
  return found;
}

/** Domains that two of these nodes share. */
function shared(names: readonly string[]): string[] {
  const labels = names.map((name) => cluster.plan.nodes.find((node) => node.name === name)!.labels);
  return DOMAINS.filter((domain) => new Set(labels.map((one) => one[domain])).size < labels.length);
}

/** What is wrong with the places of the copies; empty when all is as promised. */
async function misplaced(): Promise<string[]> {
  const holders = cluster.holders();
  const wrong: string[] = [];
  for (const [id, copies] of await listed()) {
    const names = holders.get(id) ?? [];
    if (names.length !== copies) wrong.push(`${id} is on ${names.join(' ') || 'no node'}`);
    if (shared(names).length > 0) wrong.push(`${id} on ${names.join(' ')} shares ${shared(names).join(' ')}`);
  }
  return wrong;
}

describe('put and get', () => {
  test('every pack has three copies that share no domain, and other nodes give the tree back', async () => {
    const answer = await put('n0001', 'tree');
    expect(answer.bytes).toBeGreaterThan(TREE_BYTES * 0.9);
    expect(await misplaced()).toEqual([]);
    const packs = await listed();
    expect(packs.size).toBeGreaterThan(8);
    expect([...cluster.holders().keys()].sort(), 'no other packs lie around').toEqual(
      [...packs.keys()].sort(),
    );
    expect(await restore('n0006', 'tree')).toEqual(describeTree(tree));
    // The canary: this check does see a missing copy.
    const [id] = packs.keys();
    const [holder] = cluster.holders().get(id!)!;
    fs.renameSync(cluster.packPath(holder!, id!), `${cluster.packPath(holder!, id!)}.away`);
    expect(await misplaced()).toHaveLength(1);
    fs.renameSync(`${cluster.packPath(holder!, id!)}.away`, cluster.packPath(holder!, id!));
  });

  test('a second, slightly changed put stores and sends the changed chunks only', async () => {
    const bytesBefore = await cluster.metricOfAll('kwam_transport_bytes_total{direction="in"}');
    const storedBefore = await cluster.metricOfAll('kwam_verified_bytes_total{site="receive"}');
    changeTree(tree, seed + 1);
    const answer = await put('n0001', 'tree');
    expect(answer.newBytes).toBeGreaterThan(30_000);
    expect(answer.newBytes).toBeLessThan(answer.bytes / 8);
    const stored = (await cluster.metricOfAll('kwam_verified_bytes_total{site="receive"}')) - storedBefore;
    expect(stored).toBeLessThan(3 * answer.newBytes + 100_000);
    const sent = (await cluster.metricOfAll('kwam_transport_bytes_total{direction="in"}')) - bytesBefore;
    expect(sent).toBeLessThan(3 * answer.newBytes + 200_000);
    expect(await restore('n0003', 'tree')).toEqual(describeTree(tree));
    expect(await misplaced()).toEqual([]);
    // What the first version alone had is garbage; nothing must be left for a later moment of these tests.
    await cluster.ask('n0001', 'node.compact');
  });
});

describe('a lost node', () => {
  test('get goes on, repair restores every copy on the others and gives up what is too many after its return', async () => {
    const lost = 'n0002';
    const had = cluster.packsOf(lost);
    expect(had.length).toBeGreaterThan(0);
    await cluster.kill(lost);
    expect(await restore('n0005', 'tree'), 'while its lease still lives').toEqual(describeTree(tree));
    // Repair does not wait for the lease either.
    const { repaired, remaining } = await cluster.repairAll();
    expect({ repaired, remaining }).toEqual({ repaired: had.length, remaining: 0 });
    expect(await misplaced()).toEqual([]);
    expect(await cluster.metricOfAll('kwam_repaired_packs_total')).toBe(had.length);
    expect(await restore('n0004', 'tree')).toEqual(describeTree(tree));

    await cluster.startNode(lost);
    expect(cluster.packsOf(lost)).toEqual(had);
    expect((await cluster.scrubAll()).corrupt).toBe(0);
    // What was restored elsewhere is too many now: it goes, and every pack has its three copies again, well placed.
    const after = await cluster.repairAll();
    expect({ repaired: after.repaired, trimmed: after.trimmed }).toEqual({
      repaired: 0,
      trimmed: had.length,
    });
    expect(await misplaced()).toEqual([]);
    expect(await restore(lost, 'tree')).toEqual(describeTree(tree));
  });
});

describe('damaged packs', () => {
  test('are found at every place, never served, repaired, and counted', async () => {
    const quarantinedBefore = await cluster.metricOfAll('kwam_quarantined_packs_total');
    const repairedBefore = await cluster.metricOfAll('kwam_repaired_packs_total');
    const flipped: [node: string, id: DigestHex][] = [];
    for (const node of ['n0001', 'n0003']) {
      for (const part of PACK_PARTS.slice(0, cluster.packsOf(node).length)) {
        const packs = cluster.packsOf(node).filter((one) => !flipped.some(([, other]) => other === one));
        if (packs.length === 0) break;
        const id = packs[random.below(packs.length)]!;
        const path = cluster.packPath(node, id);
        flipByte(path, random, ...rangeOf(path, part));
        flipped.push([node, id]);
      }
    }
    expect(flipped.length).toBeGreaterThan(PACK_PARTS.length);
    for (const node of ['n0001', 'n0003', 'n0006'])
      expect(await restore(node, 'tree'), node).toEqual(describeTree(tree));
    await cluster.scrubAll();
    // Every flip was found, by reading or by the scrub; none of them can be pulled.
    for (const [node, id] of flipped) {
      expect(fs.existsSync(cluster.packPath(node, id)), `${id} left packs/ of ${node}`).toBe(false);
      expect(await pull(node, id)).toMatch(/NOT_FOUND.*quarantined/);
    }
    const quarantined = (await cluster.metricOfAll('kwam_quarantined_packs_total')) - quarantinedBefore;
    expect(quarantined).toBe(flipped.length);
    const { remaining } = await cluster.repairAll();
    expect(remaining).toBe(0);
    expect(await underReplicated()).toEqual([]);
    expect(await cluster.metricOfAll('kwam_repaired_packs_total')).toBeGreaterThan(repairedBefore);
    expect((await cluster.scrubAll()).corrupt).toBe(0);
    expect(await cluster.metricOfAll('kwam_silent_corruption_count_total')).toBe(0);
    expect(await restore('n0001', 'tree')).toEqual(describeTree(tree));
  });

  async function pull(node: string, pack: DigestHex): Promise<string> {
    try {
      for await (const _ of (await cluster.connect(node)).pull({ what: 'frame', pack })) return 'bytes';
      return 'nothing';
    } catch (error) {
      return `${(error as { code: string }).code} ${String(error)}`;
    }
  }

  async function underReplicated(): Promise<string[]> {
    const holders = cluster.holders();
    return [...(await listed())].filter(([id, n]) => (holders.get(id)?.length ?? 0) < n).map(([id]) => id);
  }
});

describe('removal', () => {
  const bytesOnDisk = (): number =>
    cluster.running.reduce((sum, name) => {
      const sizes = cluster.packsOf(name).map((id) => fs.statSync(cluster.packPath(name, id)).size);
      return sum + sizes.reduce((a, b) => a + b, 0);
    }, 0);

  async function unlisted(): Promise<string[]> {
    const packs = await listed();
    return cluster.running.flatMap((name) => cluster.packsOf(name).filter((id) => !packs.has(id)));
  }

  test('gives the space back on all nodes and keeps what other objects need', async () => {
    const other = join(cluster.directory, 'other');
    makeTree(other, seed + 2, 1_000_000);
    fs.cpSync(join(tree, 'sub', 'log.txt'), join(other, 'shared.txt'), { preserveTimestamps: true });
    await cluster.ask('n0004', 'object.put', { path: other, name: 'other' });
    // One node is away meanwhile: what it has of the removed object must not come back with it.
    await cluster.kill('n0002');
    await cluster.untilDown('n0002');
    const before = bytesOnDisk();
    await cluster.ask('n0001', 'object.remove', { name: 'tree' });
    await cluster.ask('n0001', 'node.compact');
    expect(bytesOnDisk()).toBeLessThan(before * 0.6);
    expect(await unlisted()).toEqual([]);
    await cluster.startNode('n0002');
    const late = await unlisted();
    expect(late.length).toBeGreaterThan(0);
    expect((await cluster.repairAll()).remaining).toBe(0);
    expect(await unlisted(), 'repair brings nothing back').toEqual(late);
    await cluster.ask('n0002', 'node.orphans');
    expect(await unlisted()).toEqual([]);
    expect(await restore('n0002', 'other')).toEqual(describeTree(other));
    await expect(restore('n0002', 'tree')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a lost zone', () => {
  test('repair keeps copies apart as far as it can, and counts where it cannot', async () => {
    const relaxed = 'kwam_placement_relaxations_total{domain="az"}';
    expect(await cluster.metricOfAll(relaxed)).toBe(0);
    await cluster.kill('n0002');
    await cluster.kill('n0005');
    expect((await cluster.repairAll()).remaining).toBe(0);
    const holders = cluster.holders();
    for (const [id] of await listed()) {
      const names = holders.get(id)!;
      expect(names.length, id).toBeGreaterThanOrEqual(3);
      // Two zones for three copies: az and its only spine are shared, rack and pdu never.
      expect(shared(names), id).toEqual(['az', 'spine']);
    }
    expect(await cluster.metricOfAll(relaxed)).toBeGreaterThan(0);
    const other = join(cluster.directory, 'other');
    expect(await restore('n0006', 'other')).toEqual(describeTree(other));
  });
});

describe('too few nodes', () => {
  test('put says so and publishes nothing', async () => {
    await cluster.kill('n0004');
    await cluster.kill('n0006');
    await cluster.untilDown('n0002', 'n0004', 'n0005', 'n0006');
    const packs = await listed();
    const fresh = join(cluster.directory, 'fresh');
    makeTree(fresh, seed + 3, 500_000);
    const refused = cluster.ask('n0001', 'object.put', { path: fresh, name: 'fresh' });
    await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', context: { needed: 3, got: 2 } });
    expect(await listed()).toEqual(packs);
    await expect(cluster.catalog.object('fresh')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
