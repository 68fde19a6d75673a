/**
 * What `check --simulate` does: bound and simulation of one scheme side by side.
 * In: the inputs of a guard, one of its schemes, perhaps for how many years; a seed's Random. Out: first a plan, then both rates under the
 *   same inputs, and whether they agree.
 * A guard of nine nines loses a stripe once in 10^9 years, which no simulation sees. Where the years at hand would show fewer losses than
 *   make an interval, all loss rates are multiplied by one factor, so that a shard is down a twentieth of the time; bound and simulation then
 *   speak about the same, faster world: it checks the mathematics, not the inputs. Where even that world loses too seldom, the plan says so.
 */
import type { Random } from '../random.ts';
import { type DurabilityInput, type LossRate, type Scheme, worstLossPerYear } from './durability.ts';
import { compare, exactly, plus, type Ratio, ratio, times, toNumber } from './ratio.ts';
import {
  mapOfScheme,
  type SimulatedMap,
  type SimulationProgress,
  type SimulationResult,
  simulation,
} from './simulate.ts';

export interface SamplingOptions {
  /** Default: until a thousand losses are expected, as far as `unitLossesMax` allows. */
  readonly years?: number | undefined;
  /** Placement of the stripes; without it one stripe, spread as the scheme says. */
  readonly map?: SimulatedMap;
}

export interface SamplingPlan {
  readonly scheme: Scheme;
  readonly map: SimulatedMap;
  readonly input: DurabilityInput;
  /** All loss rates are multiplied by this; 1 for the world as declared. */
  readonly acceleration: number;
  readonly years: number;
  /** Of the world that is simulated, without the unmodelled rate, which is not simulated. */
  readonly boundPerYear: number;
  /** By the bound, in all stripes; below `lossesMin` there is nothing to be seen, and `sampling` is not worth its time. */
  readonly lossesExpected: number;
  readonly isPossible: boolean;
}

export interface Sampling extends SimulationResult {
  readonly plan: SamplingPlan;
  /** The bound is not below what was seen: not below the lower end of the interval. */
  readonly agrees: boolean;
}

const lossesWanted = 1000;
/** Fewer give an interval that says little more than "rare". */
const lossesMin = 20;
/** Losses of nodes and domains that are simulated at most: some seconds of work. */
const unitLossesMax = 2_000_000;

export function planSampling(
  input: DurabilityInput,
  scheme: Scheme,
  {
    years,
    map = mapOfScheme(
      scheme,
      input.domains.map(({ domain }) => domain),
    ),
  }: SamplingOptions = {},
): SamplingPlan {
  const asDeclared = planOf(
    { schemes: [scheme], node: input.node, domains: input.domains },
    scheme,
    map,
    years,
  );
  if (asDeclared.isPossible) return asDeclared;
  const factor = accelerationOf(input);
  // A world that is down more than that already would become slower, not faster.
  if (compare(factor, ratio(1n)) <= 0) return asDeclared;
  const fast = <T extends LossRate>(each: T): T => ({
    ...each,
    lossPerYear: times(each.lossPerYear, factor),
  });
  const faster = { schemes: [scheme], node: fast(input.node), domains: input.domains.map(fast) };
  return { ...planOf(faster, scheme, map, years), acceleration: toNumber(factor) };
}

function planOf(input: DurabilityInput, scheme: Scheme, map: SimulatedMap, wanted?: number): SamplingPlan {
  const boundPerYear = toNumber(worstLossPerYear(input));
  const perYear = boundPerYear * map.stripes.length;
  const years = wanted ?? Math.min(lossesWanted / perYear, unitLossesMax / unitLossesPerYear(input, map));
  const lossesExpected = perYear * years;
  const isPossible = lossesExpected >= lossesMin;
  return { scheme, map, input, acceleration: 1, years, boundPerYear, lossesExpected, isPossible };
}

function unitLossesPerYear({ node, domains }: DurabilityInput, { nodes }: SimulatedMap): number {
  const ofDomains = domains.map(
    ({ domain, lossPerYear }) => toNumber(lossPerYear) * new Set(nodes.map((labels) => labels[domain])).size,
  );
  return ofDomains.reduce((sum, each) => sum + each, toNumber(node.lossPerYear) * nodes.length);
}

/** A shard is down so often: rare enough that the bound stays within (1 + 1/20)^n of the rate, frequent enough to see losses. */
const unavailabilityTarget = ratio(1n, 20n);

function accelerationOf(input: DurabilityInput): Ratio {
  const down = [input.node, ...input.domains]
    .map((each) => times(each.lossPerYear, each.recoveryYears))
    .reduce(plus);
  // A double's worth of digits, so that the factor that is printed is the factor that is used.
  return exactly(toNumber(times(unavailabilityTarget, ratio(down.denominator, down.numerator))));
}

export function* sampling(plan: SamplingPlan, random: Random): Generator<SimulationProgress, Sampling, void> {
  const result = yield* simulation(plan.map, plan.input, random, { years: plan.years });
  return { ...result, plan, agrees: result.interval.low <= plan.boundPerYear };
}
