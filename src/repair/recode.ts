/**
 * Brings packs to the redundancy that the plan asks for now: copies that have become cold to stripes, one scheme to another, stripes back to
 * copies.
 * In: the catalog and the plan. Out: how many packs were changed, and how many could not be. Each node does it for the packs that it is
 * responsible for, one at a time.
 * Holds: at any moment a pack has all that its entry in the catalog asks for, before and after; a crash leaves one or the other:
 *   1. the whole pack is brought here, and all new copies or shards to nodes that placement chooses; each is durable and verified there
 *   2. an epoch is taken; then every new copy or shard is read back and verified where it lies
 *   3. the entry is replaced in one step, if neither it nor the epoch has changed since: nobody retired a pack since 2, and whoever relies
 *      on the old ones looks again
 *   4. what only the old entry asked for is nobody's any more: nodes drop it as they drop orphans (orphans.ts), or give it up as surplus
 * What a crash leaves behind is dropped so too, or used by the next try: the same shards have the same ids. Changes nothing on the word of a
 * catalog in doubt.
 */
import type { Clock } from '../clock.ts';
import type { DigestHex } from '../digest.ts';
import { schemeOf, schemeText } from '../erasure/scheme.ts';
import { KwamError } from '../errors.ts';
import { recodeTriesMax } from '../limits.ts';
import type { ErasureScheme, Plan } from '../plan.ts';
import { announceRetired } from '../replication/announce-retired.ts';
import type { Catalog, PackRecordEntry } from '../replication/catalog.ts';
import type { Distributor, Home, Redundancy } from '../replication/distribute.ts';
import type { Lineage } from '../replication/lineage.ts';
import { PACK_VERIFY } from '../replication/protocol.ts';
import { storedIdsOf } from '../replication/redundancy.ts';
import { bringWhole, type WholePackOptions } from '../replication/whole-pack.ts';
import { reachable, responsibleFor } from './responsibility.ts';

export interface RecodeServices extends WholePackOptions {
  readonly catalog: Catalog;
  readonly lineage: Pick<Lineage, 'isKnown'>;
  readonly distributor: Pick<Distributor, 'spread'>;
  readonly replicate: Plan['replicate'];
  readonly clock: Clock;
  /** Nothing is urgent here: packs are brought and written no faster than they are scrubbed. */
  readonly bytesPerSecondMax: number;
  readonly onRecoded: (pack: DigestHex, from: string, to: string) => void;
  readonly onFailed: (pack: DigestHex, to: string, error: KwamError) => void;
}

export interface RecodeResult {
  readonly recoded: number;
  readonly failed: number;
  readonly bytes: number;
}

interface Change {
  readonly pack: DigestHex;
  readonly to: Redundancy;
}

export async function recode(services: RecodeServices, signal?: AbortSignal): Promise<RecodeResult> {
  const { lineage, clock, bytesPerSecondMax } = services;
  const result = { recoded: 0, failed: 0, bytes: 0 };
  if (!(await lineage.isKnown())) return result;
  const started = clock.monotonic();
  for (const { pack, to } of await changesOf(services)) {
    if (signal?.aborted) break;
    try {
      const bytes = await recodeOne(services, pack, to, signal);
      if (bytes > 0) result.recoded++;
      result.bytes += bytes;
    } catch (error) {
      if (!(error instanceof KwamError) || signal?.aborted) throw error;
      services.onFailed(pack, textOf(to), error);
      result.failed++;
    }
    const aheadMs = (result.bytes / bytesPerSecondMax) * 1000 - (clock.monotonic() - started);
    if (aheadMs > 0) await clock.sleep(aheadMs, signal);
  }
  return result;
}

/** What this node has to change, as the catalog is now. */
async function changesOf({ peers, catalog, replicate, clock }: RecodeServices): Promise<Change[]> {
  const own = await responsibleFor(catalog, peers.self, await reachable(peers));
  const youngest = replicate.coldAfterMs === undefined ? undefined : await youngestUse(catalog);
  const coldBeforeMs = clock.now() - (replicate.coldAfterMs ?? 0);
  return own.flatMap((entry) => {
    const isCold = (youngest?.get(entry.id) ?? 0) <= coldBeforeMs;
    const to = redundancyWanted(replicate, entry, isCold);
    return to === undefined ? [] : [{ pack: entry.id, to }];
  });
}

/** When the youngest object was put that lists a pack; none lists the others. Reads are not noted anywhere, so they keep no pack warm. */
async function youngestUse(catalog: Pick<Catalog, 'objects'>): Promise<ReadonlyMap<DigestHex, number>> {
  const youngest = new Map<DigestHex, number>();
  for await (const { packs, createdAt } of catalog.objects()) {
    const putMs = Date.parse(createdAt);
    for (const id of packs) youngest.set(id, Math.max(putMs, youngest.get(id) ?? putMs));
  }
  return youngest;
}

/** Undefined when the pack has it. A stripe does not become copies again because something new needs it. */
export function redundancyWanted(
  { factor, erasure }: Redundancy,
  { stripe, copies }: PackRecordEntry,
  isCold: boolean,
): Redundancy | undefined {
  if (erasure !== undefined && (isCold || stripe !== undefined)) {
    const isSo = stripe !== undefined && isSame(schemeOf(stripe), erasure);
    return isSo ? undefined : { factor, erasure };
  }
  return stripe === undefined && copies === factor ? undefined : { factor };
}

function isSame(a: ErasureScheme, b: ErasureScheme): boolean {
  return a.matrix === b.matrix && schemeText(a) === schemeText(b);
}

/** @returns the bytes of the pack; 0 when there was nothing to change any more. */
async function recodeOne(
  services: RecodeServices,
  pack: DigestHex,
  to: Redundancy,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { catalog, distributor, peers } = services;
  const before = await catalog.listing(pack);
  if (before === undefined) return 0;
  await bringWhole(services, before.entry, signal);
  const { entry, homes } = await distributor.spread(pack, to);
  for (let tries = 1; tries <= recodeTriesMax; tries++) {
    const listing = await catalog.listing(pack);
    if (listing === undefined || !isAsBefore(listing.entry, before.entry)) return 0;
    const epoch = await catalog.packEpoch();
    await requireGood(services, homes);
    if (!(await catalog.restate(listing, entry, epoch))) continue;
    services.onRecoded(pack, textOf(redundancyOf(before.entry)), textOf(to));
    const kept = new Set(storedIdsOf(entry));
    await announceRetired(
      peers,
      [pack, ...storedIdsOf(before.entry)].filter((id) => !kept.has(id)),
    );
    return entry.bytes;
  }
  throw new KwamError(
    'UNAVAILABLE',
    `the catalog kept changing, ${recodeTriesMax} times; it is tried again`,
    {
      retryable: true,
    },
  );
}

/** Somebody else may have changed it meanwhile: then what was made here is not what is needed, or there is nothing left to do. */
function isAsBefore(now: PackRecordEntry, before: PackRecordEntry): boolean {
  return now.copies === before.copies && storedIdsOf(now).join() === storedIdsOf(before).join();
}

function redundancyOf({ copies, stripe }: PackRecordEntry): Redundancy {
  return { factor: copies ?? 1, ...(stripe && { erasure: schemeOf(stripe) }) };
}

function textOf({ factor, erasure }: Redundancy): string {
  return erasure === undefined ? `factor ${factor}` : schemeText(erasure);
}

/** Read back and verified there, after the epoch was taken: whoever removes one of them from now on refuses the change. */
async function requireGood({ peers }: RecodeServices, homes: readonly Home[]): Promise<void> {
  for (const { id, node } of homes) {
    const { isGood } = await peers.ask<{ isGood: boolean }>(node, PACK_VERIFY, { packs: [id] });
    if (isGood) continue;
    throw new KwamError(
      'UNAVAILABLE',
      `expected node ${node} to hold ${id}, it does not; it is tried again`,
      {
        retryable: true,
      },
    );
  }
}
