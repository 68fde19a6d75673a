/**
 * The bound on the rate at which one stripe loses more than m of its n shards: a sum over sets of losses.
 * In: n, m, and for each class of loss (node, rack, …) its rate L, its unavailability q = L × recovery time, and how many shards of the stripe
 *   its units take. Out: losses a year, exact, and how much of it each class is answerable for.
 * Source: frequency of entering "more than m down" for independent repairable units (renewal theory, as in Barlow and Proschan,
 *   "Statistical theory of reliability and life testing", 1975, ch. 7), with a union bound over the sets of units that together take enough.
 *
 * Why it is an upper bound, for every placement in which the u-th fullest unit of a class takes at most shardsOfUnits[u], classes nested or not:
 *   A unit (a node, a rack, …) is down with probability at most q, independently of the others. A loss is a unit that fails, the trigger,
 *   while a set of others is down, and both together cover m+1 shards. The bound sums L·Πq over triggers and minimal such sets.
 *   A minimal set is S, units of shared classes, and O, single shards. S and the trigger cover K shards; O is exactly m+1−K of the n−K others.
 *   K is at most the sum K* of what the units of S may take, so O costs at most the largest h(K) = C(n−K, m+1−K)·q₁^(m+1−K) with K ≤ K*. Once
 *   K* reaches m+1 in a fixed order of units, the loss lies within the event that those are down, and further units are not looked at.
 *   Where every unit takes one shard, S is empty, K is 1, and the sum is n·C(n−1,m)·ΣL·(Σq)^m, the closed form.
 * How close, against enumeration of all states (test/guard/durability.test.ts): within Π(1+q)^n where every unit takes one shard (0.1 % for nine
 *   at q = 1e-4), a factor of 4 with one shared class whose sizes are given. How units of two shared classes overlap is not known here; counting
 *   them as disjoint may cost more, and the simulator, which has the map, shows how much.
 * Numbers: all q share one denominator and all L another, so a set of j losses is an integer over a known power: + and × of integers,
 *   and one exact division at the end. Does not know units of time, what a guard is, or where nodes are.
 */
import { assert } from '../errors.ts';
import { leastCommonMultiple, plus, type Ratio, ratio } from './ratio.ts';

export interface LossClass {
  readonly lossPerYear: Ratio;
  /** Loss rate × recovery time: a bound on the share of time that a unit is down. */
  readonly unavailability: Ratio;
  /** The most shards of the stripe that each unit takes, fullest first, summing to n at least; absent: n units of one shard. */
  readonly shardsOfUnits?: readonly number[];
}

export interface LossBound {
  readonly lossPerYear: Ratio;
  /** Per class, summing to lossPerYear: a set of d losses, p of them of this class, counts p/d of itself here (Aumann–Shapley). */
  readonly byClass: readonly Ratio[];
}

/** A sum of sets of equally many losses: numerators of its value, and of the value times the number of losses of each class. */
interface Sets {
  readonly value: bigint;
  readonly byClass: readonly bigint[];
}

interface Unit {
  readonly classIndex: number;
  readonly shards: number;
}

interface Stripe {
  readonly shards: number;
  /** So many shards down, and the stripe is lost. */
  readonly lost: number;
  /** Numerators of q by class, and their denominator. */
  readonly down: readonly bigint[];
  readonly denominator: bigint;
  /** Classes whose units take one shard each. */
  readonly single: readonly number[];
  /** The units of all other classes, in a fixed order. */
  readonly units: readonly Unit[];
}

/** @param shards n; @param tolerated m, 0 ≤ m < n. */
export function lossBound(shards: number, tolerated: number, classes: readonly LossClass[]): LossBound {
  assert(tolerated >= 0 && tolerated < shards, 'a scheme tolerates fewer losses than it has shards');
  const rates = overOneDenominator(classes.map((each) => each.lossPerYear));
  const downs = overOneDenominator(classes.map((each) => each.unavailability));
  const isSingle = (each: LossClass): boolean => (each.shardsOfUnits ?? []).every((most) => most <= 1);
  const indices = classes.map((_, index) => index);
  const units = indices
    .filter((index) => !isSingle(classes[index]!))
    .flatMap((index) => unitsOf(index, classes[index]!.shardsOfUnits!, shards));
  const single = indices.filter((index) => isSingle(classes[index]!));
  const stripe = {
    shards,
    lost: tolerated + 1,
    down: downs.numerators,
    denominator: downs.denominator,
    single,
    units,
  };
  return overRates(triggered(stripe, rates.numerators), rates.denominator, downs.denominator);
}

/** The u-th fullest of disjoint units takes at most n/u, whatever else is allowed. */
function unitsOf(classIndex: number, most: readonly number[], shards: number): Unit[] {
  const fitting = most.map((each, index) => Math.min(each, Math.floor(shards / (index + 1))));
  return fitting.filter((each) => each > 0).map((each) => ({ classIndex, shards: each }));
}

/** Index: how many units are down beside the trigger. Each set with its trigger in front, weighted with the trigger's rate. */
function triggered(stripe: Stripe, rates: readonly bigint[]): Sets[] {
  const { shards, single, units } = stripe;
  const endings = endingsOf(stripe);
  const byOneShard = setsDown(stripe, units, 1, endings);
  const ofSingle = single.map((index) => withLoss(byOneShard, rates[index]! * BigInt(shards), index));
  const ofUnits = units.map((unit, position) => {
    // Units that are alike have alike sets without them; the first of a run stands for it.
    const before = units[position - 1];
    if (before?.classIndex === unit.classIndex && before.shards === unit.shards) return [];
    const alike = units.filter(
      (each) => each.classIndex === unit.classIndex && each.shards === unit.shards,
    ).length;
    const sets = setsDown(stripe, units.toSpliced(position, 1), unit.shards, endings);
    return withLoss(sets, rates[unit.classIndex]! * BigInt(alike), unit.classIndex);
  });
  return [...ofSingle, ...ofUnits].reduce((all, each) => sums(all, each), []);
}

/**
 * The sets that are down beside a trigger that takes `taken` shards, by their number of losses.
 * Unit by unit: partial[j][K] are the choices of j units that with the trigger may cover K shards, K < lost.
 */
function setsDown(stripe: Stripe, units: readonly Unit[], taken: number, endings: readonly Ending[]): Sets[] {
  const found: Sets[] = [];
  const nothing = none(stripe);
  const one = { ...nothing, value: 1n };
  if (taken >= stripe.lost) return [one];
  const partial: (Sets | undefined)[][] = Array.from({ length: stripe.lost - taken + 1 }, () => []);
  partial[0]![taken] = one;
  for (const { classIndex, shards } of units) {
    for (let j = partial.length - 1; j >= 0; j--) {
      for (let covered = stripe.lost - 1; covered >= taken; covered--) {
        const sets = partial[j]![covered];
        if (sets === undefined) continue;
        const longer = appended(sets, stripe.down[classIndex]!, classIndex);
        if (covered + shards >= stripe.lost) addTo(found, j + 1, longer);
        else addTo(partial[j + 1]!, covered + shards, longer);
      }
    }
  }
  partial.forEach((row, j) => {
    row.forEach((sets, covered) => {
      const { singles, ways } = endings[covered]!;
      if (sets !== undefined) addTo(found, j + singles, product(sets, ways));
    });
  });
  return Array.from(found, (sets) => sets ?? nothing);
}

/** The single shards that complete a cover: how many, and Σ over their choices. */
interface Ending {
  readonly singles: number;
  readonly ways: Sets;
}

/** Index K*: the h(K) that is largest among K ≤ K*. Larger K is larger h, unless n·q₁ is near one. */
function endingsOf(stripe: Stripe): Ending[] {
  const { shards, lost, denominator } = stripe;
  const endings: Ending[] = [];
  let best: { ending: Ending; size: bigint } | undefined;
  for (let covered = 1; covered < lost; covered++) {
    const singles = lost - covered;
    const ending = { singles, ways: choicesOfSingles(stripe, shards - covered, singles) };
    const size = ending.ways.value * denominator ** BigInt(covered);
    if (best === undefined || size >= best.size) best = { ending, size };
    endings[covered] = best.ending;
  }
  return endings;
}

/** C(from, count)·q₁^count, q₁ the sum over single classes; one class q of it occurs count·q/q₁ times on average. */
function choicesOfSingles(stripe: Stripe, from: number, count: number): Sets {
  const { down, single } = stripe;
  const all = single.reduce((sum, index) => sum + down[index]!, 0n);
  const ways = binomial(from, count) * all ** BigInt(count - 1);
  return {
    value: ways * all,
    byClass: down.map((each, index) => (single.includes(index) ? BigInt(count) * ways * each : 0n)),
  };
}

function overRates(sets: readonly Sets[], rateDenominator: bigint, downDenominator: bigint): LossBound {
  const denominatorOf = (others: number): bigint => rateDenominator * downDenominator ** BigInt(others);
  const zero = ratio(0n);
  const classCount = sets[0]?.byClass.length ?? 0;
  return {
    lossPerYear: sets.map(({ value }, others) => ratio(value, denominatorOf(others))).reduce(plus, zero),
    byClass: Array.from({ length: classCount }, (_, index) =>
      sets
        .map(({ byClass }, others) => ratio(byClass[index]!, denominatorOf(others) * BigInt(others + 1)))
        .reduce(plus, zero),
    ),
  };
}

function none({ down }: Stripe): Sets {
  return { value: 0n, byClass: down.map(() => 0n) };
}

function withLoss(sets: readonly Sets[], weight: bigint, classIndex: number): Sets[] {
  return sets.map((each) => appended(each, weight, classIndex));
}

/** Each set with one more loss, of this class. */
function appended({ value, byClass }: Sets, weight: bigint, classIndex: number): Sets {
  return {
    value: value * weight,
    byClass: byClass.map((each, index) => (each + (index === classIndex ? value : 0n)) * weight),
  };
}

/** Each set of one with each of the other. */
function product(a: Sets, b: Sets): Sets {
  return {
    value: a.value * b.value,
    byClass: a.byClass.map((each, index) => each * b.value + b.byClass[index]! * a.value),
  };
}

function sums(a: readonly Sets[], b: readonly Sets[]): Sets[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, j) => sum(a[j], b[j])!);
}

function addTo(row: (Sets | undefined)[], index: number, sets: Sets): void {
  row[index] = sum(row[index], sets)!;
}

function sum(a: Sets | undefined, b: Sets | undefined): Sets | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { value: a.value + b.value, byClass: a.byClass.map((each, index) => each + b.byClass[index]!) };
}

function binomial(n: number, k: number): bigint {
  let ways = 1n;
  for (let i = 0; i < k; i++) ways = (ways * BigInt(n - i)) / BigInt(i + 1);
  return ways;
}

function overOneDenominator(values: readonly Ratio[]): { numerators: bigint[]; denominator: bigint } {
  const denominator = leastCommonMultiple(values.map((value) => value.denominator));
  return {
    numerators: values.map((value) => value.numerator * (denominator / value.denominator)),
    denominator,
  };
}
