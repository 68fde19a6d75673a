/**
 * Rebuilding a lost rs(6, 3) shard on a node that has none of the stripe: what travels, and what happens when something of the chain
 * is damaged, lies, stops or refuses. Real stores and workers, network of the memory twin.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { toHex } from '../../src/digest.ts';
import { KwamError } from '../../src/errors.ts';
import { MIB, partialCreditBytes } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { type RebuildServices, rebuildShard } from '../../src/repair/rebuild-shard.ts';
import type { PackRecordEntry } from '../../src/replication/catalog.ts';
import { inPieces, PartialSums } from '../../src/replication/partial-sum.ts';
import { parsePull } from '../../src/replication/protocol.ts';
import { identityOf, stripeIdOf } from '../../src/replication/stripe-identity.ts';
import type { JsonValue } from '../../src/transport/transport.ts';
import { ByteBudget } from '../../src/workers/byte-budget.ts';
import { PACK_PARTS, rangeOf } from '../faults/packs.ts';
import { flipByte } from '../faults/trees.ts';
import { type Cluster, startCluster, type TestNode } from '../pipeline/memory-cluster.ts';
import { buildPack, payloadOf } from '../store/packs.ts';

const scheme = { dataShards: 6, parityShards: 3, matrix: 'vandermonde' } as const;
/** Two slices and a bit a shard. */
const OBJECT_BYTES = 14 * MIB;

let cluster: Cluster;
let directory: string;
let entry: PackRecordEntry & Required<Pick<PackRecordEntry, 'stripe'>>;
let shardBytes: number;
let files: Uint8Array[];

beforeAll(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-rebuild-'));
  cluster = await startCluster({ nodes: 10, erasure: scheme, packBytesTarget: 64 * MIB });
  const tree = join(directory, 'tree');
  fs.mkdirSync(tree);
  fs.writeFileSync(join(tree, 'data'), seededRandom(5).fill(new Uint8Array(OBJECT_BYTES)));
  await cluster.nodes[0]!.put(tree, 'object');
  const packs: PackRecordEntry[] = [];
  for await (const pack of cluster.catalog.packs()) packs.push(pack);
  entry = packs.find(({ bytes }) => bytes >= OBJECT_BYTES) as typeof entry;
  files = entry.stripe.shards.map((id, i) => fs.readFileSync(holder(i).store.packFile(id)));
  shardBytes = files[0]!.length;
});
afterAll(async () => {
  await cluster.close();
  fs.rmSync(directory, { recursive: true });
});
beforeEach(() => {
  for (const { seen } of cluster.nodes)
    Object.assign(seen, { bytesIn: 0, bytesOut: 0, rebuilt: [], ownCorrupt: [], suspected: [] });
});

function holder(shard: number): TestNode {
  return cluster.nodes.find(({ store }) => store.hasPack(entry.stripe.shards[shard]!))!;
}

/** The node without a shard of the stripe: it changes, as the rebuilt shard stays where it was rebuilt. */
function outsider(): TestNode {
  return cluster.nodes.find(({ store }) => !entry.stripe.shards.some((id) => store.hasPack(id)))!;
}

async function lose(shard: number): Promise<TestNode> {
  const rebuilder = outsider();
  await holder(shard).store.retirePack(entry.stripe.shards[shard]!);
  return rebuilder;
}

/** Rebuilds a lost shard at `node`; it must come out byte for byte as it was. */
async function rebuild(
  node: TestNode,
  shard: number,
  services: RebuildServices = node.rebuild,
): Promise<void> {
  const { bytes } = await rebuildShard(services, entry.id, shard);
  expect(bytes).toBe(shardBytes);
  const path = node.store.packFile(entry.stripe.shards[shard]!);
  expect(Buffer.compare(fs.readFileSync(path), files[shard]!)).toBe(0);
  expect(fs.readdirSync(node.store.layout.incoming)).toEqual([]);
}

/** With sums that pass through `change` on their way to the rebuilder. */
function changed(
  { rebuild: services }: TestNode,
  change: (bytes: Uint8Array, piece: number) => Uint8Array | undefined,
): RebuildServices {
  const sums: RebuildServices['sums'] = {
    async *sum(...request) {
      let piece = 0;
      for await (const bytes of services.sums.sum(...request)) {
        const next = change(bytes, piece++);
        if (next === undefined) return;
        yield next;
      }
    },
  };
  return { ...services, sums };
}

describe('what travels', () => {
  const most = (what: 'bytesIn' | 'bytesOut'): number =>
    Math.max(...cluster.nodes.map(({ seen }) => seen[what])) / shardBytes;

  test.each([0, 4, 8])(
    'for shard %i by partial sums: at most 1.1 shards into and out of any node',
    async (shard) => {
      const node = await lose(shard);
      await rebuild(node, shard);
      expect(node.seen.rebuilt).toEqual(['chain']);
      expect(most('bytesIn')).toBeLessThan(1.1);
      expect(most('bytesOut')).toBeLessThan(1.1);
      expect(node.seen.bytesIn / shardBytes).toBeGreaterThan(0.99);
      expect(cluster.nodes.filter(({ seen }) => seen.bytesOut > shardBytes / 2).length).toBe(6);
    },
  );

  test('by gathering: six shards into the rebuilding node', async () => {
    const node = await lose(2);
    await rebuild(
      node,
      2,
      changed(node, () => undefined),
    );
    expect(node.seen.rebuilt).toEqual(['gather']);
    expect(node.seen.bytesIn / shardBytes).toBeGreaterThan(6);
  });

  test('a node that has a shard itself adds it and pulls once', async () => {
    const node = holder(1);
    await lose(3);
    await rebuild(node, 3);
    expect(node.seen.rebuilt).toEqual(['chain']);
    expect(cluster.nodes.filter(({ seen }) => seen.bytesOut > shardBytes / 2).length).toBe(5);
    await node.store.retirePack(entry.stripe.shards[3]!);
    await rebuild(outsider(), 3);
  });
});

/** Of the shards that are left, the one whose node comes first in every chain to a node without any: racks go by name. */
function firstShard(): number {
  const first = cluster.nodes.find(({ store }) => entry.stripe.shards.some((id) => store.hasPack(id)))!;
  return entry.stripe.shards.findIndex((id) => first.store.hasPack(id));
}

describe('a chain that cannot be trusted', () => {
  test.each(PACK_PARTS)('a helper whose %s is damaged notices, and what is bad has no part', async (part) => {
    const node = await lose(5);
    const shard = firstShard();
    const damaged = holder(shard);
    const id = entry.stripe.shards[shard]!;
    flipByte(damaged.store.packFile(id), seededRandom(9), ...rangeOf(damaged.store.packFile(id), part));
    await rebuild(node, 5);
    // The header of a record tells nothing that the index does not: only a scrub looks at it.
    const isNoticed = part !== 'record header';
    expect(node.seen.rebuilt).toEqual([isNoticed ? 'gather' : 'chain']);
    const { ownCorrupt, suspected } = damaged.seen;
    expect([...new Set([...ownCorrupt, ...suspected])]).toEqual(isNoticed ? [id] : []);
    if (damaged.store.hasPack(id)) await damaged.store.quarantine(id, 'damaged by this test');
    await rebuild(damaged, shard);
    expect(damaged.seen.rebuilt).toEqual(['chain']);
  });

  const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 77 ? byte ^ 1 : byte));
  test.each<[what: string, change: Parameters<typeof changed>[1]]>([
    ['wrong', (bytes, piece) => (piece === 1 ? flipped(bytes) : bytes)],
    ['too short', (bytes, piece) => (piece === 2 ? undefined : bytes)],
    ['too long', (bytes, piece) => (piece === 2 ? Buffer.concat([bytes, Uint8Array.of(1)]) : bytes)],
    [
      'cut off',
      () => {
        throw new KwamError('UNAVAILABLE', 'the connection is gone', { retryable: true });
      },
    ],
  ])(
    'a sum that is %s does not count: the shard is made of k others that are verified',
    async (_, change) => {
      const node = await lose(7);
      await rebuild(node, 7, changed(node, change));
      expect(node.seen.rebuilt).toEqual(['gather']);
      expect(cluster.nodes.flatMap(({ seen }) => seen.ownCorrupt)).toEqual([]);
    },
  );

  test('a helper that has no memory left refuses, so that chains never wait for each other', async () => {
    const { store, peers } = holder(0);
    const budget = new ByteBudget(2 * partialCreditBytes);
    const never = async (): Promise<void> => expect.unreachable('nothing is bad or verified');
    const { pool } = cluster;
    const sums = new PartialSums({ store, peers, pool, budget, onOwnBad: never, onVerified: never });
    const grant = await budget.take(partialCreditBytes);
    const stripe = stripeIdOf(identityOf(entry));
    const pull = { what: 'partial', stripe, terms: [[entry.stripe.shards[0]!, 1]], next: [] } as const;
    const refused = sums.serve(pull, new AbortController().signal).next();
    await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    grant.release();
    expect(budget.bytesHeld).toBe(0);
  });

  test('only shards of the stripe take part: a pack that is unknown, of chunks or of another stripe is refused', async () => {
    const node = holder(0);
    const partial = { what: 'partial', stripe: stripeIdOf(identityOf(entry)), next: [] };
    const pull = (shard: string): Promise<unknown> =>
      outsider()
        .peers.pull(node.name, { ...partial, terms: [[shard, 1]] }, { creditBytes: MIB })
        .next();
    await expect(pull('ab'.repeat(32))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const chunks = await buildPack(node.store.fileSystem, node.store.layout, [payloadOf(Uint8Array.of(1))]);
    await node.store.commitPack(chunks);
    await expect(pull(chunks.id)).rejects.toMatchObject({ message: expect.stringContaining('of chunks') });
    const own = entry.stripe.shards.find((id) => node.store.hasPack(id))!;
    const other = { ...partial, stripe: chunks.id, terms: [[own, 1]] };
    const refused = outsider().peers.pull(node.name, other, { creditBytes: MIB }).next();
    await expect(refused).rejects.toMatchObject({ code: 'STRIPE_MIXED' });
    expect(node.store.hasPack(own)).toBe(true);
  });
});

test('a request for a partial sum is refused when it is not one', () => {
  const id = toHex(new Uint8Array(32) as never);
  const good = { what: 'partial', stripe: id, terms: [[id, 255]], next: [{ node: 'n1', terms: [[id, 0]] }] };
  expect(parsePull(good as JsonValue)).toEqual(good);
  const bad: JsonValue[] = [
    { what: 'partial' },
    { ...good, stripe: 'x' },
    { ...good, terms: [] },
    { ...good, terms: [[id, 256]] },
    { ...good, terms: [[id, 1.5]] },
    { ...good, terms: [['x', 1]] },
    { ...good, terms: [[id]] },
    { ...good, terms: Array.from({ length: 256 }, () => [id, 1]) },
    { ...good, next: 'n1' },
    { ...good, next: [{ node: 'n1', terms: [] }] },
    { ...good, next: [{ terms: [[id, 1]] }] },
  ];
  for (const request of bad)
    expect(() => parsePull(request), JSON.stringify(request).slice(0, 80)).toThrow(KwamError);
});

async function allOf<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

test('a stream is cut into pieces wherever its own end, and neither more nor less is accepted', async () => {
  const bytes = seededRandom(3).fill(new Uint8Array(1000));
  const lengths = [300, 300, 300, 100];
  async function* streamOf(whole: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < whole.length; at += step) yield whole.subarray(at, at + step);
  }
  for (const step of [1, 7, 300, 999, 1000]) {
    const pieces = await allOf(inPieces(streamOf(bytes, step), lengths));
    expect(pieces.map(({ length }) => length)).toEqual(lengths);
    expect(Buffer.compare(Buffer.concat(pieces), bytes)).toBe(0);
    for (const wrong of [bytes.subarray(1), Buffer.concat([bytes, bytes.subarray(0, 1)])]) {
      const read = allOf(inPieces(streamOf(wrong, step), lengths));
      await expect(read).rejects.toMatchObject({ code: 'PROTOCOL' });
    }
  }
});
