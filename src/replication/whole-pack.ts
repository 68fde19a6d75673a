/**
 * A pack brought here as a whole, durable and committed, to give it another redundancy.
 * In: its catalog entry. Out: the pack in this node's store, from a copy that another node has, or made again from the shards of its stripe.
 * Holds: every record of it matches the producer's digest before it counts. Does not list it, and gives nothing up.
 */
import { dataOf } from '../erasure/scheme.ts';
import { KwamError } from '../errors.ts';
import type { SealedPack } from '../store/pack-writer.ts';
import type { PackRecordEntry } from './catalog.ts';
import { findHolders } from './holders.ts';
import { type PackAccessOptions, withShards } from './pack-access.ts';
import { installPack } from './pack-tasks.ts';
import { identityOf, type StripedEntry } from './stripe-identity.ts';
import { reconstructPack } from './stripe-tasks.ts';

export interface WholePackOptions extends PackAccessOptions {
  /** What it holds can be found here from now on. */
  readonly known: { addPack(sealed: SealedPack): unknown };
}

export async function bringWhole(
  options: WholePackOptions,
  entry: PackRecordEntry,
  signal?: AbortSignal,
): Promise<void> {
  const { store, peers, receiver } = options;
  if (store.hasPack(entry.id)) return;
  if (entry.stripe !== undefined) return makeWhole(options, entry as StripedEntry);
  const holders = (await findHolders(peers, store, [entry.id])).get(entry.id) ?? [];
  await receiver.receive(entry.id, holders, signal);
}

/** From shards, though the pack may be in no catalog. */
export async function makeWhole(options: WholePackOptions, entry: StripedEntry): Promise<void> {
  const { store, pool, known, receiver } = options;
  const identity = identityOf(entry);
  const path = store.readingPath(entry.id);
  try {
    await withShards(options, entry, dataOf(identity.scheme), async (sources) => {
      await receiver.discard(path);
      await pool.run(reconstructPack, { ...identity, sources, path }, { bytes: entry.bytes });
    });
    const installed = await pool.run(installPack, { path, packs: store.layout.packs, id: entry.id });
    if (!installed.ok) throw new KwamError('INTEGRITY', `pack ${entry.id} could not be made from its shards`);
    await store.commitPack(installed.sealed);
    known.addPack(installed.sealed);
  } finally {
    await receiver.discard(path);
  }
}
