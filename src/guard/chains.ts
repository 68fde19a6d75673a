/**
 * The bound on the rate at which one stripe loses more than m of its n shards: a sum over chains of losses.
 * In: n, m, and for each class of loss (node, rack, …) its rate, its unavailability q = rate × recovery, and how many shards of the stripe
 *   one loss of it takes at most. Out: losses a year, exact, and how much of it each class is answerable for.
 * Source: frequency of entering "more than m down" for independent repairable units (renewal theory, as in Barlow and Proschan,
 *   "Statistical theory of reliability", 1975, ch. 7), with a union bound over the sets of units that together take enough.
 *
 * Why it is an upper bound, for every placement whose domains hold at most `sharing` shards each, nested or not:
 *   A unit (a node, a rack, …) is down with probability at most q = L·t, independently of the others. The stripe is lost when a unit
 *   fails and, with a minimal set T of units that are down, covers more than m shards. The union bound sums L·Πq over all (unit, T).
 *   Order T in any of its j! ways: in each, every unit covers at least one shard that the ones before it do not (T is minimal). A
 *   class splits the N shards not yet covered into parts of at most `sharing`, one a unit, at most `domainCount` of them. So the sum of
 *   f(newly covered) over its units is at most the best that any such partition of N can give, which `bestPartition` finds. Chaining these and
 *   dividing by j! bounds the sum over T.
 *   Where one loss takes one shard throughout (sharing 1) every part is 1, and the sum is n·C(n−1,m)·ΣL·(Σq)^m, the closed form.
 * How close: for sharing 1 at most Π(1+q)^n above the exact stationary rate, 0.1 % for nine shards at q = 1e-4. With sharing, each step takes its worst partition,
 *   which no one placement need attain; measured against enumeration it stays within a factor of 2 (test/guard/durability.test.ts).
 * Numbers: all q share one denominator and all L another, and a chain of j units has degree j in q, so sums and maxima of chains are plain
 *   integers. + and × only, no rounding at all.
 * Does not know units of time, what a guard is, or where nodes are.
 */
import { assert } from '../errors.ts';
import { guardPartitionStepsMax } from '../limits.ts';
import { leastCommonMultiple, plus, type Ratio, ratio } from './ratio.ts';

export interface LossClass {
  readonly lossPerYear: Ratio;
  /** Rate × recovery time: the share of time a unit is down, a bound on it. */
  readonly unavailability: Ratio;
  /** The most shards of the stripe that one loss of this class takes. */
  readonly sharing: number;
  /** How many units of the class there are; absent: any number. Fewer make the bound tighter. */
  readonly domainCount?: number;
}

export interface ChainBound {
  readonly lossPerYear: Ratio;
  /** Per class, summing to lossPerYear: a chain of d losses, p of them of this class, counts p/d of itself here (Aumann–Shapley). */
  readonly byClass: readonly Ratio[];
}

/** A sum of chains: numerators of its value, and of the value times the number of losses of each class in it. */
interface Chains {
  readonly value: bigint;
  readonly byClass: readonly bigint[];
}

/** @param shards n; @param tolerated m, 0 ≤ m < n. */
export function chainBound(shards: number, tolerated: number, classes: readonly LossClass[]): ChainBound {
  assert(tolerated >= 0 && tolerated < shards, 'a scheme tolerates fewer losses than it has shards');
  const rates = overOneDenominator(classes.map((each) => each.lossPerYear));
  const downs = overOneDenominator(classes.map((each) => each.unavailability));
  const stripe = { shards, lost: tolerated + 1, classes };
  const zero = ratio(0n);
  let bound: ChainBound = { lossPerYear: zero, byClass: classes.map(() => zero) };
  let down = chainsOfNone(stripe);
  let denominator = rates.denominator;
  for (let units = 0; units <= tolerated; units++) {
    // One unit fails while the chain of `units` others is down; the division by units! counts a set once, not once an order.
    const failing = extended(stripe, 0, rates.numerators, down);
    bound = {
      lossPerYear: plus(bound.lossPerYear, ratio(failing.value, denominator)),
      byClass: bound.byClass.map((share, index) =>
        plus(share, ratio(failing.byClass[index]!, denominator * BigInt(units + 1))),
      ),
    };
    down = lengthened(stripe, downs.numerators, down);
    denominator *= downs.denominator * BigInt(units + 1);
  }
  return bound;
}

interface Stripe {
  readonly shards: number;
  /** So many shards down, and the stripe is lost. */
  readonly lost: number;
  readonly classes: readonly LossClass[];
}

/** Index: shards covered so far. Value: the chains that take the cover from there to `lost`, here those of no unit. */
function chainsOfNone({ lost, classes }: Stripe): readonly Chains[] {
  const byClass = classes.map(() => 0n);
  return Array.from({ length: lost + 1 }, (_, covered) => ({ value: covered === lost ? 1n : 0n, byClass }));
}

/** Chains of one unit more. A chain ends as soon as the stripe is lost, since T is minimal. */
function lengthened(stripe: Stripe, weights: readonly bigint[], rest: readonly Chains[]): readonly Chains[] {
  const ended: Chains = { value: 0n, byClass: stripe.classes.map(() => 0n) };
  return rest.map((_, covered) =>
    covered === stripe.lost ? ended : extended(stripe, covered, weights, rest),
  );
}

/** Every way in which one unit takes shards that are not covered yet, followed by the chains of `rest`. */
function extended(
  { shards, lost, classes }: Stripe,
  covered: number,
  weights: readonly bigint[],
  rest: readonly Chains[],
): Chains {
  return classes
    .map((each, index) => {
      const best = bestPartition(shards - covered, each, (size) => rest[Math.min(covered + size, lost)]!);
      return appended(best, weights[index]!, index);
    })
    .reduce(sum);
}

/**
 * The largest sum of gain(size) over a partition of `total` shards into parts of at most `sharing`, at most `domainCount` of them.
 * Knapsack by number of shards, round by round of one part more; without a limit on parts one round in place does.
 */
function bestPartition(total: number, each: LossClass, gain: (size: number) => Chains): Chains {
  const sharing = Math.min(each.sharing, total);
  if (sharing <= 1) return multiplied(gain(1), BigInt(total));
  const limit = Math.min(each.domainCount ?? total, total);
  const gains = Array.from({ length: sharing }, (_, i) => gain(i + 1));
  return limit < total && limit * total * sharing <= guardPartitionStepsMax
    ? bestOfParts(total, limit, gains)
    : bestOfAnyParts(total, gains);
}

function bestOfAnyParts(total: number, gains: readonly Chains[]): Chains {
  const best: Chains[] = [multiplied(gains[0]!, 0n)];
  for (let shards = 1; shards <= total; shards++) best[shards] = bestLastPart(best, shards, gains)!;
  return best[total]!;
}

function bestOfParts(total: number, limit: number, gains: readonly Chains[]): Chains {
  const nothing = multiplied(gains[0]!, 0n);
  let best: readonly (Chains | undefined)[] = [nothing];
  for (let parts = 1; parts <= limit; parts++) {
    const before = best;
    best = Array.from({ length: total + 1 }, (_, shards) =>
      shards === 0 ? nothing : bestLastPart(before, shards, gains),
    );
  }
  const found = best[total];
  assert(found !== undefined, 'domainCount domains of `sharing` shards hold the stripe');
  return found;
}

/** A partition of `shards` whose last part is chosen best; undefined when no size leaves a partition that exists. */
function bestLastPart(
  before: readonly (Chains | undefined)[],
  shards: number,
  gains: readonly Chains[],
): Chains | undefined {
  let best: Chains | undefined;
  for (let size = 1; size <= gains.length && size <= shards; size++) {
    const others = before[shards - size];
    if (others === undefined) continue;
    const value = others.value + gains[size - 1]!.value;
    if (best === undefined || value > best.value) best = sum(others, gains[size - 1]!);
  }
  return best;
}

/** The chains with one more loss, of class `index`, in front: each of them has one loss of that class more. */
function appended(chains: Chains, weight: bigint, index: number): Chains {
  const { value, byClass } = multiplied(chains, weight);
  return { value, byClass: byClass.map((each, i) => (i === index ? each + value : each)) };
}

function multiplied({ value, byClass }: Chains, by: bigint): Chains {
  return { value: value * by, byClass: byClass.map((each) => each * by) };
}

function sum(a: Chains, b: Chains): Chains {
  return { value: a.value + b.value, byClass: a.byClass.map((each, i) => each + b.byClass[i]!) };
}

function overOneDenominator(values: readonly Ratio[]): { numerators: bigint[]; denominator: bigint } {
  const denominator = leastCommonMultiple(values.map((value) => value.denominator));
  return {
    numerators: values.map((value) => value.numerator * (denominator / value.denominator)),
    denominator,
  };
}
