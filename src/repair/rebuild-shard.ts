/**
 * Rebuilds one lost shard of a stripe on this node.
 * In: the pack's catalog entry and a shard index. Out: the shard pack, durable and committed, with the id that the producer
 * recorded. First by partial sums, which cost every link one shard (chain.ts). When that fails or gives anything but that shard, k
 * shards (of a local group those that are left) are brought here, verified one by one, and whoever sent a bad one is told: a sum does not show which part of it was wrong.
 */
import type { DigestHex } from '../digest.ts';
import { schemeText } from '../erasure/scheme.ts';
import { sliceRange, stripeOf } from '../erasure/stripe.ts';
import { KwamError } from '../errors.ts';
import type { ErasureScheme } from '../plan.ts';
import { findHolders } from '../replication/holders.ts';
import { type PackAccessOptions, withShards } from '../replication/pack-access.ts';
import { inPieces, type PartialSums } from '../replication/partial-sum.ts';
import { identityOf, type StripedEntry, stripeIdOf } from '../replication/stripe-identity.ts';
import { payloadOffset, reconstructShard, sealRebuiltShard } from '../replication/stripe-tasks.ts';
import type { SealedPack } from '../store/pack-writer.ts';
import { type Chain, chainFor } from './chain.ts';

/** How a shard was rebuilt: from sums that travelled from node to node, or from k shards that were brought here. */
export type RebuildWay = 'chain' | 'gather';

export interface RebuildServices extends PackAccessOptions {
  readonly sums: Pick<PartialSums, 'sum'>;
  /** Of the shards that were used and of the one that was made; most of them are not from this node's own store. */
  readonly onVerified: (bytes: number, records: number, isOwn: false) => void;
  /** @param failure  why the chain did not do, where the shards were gathered. */
  readonly onRebuilt: (shard: DigestHex, way: RebuildWay, failure?: KwamError) => void;
}

/** The shard that is wanted. */
interface Lost {
  readonly entry: StripedEntry;
  readonly shardIndex: number;
  readonly id: DigestHex;
}

export async function rebuildShard(
  options: RebuildServices,
  pack: DigestHex,
  shardIndex: number,
  signal?: AbortSignal,
): Promise<{ readonly bytes: number }> {
  const { store } = options;
  const lost = await lostShard(options, pack, shardIndex);
  if (store.hasPack(lost.id)) return { bytes: 0 };
  let sealed: SealedPack;
  try {
    sealed = await byChain(options, lost, signal);
    options.onVerified(sealed.bytes, sliceCountOf(lost), false);
    options.onRebuilt(lost.id, 'chain');
  } catch (error) {
    if (!(error instanceof KwamError) || signal?.aborted) throw error;
    sealed = await byGathering(options, lost);
    options.onRebuilt(lost.id, 'gather', error);
  }
  await store.commitPack(sealed);
  return { bytes: sealed.bytes };
}

async function lostShard({ catalog }: RebuildServices, pack: DigestHex, shardIndex: number): Promise<Lost> {
  const entry = await catalog.pack(pack);
  const id = entry?.stripe?.shards[shardIndex];
  if (id !== undefined) return { entry: entry as Lost['entry'], shardIndex, id };
  throw new KwamError(
    'NOT_FOUND',
    `expected pack ${pack} to be a stripe with a shard ${shardIndex}, it is not`,
  );
}

function sliceCountOf({ entry }: Lost): number {
  return stripeOf(entry.bytes, entry.stripe.dataShards).sliceCount;
}

async function byChain(
  options: RebuildServices,
  lost: Lost,
  signal: AbortSignal | undefined,
): Promise<SealedPack> {
  const { store, peers, receiver, pool } = options;
  const { entry, shardIndex, id } = lost;
  const { shards } = entry.stripe;
  const holders = await findHolders(peers, store, shards);
  const members = await peers.members();
  const identity = identityOf(entry);
  const { scheme } = identity;
  const chain = chainFor({ scheme, shards, lost: shardIndex, holders, members, self: peers.self });
  if (chain === undefined) throw tooFew(lost, scheme);
  const path = store.readingPath(id);
  try {
    await writeSum(options, lost, chain, path, signal);
    const seal = { ...identity, path, shardIndex, expectedId: id, packs: store.layout.packs };
    return await pool.run(sealRebuiltShard, seal, { bytes: entry.bytes / scheme.dataShards });
  } finally {
    await receiver.discard(path);
  }
}

async function writeSum(
  { store, sums }: RebuildServices,
  { entry }: Lost,
  { own, helpers }: Chain,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stripe = stripeOf(entry.bytes, entry.stripe.dataShards);
  const slices = Array.from({ length: stripe.sliceCount }, (_, slice) => sliceRange(stripe, slice));
  const lengths = slices.map(({ bytes }) => bytes);
  const request = { stripe: stripeIdOf(identityOf(entry)), terms: own, next: helpers };
  const file = await store.files.open(path, 'write');
  try {
    let slice = 0;
    for await (const bytes of inPieces(sums.sum(request, signal), lengths))
      await file.write(bytes, payloadOffset(slices[slice++]!.start));
  } finally {
    await file.close();
  }
}

function tooFew({ entry: { id }, shardIndex }: Lost, scheme: ErasureScheme): KwamError {
  return new KwamError(
    'STRIPE_TOO_FEW_SHARDS',
    `expected nodes to hold enough of ${schemeText(scheme)} for shard ${shardIndex} of pack ${id}, too few answer; start the missing nodes`,
    { context: { pack: id } },
  );
}

async function byGathering(options: RebuildServices, lost: Lost): Promise<SealedPack> {
  const { store, pool, receiver } = options;
  const { entry, shardIndex, id } = lost;
  const path = store.readingPath(id);
  let verified = 0;
  const sealed = await withShards(options, entry, [shardIndex], async (sources) => {
    await receiver.discard(path);
    verified = sources.length + 1;
    return pool.run(
      reconstructShard,
      {
        ...identityOf(entry),
        sources,
        path,
        shardIndex,
        expectedId: id,
        packs: store.layout.packs,
      },
      { bytes: entry.bytes },
    );
  });
  options.onVerified(verified * sealed.bytes, verified * sliceCountOf(lost), false);
  return sealed;
}
