/**
 * Whether the durability that a guard claims follows from its audited loss rates.
 * In: the schemes in use (n shards or copies, m tolerated losses), the loss rate and recovery time of a node and of each listed domain, how many
 *   shards of a stripe may share a domain, and a rate for what is not modelled. Out: losses a year of one stripe, the nines that they
 *   support, which class of loss they come from, and (gains.ts) what would lower them most.
 * Source: loss-bound.ts derives the bound; with no sharing it is loss/year ≤ n·C(n−1,m)·(Ln+ΣLd)·(Ln·tn+ΣLd·td)^m.
 * Holds: the bound is an exact rational, and a claim of N nines is accepted exactly when bound ≤ 10^−N. Losses of domains enter beside those of
 *   nodes always: three copies on independent nodes alone would be granted 11 nines that a burning rack takes back.
 * Does not count unreadable sectors (shards are scrubbed), and speaks of one stripe: a fleet of G independent stripes loses G times
 *   as often. A rate above one a year is reported as it is; it is an expected number of losses, not a probability.
 */
import { KwamError } from '../errors.ts';
import { globalParityMax, guardNinesMax, localShardsMax, shardCountMax } from '../limits.ts';
import type { Domain } from '../plan.ts';
import { lossBound, lossPerYearBound } from './loss-bound.ts';
import type { LossClass } from './loss-class.ts';
import {
  compare,
  exactly,
  hundredthsOfNines,
  plus,
  type Ratio,
  ratio,
  supportsNines,
  times,
  toNumber,
  wholeNines,
} from './ratio.ts';

/** y = 365 d, as in the language. */
export const yearMs = 365 * 86_400_000;

/** Permanent losses of one node, or of one domain of a kind, and how long until its data is whole again elsewhere. */
export interface LossRate {
  readonly lossPerYear: Ratio;
  readonly recoveryYears: Ratio;
}

export interface DomainLossRate extends LossRate {
  readonly domain: Domain;
}

/** How many shards of one stripe the fullest domain holds at most, the second fullest, and so on; they sum to n at least. */
export type Sharing = readonly number[];

export interface Scheme {
  /** As the user wrote it: "factor 3", "rs(6, 3)", "lrc(12, 2, 2)". */
  readonly name: string;
  readonly shards: number;
  readonly toleratedLosses: number;
  /** There is no such code with one parity shard more. */
  readonly isLongest?: boolean;
  /** From the inventory; a domain that is missing here holds one shard of a stripe. */
  readonly sharing?: Partial<Readonly<Record<Domain, Sharing>>>;
}

export interface DurabilityInput {
  readonly schemes: readonly Scheme[];
  readonly node: LossRate;
  readonly domains: readonly DomainLossRate[];
  /** Software, operators, a site: an audited rate that is added as it is. */
  readonly unmodelledPerYear?: Ratio;
}

export type TermName = 'node' | Domain | 'unmodelled';

export interface DurabilityTerm {
  readonly name: TermName;
  /** Losses a year that this class is answerable for; the terms of a scheme sum to its rate. */
  readonly lossPerYear: number;
  readonly lossPerYearExact: Ratio;
  /** Of the scheme's rate, 0 to 1. */
  readonly share: number;
  /** Nines that would be there if this class never failed, less those that are; undefined when nothing would be left to fail. */
  readonly ninesCost: number | undefined;
}

export interface SchemeDurability {
  readonly scheme: Scheme;
  readonly lossPerYear: number;
  readonly lossPerYearExact: Ratio;
  /** Rounded down to hundredths: 9.23. */
  readonly nines: number;
  /** The largest claim that is accepted. */
  readonly ninesWhole: number;
  readonly terms: readonly DurabilityTerm[];
}

export interface Durability {
  readonly schemes: readonly SchemeDurability[];
  /** The scheme with the highest rate: it stands for the guard. */
  readonly worst: SchemeDurability;
}

/** Something about the inputs that keeps the bound from meaning anything. A value, so that the checker can point at the attribute. */
export interface InputProblem {
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;
}

export function copies(factor: number, sharing?: Scheme['sharing']): Scheme {
  return {
    name: `factor ${factor}`,
    shards: factor,
    toleratedLosses: factor - 1,
    ...(sharing && { sharing }),
  };
}

export function erasureCoded(dataShards: number, parityShards: number, sharing?: Scheme['sharing']): Scheme {
  const shards = dataShards + parityShards;
  const name = `rs(${dataShards}, ${parityShards})`;
  return { name, shards, toleratedLosses: parityShards, ...(sharing && { sharing }) };
}

/**
 * With local groups any m + 1 losses are survived, and many larger ones; those are not counted, so that the bound is one from above whichever
 * shards are lost together.
 */
export function locallyCoded(
  dataShards: number,
  groups: number,
  globalParities: number,
  sharing?: Scheme['sharing'],
): Scheme {
  const name = `lrc(${dataShards}, ${groups}, ${globalParities})`;
  const shards = dataShards + groups + globalParities;
  const isLongest = globalParities >= globalParityMax || shards >= localShardsMax;
  return { name, shards, toleratedLosses: globalParities + 1, isLongest, ...(sharing && { sharing }) };
}

/**
 * What is known when no domain holds more than `shardsMax` shards of a stripe and there are `domainCount` of them: all may be that full.
 * Without a count any number of domains is allowed for.
 */
export function sharingUpTo(shardsMax: number, domainCount: number): Sharing {
  return Array.from({ length: domainCount }, () => shardsMax);
}

/** A loss rate from a mean time between losses and a recovery time, both in milliseconds and taken exactly. */
export function lossRate(mtbfMs: number | bigint, recoveryMs: number | bigint): LossRate {
  const [mtbf, recovery] = [exactly(mtbfMs), exactly(recoveryMs)];
  const year = ratio(BigInt(yearMs));
  if (mtbf.numerator <= 0n) {
    throw new KwamError(
      'USAGE',
      `expected a mean time between losses above 0 ms, got ${mtbfMs}; give the audited duration`,
    );
  }
  return {
    lossPerYear: ratio(year.numerator * mtbf.denominator, mtbf.numerator),
    recoveryYears: ratio(recovery.numerator, recovery.denominator * year.numerator),
  };
}

/** @throws KwamError USAGE with the first of problemsOf(input), if any. */
export function durability(input: DurabilityInput): Durability {
  const problem = problemsOf(input)[0];
  if (problem !== undefined) {
    const { field, expected, actual, remedy } = problem;
    throw new KwamError('USAGE', `${field}: expected ${expected}, got ${actual}; ${remedy}`, {
      context: { field },
    });
  }
  const schemes = input.schemes.map((scheme) => durabilityOf(scheme, input));
  const worst = schemes.reduce((a, b) => (compare(b.lossPerYearExact, a.lossPerYearExact) > 0 ? b : a));
  return { schemes, worst };
}

/** The rate of the worst scheme alone; the inputs have no problems. */
export function worstLossPerYear(input: DurabilityInput): Ratio {
  const rates = input.schemes.map((scheme) =>
    lossPerYearBound(scheme.shards, scheme.toleratedLosses, classesOf(scheme, input)),
  );
  return plus(
    rates.reduce((a, b) => (compare(b, a) > 0 ? b : a)),
    input.unmodelledPerYear ?? ratio(0n),
  );
}

/** Whether a claim of so many nines follows; exact. */
export function accepts(result: Durability, declaredNines: number): boolean {
  if (!Number.isSafeInteger(declaredNines) || declaredNines < 0 || declaredNines > guardNinesMax) {
    throw new KwamError(
      'USAGE',
      `expected 0 to ${guardNinesMax} whole nines, got ${declaredNines}; lower the claim`,
    );
  }
  return supportsNines(result.worst.lossPerYearExact, declaredNines);
}

export function problemsOf(input: DurabilityInput): InputProblem[] {
  const rates = [
    { ...input.node, name: 'node' },
    ...input.domains.map((each) => ({ ...each, name: each.domain })),
  ];
  return [
    ...(input.schemes.length === 0
      ? [problem('schemes', 'at least one scheme', 'none', 'name a factor')]
      : []),
    ...rates.flatMap(rateProblems),
    ...repeated(input.domains.map((each) => each.domain)),
    ...downProblems(rates),
    ...unmodelledProblems(input.unmodelledPerYear),
    ...input.schemes.flatMap(schemeProblems),
  ];
}

function durabilityOf(scheme: Scheme, input: DurabilityInput): SchemeDurability {
  const classes = classesOf(scheme, input);
  const bound = lossBound(scheme.shards, scheme.toleratedLosses, classes);
  const unmodelled = input.unmodelledPerYear ?? ratio(0n);
  const total = plus(bound.lossPerYear, unmodelled);
  const nines = hundredthsOfNines(total) / 100;
  const term = (name: TermName, loss: Ratio, without: Ratio): DurabilityTerm => ({
    name,
    lossPerYear: toNumber(loss),
    lossPerYearExact: loss,
    share: toNumber(ratio(loss.numerator * total.denominator, loss.denominator * total.numerator)),
    ninesCost: without.numerator === 0n ? undefined : round(hundredthsOfNines(without) / 100 - nines),
  });
  const terms = bound.byClass.map((loss, index) => {
    const others = classes.map((each, i) => (i === index ? neverLost(each) : each));
    const without = lossPerYearBound(scheme.shards, scheme.toleratedLosses, others);
    return term(index === 0 ? 'node' : input.domains[index - 1]!.domain, loss, plus(without, unmodelled));
  });
  if (input.unmodelledPerYear !== undefined) terms.push(term('unmodelled', unmodelled, bound.lossPerYear));
  return {
    scheme,
    lossPerYear: toNumber(total),
    lossPerYearExact: total,
    nines,
    ninesWhole: wholeNines(total),
    terms,
  };
}

/** The node first, then the domains as listed. */
function classesOf(scheme: Scheme, input: DurabilityInput): LossClass[] {
  return [
    lossClass(input.node),
    ...input.domains.map((each) => lossClass(each, scheme.sharing?.[each.domain])),
  ];
}

function lossClass({ lossPerYear, recoveryYears }: LossRate, sharing?: Sharing): LossClass {
  const unavailability = times(lossPerYear, recoveryYears);
  return {
    lossPerYear,
    unavailability,
    ...(sharing && { shardsOfUnits: sharing.toSorted((a, b) => b - a) }),
  };
}

function neverLost(each: LossClass): LossClass {
  return { ...each, lossPerYear: ratio(0n), unavailability: ratio(0n) };
}

function rateProblems({ name, lossPerYear, recoveryYears }: LossRate & { name: string }): InputProblem[] {
  const problems: InputProblem[] = [];
  if (lossPerYear.numerator <= 0n) {
    const remedy = 'a loss that never happens cannot be audited; give its mean time between losses';
    problems.push(
      problem(`${name} loss rate`, 'more than 0 a year', `${toNumber(lossPerYear)} a year`, remedy),
    );
  }
  if (recoveryYears.numerator <= 0n) {
    const remedy = 'nothing is restored in no time; give the recovery time';
    problems.push(
      problem(`${name} recovery time`, 'more than 0', `${toNumber(recoveryYears)} years`, remedy),
    );
  }
  return problems;
}

/** With q ≥ 1 a shard is never there, and a bound that is a power of q no longer bounds anything. */
function downProblems(rates: readonly (LossRate & { name: string })[]): InputProblem[] {
  const total = rates.map((each) => times(each.lossPerYear, each.recoveryYears)).reduce(plus);
  if (compare(total, ratio(1n)) < 0) return [];
  const actual = rates.map(
    (each) => `${each.name} ${toNumber(times(each.lossPerYear, each.recoveryYears)).toPrecision(3)}`,
  );
  const expected = 'loss rate × recovery time, summed over node and domains, below 1';
  return [
    problem(
      'recovery',
      expected,
      actual.join(' + '),
      'recover faster than things fail: check the units of mtbf and recovery',
    ),
  ];
}

function unmodelledProblems(rate: Ratio | undefined): InputProblem[] {
  if (rate === undefined || rate.numerator > 0n) return [];
  const remedy = 'leave it out, or give the audited rate';
  return [problem('unmodelled rate', 'more than 0 a year', `${toNumber(rate)} a year`, remedy)];
}

function repeated(domains: readonly Domain[]): InputProblem[] {
  const twice = domains.filter((domain, index) => domains.indexOf(domain) !== index);
  return twice.map((domain) => problem(domain, 'each domain once', 'a second row', 'keep one of them'));
}

function schemeProblems({ name, shards, toleratedLosses, sharing }: Scheme): InputProblem[] {
  const counts = `${shards} shards, ${toleratedLosses} tolerated losses`;
  const whole = Number.isSafeInteger(shards) && Number.isSafeInteger(toleratedLosses);
  if (!whole || toleratedLosses < 0 || toleratedLosses >= shards || shards > shardCountMax) {
    const expected = `0 ≤ tolerated losses < shards ≤ ${shardCountMax}`;
    return [problem(name, expected, counts, 'choose a factor or rs(k, m) within that')];
  }
  return Object.entries(sharing ?? {}).flatMap(([domain, held]) => {
    const isCount = held.every((most) => Number.isSafeInteger(most) && most >= 1);
    if (isCount && held.reduce((all, most) => all + most, 0) >= shards) return [];
    const expected = `domains that together hold ${shards} shards, each at least one`;
    return [problem(`${name} ${domain}`, expected, `[${held.join(', ')}]`, 'count them in the inventory')];
  });
}

function problem(field: string, expected: string, actual: string, remedy: string): InputProblem {
  return { field, expected, actual, remedy };
}

function round(nines: number): number {
  return Math.round(nines * 100) / 100;
}
