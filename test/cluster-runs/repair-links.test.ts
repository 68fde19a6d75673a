/**
 * What one rebuilt shard costs the links of a real cluster, by partial sums and by gathering k shards, from the nodes' own counters.
 * Every day rs(2, 2) on five processes; KWAM_CAMPAIGN=1 the promised rs(6, 3) on ten, whose figures are printed
 * (bench/results/2026-11-25-repair-links.md). Payload bytes of transport messages; TLS and HTTP/2 framing add below 1 %.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { MIB } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { chainFor } from '../../src/repair/chain.ts';
import type { PackRecordEntry } from '../../src/replication/catalog.ts';
import { TestCluster } from '../faults/cluster.ts';
import { rangeOf } from '../faults/packs.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { flipByte } from '../faults/trees.ts';

const [dataShards, parityShards] = CAMPAIGN ? [6, 3] : [2, 2];
const nodes = dataShards + parityShards + 1;
const SHARD_BYTES = CAMPAIGN ? 5 * MIB : 2 * MIB;
const LINK_SHARDS_MAX = 1.1;

const seed = chosenSeed('repair-links');
const random = seededRandom(seed);
let cluster: TestCluster;
let entry: PackRecordEntry & Required<Pick<PackRecordEntry, 'stripe'>>;
/** Of a whole shard pack. */
let shardBytes: number;

beforeAll(async () => {
  const erasure = { dataShards, parityShards, matrix: 'vandermonde' } as const;
  // Nobody tends redundancy meanwhile: only what is asked for here travels.
  const node = { redundancy: { everyMs: 3_600_000 } };
  cluster = await TestCluster.start({ nodes, erasure, packBytesTarget: 64 * MIB, node });
  const tree = join(cluster.directory, 'input');
  fs.mkdirSync(tree);
  fs.writeFileSync(join(tree, 'data'), random.fill(new Uint8Array(dataShards * SHARD_BYTES)));
  await cluster.ask('n0001', 'object.put', { path: tree, name: 'object' });
  for await (const pack of cluster.catalog.packs())
    if (pack.bytes >= dataShards * SHARD_BYTES) entry = pack as typeof entry;
  shardBytes = fs.statSync(cluster.packPath(holderOf(0), entry.stripe.shards[0]!)).size;
});

afterAll(() => cluster?.close());

type Traffic = ReadonlyMap<string, { readonly in: number; readonly out: number }>;

async function counted(): Promise<Traffic> {
  const counts = cluster.running.map(async (name) => {
    const of = (direction: string): Promise<number> =>
      cluster.metric(name, `kwam_transport_bytes_total{direction="${direction}"}`);
    return [name, { in: await of('in'), out: await of('out') }] as const;
  });
  return new Map(await Promise.all(counts));
}

/** The most that went into and out of one node, in shards, while `act` ran. */
async function busiest(act: () => Promise<unknown>): Promise<{ into: number; outOf: number }> {
  const before = await counted();
  await act();
  const after = await counted();
  const most = (direction: 'in' | 'out'): number =>
    Math.max(...[...after].map(([name, now]) => now[direction] - before.get(name)![direction]));
  return { into: most('in') / shardBytes, outOf: most('out') / shardBytes };
}

const holderOf = (shard: number): string => cluster.holders().get(entry.stripe.shards[shard]!)![0]!;

/** The node that has none of the stripe. */
const outsider = (): string =>
  cluster.running.find((name) => !cluster.packsOf(name).some((id) => entry.stripe.shards.includes(id)))!;

async function rebuildLast(how: 'chain' | 'gather'): Promise<void> {
  const rebuilder = outsider();
  const shardIndex = entry.stripe.shards.length - 1;
  const id = entry.stripe.shards[shardIndex]!;
  const holder = holderOf(shardIndex);
  fs.rmSync(cluster.packPath(holder, id));
  expect(await cluster.ask(holder, 'pack.verify', { packs: [id] })).toEqual({ isGood: false });
  const series = `kwam_rebuilt_shards_total{way="${how}"}`;
  const rebuilds = await cluster.metricOfAll(series);
  const { into, outOf } = await busiest(() =>
    cluster.ask(rebuilder, 'shard.rebuild', { pack: entry.id, shardIndex }),
  );
  expect(await cluster.metricOfAll(series)).toBe(rebuilds + 1);
  expect(holderOf(shardIndex)).toBe(rebuilder);
  const k = dataShards;
  console.log(
    `seed ${seed}: rs(${k}, ${parityShards}) by ${how}: at most ${into.toFixed(3)} shards into and ${outOf.toFixed(3)} out of a node`,
  );
  expect(outOf).toBeLessThan(LINK_SHARDS_MAX);
  if (how === 'chain') expect(into).toBeLessThan(LINK_SHARDS_MAX);
  else expect(into).toBeGreaterThanOrEqual(k);
}

test('partial sums cost every link at most 1.1 shards', () => rebuildLast('chain'));

/** The node that the rebuilder of the last shard pulls from, and the shard that it adds there. */
async function firstHelper(): Promise<[node: string, shard: DigestHex]> {
  const { dataShards: k, parityShards: m, matrix, shards } = entry.stripe;
  const scheme = { dataShards: k, parityShards: m, matrix };
  const lost = shards.length - 1;
  const holders = new Map([...cluster.holders()].filter(([id]) => id !== shards[lost]));
  const members = await cluster.members();
  const { helpers } = chainFor({ scheme, shards, lost, holders, members, self: outsider() })!;
  return [helpers[0]!.node, helpers[0]!.terms[0]![0]];
}

test('a damaged shard breaks the chain; gathering brings k shards into one node, and is right', async () => {
  const [node, id] = await firstHelper();
  flipByte(cluster.packPath(node, id), random, ...rangeOf(cluster.packPath(node, id), 'header'));
  await rebuildLast('gather');
  expect(fs.existsSync(cluster.packPath(node, id))).toBe(false);
});
