/**
 * The bound on losses of a stripe where some units take several of its shards: racks that hold two, a zone that holds all.
 * In: n, m and the classes of loss. Out: losses a year, never below the true rate, as the exact value of a double; 255 shards over four
 *   shared classes take some milliseconds.
 *
 * Why it is an upper bound, for every placement in which the u-th fullest unit of a class takes at most shardsOfUnits[u], classes nested or not:
 *   Units are down independently, each with probability at most q. A loss is a unit that fails, the trigger, while others are down and
 *   with it cover m+1 shards. Fix which units of shared classes are down, S. With the trigger they cover K shards; a loss needs
 *   m+1−K of the n−K others down by units that take one shard each: independent, each with probability at most q₁, their Σq. So it
 *   has probability at most h(K) = C(n−K, m+1−K)·q₁^(m+1−K), and at most 1 (K ≥ m+1: h = 1).
 *   K is at most K*, the sum of what S and the trigger may take, so h is taken as its maximum over all K ≤ K*; the same maximum serves
 *   whatever the overlap is. Where the trigger is one of the single units, it matters only on the n−K shards that S leaves: (n−K)·h(K+1), again at
 *   its maximum over K ≤ K*(S). The probability of S is at most Πq over S. Once S alone may cover m+1, what the further units do
 *   does not matter, and the event is no likelier than that S so far is down: such a state absorbs. Summing L·Πq·h over triggers and S gives the bound.
 *   Sets are summed by K* alone, unit by unit, like the distribution of a sum of independent variables: O(units × m). The trigger is not in S;
 *   leaving each unit out in turn is done by halves, which costs a factor of log(kinds of units) instead of one of units.
 *
 * Where one class is shared and its sizes sum to n, they are exact, K is K*, and a stripe whose S covers m+1 is lost already: no trigger makes
 *   it so, and these sets count for nothing. Elsewhere they must count, because S may cover less than it might.
 * How close in that case, with n·q₁ ≤ 1 (then h rises with K, and the maximum is h(K) itself): a term names a state, exactly S and one choice of single
 *   units are down, that is not lost and that the trigger makes lost; different terms name different states. The exact rate sums L × probability of the state
 *   over all such states, and that probability is Πq over the units that are down, divided by P = Π(1+q) over all units of the
 *   stripe. So bound ≤ P × exact rate.
 *
 * Numbers: doubles, + and × only, every result raised by 2^-51 of itself, which covers the rounding of up to two operations; a product below
 *   2^-1000 is raised to it instead of vanishing. So rounding only ever raises the bound, by less than 1e-9 of it.
 */
import { assert } from '../errors.ts';
import type { LossBound, LossClass } from './loss-class.ts';
import { exactly, plus, type Ratio, ratio, times, toNumberAbove } from './ratio.ts';

/** Covers two roundings to nearest (each below 2^-53) and its own. */
const UP = 1 + 2 ** -51;
const WEIGHT_MIN = 2 ** -1000;

function product(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : Math.max(WEIGHT_MIN, a * b) * UP;
}

/** Units that are alike: of one class, taking as many shards. */
interface Kind {
  readonly classIndex: number;
  readonly shards: number;
  readonly count: number;
}

interface Stripe {
  readonly shards: number;
  /** So many shards down, and the stripe is lost. */
  readonly lost: number;
  readonly rates: readonly number[];
  readonly down: readonly number[];
  /** Classes whose units take one shard each. */
  readonly single: readonly number[];
  readonly kinds: readonly Kind[];
  /** Index K*, trigger included: how likely single units complete a loss, at most. */
  readonly endings: readonly Ending[];
  /** Index K* of S alone: on how many shards a single unit is the trigger and others complete the loss, at most. */
  readonly singleEndings: readonly Ending[];
  /** What each unit takes is known, not only the most that it may take. */
  readonly isExact: boolean;
  /** Whether the shares of classes are wanted beside the rate. */
  readonly withShares: boolean;
}

interface Ending {
  readonly weight: number;
  /** The single units in it, beside the trigger. */
  readonly losses: number;
}

export function sharedLoss(shards: number, tolerated: number, classes: readonly LossClass[]): LossBound {
  const { rate, losses } = summed(stripeOf(shards, tolerated, classes, true));
  const lossPerYear = exactly(rate);
  const all = losses.map((each) => exactly(each));
  const whole = inverse(all.reduce(plus));
  const byClass = all.map((each) => times(lossPerYear, times(each, whole)));
  return { lossPerYear, byClass };
}

function inverse({ numerator, denominator }: Ratio): Ratio {
  return numerator === 0n ? ratio(0n) : ratio(denominator, numerator);
}

export function sharedLossPerYear(shards: number, tolerated: number, classes: readonly LossClass[]): Ratio {
  return exactly(summed(stripeOf(shards, tolerated, classes, false)).rate);
}

function stripeOf(
  shards: number,
  tolerated: number,
  classes: readonly LossClass[],
  withShares: boolean,
): Stripe {
  assert(tolerated >= 0 && tolerated < shards, 'a scheme tolerates fewer losses than it has shards');
  const lost = tolerated + 1;
  // What never fails takes no part; a class of it would only cost time.
  const failing = classes.flatMap((each, index) => (each.lossPerYear.numerator > 0n ? index : []));
  const isShared = (index: number): boolean => (classes[index]!.shardsOfUnits ?? []).some((most) => most > 1);
  const single = failing.filter((index) => !isShared(index));
  const shared = failing.filter(isShared);
  const down = classes.map(({ unavailability }) => toNumberAbove(unavailability));
  const downSingle = single.reduce((all, index) => (all + down[index]!) * UP, 0);
  return {
    shards,
    lost,
    rates: classes.map(({ lossPerYear }) => toNumberAbove(lossPerYear)),
    down,
    single,
    kinds: shared.flatMap((index) => kindsOf(index, classes[index]!.shardsOfUnits!, shards, lost)),
    endings: endingsOf(shards, lost, downSingle),
    singleEndings: singleEndingsOf(shards, lost, downSingle),
    isExact: shared.length === 1 && sum(classes[shared[0]!]!.shardsOfUnits!) === shards,
    withShares,
  };
}

/** The u-th fullest of disjoint units takes at most n/u, whatever else is allowed; more than are needed for a loss are as good as that many. */
function kindsOf(classIndex: number, most: readonly number[], shards: number, lost: number): Kind[] {
  const counts = new Map<number, number>();
  for (const [index, each] of most.entries()) {
    const taken = Math.min(each, Math.floor(shards / (index + 1)), lost);
    if (taken > 0) counts.set(taken, (counts.get(taken) ?? 0) + 1);
  }
  return Array.from(counts, ([taken, count]) => ({ classIndex, shards: taken, count }));
}

function sum(values: readonly number[]): number {
  return values.reduce((all, each) => all + each, 0);
}

function endingsOf(shards: number, lost: number, downSingle: number): Ending[] {
  const endings = Array.from({ length: lost }, (_, covered) => {
    const losses = lost - covered;
    return { weight: Math.min(1, choices(shards - covered, losses, downSingle)), losses };
  });
  return [...largestSoFar(endings), { weight: 1, losses: 0 }];
}

/** One entry more than there are endings before the loss: S may cover m+1 and may cover less. */
function singleEndingsOf(shards: number, lost: number, downSingle: number): Ending[] {
  const endings = Array.from({ length: lost }, (_, covered) => {
    const losses = lost - covered - 1;
    const likely = Math.min(1, choices(shards - covered - 1, losses, downSingle));
    return { weight: product(shards - covered, likely), losses };
  });
  const largest = largestSoFar(endings);
  return [...largest, largest.at(-1)!];
}

function largestSoFar(endings: readonly Ending[]): Ending[] {
  let best = endings[0]!;
  return endings.map((each) => {
    if (each.weight >= best.weight) best = each;
    return best;
  });
}

/** C(from, count)·q^count, the small factors first among the large ones, so that neither end of the doubles is reached early. */
function choices(from: number, count: number, down: number): number {
  let weight = 1;
  for (let i = 0; i < count; i++) weight = product(product(weight, ((from - i) / (i + 1)) * UP), down);
  return weight;
}

/** Σ Πq over sets S of units, by the shards that they may cover; the last entry absorbs. */
interface Cover {
  readonly weights: Float64Array;
  /** By class: the same sums, each set counted as often as it has units of the class. */
  readonly losses: readonly Float64Array[];
}

function nothingDown({ lost, rates, withShares }: Stripe): Cover {
  const row = (): Float64Array => new Float64Array(lost + 1);
  const weights = row();
  weights[0] = 1;
  return { weights, losses: withShares ? rates.map(row) : [] };
}

function copied({ weights, losses }: Cover): Cover {
  return { weights: weights.slice(), losses: losses.map((each) => each.slice()) };
}

/** One unit more that may be down. Descending, so that it is in each set once. */
function addUnit({ lost, down }: Stripe, { weights, losses }: Cover, { classIndex, shards }: Kind): void {
  const q = down[classIndex]!;
  for (let covered = lost - 1; covered >= 0; covered--) {
    const weight = weights[covered]!;
    if (weight === 0) continue;
    const to = Math.min(covered + shards, lost);
    const longer = product(weight, q);
    weights[to] = (weights[to]! + longer) * UP;
    for (const [index, row] of losses.entries()) {
      row[to] = row[to]! + row[covered]! * q + (index === classIndex ? longer : 0);
    }
  }
}

function addKind(stripe: Stripe, cover: Cover, kind: Kind, count = kind.count): void {
  for (let i = 0; i < count; i++) addUnit(stripe, cover, kind);
}

interface Sum {
  rate: number;
  readonly losses: number[];
}

function summed(stripe: Stripe): Sum {
  const { kinds, single, shards, rates, singleEndings } = stripe;
  const found: Sum = { rate: 0, losses: rates.map(() => 0) };
  const all = nothingDown(stripe);
  for (const kind of kinds) addKind(stripe, all, kind);
  for (const classIndex of single) {
    const trigger = { classIndex, rate: rates[classIndex]!, likelyMost: shards, endings: singleEndings };
    addTrigger(stripe, all, trigger, found);
  }
  leavingOneOut(stripe, kinds, nothingDown(stripe), found);
  return found;
}

/** `cover` has every unit but those of `kinds`; each half is tried with the other one added. */
function leavingOneOut(stripe: Stripe, kinds: readonly Kind[], cover: Cover, found: Sum): void {
  const [first] = kinds;
  if (first === undefined) return;
  if (kinds.length === 1) {
    addKind(stripe, cover, first, first.count - 1);
    addTrigger(stripe, cover, triggerOf(stripe, first), found);
    return;
  }
  const halves = [kinds.slice(0, kinds.length >> 1), kinds.slice(kinds.length >> 1)] as const;
  for (const [own, others] of [halves, halves.toReversed()] as [Kind[], Kind[]][]) {
    const wider = copied(cover);
    for (const kind of others) addKind(stripe, wider, kind);
    leavingOneOut(stripe, own, wider, found);
  }
}

interface Trigger {
  readonly classIndex: number;
  readonly rate: number;
  /** No likelier than that, whatever the sum says. */
  readonly likelyMost: number;
  /** Index K* of S. */
  readonly endings: readonly Ending[];
}

function triggerOf({ lost, rates, endings }: Stripe, { classIndex, shards, count }: Kind): Trigger {
  const after = Array.from({ length: lost + 1 }, (_, covered) => endings[Math.min(covered + shards, lost)]!);
  return { classIndex, rate: product(rates[classIndex]!, count), likelyMost: 1, endings: after };
}

/** L × how likely the rest is such that this loss is the last straw. */
function addTrigger(stripe: Stripe, cover: Cover, trigger: Trigger, found: Sum): void {
  const { lost, isExact, withShares } = stripe;
  let likely = 0;
  const parts = found.losses.map(() => 0);
  for (let covered = 0; covered <= (isExact ? lost - 1 : lost); covered++) {
    likely = (likely + product(cover.weights[covered]!, trigger.endings[covered]!.weight)) * UP;
    if (withShares) addParts(stripe, parts, cover, covered, trigger);
  }
  found.rate = (found.rate + product(trigger.rate, Math.min(trigger.likelyMost, likely))) * UP;
  for (const [index, part] of parts.entries()) found.losses[index]! += trigger.rate * part;
}

/** The losses of the terms by class: the trigger, the units of S, and the single ones in proportion to their q. */
function addParts(
  { single, down }: Stripe,
  parts: number[],
  { weights, losses }: Cover,
  covered: number,
  { classIndex, endings }: Trigger,
): void {
  const ending = endings[covered]!;
  const downSingle = sum(single.map((index) => down[index]!));
  for (const [index, row] of losses.entries()) {
    const ofSingle = single.includes(index) ? (ending.losses * down[index]!) / downSingle : 0;
    const own = index === classIndex ? 1 : 0;
    parts[index]! += (row[covered]! + weights[covered]! * (own + ofSingle)) * ending.weight;
  }
}
