/**
 * How much of a pack there is, beside what its catalog entry asks for.
 * In: the entry, and who holds what. Out: numbers. Decides nothing and asks nobody.
 */
import type { DigestHex } from '../digest.ts';
import { lossesLeft } from '../erasure/survival.ts';
import type { PackRecordEntry } from './catalog.ts';
import type { Holders } from './holders.ts';

/** The packs that nodes store for an entry: itself, or its shards. */
export function storedIdsOf(entry: PackRecordEntry): readonly DigestHex[] {
  return entry.stripe?.shards ?? [entry.id];
}

const held = (id: DigestHex, holders: Holders): number => holders.get(id)?.length ?? 0;

/** Copies or shards that are asked for and not there. */
export function missingOf(entry: PackRecordEntry, holders: Holders): number {
  if (entry.stripe === undefined) return Math.max(0, (entry.copies ?? 1) - held(entry.id, holders));
  return entry.stripe.shards.filter((shard) => held(shard, holders) === 0).length;
}

/** How many more losses the pack survives, whichever they are; below 0 when it cannot be made from what is there. */
export function spareOf(entry: PackRecordEntry, holders: Holders): number {
  if (entry.stripe === undefined) return held(entry.id, holders) - 1;
  const present = entry.stripe.shards.map((shard) => held(shard, holders) > 0);
  return lossesLeft(entry.stripe, present);
}

/** Nodes that hold the pack, or a shard of it. */
export function holdersOf(entry: PackRecordEntry, holders: Holders): ReadonlySet<string> {
  return new Set(storedIdsOf(entry).flatMap((id) => holders.get(id) ?? []));
}
