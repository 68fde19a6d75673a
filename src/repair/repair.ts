/**
 * Brings redundancy back to what the plan promises.
 * In: the catalog, the nodes that are up and what each holds. Out: what was restored, and what cannot be now.
 * Each pack has one responsible node, the first up node in its placement order, which asks others to pull a copy from a good
 * holder or to rebuild a lost shard. What arrives is verified against the producer's digests before it counts.
 */
import type { Member } from '../cluster/membership.ts';
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { candidates, place } from '../placement/placement.ts';
import type { Domain, Plan } from '../plan.ts';
import type { Catalog, PackRecordEntry } from '../replication/catalog.ts';
import { findHolders, type Holders } from '../replication/holders.ts';
import { PACK_HAVE, PACK_RECEIVE, type ReceiveAnswer } from '../replication/protocol.ts';
import type { Store } from '../store/store.ts';

/** Asks a node to rebuild one shard of a stripe from k others, and to keep it. */
export const SHARD_REBUILD = 'shard.rebuild';

export interface RepairServices {
  readonly store: Store;
  readonly peers: Peers;
  readonly catalog: Catalog;
  readonly replicate: Plan['replicate'];
  readonly onRepaired: (pack: DigestHex, bytes: number) => void;
  readonly onRelaxed: (pack: DigestHex, domains: readonly (Domain | 'node')[]) => void;
}

export interface RepairRequest {
  readonly signal?: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

export interface Unrepairable {
  readonly pack: DigestHex;
  /** Names of the objects that rely on it. */
  readonly objects: readonly string[];
}

export interface RepairResult {
  /** Copies and shards restored. */
  readonly repaired: number;
  readonly bytes: number;
  /** Copies and shards that are still missing. */
  readonly remaining: number;
  /** Packs of which no sufficient source is up. */
  readonly unrepairable: readonly Unrepairable[];
}

interface Tally {
  repaired: number;
  bytes: number;
  remaining: number;
  readonly lost: DigestHex[];
}

/** Repairs every pack that this node is responsible for. */
export async function repair(services: RepairServices, request: RepairRequest): Promise<RepairResult> {
  const up = await reachable(services.peers);
  const own = await responsibleFor(services, up);
  const ids = own.flatMap((entry) => entry.stripe?.shards ?? [entry.id]);
  const holders = await findHolders(services.peers, services.store, ids);
  const tally: Tally = { repaired: 0, bytes: 0, remaining: 0, lost: [] };
  const ordered = own.toSorted((a, b) => spareOf(a, holders) - spareOf(b, holders));
  for (const [done, entry] of ordered.entries()) {
    if (request.signal?.aborted) break;
    if (entry.stripe === undefined) await repairCopies(services, up, holders, entry, tally);
    else await repairStripe(services, up, holders, entry, tally);
    request.onProgress(done + 1, ordered.length);
  }
  return { ...tally, unrepairable: await withObjects(services.catalog, tally.lost) };
}

/**
 * Up, and it answers: a lease outlives its node by seconds, and a pack whose responsible node is dead would be nobody's until
 * then. Nodes that see this differently restore a copy twice, which does no harm.
 */
async function reachable(peers: Peers): Promise<Member[]> {
  const answers = (await peers.up()).map(async (member) => {
    try {
      if (member.name !== peers.self) await peers.ask(member.name, PACK_HAVE, { packs: [] });
      return [member];
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      return [];
    }
  });
  return (await Promise.all(answers)).flat();
}

async function responsibleFor(services: RepairServices, up: readonly Member[]): Promise<PackRecordEntry[]> {
  const own: PackRecordEntry[] = [];
  for await (const entry of services.catalog.packs()) {
    if (candidates(entry.id, up)[0] === services.peers.self) own.push(entry);
  }
  return own;
}

/** How many more losses the pack survives: the least first. */
function spareOf(entry: PackRecordEntry, holders: Holders): number {
  if (entry.stripe === undefined) return (holders.get(entry.id)?.length ?? 0) - 1;
  const present = entry.stripe.shards.filter((shard) => (holders.get(shard)?.length ?? 0) > 0);
  return present.length - entry.stripe.dataShards;
}

async function repairCopies(
  services: RepairServices,
  up: readonly Member[],
  holders: Holders,
  entry: PackRecordEntry,
  tally: Tally,
): Promise<void> {
  const have = [...(holders.get(entry.id) ?? [])];
  const wanted = entry.copies ?? services.replicate.factor;
  if (have.length >= wanted) return;
  if (have.length === 0) {
    tally.lost.push(entry.id);
    tally.remaining += wanted;
    return;
  }
  for (const node of chooseHomes(services, up, entry.id, have, wanted - have.length)) {
    const bytes = await askForCopy(services, node, entry.id, have);
    if (bytes === undefined) continue;
    have.push(node);
    tally.repaired++;
    tally.bytes += bytes;
    services.onRepaired(entry.id, bytes);
  }
  tally.remaining += Math.max(0, wanted - have.length);
}

/** Undefined when that node could not; what is then missing stays counted as remaining. */
async function askForCopy(
  services: RepairServices,
  node: string,
  pack: DigestHex,
  from: readonly string[],
): Promise<number | undefined> {
  try {
    const request = { pack, from: [...from], isRepair: true };
    return (await services.peers.ask<ReceiveAnswer>(node, PACK_RECEIVE, request)).bytes;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    return undefined;
  }
}

/**
 * New homes for copies or shards, apart from the nodes that hold some already: first those that share no listed domain with
 * any of them, by preference; when there is none, the ones that a fresh placement would choose.
 */
function chooseHomes(
  services: RepairServices,
  up: readonly Member[],
  pack: DigestHex,
  taken: readonly string[],
  count: number,
): string[] {
  const { antiAffinity } = services.replicate;
  const byName = new Map(up.map((member) => [member.name, member]));
  const used = taken.flatMap((name) => byName.get(name) ?? []);
  const order = candidates(pack, up).filter((name) => !taken.includes(name));
  const homes: string[] = [];
  for (const name of order) {
    const node = byName.get(name)!;
    const shares = used.some((other) =>
      antiAffinity.some((domain) => other.labels[domain] === node.labels[domain]),
    );
    if (homes.length === count || shares) continue;
    homes.push(name);
    used.push(node);
  }
  if (homes.length < count) {
    const wished = place(pack, up, taken.length + count, antiAffinity, { allowRepeat: true });
    if (wished.relaxed.length > 0) services.onRelaxed(pack, wished.relaxed);
    for (const name of [...wished.nodes, ...order]) {
      if (homes.length < count && !taken.includes(name) && !homes.includes(name)) homes.push(name);
    }
  }
  return homes;
}

async function repairStripe(
  services: RepairServices,
  up: readonly Member[],
  holders: Holders,
  entry: PackRecordEntry,
  tally: Tally,
): Promise<void> {
  const { shards, dataShards } = entry.stripe!;
  const homes = shards.map((shard) => holders.get(shard)?.[0]);
  const missing = [...homes.keys()].filter((shard) => homes[shard] === undefined);
  if (missing.length === 0) return;
  if (shards.length - missing.length < dataShards) {
    tally.lost.push(entry.id);
    tally.remaining += missing.length;
    return;
  }
  for (const shardIndex of missing) {
    const node = homeForShard(services, up, entry.id, homes);
    const bytes = node === undefined ? undefined : await askToRebuild(services, node, entry.id, shardIndex);
    if (bytes === undefined) {
      tally.remaining++;
      continue;
    }
    homes[shardIndex] = node;
    tally.repaired++;
    tally.bytes += bytes;
    services.onRepaired(shards[shardIndex]!, bytes);
  }
}

/** A node without a shard of this stripe; when there is none, the one with the fewest. */
function homeForShard(
  services: RepairServices,
  up: readonly Member[],
  pack: DigestHex,
  homes: readonly (string | undefined)[],
): string | undefined {
  const taken = homes.filter((home) => home !== undefined);
  const fresh = chooseHomes(services, up, pack, taken, 1)[0];
  if (fresh !== undefined) return fresh;
  const load = (name: string): number => taken.filter((home) => home === name).length;
  const fewest = candidates(pack, up).toSorted((a, b) => load(a) - load(b))[0];
  if (fewest !== undefined) services.onRelaxed(pack, ['node']);
  return fewest;
}

async function askToRebuild(
  services: RepairServices,
  node: string,
  pack: DigestHex,
  shardIndex: number,
): Promise<number | undefined> {
  try {
    return (await services.peers.ask<ReceiveAnswer>(node, SHARD_REBUILD, { pack, shardIndex })).bytes;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    return undefined;
  }
}

async function withObjects(catalog: Catalog, lost: readonly DigestHex[]): Promise<Unrepairable[]> {
  if (lost.length === 0) return [];
  const names = new Map<DigestHex, string[]>(lost.map((pack) => [pack, []]));
  for await (const object of catalog.objects()) {
    for (const pack of object.packs) names.get(pack)?.push(object.name);
  }
  return [...names].map(([pack, objects]) => ({ pack, objects }));
}
