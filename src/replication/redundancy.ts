/**
 * How much of a pack there is, beside what its catalog entry asks for.
 * In: the entry, and who holds what. Out: numbers. Decides nothing and asks nobody.
 */
import type { DigestHex } from '../digest.ts';
import type { PackRecordEntry } from './catalog.ts';
import type { Holders } from './holders.ts';

/** The packs that nodes store for an entry: itself, or its shards. */
export function storedIdsOf(entry: PackRecordEntry): readonly DigestHex[] {
  return entry.stripe?.shards ?? [entry.id];
}

/** Copies or shards that are asked for and not there. */
export function missingOf(entry: PackRecordEntry, holders: Holders): number {
  const held = (id: DigestHex): number => holders.get(id)?.length ?? 0;
  if (entry.stripe === undefined) return Math.max(0, (entry.copies ?? 1) - held(entry.id));
  return entry.stripe.shards.filter((shard) => held(shard) === 0).length;
}

/** How many more losses the pack survives; below 0 when it cannot be made from what is there. */
export function spareOf(entry: PackRecordEntry, holders: Holders): number {
  if (entry.stripe === undefined) return (holders.get(entry.id)?.length ?? 0) - 1;
  return entry.stripe.shards.length - missingOf(entry, holders) - entry.stripe.dataShards;
}

/** Nodes that hold the pack, or a shard of it. */
export function holdersOf(entry: PackRecordEntry, holders: Holders): ReadonlySet<string> {
  return new Set(storedIdsOf(entry).flatMap((id) => holders.get(id) ?? []));
}
