/**
 * Reading an object while shards of its stripe are away, on a node that has none of them: k shards travel, whichever are left, and a bad
 * one is replaced. What comes out is what was put, or an error that says so; nothing is repaired on the way.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { KIB, MIB } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import type { PackRecordEntry } from '../../src/replication/catalog.ts';
import { PackAccess } from '../../src/replication/pack-access.ts';
import { verifyPack } from '../../src/replication/pack-tasks.ts';
import { readRecord, withFile } from '../../src/store/pack-reader.ts';
import { PACK_PARTS, type PackPart, rangeOf } from '../faults/packs.ts';
import { flipByte } from '../faults/trees.ts';
import { type Cluster, startCluster, type TestNode } from '../pipeline/memory-cluster.ts';

const scheme = { dataShards: 4, parityShards: 2, matrix: 'vandermonde' } as const;
const OBJECT_BYTES = 600 * KIB;
const content = seededRandom(11).fill(new Uint8Array(OBJECT_BYTES));

let cluster: Cluster;
let directory: string;
let entry: PackRecordEntry & Required<Pick<PackRecordEntry, 'stripe'>>;
/** The first holder of each shard, and its bytes. */
let holders: TestNode[];
let files: Buffer[];
/** Has no shard. */
let reader: TestNode;
let gets = 0;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-degraded-'));
  cluster = await startCluster({ nodes: 7, erasure: scheme, packBytesTarget: 64 * MIB });
  const tree = join(directory, 'tree');
  fs.mkdirSync(tree);
  fs.writeFileSync(join(tree, 'data'), content);
  await cluster.nodes[0]!.put(tree, 'object');
  for await (const pack of cluster.catalog.packs())
    if (pack.bytes >= OBJECT_BYTES) entry = pack as typeof entry;
  const { shards } = entry.stripe;
  holders = shards.map((id) => cluster.nodes.find(({ store }) => store.hasPack(id))!);
  files = shards.map((id, i) => fs.readFileSync(holders[i]!.store.packFile(id)));
  reader = cluster.nodes.find(({ store }) => !shards.some((id) => store.hasPack(id)))!;
});

afterAll(async () => {
  await cluster.close();
  fs.rmSync(directory, { recursive: true });
});

/** A pack file put where the store has it, and known there. */
async function install({ store }: TestNode, id: DigestHex, bytes: Uint8Array): Promise<void> {
  const path = store.packFile(id);
  fs.writeFileSync(path, bytes);
  const part = (name: PackPart): Uint8Array => bytes.subarray(...rangeOf(path, name));
  await store.commitPack({ id, bytes: bytes.length, header: part('header'), index: part('index') });
}

/** Reads put nothing anywhere. What a test took away or damaged is there again. */
afterEach(async () => {
  expect(entry.stripe.shards.some((id) => reader.store.hasPack(id))).toBe(false);
  expect(fs.readdirSync(reader.store.layout.incoming)).toEqual([]);
  for (const [i, id] of entry.stripe.shards.entries()) await install(holders[i]!, id, files[i]!);
  for (const { seen } of cluster.nodes) Object.assign(seen, { suspected: [], foreignCorrupt: [] });
});

async function lose(...shards: readonly number[]): Promise<void> {
  for (const shard of shards) await holders[shard]!.store.retirePack(entry.stripe.shards[shard]!);
}

function damage(shard: number, part: PackPart): void {
  const path = holders[shard]!.store.packFile(entry.stripe.shards[shard]!);
  flipByte(path, seededRandom(3), ...rangeOf(path, part));
}

async function restored(): Promise<Buffer> {
  const destination = join(directory, `restored-${gets++}`);
  await reader.get('object', destination);
  return fs.readFileSync(join(destination, 'data'));
}

/** Opens the pack where no shard is. @returns shards that were fetched for it. */
async function shardsRead(): Promise<number> {
  const before = reader.seen.bytesIn;
  const access = await PackAccess.create(reader.restore, [entry.id]);
  const records = await access.records(entry.id);
  const opened = await access.open(entry.id, [...records.keys()]);
  const { ok } = await cluster.pool.run(verifyPack, { path: opened.path, id: entry.id });
  expect(ok).toBe(true);
  await opened.release();
  await access.close();
  return (reader.seen.bytesIn - before) / files[0]!.length;
}

const SURVIVED: readonly (readonly [lost: readonly number[], damaged: readonly number[]])[] = [
  [[], []],
  [[5], []],
  [[0, 1], []],
  [[2, 4], []],
  [[1], [0]],
  [[5], [3]],
  [[], [0, 2]],
];

test.each(SURVIVED)('with shards %j away and %j damaged, what was put is read', async (lost, damaged) => {
  await lose(...lost);
  for (const shard of damaged) damage(shard, 'payload');
  expect(Buffer.compare(await restored(), content)).toBe(0);
  expect((await reader.get('object')).failures).toEqual([]);
  for (const shard of damaged) expect(holders[shard]!.seen.suspected).toContain(entry.stripe.shards[shard]);
  for (const shard of lost) expect(holders[shard]!.store.hasPack(entry.stripe.shards[shard]!)).toBe(false);
});

test.each([
  [[0, 5], [3]],
  [[1, 2, 3], []],
  [[], [0, 1, 4]],
])('with shards %j away and %j damaged, nothing is read and nothing written', async (lost, damaged) => {
  await lose(...lost);
  for (const shard of damaged) damage(shard, 'payload');
  await expect(restored()).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining('run kwam-dp repair'),
  });
  expect(fs.readdirSync(directory).filter((name) => name.endsWith(`restored-${gets - 1}`))).toEqual([]);
  await expect(reader.get('object')).rejects.toMatchObject({ code: 'INTEGRITY' });
});

test.each([[[]], [[5]], [[0, 1]]])('with shards %j away, k shards travel', async (lost) => {
  await lose(...lost);
  const read = await shardsRead();
  expect(read).toBeGreaterThan(3.99);
  expect(read).toBeLessThan(4.1);
});

test.each(PACK_PARTS)(
  'for a shard whose %s is damaged one other travels, and no good one again',
  async (part) => {
    await lose(1);
    damage(0, part);
    // What the id covers is looked at before the shard travels, the rest when it has.
    expect(await shardsRead()).toBeLessThan(part === 'payload' || part === 'record header' ? 5.1 : 4.1);
    const isHarmless = part === 'trailer' || part === 'index';
    expect(holders[0]!.seen.suspected.length > 0 || isHarmless).toBe(true);
  },
);

test('what was a copy when its list was read, and is a stripe when it is opened, is read as a stripe', async () => {
  const access = await PackAccess.create(reader.restore, [entry.id]);
  const made = await access.open(entry.id, [0]);
  await install(holders[0]!, entry.id, fs.readFileSync(made.path));
  await made.release();

  await access.refresh([entry.id]);
  const records = await access.records(entry.id);
  await holders[0]!.store.retirePack(entry.id);
  await expect(access.open(entry.id, [0])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await access.refresh([entry.id]);
  const opened = await access.open(entry.id, [0]);
  const { fileSystem } = reader.store;
  const [first] = records;
  const bytes = withFile(fileSystem, opened.path, (file) => readRecord(fileSystem, file, first!));
  expect(bytes.length).toBe(first!.length);
  await opened.release();
});
