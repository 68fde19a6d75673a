/**
 * Rebuilds one lost shard of a stripe on this node.
 * In: the pack's catalog entry and a shard index. Out: the shard pack, durable and committed, with the id that the producer
 * recorded. Brings k verified shards here first, and discards those that are not its own afterwards.
 */
import { join } from 'node:path';
import { type DigestHex, fromHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { type PackAccessOptions, withShards } from '../replication/pack-access.ts';
import { reconstructShard } from '../replication/stripe-tasks.ts';

export interface RebuildServices extends PackAccessOptions {
  /** Of the shards that were used and of the one that was made. */
  readonly onVerified: (bytes: number, records: number) => void;
}

export async function rebuildShard(
  options: RebuildServices,
  pack: DigestHex,
  shardIndex: number,
): Promise<{ readonly bytes: number }> {
  const { store, catalog, pool, receiver } = options;
  const entry = await catalog.pack(pack);
  const expectedId = entry?.stripe?.shards[shardIndex];
  if (entry === undefined || expectedId === undefined) {
    throw new KwamError(
      'NOT_FOUND',
      `expected pack ${pack} to be a stripe with a shard ${shardIndex}, it is not`,
    );
  }
  if (store.hasPack(expectedId)) return { bytes: 0 };
  const { dataShards, parityShards, matrix } = entry.stripe!;
  const path = join(store.layout.incoming, `${expectedId}.rebuilding`);
  let verified = 0;
  const sealed = await withShards(options, entry, async (sources) => {
    await receiver.discard(path);
    verified = sources.length + 1;
    return pool.run(
      reconstructShard,
      {
        pack: fromHex(pack),
        packBytes: entry.bytes,
        scheme: { dataShards, parityShards, matrix },
        codecId: options.codecId,
        sources,
        path,
        shardIndex,
        expectedId,
        packs: store.layout.packs,
      },
      { bytes: entry.bytes },
    );
  });
  const { recordCount } = await store.commitPack(sealed);
  options.onVerified(verified * sealed.bytes, verified * recordCount);
  return { bytes: sealed.bytes };
}
