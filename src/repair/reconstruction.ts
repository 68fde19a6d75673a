/**
 * Whether to rebuild now what an absent node holds, or to wait for the node: the decision of the reconstruction orchestrator.
 * In: how many more losses the data survives, and for each absent holder how long it has been away and what is believed of it
 *   (health/belief.ts). Out: one verdict a holder, with its reason in words; an order by risk.
 * Rules, first match decides:
 *   lost          more likely than not its data is gone: rebuild
 *   nearly gone   the next loss would lose data: rebuild after a short while, whatever is believed
 *   domain        its rack, or a domain around it, is down: wait, the data is there; up to `domainWaitMs`
 *   returning     it said that it leaves, or its host is up and starts it: wait, up to `domainWaitMs`
 *   overdue       nothing explains its absence for `delayMs`: rebuild
 *   waiting       otherwise
 * Holds: a pure function of its input, so every decision can be replayed and explained. Does not start, pace or cancel anything.
 */
import type { DigestHex } from '../digest.ts';
import { type Absence, domainIsDown } from '../health/watch.ts';

export interface EndangeredPack {
  readonly pack: DigestHex;
  /** How many of the present copies or shards could be lost with the data still there; negative when it is not now. */
  readonly spare: number;
  readonly absent: readonly Absence[];
  readonly bytes: number;
}

/** How long is waited; the program's `repair { delay }` and its guard's `recovery_time` decide. */
export interface Patience {
  /** A silent node of which nothing else is known. */
  readonly delayMs: number;
  /** With no redundancy left: only so long that one lost message is not taken for a loss. */
  readonly urgentMs: number;
  /** A node that is believed to come back, or whose domain is. */
  readonly domainWaitMs: number;
  /** What no absent node explains: a node may just be starting, a scrub may just have set a copy aside. */
  readonly freshMs: number;
}

export type Reason = 'lost' | 'nearly gone' | 'domain' | 'returning' | 'overdue' | 'waiting';

export interface Verdict {
  readonly node: string;
  readonly rebuilds: boolean;
  readonly reason: Reason;
  /** One sentence for `repair --explain`. */
  readonly words: string;
}

/** More likely than not. */
const LOST = 0.5;

/** Below this, something (an announcement, a host that answers) speaks against a loss: silence alone gives more after a minute. */
const RETURNING = 0.02;

export function judge(spare: number, holder: Absence, patience: Patience): Verdict {
  const { node, absentMs, aloneMs, belief } = holder;
  const verdict = (rebuilds: boolean, reason: Reason, words: string): Verdict => ({
    node,
    rebuilds,
    reason,
    words: `${node} has been away for ${seconds(absentMs)}: ${words}`,
  });
  if (belief.permanent >= LOST) {
    return verdict(true, 'lost', `its data is gone with probability ${percent(belief.permanent)}`);
  }
  if (spare <= 0 && absentMs >= patience.urgentMs) {
    return verdict(true, 'nearly gone', 'the next loss would lose data, so nothing is waited for');
  }
  const isLate = absentMs >= patience.domainWaitMs;
  if (belief.domainDown >= domainIsDown && !isLate) {
    const chance = percent(belief.domainDown);
    return verdict(
      false,
      'domain',
      `its domain is down with probability ${chance}, and comes back with the data`,
    );
  }
  if (belief.permanent < RETURNING && absentMs >= patience.urgentMs && !isLate) {
    return verdict(false, 'returning', `it is on its way back, lost only with ${percent(belief.permanent)}`);
  }
  if (aloneMs >= patience.delayMs || isLate) {
    return verdict(true, 'overdue', `longer than the ${seconds(patience.delayMs)} that are waited`);
  }
  return verdict(false, 'waiting', `it is waited for, up to ${seconds(patience.delayMs)}`);
}

/** Fewest spare losses first, then the likeliest loss, then the most data; equal packs by name, so that all nodes agree. */
export function byRisk(a: EndangeredPack, b: EndangeredPack): number {
  return (
    a.spare - b.spare ||
    likeliestLoss(b) - likeliestLoss(a) ||
    b.bytes - a.bytes ||
    (a.pack < b.pack ? -1 : Number(a.pack > b.pack))
  );
}

function likeliestLoss({ absent }: EndangeredPack): number {
  return absent.reduce((most, { belief }) => Math.max(most, belief.permanent), 0);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

function percent(chance: number): string {
  return `${(100 * chance).toFixed(chance < 0.01 ? 2 : 0)} %`;
}
