/**
 * Reads every pack of this node back and verifies every byte of it, parity shards like all others.
 * In: nothing but the store. Out: how much was checked and what was bad; bad packs are in quarantine when it returns, and are
 * not served from the moment they are found. It remembers how far it came, so that a restart goes on there (scrub-rounds.ts). Throttled: to the
 * plan's rate, and to a tenth of it while somebody waits for this node.
 * Does not repair: see repair.ts.
 */
import type { Clock } from '../clock.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { Plan } from '../plan.ts';
import { verifyPack } from '../replication/pack-tasks.ts';
import type { PackVerification } from '../store/pack-verify.ts';
import type { Store } from '../store/store.ts';
import type { Demand } from '../workers/demand.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { ScrubRounds } from './scrub-rounds.ts';

export interface ScrubObserver {
  verified(bytes: number, records: number): void;
  /** @param passed  how many of the records this node's verification would have passed: others refuted it. */
  corrupt(pack: DigestHex, records: number, problem: string, passed: number): void;
  /** The file of a pack that this node served is gone. */
  gone(pack: DigestHex): void;
  /** Somebody received bad bytes of this pack, and it is intact here: they were damaged on the way, or there. */
  unfounded(pack: DigestHex): void;
}

export interface ScrubServices {
  readonly store: Store;
  readonly pool: WorkerPool;
  readonly clock: Clock;
  readonly limits: Plan['scrub'];
  readonly observer: ScrubObserver;
  readonly rounds: ScrubRounds;
  readonly demand: Pick<Demand, 'isPressing'>;
}

export interface ScrubRequest {
  /** From the first pack; otherwise from where the last scrub stopped, which is the first pack when it was complete. */
  readonly full: boolean;
  /** Nobody waits for it: it makes way for those who wait for something else. */
  readonly isYielding?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress: (bytesDone: number, bytesTotal: number) => void;
}

export interface ScrubResult {
  readonly packs: number;
  readonly checkedBytes: number;
  /** Damaged records, and damaged frames (header, index, trailer) as one each. */
  readonly corrupt: number;
  /** Packs moved to quarantine. */
  readonly quarantined: number;
}

const PAGE = 256;
/** While others are served. Slower: they feel it less, and a busy node takes longer to find what rots. */
const YIELDING_SLOWDOWN = 10;

export async function scrub(services: ScrubServices, request: ScrubRequest): Promise<ScrubResult> {
  const { store, clock, limits, rounds, demand } = services;
  const bytesTotal = store.presence().bytes;
  const result = { packs: 0, checkedBytes: 0, corrupt: 0, quarantined: 0 };
  const started = clock.monotonic();
  let dueMs = 0;
  for (const pack of presentPacks(store, rounds.begin(request.full))) {
    if (request.signal?.aborted) break;
    const checked = await scrubPack(services, pack);
    result.packs++;
    result.checkedBytes += checked.bytes;
    result.corrupt += checked.corrupt;
    if (checked.corrupt > 0) result.quarantined++;
    request.onProgress(result.checkedBytes, bytesTotal);
    rounds.passed(pack, checked.bytes);
    const isSlow = request.isYielding === true && demand.isPressing;
    dueMs += (checked.bytes / limits.bytesPerSecondMax) * 1000 * (isSlow ? YIELDING_SLOWDOWN : 1);
    const aheadMs = dueMs - (clock.monotonic() - started);
    if (aheadMs > 0) await clock.sleep(aheadMs, request.signal);
  }
  if (!request.signal?.aborted) rounds.complete();
  return result;
}

/** Ids only, so that packs may come and go meanwhile. */
function* presentPacks(store: Store, after: DigestHex | undefined): Generator<DigestHex> {
  for (;;) {
    const page = store.listPacks(after, PAGE);
    for (const pack of page) if (pack.state === 'present') yield pack.id;
    if (page.length < PAGE) return;
    after = page.at(-1)!.id;
  }
}

async function scrubPack(
  services: ScrubServices,
  pack: DigestHex,
  isDoubted = false,
): Promise<{ bytes: number; corrupt: number }> {
  const { store, pool, observer } = services;
  const bytes = store.packInfo(pack)?.bytes ?? 0;
  try {
    const input = { path: store.packFile(pack), id: pack, isDoubted };
    const verification = await pool.run(verifyPack, input, { bytes });
    if (verification.ok) {
      observer.verified(bytes, verification.recordCount);
      return { bytes, corrupt: 0 };
    }
    // A reader may have found the same damage first, and set the pack aside.
    if (!store.hasPack(pack)) return { bytes, corrupt: 0 };
    return { bytes, corrupt: await setAside(services, pack, verification) };
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'NOT_FOUND') throw error;
    // Retired while it waited its turn, or its file is gone; the store knows the difference.
    if (!store.hasPack(pack)) return { bytes: 0, corrupt: 0 };
    store.markMissing(pack);
    observer.gone(pack);
    return { bytes: 0, corrupt: 1 };
  }
}

async function setAside(services: ScrubServices, pack: DigestHex, found: PackVerification): Promise<number> {
  const frames = found.indexDamaged || found.unreadable ? 1 : 0;
  const corrupt = Math.max(1, found.bad.length + found.recordHeadersDamaged.length + frames);
  const problem = found.problem ?? 'damaged';
  const passed = found.bad.filter(({ wasPassed }) => wasPassed).length;
  // First of all: whoever counts it writes notes, which a full disk refuses.
  await services.store.quarantine(pack, problem);
  services.observer.corrupt(pack, corrupt, problem, passed);
  return corrupt;
}

/** Verifies one pack, and sets it aside when it is damaged. @returns whether it is here and good. */
export async function scrubOne(services: ScrubServices, pack: DigestHex): Promise<boolean> {
  if (!services.store.hasPack(pack)) return false;
  const { corrupt } = await scrubPack(services, pack);
  return corrupt === 0 && services.store.hasPack(pack);
}

/**
 * Verifies one pack that a peer has found bad, and sets it aside when that is right. Whoever doubts it has verified as
 * well, so the one engine's word is not enough here: every record is hashed by the other one too.
 */
export async function scrubDoubted(services: ScrubServices, pack: DigestHex): Promise<boolean> {
  if (!services.store.hasPack(pack)) return false;
  const isGood = (await scrubPack(services, pack, true)).corrupt === 0;
  if (isGood && services.store.hasPack(pack)) services.observer.unfounded(pack);
  return isGood;
}
