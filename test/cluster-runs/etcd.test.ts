/**
 * Three real nodes that share a real etcd: put, a killed node, repair, and what nodes can and cannot do while etcd is away.
 * The tests run in order on one cluster.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster, until } from '../faults/cluster.ts';
import { EtcdCluster } from '../faults/etcd-cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { changeTree, makeTree } from '../faults/trees.ts';
import { consentPlan, redeem, tokenFor, writeImage, writeKeys } from '../rollout/consent-cluster.ts';

const seed = chosenSeed('etcd cluster');
const TREE_BYTES = 1_500_000;

let etcd: EtcdCluster;
let cluster: TestCluster;
let objects: KnownObjects;
let tree: string;

beforeAll(async () => {
  etcd = await EtcdCluster.start();
  const node = { control: `${etcd.url}/run` };
  cluster = await TestCluster.start({ nodes: 3, factor: 2, node, adapt: consentPlan });
  writeKeys(cluster);
  writeImage(cluster);
  objects = new KnownObjects(cluster);
  tree = join(cluster.directory, 'input');
  makeTree(tree, seed, TREE_BYTES);
});
afterAll(async () => {
  await cluster?.close();
  await etcd?.close();
});

/** What /readyz says. */
async function readiness(name: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://${cluster.node(name).metricsAddress}/readyz`);
  return { status: answer.status, text: await answer.text() };
}

/** The bytes that a node streams of a pack's frame, as to a peer. */
async function framePulled(name: string, pack: string): Promise<number> {
  let bytes = 0;
  for await (const part of (await cluster.connect(name)).pull({ what: 'frame', pack })) bytes += part.length;
  return bytes;
}

test('an object is put through one node and read through the others', async () => {
  expect(await objects.put('n0001', 'first', tree)).toBe(ACKNOWLEDGED);
  for (const name of cluster.running) expect(await objects.wrong(name, 'first')).toBeUndefined();
  expect(await cluster.ask('n0001', 'node.status')).toMatchObject({ control: `${etcd.url}/run` });
});

const USED = { jti: 'a'.repeat(32) };
const UNUSED = { jti: 'b'.repeat(32) };
const refusal = (rule: string) => ({ code: 'CONSENT_REFUSED', context: { rule } });

test('a consent token is used up in etcd, whichever rollout comes first', async () => {
  const token = await tokenFor(cluster, USED);
  const rollouts = ['r1', 'r2', 'r3'];
  const outcomes = await Promise.allSettled(rollouts.map((rollout) => redeem(cluster, token, rollout)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const outcome of outcomes.filter(({ status }) => status === 'rejected'))
    expect(outcome).toMatchObject({ reason: refusal('replayed') });
});

test('a killed node is down when its lease ends, and its copies are restored', async () => {
  await cluster.kill('n0002');
  await cluster.untilDown('n0002');
  const { remaining, unrepairable } = await cluster.repairAll();
  expect([remaining, unrepairable]).toEqual([0, []]);
  for (const [pack, holders] of cluster.holders()) expect([pack, holders.length]).toEqual([pack, 2]);
  expect(await objects.allWrong('n0003')).toEqual([]);
});

test('while etcd is away, nodes serve and verify packs, refuse what needs it, and say so', async () => {
  await etcd.kill('etcd1');
  const refusing = Promise.allSettled([
    cluster.ask('n0001', 'object.get', { name: 'first', destination: join(cluster.directory, 'no') }),
    cluster.ask('n0001', 'object.put', { name: 'second', path: tree }),
    cluster.ask('n0003', 'object.remove', { name: 'first' }),
    cluster.ask('n0003', 'node.repair'),
    cluster.ask('n0003', 'node.compact'),
  ]);
  // A claim is tried for longer than anything else here.
  const redeeming = CAMPAIGN ? redeem(cluster, await tokenFor(cluster, UNUSED), 'r4') : undefined;
  redeeming?.catch(() => undefined);
  await until(async () => (await readiness('n0001')).status === 503, 'n0001 to notice');
  expect((await readiness('n0001')).text).toContain(etcd.endpoints[0]!);

  const [pack] = cluster.packsOf('n0001');
  expect(await framePulled('n0001', pack!)).toBeGreaterThan(0);
  expect(await cluster.ask('n0003', 'pack.have', { packs: cluster.packsOf('n0003') })).toEqual({
    have: cluster.packsOf('n0003'),
  });
  const { corrupt, checkedBytes } = await cluster.scrubAll();
  expect(corrupt).toBe(0);
  expect(checkedBytes).toBeGreaterThan(0);
  expect(await cluster.ask('n0001', 'node.status')).toMatchObject({ name: 'n0001', state: 'up' });

  for (const outcome of await refusing) {
    const reason = { code: 'UNAVAILABLE', message: expect.stringContaining('expected an answer of etcd') };
    expect(outcome).toMatchObject({ status: 'rejected', reason });
  }
  if (redeeming !== undefined) await expect(redeeming).rejects.toMatchObject(refusal('ledger-unavailable'));
});

test('when etcd is back, everything goes on by itself', async () => {
  await etcd.startMember('etcd1');
  for (const name of cluster.running) {
    await until(async () => (await readiness(name)).status === 200, `${name} to be ready again`);
  }
  expect(await objects.allWrong('n0003')).toEqual([]);
  changeTree(tree, seed + 1);
  expect(await objects.put('n0003', 'second', tree)).toBe(ACKNOWLEDGED);
  await cluster.startNode('n0002');
  await cluster.untilMembers((members) => members.every(({ state }) => state === 'up'));
  expect(await objects.allWrong('n0002')).toEqual([]);
});

test('an etcd that lost its claims, as one restored from an older copy, makes no used token good again', async () => {
  await redeem(cluster, await tokenFor(cluster, UNUSED), 'r4');
  const [from, to] = ['consent/', 'consent0'].map((key) =>
    Buffer.from(`/kwam/run/${key}`).toString('base64'),
  );
  const removed = await etcd.gateway('etcd1', 'kv/deleterange', { key: from!, range_end: to! });
  expect(removed).toMatchObject({ deleted: '2' });
  for (const jti of [USED, UNUSED]) {
    const token = await tokenFor(cluster, jti);
    await expect(redeem(cluster, token, 'r5')).rejects.toMatchObject(refusal('replayed'));
    await expect(redeem(cluster, token, 'r4', 'consent.resume')).rejects.toMatchObject(
      refusal('not-claimed'),
    );
  }
});

test('an etcd that lost its name, as an emptied one, removes no pack', async () => {
  const before = cluster.holders();
  const key = Buffer.from('/kwam/run/identity').toString('base64');
  await etcd.gateway('etcd1', 'kv/deleterange', { key });
  for (const name of cluster.running) {
    const refusal = { code: 'INTEGRITY', message: expect.stringContaining('got one without a name') };
    await expect(cluster.ask(name, 'pack.retire', { packs: cluster.packsOf(name) })).rejects.toMatchObject(
      refusal,
    );
    await expect(cluster.ask(name, 'node.compact')).rejects.toMatchObject(refusal);
  }
  expect(cluster.holders()).toEqual(before);
});
