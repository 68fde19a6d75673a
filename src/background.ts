/**
 * What a node does without being asked: keeps gauges fresh and the audit log durable, counts packs that lack copies and gives up
 * copies that are too many, scrubs, compacts after removals, drops orphaned packs, and puts checkpoints that appear in a watched
 * directory.
 * In: the parts it works with. Out: for each chore, how to stop it; stopping waits for what runs. A chore that fails is logged
 * and comes round again: none of them may end the node, and none holds data that would be lost.
 */
import { hash } from 'node:crypto';
import type { Logger } from 'pino';
import type { AuditLog } from './audit/audit-log.ts';
import { type Clock, systemClock } from './clock.ts';
import { writeAnchor } from './cluster/audit-anchor.ts';
import type { ControlStore } from './control/control-store.ts';
import { KwamError } from './errors.ts';
import { beliefTickMs } from './health/model.ts';
import type { OutageRecord } from './health/outage-record.ts';
import type { HealthWatch } from './health/watch.ts';
import { auditAnchorMs, auditSyncMs, catalogWitnessMs } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { type CompactServices, compact } from './pipeline/compact.ts';
import { type IngestServices, ingest } from './pipeline/ingest.ts';
import type { Random } from './random.ts';
import type { Orchestrator } from './repair/orchestrator.ts';
import type { Orphans } from './repair/orphans.ts';
import { type RecodeServices, recode } from './repair/recode.ts';
import { type RepairServices, repair } from './repair/repair.ts';
import { countUnderReplicated } from './repair/responsibility.ts';
import { type ScrubServices, scrub } from './repair/scrub.ts';
import type { StorageGuard } from './repair/storage-guard.ts';
import { type SurplusServices, trimSurplus } from './repair/surplus.ts';
import type { Lineage } from './replication/lineage.ts';
import { watch } from './workload/watch.ts';

/** Stops a chore and waits for it. */
export type Stop = () => Promise<void>;

const GAUGES_EVERY_MS = 1000;
/** One small call a node for every thousand packs; a lost node shows within this time after its lease. */
const REDUNDANCY_EVERY_MS = 30_000;
const WATCH_POLL_MS = 500;
/** Long enough to take several removals together, short enough that space comes back while one watches. */
const GARBAGE_DELAY_MS = 1000;
/** A control store that is away is asked once in so long: space comes back soon after it does. */
const GARBAGE_DELAY_MS_MAX = 60_000;
/** Rounds of all nodes would otherwise begin together and meet on the same disks. */
const SCRUB_JITTER = 0.1;

export function keepGauges(
  metrics: Metrics,
  { scrub: { store, rounds, clock }, guard }: { readonly scrub: ScrubServices; readonly guard: StorageGuard },
  log: Logger,
): Stop {
  const count = async (): Promise<void> => {
    const { packs, bytes } = store.presence();
    metrics.storedPacks.set(packs);
    metrics.storedBytes.set(bytes);
    metrics.scrubProgress.set(rounds.progress);
    metrics.scrubAgeSeconds.set(rounds.ageMs / 1000);
    const { state, damagedPacks } = guard.state;
    metrics.storageDamagedPacks.set(damagedPacks);
    metrics.draining.set(state === 'draining' ? 1 : 0);
  };
  return every(clock, GAUGES_EVERY_MS, count, (error) => {
    log.warn({ error: String(error) }, 'what is stored could not be counted');
  });
}

/** Other times than those that the model of health and the guard are made for: for tests. */
export interface RedundancyTimes {
  readonly everyMs?: number;
  readonly healthEveryMs?: number;
}

export interface Redundancy {
  readonly repair: RepairServices;
  readonly surplus: SurplusServices;
  readonly watch: HealthWatch;
  readonly outages: OutageRecord;
  readonly orchestrator: Orchestrator;
}

/**
 * Looks after the packs that this node is responsible for: keeps their gauge, restores what is missing and not waited for, and gives
 * up what is too many. A node that returns ends the restoring at once: what it brought is seen first. A look that fails changes nothing.
 */
export function tendRedundancy(
  parts: Redundancy,
  metrics: Metrics,
  { everyMs = REDUNDANCY_EVERY_MS, healthEveryMs = beliefTickMs }: RedundancyTimes,
  log: Logger,
): Stop {
  const { repair: services, surplus, watch, orchestrator, outages } = parts;
  const stopping = new AbortController();
  let restoring = new AbortController();
  const look = async (): Promise<void> => {
    const lacking = await countUnderReplicated(services);
    metrics.underReplicatedPacks.set(lacking);
    restoring = new AbortController();
    const signal = AbortSignal.any([stopping.signal, restoring.signal]);
    let restored = 0;
    if (lacking > 0) {
      const result = await repair(services, { signal, orchestrator, onProgress: () => undefined });
      restored = result.repaired;
      if (restored > 0) log.info(result, 'redundancy restored');
    }
    outages.looked(lacking, restored);
    const given = await trimSurplus(surplus, stopping.signal);
    if (given.trimmed > 0) log.info(given, 'copies that were too many are gone');
  };
  const feel = async (): Promise<void> => {
    const returned = await watch.tick();
    if (returned.length > 0) {
      log.info({ returned }, 'nodes are back');
      restoring.abort();
    }
    outages.tick(await services.peers.members(), watch.absences());
  };
  const stopFeeling = every(services.clock, healthEveryMs, feel, (error) => {
    log.warn({ error: String(error) }, 'the health of nodes could not be looked at');
  });
  const stop = every(services.clock, everyMs, look, (error) => {
    log.warn({ error: String(error) }, 'the redundancy of packs could not be looked at');
  });
  return async () => {
    stopping.abort();
    await Promise.all([stop(), stopFeeling()]);
  };
}

/** Judges this node's own storage now and then, and drains the node where it is failing. */
export function guardStorage(guard: StorageGuard, clock: Clock, everyMs: number, log: Logger): Stop {
  return every(
    clock,
    everyMs,
    () => guard.look(),
    (error) => {
      log.warn({ error: String(error) }, 'the storage of this node could not be judged; it is tried again');
    },
  );
}

/** Brings packs to the redundancy that the plan asks for now, apart from repair: that never waits for it. */
export function recodeRegularly(
  services: RecodeServices,
  { everyMs = REDUNDANCY_EVERY_MS }: RedundancyTimes,
  log: Logger,
): Stop {
  const stopping = new AbortController();
  const look = async (): Promise<void> => {
    const result = await recode(services, stopping.signal);
    if (result.recoded > 0) log.info(result, 'packs have the redundancy of the plan');
  };
  const stop = every(services.clock, everyMs, look, (error) => {
    if (!stopping.signal.aborted)
      log.warn({ error: String(error) }, 'packs could not be brought to the redundancy of the plan');
  });
  return async () => {
    stopping.abort();
    await stop();
  };
}

/** Runs `act` again and again, with `intervalMs` from the end of one to the start of the next. */
function every(
  clock: Clock,
  intervalMs: number,
  act: () => Promise<void>,
  onFailure: (error: unknown) => void,
): Stop {
  const stopping = new AbortController();
  const repeat = async (): Promise<void> => {
    while (await slept(clock, intervalMs, stopping.signal)) await act().catch(onFailure);
  };
  const running = repeat();
  return async () => {
    stopping.abort();
    await running;
  };
}

/** False when it was cut short, because what waited here is being stopped. */
async function slept(clock: Clock, ms: number, stopping: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, stopping);
    return true;
  } catch (error) {
    if (!stopping.aborted) throw error;
    return false;
  }
}

/** Makes the audit log durable, every second and at the very end. */
export function keepAudit(audit: AuditLog, log: Logger): Stop {
  const failed = (error: unknown): void => {
    log.error({ error: String(error) }, 'the audit log could not be made durable: nothing more is allowed');
  };
  const stop = every(systemClock, auditSyncMs, () => audit.sync(), failed);
  return async () => {
    await stop();
    await audit.close().catch(failed);
  };
}

/** Tells the control store how far the audit log is durable; for a node that holds its name. */
export function anchorAudit(audit: AuditLog, control: ControlStore, node: string, log: Logger): Stop {
  const failed = (error: unknown): void => {
    log.warn({ error: String(error) }, 'the audit log could not be anchored; it is tried again');
  };
  const anchor = (): Promise<void> => writeAnchor(control, node, audit);
  const stop = every(systemClock, auditAnchorMs, anchor, failed);
  return async () => {
    await stop();
    await audit.sync().then(anchor).catch(failed);
  };
}

/** Tells the catalog and the store that they belong together. */
export function keepWitness(lineage: Lineage, clock: Clock, log: Logger): Stop {
  const failed = (error: unknown): void => {
    log.warn({ error: String(error) }, 'the catalog got no new witness of this node; it is tried again');
  };
  return every(clock, catalogWitnessMs, () => lineage.witness(), failed);
}

export function sweepOrphans(orphans: Orphans, intervalMs: number, clock: Clock, log: Logger): Stop {
  const sweep = async (): Promise<void> => {
    const swept = await orphans.sweep();
    if (swept.packsRetired > 0) log.info(swept, 'packs that nobody lists are gone');
  };
  return every(clock, intervalMs, sweep, (error) => {
    log.warn({ error: String(error) }, 'packs that nobody lists could not be removed; they only take space');
  });
}

/** A full round every `intervalMs`, counted over restarts; a round that was cut off goes on where it stopped. */
export function scrubRegularly(services: ScrubServices, random: Random, log: Logger): Stop {
  const { clock, limits } = services;
  const stopping = new AbortController();
  const jitterMs = random.below(Math.floor(limits.intervalMs * SCRUB_JITTER));
  const round = async (): Promise<void> => {
    if (services.rounds.ageMs < limits.intervalMs + jitterMs) return;
    const result = await scrub(services, {
      full: false,
      isYielding: true,
      signal: stopping.signal,
      onProgress: () => undefined,
    });
    if (stopping.signal.aborted) return;
    log.info(result, 'everything was read back and verified');
  };
  const stop = every(clock, Math.min(limits.intervalMs, 60_000), round, (error) => {
    if (!stopping.signal.aborted)
      log.error({ error: String(error) }, 'scrubbing stopped; it goes on in the next round');
  });
  return async () => {
    stopping.abort();
    await stop();
  };
}

/** Compacts a moment after something became garbage, once for many; again, and later each time, where that could not be done now. */
export class GarbageTimer {
  readonly #services: CompactServices;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #waiting: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(services: CompactServices, clock: Clock, log: Logger) {
    this.#services = services;
    this.#clock = clock;
    this.#log = log;
  }

  expect(): void {
    this.#waiting?.abort();
    void this.#compactAfter(GARBAGE_DELAY_MS);
  }

  async #compactAfter(delayMs: number): Promise<void> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    const signal = AbortSignal.any([waiting.signal, this.#stopping.signal]);
    if (signal.aborted || !(await slept(this.#clock, delayMs, signal))) return;
    this.#waiting = undefined;
    this.#running = this.#running.then(() => this.#compact(delayMs));
  }

  async #compact(waitedMs: number): Promise<void> {
    try {
      const result = await compact(this.#services, this.#stopping.signal);
      if (result.packsRetired > 0) this.#log.info(result, 'compacted');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      // Nothing is lost but time: the garbage stays until then, or until the next object is removed.
      this.#log.warn({ error: String(error) }, 'compaction did not finish');
      const isWorthwhile = error instanceof KwamError && error.retryable && this.#waiting === undefined;
      if (isWorthwhile) void this.#compactAfter(Math.min(2 * waitedMs, GARBAGE_DELAY_MS_MAX));
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}

export interface WatchRequest {
  readonly directory: string;
  readonly quietMs: number;
  readonly bytesPerSecondMax: number;
}

/** The put that runs when it is stopped is cancelled, and done anew at the next start. */
export function watchCheckpoints(
  request: WatchRequest,
  services: IngestServices,
  onPut: () => void,
  log: Logger,
): Stop {
  const stopping = new AbortController();
  const noteOf = (name: string): string => `watch-${hash('sha256', name).slice(0, 40)}`;
  const { directory, quietMs, bytesPerSecondMax } = request;
  const running = watch(
    {
      directory,
      quietMs,
      pollMs: WATCH_POLL_MS,
      clock: services.clock,
      put: (path, name, signal) =>
        ingest(services, { path, name, signal, bytesPerSecondMax, onProgress: () => undefined }),
      memory: {
        get: (name) => services.store.getNote(noteOf(name)),
        set: (name, version) => services.store.putNote(noteOf(name), version),
      },
      onPut(name, bytes) {
        log.info({ checkpoint: name, bytes }, 'checkpoint stored');
        onPut();
      },
      onFailure: (name, error) =>
        log.error({ checkpoint: name, error: String(error) }, 'checkpoint not stored; it is tried again'),
    },
    stopping.signal,
  ).catch((error: unknown) => log.error({ error: String(error) }, 'watching ended'));
  return async () => {
    stopping.abort();
    await running;
  };
}
