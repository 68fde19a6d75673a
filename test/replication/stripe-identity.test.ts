/**
 * A catalog entry that names a shard of another stripe in the place of its own: intact, verifiable, and not to be decoded with the others.
 * Every way in which two stripes can differ, at every use of shards: a read, a rebuild by partial sums and by gathering, a survey.
 */
import { hash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asDigest, type DigestHex, fromHex, toHex } from '../../src/digest.ts';
import { KIB, MIB } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { rebuildShard } from '../../src/repair/rebuild-shard.ts';
import { PackAccess } from '../../src/replication/pack-access.ts';
import { surveyPacks } from '../../src/replication/pack-survey.ts';
import { verifyPack } from '../../src/replication/pack-tasks.ts';
import {
  identityOf,
  type StripedEntry,
  type StripeIdentity,
  stripeIdOf,
} from '../../src/replication/stripe-identity.ts';
import { encodeStripe } from '../../src/replication/stripe-tasks.ts';
import type { SealedPack } from '../../src/store/pack-writer.ts';
import { type Cluster, startCluster, type TestNode } from '../pipeline/memory-cluster.ts';

const scheme = { dataShards: 4, parityShards: 2, matrix: 'vandermonde' } as const;
const OBJECT_BYTES = 300 * KIB;
const OTHER_CODEC = asDigest(hash('sha256', 'an earlier release', 'buffer'));

let cluster: Cluster;
let directory: string;
let entry: StripedEntry;
/** Of other bytes. */
let second: StripedEntry;
/** Has no shard of `entry` that the put made. */
let reader: TestNode;
/** The bytes of the pack of `entry`. */
let packPath: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-identity-'));
  cluster = await startCluster({ nodes: 7, erasure: scheme, packBytesTarget: 64 * MIB });
  [entry, second] = [await put('first', 1), await put('second', 2)];
  reader = cluster.nodes.find(({ store }) => !entry.stripe.shards.some((id) => store.hasPack(id)))!;
  packPath = join(directory, 'pack');
  const access = await PackAccess.create(reader.restore, [entry.id]);
  const opened = await access.open(entry.id, [0]);
  fs.copyFileSync(opened.path, packPath);
  await opened.release();
});
afterAll(async () => {
  await cluster.close();
  fs.rmSync(directory, { recursive: true });
});
beforeEach(() => {
  for (const { seen } of cluster.nodes)
    Object.assign(seen, { suspected: [], ownCorrupt: [], foreignCorrupt: [], rebuilt: [] });
});

async function put(name: string, seed: number): Promise<StripedEntry> {
  const before = new Set<DigestHex>();
  for await (const { id } of cluster.catalog.packs()) before.add(id);
  const tree = join(directory, name);
  fs.mkdirSync(tree);
  fs.writeFileSync(join(tree, 'data'), seededRandom(seed).fill(new Uint8Array(OBJECT_BYTES)));
  await cluster.nodes[0]!.put(tree, name);
  const packs: StripedEntry[] = [];
  for await (const pack of cluster.catalog.packs()) packs.push(pack as StripedEntry);
  return packs.find(({ id, bytes }) => !before.has(id) && bytes >= OBJECT_BYTES)!;
}

/** All shards of the same pack by another code, on `node`. */
async function striped(node: TestNode, other: Partial<StripeIdentity>): Promise<readonly SealedPack[]> {
  const { store } = node;
  const identity = { ...identityOf(entry), ...other };
  const count = identity.scheme.dataShards + identity.scheme.parityShards;
  const paths = Array.from({ length: count }, (_, i) => join(store.layout.incoming, `other.${i}`));
  const sealed = await cluster.pool.run(encodeStripe, {
    ...identity,
    packPath,
    paths,
    packs: store.layout.packs,
  });
  for (const shard of sealed) await store.commitPack(shard);
  return sealed;
}

/** The entry with other shards in some places, as a reader gets it. */
function withShards(shards: Readonly<Record<number, DigestHex>>): StripedEntry {
  const mixed = entry.stripe.shards.map((id, i) => shards[i] ?? id);
  return { ...entry, stripe: { ...entry.stripe, shards: mixed } };
}

/** Reads all of the pack; what comes is the pack, or this fails. */
async function read(node: TestNode, as: StripedEntry): Promise<void> {
  const access = await PackAccess.create({ ...node.restore, catalog: { pack: async () => as } }, [entry.id]);
  const opened = await access.open(entry.id, [0]);
  const { ok } = await cluster.pool.run(verifyPack, { path: opened.path, id: entry.id });
  expect(ok).toBe(true);
  await opened.release();
}

const cauchy = { scheme: { ...scheme, matrix: 'cauchy1' } } as const;
const DIFFERENCES: readonly (readonly [name: string, Partial<StripeIdentity> | 'second' | 'place'])[] = [
  ['matrix', cauchy],
  ['number of parity shards', { scheme: { ...scheme, parityShards: 3 } }],
  ['codec', { codecId: OTHER_CODEC }],
  ['pack', 'second'],
  ['place', 'place'],
];

/** A shard for place 0 that is none of this stripe's in that place. */
async function odd(node: TestNode, difference: (typeof DIFFERENCES)[number][1]): Promise<DigestHex> {
  if (difference === 'second') return second.stripe.shards[0]!;
  if (difference === 'place') return entry.stripe.shards[5]!;
  return (await striped(node, difference))[0]!.id;
}

describe.each(DIFFERENCES)('a shard whose %s is another', (_, difference) => {
  test('is not decoded: the others are', async () => {
    const id = await odd(cluster.nodes[0]!, difference);
    await read(reader, withShards({ 0: id }));
    expect(reader.seen.foreignCorrupt).toEqual([id]);
  });

  test('is named where without it there are too few', async () => {
    const gone = 'ab'.repeat(32) as DigestHex;
    const id = await odd(cluster.nodes[0]!, difference);
    const mixed = withShards({ 0: id, 1: gone, 2: gone });
    await expect(read(reader, mixed)).rejects.toMatchObject({
      code: 'STRIPE_MIXED',
      message: expect.stringContaining(`expected ${id} to be shard 0 of pack ${entry.id}`),
    });
    expect(reader.seen.foreignCorrupt).toEqual([id]);
  });
});

test('stays where it is, and nobody suspects it: it is intact', async () => {
  const node = cluster.nodes[1]!;
  const [shard] = await striped(node, cauchy);
  await read(node, withShards({ 0: shard!.id }));
  expect(node.seen.foreignCorrupt).toEqual([shard!.id]);
  expect(node.store.hasPack(shard!.id)).toBe(true);
  for (const { seen } of cluster.nodes) expect([seen.suspected, seen.ownCorrupt]).toEqual([[], []]);
});

test('a shard that is rebuilt is rebuilt from its own stripe: the sum is refused, and gathering leaves the odd one out', async () => {
  const [, shard] = await striped(cluster.nodes[2]!, cauchy);
  const mixed = withShards({ 1: shard!.id });
  const holder = cluster.nodes.find(({ store }) => store.hasPack(entry.stripe.shards[0]!))!;
  await holder.store.retirePack(entry.stripe.shards[0]!);
  const services = { ...reader.rebuild, catalog: { pack: async () => mixed } };
  await rebuildShard(services, entry.id, 0);
  expect(reader.seen.rebuilt).toEqual(['gather']);
  expect(reader.seen.foreignCorrupt).toEqual([shard!.id]);
  const id = entry.stripe.shards[0]!;
  const { ok } = await cluster.pool.run(verifyPack, { path: reader.store.packFile(id), id });
  expect(ok).toBe(true);
});

test('a survey keeps stripes of one pack apart, and prefers the whole one', async () => {
  const node = cluster.nodes[3]!;
  const { store } = node;
  const peers = { self: node.name, ask: async () => expect.unreachable('there is one node') };
  const survey = async (): Promise<unknown> => {
    const { packs } = await surveyPacks({ peers, store, lineage: { doubt: undefined }, copies: 1 }, [
      node.name,
    ]);
    const { entry: found, state } = packs.get(entry.id)!;
    return { stripe: stripeIdOf(identityOf(found as StripedEntry)), state };
  };
  const whole = await striped(node, { codecId: OTHER_CODEC });
  const torn = await striped(node, cauchy);
  await store.retirePack(torn[3]!.id);
  const stripe = stripeIdOf({ ...identityOf(entry), codecId: OTHER_CODEC });
  expect(await survey()).toEqual({ stripe, state: 'whole' });
  for (const { id } of [whole[0]!, whole[1]!]) await store.retirePack(id);
  expect(await survey()).toMatchObject({ state: 'torn' });
});

test('the id of a stripe covers everything in which two stripes can differ', () => {
  const identity = identityOf(entry);
  const others: StripeIdentity[] = [
    { ...identity, ...cauchy },
    { ...identity, codecId: OTHER_CODEC },
    { ...identity, pack: fromHex(second.id) },
    { ...identity, packBytes: identity.packBytes + 1 },
    { ...identity, scheme: { ...scheme, dataShards: 5 } },
    { ...identity, scheme: { ...scheme, parityShards: 1 } },
  ];
  expect(new Set([identity, ...others].map(stripeIdOf)).size).toBe(others.length + 1);
  expect(toHex(identity.codecId)).toBe(entry.stripe.codecId);
});
