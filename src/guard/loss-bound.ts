/**
 * The bound on the rate at which one stripe loses more than m of its n shards.
 * In: n, m, and for each class of loss (node, rack, …) its rate L, its unavailability q = L × recovery time, and how many shards of the stripe
 *   its units take. Out: losses a year as an exact rational that is never below the true rate, and how much of it each class is answerable for.
 * Source: frequency of entering "more than m down" for independent repairable units (renewal theory, as in Barlow and Proschan,
 *   "Statistical theory of reliability and life testing", 1975, ch. 7).
 *
 * Where every unit takes one shard the bound is n·C(n−1,m)·ΣL·(Σq)^m, in rationals: each of n shards is lost at rate ΣL while m of the
 * n−1 others are down, each with probability at most Σq, and a union bound over the C(n−1,m) choices. Where units take more,
 * shared-loss.ts goes on; its head has the proof, which contains this one.
 *
 * How close. P = Π(1+q) over all units of the stripe (n nodes, every domain that holds one of its shards).
 * - Every unit takes one shard: bound ≤ P × exact rate. A shard is down with probability (P₁−1)/P₁ ≥ Σq/P₁, P₁ = Π(1+q) over its own
 *   units, and the bound's terms are those of the exact rate but for these factors. 0.1 % for nine shards at q = 1e-4.
 * - One class shared, its sizes exact, n·Σq of the other classes at most 1: bound ≤ P × exact rate as well; proof in shared-loss.ts.
 * - Sizes that are only known as "at most", or two shared classes: no factor holds. How units of two classes overlap is not known here: a
 *   rack of 2 and its own pdu of 4 count as 6, so with m = 5 the bound charges L·q for what in truth takes two more losses; and
 *   losses of a stripe that may be lost already are charged, which counts where a domain recovers so slowly that others fail meanwhile.
 *   The simulator, which has the map, shows how much that is.
 * Does not know units of time, what a guard is, or where nodes are.
 */
import { assert } from '../errors.ts';
import type { LossBound, LossClass } from './loss-class.ts';
import { plus, type Ratio, ratio, times } from './ratio.ts';
import { sharedLoss, sharedLossPerYear } from './shared-loss.ts';

/** @param shards n; @param tolerated m, 0 ≤ m < n. */
export function lossBound(shards: number, tolerated: number, classes: readonly LossClass[]): LossBound {
  if (classes.some(isShared)) return sharedLoss(shards, tolerated, classes);
  const lossPerYear = closedForm(shards, tolerated, classes);
  return {
    lossPerYear,
    byClass: classes.map((each) => times(lossPerYear, shareOf(each, classes, tolerated))),
  };
}

/** The rate alone, which is several times quicker where classes are shared. */
export function lossPerYearBound(shards: number, tolerated: number, classes: readonly LossClass[]): Ratio {
  return (classes.some(isShared) ? sharedLossPerYear : closedForm)(shards, tolerated, classes);
}

function isShared({ shardsOfUnits = [] }: LossClass): boolean {
  return shardsOfUnits.some((most) => most > 1);
}

function closedForm(shards: number, tolerated: number, classes: readonly LossClass[]): Ratio {
  assert(tolerated >= 0 && tolerated < shards, 'a scheme tolerates fewer losses than it has shards');
  const rate = total(classes, 'lossPerYear');
  const down = total(classes, 'unavailability');
  const ways = BigInt(shards) * binomial(shards - 1, tolerated);
  const power = BigInt(tolerated);
  return ratio(ways * rate.numerator * down.numerator ** power, rate.denominator * down.denominator ** power);
}

/** Of the m+1 losses the last is of the class with probability L/ΣL, each of the others with q/Σq. */
function shareOf(of: LossClass, classes: readonly LossClass[], tolerated: number): Ratio {
  const last = over(of.lossPerYear, total(classes, 'lossPerYear'));
  const others = times(ratio(BigInt(tolerated)), over(of.unavailability, total(classes, 'unavailability')));
  return times(plus(last, others), ratio(1n, BigInt(tolerated + 1)));
}

function total(classes: readonly LossClass[], of: 'lossPerYear' | 'unavailability'): Ratio {
  return classes.map((each) => each[of]).reduce(plus, ratio(0n));
}

function over(part: Ratio, whole: Ratio): Ratio {
  if (part.numerator === 0n) return part;
  return ratio(part.numerator * whole.denominator, part.denominator * whole.numerator);
}

function binomial(n: number, k: number): bigint {
  let ways = 1n;
  for (let i = 0; i < k; i++) ways = (ways * BigInt(n - i)) / BigInt(i + 1);
  return ways;
}
