/**
 * Takes back copies and shards that are too many, as they are after a node returns whose packs were restored elsewhere.
 * In: the catalog, and who holds what. Out: what this node gave up; a node only ever gives up its own.
 * Holds: no fewer copies than the plan asks for, at any moment and whoever else does the same, whatever each of them believes
 * about the members. Each giving up is one compare-and-set on the list of releases of that pack:
 *   1. read the list; choose `wanted` other holders that are not on it; have each of them read its copy back and verify it
 *   2. stop saying what is held here (orphans.exclusively), add oneself to the list if it has not changed since 1
 *   3. remove the file, take oneself off the list, answer again
 * Every entry also renews the revision of the pack's own entry, so that a list that is empty again is not taken for the same.
 * Who is counted on in 1 is not on the list and, should it get on it afterwards, counts on others that are not: the last
 * entry always leaves `wanted` verified copies with nodes that do not remove theirs. A node that dies after 2 is not counted on while it is
 * listed; it never removes on the word of an earlier life, but takes itself off and begins anew.
 * Gives up nothing on the word of a catalog in doubt (replication/lineage.ts). Does not decide when: see background.ts and the command repair.
 */
import type { Clock } from '../clock.ts';
import type { Member } from '../cluster/membership.ts';
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { candidates, place } from '../placement/placement.ts';
import type { Domain } from '../plan.ts';
import type { Catalog, PackRecordEntry } from '../replication/catalog.ts';
import { giveUp } from '../replication/give-up.ts';
import { findHolders, type Holders } from '../replication/holders.ts';
import type { Lineage } from '../replication/lineage.ts';
import { PACK_VERIFY } from '../replication/protocol.ts';
import { storedIdsOf } from '../replication/redundancy.ts';
import type { Store } from '../store/store.ts';
import type { Orphans } from './orphans.ts';

export interface SurplusServices {
  readonly store: Store;
  readonly peers: Pick<Peers, 'self' | 'members' | 'ask'>;
  readonly catalog: Pick<Catalog, 'packs' | 'releases' | 'release' | 'endRelease' | 'releasedBy'>;
  readonly lineage: Pick<Lineage, 'isKnown'>;
  readonly orphans: Pick<Orphans, 'exclusively'>;
  readonly antiAffinity: readonly Domain[];
  /** Other nodes may be fetching it from here. */
  readonly isMoving: (pack: DigestHex) => boolean;
  readonly clock: Clock;
  /** Nothing is urgent here: others read their copies no faster than they scrub. */
  readonly bytesPerSecondMax: number;
}

export interface SurplusResult {
  /** Copies and shards that this node gave up. */
  readonly trimmed: number;
  readonly bytesFreed: number;
}

/** A stored pack, and the catalog entry that it is, or is a shard of. */
interface Stored {
  readonly id: DigestHex;
  readonly entry: PackRecordEntry;
}

export async function trimSurplus(services: SurplusServices, signal?: AbortSignal): Promise<SurplusResult> {
  const { peers, catalog, lineage } = services;
  if (!(await lineage.isKnown())) return { trimmed: 0, bytesFreed: 0 };
  for (const id of await catalog.releasedBy(peers.self)) await catalog.endRelease(id, peers.self);
  const held = await heldHere(services);
  const members = await peers.members();
  const holders = await findHolders(
    peers,
    services.store,
    held.flatMap(({ entry }) => storedIdsOf(entry)),
  );
  const started = services.clock.monotonic();
  let [trimmed, bytesFreed] = [0, 0];
  for (const stored of held) {
    if (signal?.aborted) break;
    const bytes = await trim(services, stored, holders, members);
    if (bytes === undefined) continue;
    trimmed++;
    bytesFreed += bytes;
    const aheadMs = (bytesFreed / services.bytesPerSecondMax) * 1000 - (services.clock.monotonic() - started);
    if (aheadMs > 0) await services.clock.sleep(aheadMs);
  }
  return { trimmed, bytesFreed };
}

async function heldHere({ catalog, store }: SurplusServices): Promise<Stored[]> {
  const held: Stored[] = [];
  for await (const entry of catalog.packs()) {
    for (const id of storedIdsOf(entry)) if (store.hasPack(id)) held.push({ id, entry });
  }
  return held;
}

/** @returns the bytes that were given up; undefined when this copy is needed, or may be. */
async function trim(
  services: SurplusServices,
  { id, entry }: Stored,
  holders: Holders,
  members: readonly Member[],
): Promise<number | undefined> {
  const { peers, catalog } = services;
  if ((holders.get(id)?.length ?? 0) <= copiesWanted(entry)) return undefined;
  const releases = await catalog.releases(id, entry.id);
  // What was read at the beginning may be hours old, and more be wanted by now.
  const { wanted } = releases;
  if (wanted === undefined || !storedIdsOf(wanted).includes(id)) return undefined;
  const usable = members.filter(({ name }) => !releases.nodes.includes(name));
  const stayers = stayersOf(services, { id, entry: wanted }, holders, usable);
  if (stayers === undefined || stayers.includes(peers.self)) return undefined;
  for (const node of stayers) if (!(await isGoodOn(services, node, id))) return undefined;
  // The list was read in the catalog that is known, not in one that took its place since the last look.
  if (!(await services.lineage.isKnown())) return undefined;
  return services.orphans.exclusively(async () => {
    if (!services.store.hasPack(id) || services.isMoving(id)) return undefined;
    if (!(await catalog.release(releases, peers.self))) return undefined;
    const bytes = await giveUp(services.store, id);
    await catalog.endRelease(id, peers.self);
    return bytes;
  });
}

function copiesWanted(entry: PackRecordEntry): number {
  return entry.stripe === undefined ? (entry.copies ?? 1) : 1;
}

/** The holders that placement prefers; undefined when there are not enough. This node may be one of them. */
function stayersOf(
  { antiAffinity }: SurplusServices,
  { id, entry }: Stored,
  holders: Holders,
  members: readonly Member[],
): readonly string[] | undefined {
  const nodes = members.filter(({ name }) => holders.get(id)!.includes(name));
  if (entry.stripe === undefined) {
    const { nodes: stayers, missing } = place(id, nodes, copiesWanted(entry), antiAffinity);
    return missing > 0 ? undefined : stayers;
  }
  // The holder with the fewest other shards of the stripe, so that they stay apart.
  const others = entry.stripe.shards.filter((shard) => shard !== id);
  const load = (name: string): number => others.filter((shard) => holders.get(shard)?.includes(name)).length;
  const [best] = candidates(id, nodes).toSorted((a, b) => load(a) - load(b));
  return best === undefined ? undefined : [best];
}

/** Read back and verified there, now. */
async function isGoodOn({ peers }: SurplusServices, node: string, id: DigestHex): Promise<boolean> {
  try {
    return (await peers.ask<{ isGood: boolean }>(node, PACK_VERIFY, { packs: [id] })).isGood;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    return false;
  }
}
