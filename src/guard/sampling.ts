/**
 * What `check --simulate` does: losses made frequent enough to be sampled, then bound and simulation side by side.
 * In: the inputs of a guard, one scheme, a seed's Random. Out: both rates under the accelerated inputs, and whether they agree.
 * Why accelerated: a guard of nine nines loses a stripe once in 10^9 years. All rates are multiplied by one factor, so that a shard is down
 *   a twentieth of the time; bound and simulation then speak about the same, faster world. It checks the mathematics, not the inputs.
 */
import type { Random } from '../random.ts';
import { type DurabilityInput, durability, type LossRate, type Scheme } from './durability.ts';
import { exactly, plus, type Ratio, ratio, times, toNumber } from './ratio.ts';
import {
  mapOfScheme,
  type SimulatedMap,
  type SimulationProgress,
  type SimulationResult,
  simulation,
} from './simulate.ts';

export interface SamplingOptions {
  readonly years: number;
  /** Placement of the stripes; without it one stripe, spread as the scheme says. */
  readonly map?: SimulatedMap;
}

export interface Sampling {
  /** All loss rates were multiplied by this. */
  readonly acceleration: number;
  /** Of the accelerated inputs, without the unmodelled rate, which is not simulated. */
  readonly boundPerYear: number;
  readonly simulated: SimulationResult;
  /** The bound is not below what was seen: not below the lower end of the interval. */
  readonly agrees: boolean;
}

export function* sampling(
  input: DurabilityInput,
  scheme: Scheme,
  random: Random,
  { years, map }: SamplingOptions,
): Generator<SimulationProgress, Sampling, void> {
  const { factor, faster } = accelerated(input, scheme);
  const placed =
    map ??
    mapOfScheme(
      scheme,
      input.domains.map((each) => each.domain),
    );
  const boundPerYear = durability(faster).worst.lossPerYear;
  const simulated = yield* simulation(placed, faster, random, { years });
  return {
    acceleration: toNumber(factor),
    boundPerYear,
    simulated,
    agrees: simulated.interval.low <= boundPerYear,
  };
}

/** A shard is down so often: rare enough that the bound stays within (1 + 1/20)^n of the rate, frequent enough to see losses. */
const unavailabilityTarget = ratio(1n, 20n);

function accelerated(input: DurabilityInput, scheme: Scheme): { factor: Ratio; faster: DurabilityInput } {
  const down = [input.node, ...input.domains]
    .map((each) => times(each.lossPerYear, each.recoveryYears))
    .reduce(plus);
  const exact = ratio(
    unavailabilityTarget.numerator * down.denominator,
    unavailabilityTarget.denominator * down.numerator,
  );
  // A double's worth of digits, so that the factor that is printed is the factor that was used.
  const factor = exactly(toNumber(exact));
  const fast = <T extends LossRate>(each: T): T => ({
    ...each,
    lossPerYear: times(each.lossPerYear, factor),
  });
  return { factor, faster: { schemes: [scheme], node: fast(input.node), domains: input.domains.map(fast) } };
}
