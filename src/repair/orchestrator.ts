/**
 * Which missing copies and shards are waited for, because the node that has them is believed to come back.
 * In: a pack that lacks something, the members, and what is believed of those that are away (health/watch.ts). Out: how many pieces may
 * wait, and the verdicts behind that, in words. The rules are reconstruction.ts's; what lacks a piece that no absent node explains
 * (quarantine, a copy that was never made) is restored once it has been seen twice.
 * Who has a missing piece is not recorded: it is taken to be on the node where placement wants it. A node that is away and where
 * placement wants nothing of the pack explains nothing.
 * Does not restore anything: repair.ts does, and asks here.
 */
import type { Clock } from '../clock.ts';
import type { Member } from '../cluster/membership.ts';
import type { DigestHex } from '../digest.ts';
import type { HealthWatch } from '../health/watch.ts';
import { place } from '../placement/placement.ts';
import type { Domain, Plan } from '../plan.ts';
import type { PackRecordEntry } from '../replication/catalog.ts';
import { judge, type Patience, type Verdict } from './reconstruction.ts';

/** What there is of a pack at the moment. */
export interface Shortage {
  readonly entry: PackRecordEntry;
  /** Pieces that are asked for and not there. */
  readonly missing: number;
  /** Losses that what is there survives. */
  readonly spare: number;
  /** Nodes that have some of it. */
  readonly holders: ReadonlySet<string>;
}

export interface Judgement {
  /** How many of the missing pieces may wait. */
  readonly waits: number;
  /** One for each absent node that placement gives a piece of the pack. */
  readonly verdicts: readonly Verdict[];
  /** No absent node explains the others, and they have been seen for the first time. */
  readonly isFresh: boolean;
}

export interface OrchestratorOptions {
  readonly watch: Pick<HealthWatch, 'absence' | 'unreachable'>;
  readonly clock: Clock;
  readonly antiAffinity: readonly Domain[];
  readonly patience: Patience;
}

export class Orchestrator {
  readonly #options: OrchestratorOptions;
  /** When a shortage was first seen that no absent node explains. */
  readonly #unexplainedSince = new Map<DigestHex, number>();
  #away: ReadonlySet<string> = new Set();

  constructor(options: OrchestratorOptions) {
    this.#options = options;
  }

  /** Who of the members answers now: the others are away, whatever their lease says. */
  answered(members: readonly Member[], answering: readonly Member[]): void {
    const names = new Set(answering.map(({ name }) => name));
    this.#away = new Set(members.map(({ name }) => name).filter((name) => !names.has(name)));
    const leased = members.filter(({ state }) => state === 'up').map(({ name }) => name);
    this.#options.watch.unreachable(new Set(leased.filter((name) => this.#away.has(name))));
  }

  judge(shortage: Shortage, members: readonly Member[]): Judgement {
    const { id } = shortage.entry;
    const judgement = this.look(shortage, members);
    if (judgement.isFresh && !this.#unexplainedSince.has(id)) {
      this.#unexplainedSince.set(id, this.#options.clock.monotonic());
    }
    return judgement;
  }

  /** The same without remembering that it was asked. */
  look(shortage: Shortage, members: readonly Member[]): Judgement {
    const { missing, spare } = shortage;
    const verdicts = this.#absentHomes(shortage, members).map((node) =>
      judge(spare, this.#options.watch.absence(node), this.#options.patience),
    );
    const isFresh = verdicts.length < missing && this.#isFresh(shortage.entry.id);
    const waiting = verdicts.filter(({ rebuilds }) => !rebuilds).length;
    return { waits: isFresh ? missing : Math.min(waiting, missing), verdicts, isFresh };
  }

  /** The pack has all of its pieces, or is gone. */
  settled(pack: DigestHex): void {
    this.#unexplainedSince.delete(pack);
  }

  #absentHomes({ entry, holders }: Shortage, members: readonly Member[]): string[] {
    const pieces = entry.stripe?.shards.length ?? entry.copies ?? 1;
    const storing = members.filter(({ weight }) => weight > 0);
    const wanted = place(entry.id, storing, pieces, this.#options.antiAffinity, { allowRepeat: true }).nodes;
    return [...new Set(wanted)].filter((name) => this.#away.has(name) && !holders.has(name));
  }

  #isFresh(pack: DigestHex): boolean {
    const sinceMs = this.#unexplainedSince.get(pack);
    return (
      sinceMs === undefined || this.#options.clock.monotonic() - sinceMs < this.#options.patience.freshMs
    );
  }
}

const URGENT_MS = 60_000;
/** A little less than the time between two looks: the second look acts. */
const FRESH_MS = 20_000;
/** Of the time that the guard gives the loss of a domain: the other half is for the rebuilding. */
const WAIT_SHARE = 0.5;
/** Without a guard: most outages of a rack end within it (health/model.ts). */
const DOMAIN_WAIT_MS = 6 * 3_600_000;

export function patienceOf({ replicate, guard }: Pick<Plan, 'replicate' | 'guard'>): Patience {
  const { delayMs } = replicate.repair;
  const domainWaitMs = guard === undefined ? DOMAIN_WAIT_MS : guard.recoveryTimeMs * WAIT_SHARE;
  return {
    delayMs,
    urgentMs: Math.min(URGENT_MS, delayMs),
    domainWaitMs: Math.max(delayMs, domainWaitMs),
    freshMs: FRESH_MS,
  };
}
