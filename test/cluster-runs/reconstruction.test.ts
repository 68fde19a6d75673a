/**
 * Nodes bring redundancy back by themselves: real processes, nobody runs `repair`. What is damaged is restored, a node that said it
 * leaves is waited for, and nobody is waited for when the next loss would lose data.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import type { Explanation } from '../../src/repair/explain.ts';
import type { JsonValue } from '../../src/transport/transport.ts';
import { TestCluster, until } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { rangeOf } from '../faults/packs.ts';
import { chosenSeed } from '../faults/seed.ts';
import { makeTree } from '../faults/trees.ts';

const seed = chosenSeed('reconstruction');
/** Everything but a node that is waited for happens within a second; that one is waited for longer than this test lasts. */
const patience = { delayMs: 500, urgentMs: 500, domainWaitMs: 600_000, freshMs: 300 };
const redundancy = { everyMs: 300, healthEveryMs: 100, patience };

let cluster: TestCluster;
let objects: KnownObjects;

beforeAll(async () => {
  cluster = await TestCluster.start({
    nodes: 5,
    factor: 3,
    packBytesTarget: 128 * 1024,
    node: { redundancy },
  });
  objects = new KnownObjects(cluster);
  const tree = join(cluster.directory, 'input');
  makeTree(tree, seed, 4_000_000);
  expect(await objects.put('n0001', 'tree', tree)).toBe(ACKNOWLEDGED);
});

afterAll(() => cluster?.close());

const copies = (): number[] => [...cluster.holders().values()].map((nodes) => nodes.length);

async function explained(): Promise<Explanation[]> {
  const all = await Promise.all(
    cluster.running.map(async (name) => {
      const connection = await cluster.connect(name);
      let last: JsonValue = null;
      for await (const answer of connection.call('node.explain', {}, {})) last = answer;
      return (last as unknown as { result: { packs: Explanation[] } }).result.packs;
    }),
  );
  return all.flat();
}

test('what a scrub sets aside is restored without being asked for', async () => {
  const [pack] = cluster.packsOf('n0002') as [DigestHex];
  const path = cluster.packPath('n0002', pack);
  const [from] = rangeOf(path, 'payload');
  const file = fs.openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(file, byte, 0, 1, from);
  fs.writeSync(file, Buffer.from([byte[0]! ^ 1]), 0, 1, from);
  fs.closeSync(file);
  expect((await cluster.scrubAll()).corrupt).toBe(1);
  await until(() => copies().every((count) => count >= 3), 'three copies of every pack');
  expect(await objects.wrong('n0003', 'tree')).toBeUndefined();
});

test('a node that says it leaves is waited for, and says why when asked', async () => {
  const before = await cluster.metricOfAll('kwam_repaired_packs_total');
  const had = cluster.packsOf('n0005').length;
  expect(had).toBeGreaterThan(0);
  await cluster.stop('n0005');
  await cluster.untilDown('n0005');
  await until(async () => {
    const packs = await explained();
    const returning = packs.filter(({ verdicts }) => verdicts.some(({ reason }) => reason === 'returning'));
    return returning.length === had && returning.every(({ waits, missing }) => waits === missing);
  }, 'every pack of it to be explained');
  const [one] = await explained();
  expect(one!.next).toBe('it waits');
  expect(one!.verdicts[0]!.words).toMatch(/^n0005 has been away for \d+ s: it is on its way back/);
  expect(await cluster.metricOfAll('kwam_repaired_packs_total')).toBe(before);
});

test('what has one copy left soon has another, what has lost one still waits', async () => {
  const [left, right] = [new Set(cluster.packsOf('n0004')), new Set(cluster.packsOf('n0005'))];
  const twice = [...left].filter((pack) => right.has(pack));
  const once = [...left].filter((pack) => !right.has(pack));
  expect(Math.min(twice.length, once.length)).toBeGreaterThan(0);
  await cluster.kill('n0004');
  await cluster.untilDown('n0004', 'n0005');
  const up = new Set(cluster.running);
  const copiesOf = (pack: DigestHex): number =>
    cluster
      .holders()
      .get(pack)!
      .filter((name) => up.has(name)).length;
  await until(() => twice.every((pack) => copiesOf(pack) > 1), 'another copy of what had one left');
  expect(once.map(copiesOf)).toEqual(once.map(() => 2));
  expect(await objects.wrong('n0001', 'tree')).toBeUndefined();
});
