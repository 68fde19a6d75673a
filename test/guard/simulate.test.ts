/**
 * The simulator against the exact stationary rate (test/reference/durability.ts) and against the bound. Seeds are fixed, so a run either
 * always passes or never; the intervals leave out 1e-5 on each side, so that a correct simulator fails for one seed in 50,000.
 */
import { describe, expect, test } from 'vitest';
import {
  copies,
  type DurabilityInput,
  erasureCoded,
  type Scheme,
  sharingUpTo,
} from '../../src/guard/durability.ts';
import { decimal } from '../../src/guard/ratio.ts';
import { planSampling, type Sampling, type SamplingPlan, sampling } from '../../src/guard/sampling.ts';
import { mapOfScheme, type SimulatedMap, simulate, simulation } from '../../src/guard/simulate.ts';
import type { Domain } from '../../src/plan.ts';
import { seededRandom } from '../../src/random.ts';
import { exactLossPerYear, type Unit } from '../reference/durability.ts';

const effort = process.env['KWAM_CAMPAIGN'] === '1' ? 20 : 1;
const tail = 1e-5;
const node = { lossPerYear: decimal('2'), recoveryYears: decimal('0.02') };
const rack = { domain: 'rack' as const, lossPerYear: decimal('0.5'), recoveryYears: decimal('0.04') };
const az = { domain: 'az' as const, lossPerYear: decimal('0.1'), recoveryYears: decimal('0.1') };

function inputOf(...domains: DurabilityInput['domains']): DurabilityInput {
  return { schemes: [], node, domains };
}

/** The exact rate of one stripe of a map. */
function exactRate(map: SimulatedMap, input: DurabilityInput): number {
  const stripe = map.stripes[0]!;
  const units: Unit[] = stripe.map((_, shard) => ({
    lossPerYear: 2,
    recoveryYears: 0.02,
    shards: 1 << shard,
  }));
  for (const { domain } of input.domains) {
    const [lossPerYear, recoveryYears] = domain === 'rack' ? [0.5, 0.04] : [0.1, 0.1];
    for (const label of new Set(map.nodes.map((labels) => labels[domain]))) {
      const members = stripe.filter((index) => map.nodes[index]![domain] === label);
      const shards = members.reduce((bits, index) => bits | (1 << stripe.indexOf(index)), 0);
      if (shards !== 0) units.push({ lossPerYear, recoveryYears, shards });
    }
  }
  return exactLossPerYear(units, map.toleratedLosses);
}

describe('agrees with the exact rate', () => {
  const cases: { scheme: Scheme; domains: DurabilityInput['domains']; years: number }[] = [
    { scheme: copies(1), domains: [rack], years: 2000 },
    { scheme: copies(2), domains: [rack, az], years: 5000 },
    { scheme: copies(3), domains: [], years: 20_000 },
    { scheme: copies(3, { rack: [2, 1] }), domains: [rack], years: 5000 },
    { scheme: erasureCoded(4, 2, { rack: [2, 2, 2], az: [4, 2] }), domains: [rack, az], years: 4000 },
  ];
  test.each(cases)('$scheme.name, $domains.length domains', ({ scheme, domains, years }) => {
    const input = inputOf(...domains);
    const map = mapOfScheme(
      scheme,
      domains.map((each) => each.domain),
    );
    const seen = simulate(map, input, seededRandom(11), { years: years * effort, tail });
    const exact = exactRate(map, input);
    expect(seen.stripeLosses).toBeGreaterThan(100);
    expect(seen.interval.low).toBeLessThan(exact);
    expect(seen.interval.high).toBeGreaterThan(exact);
  });

  test('many stripes on shared nodes: the mean of one, with an interval that knows they fall together', () => {
    const nodes = Array.from({ length: 8 }, (_, index) => ({ rack: `r${index % 4}` }));
    const stripes = Array.from({ length: 24 }, (_, index) => [index % 8, (index + 1) % 8, (index + 2) % 8]);
    const map = { nodes, stripes, toleratedLosses: 1 };
    const seen = simulate(map, inputOf(rack), seededRandom(5), { years: 300 * effort, tail });
    const exact = exactRate(map, inputOf(rack));
    expect(seen.stripeLosses).toBeGreaterThan(3 * seen.lossMoments);
    expect(seen.interval.low).toBeLessThan(exact);
    expect(seen.interval.high).toBeGreaterThan(exact);
  });
});

describe('agrees with the bound', () => {
  test.each([
    copies(2),
    copies(3),
    erasureCoded(4, 2),
    copies(3, { rack: [2, 1] }),
    erasureCoded(17, 8, { rack: sharingUpTo(5, 5) }),
  ])('$name: at most the bound, and at least the bound over Π(1 + q)', (scheme) => {
    const plan = planSampling(inputOf(rack, az), scheme, { years: 4000 * effort });
    const { lossMoments, interval, agrees } = sampled(plan);
    const racks = scheme.sharing?.rack?.length ?? scheme.shards;
    const states = (1.04 * 1.01) ** scheme.shards * 1.02 ** racks;
    expect(agrees).toBe(true);
    expect(lossMoments).toBeGreaterThan(50);
    expect(interval.high).toBeGreaterThan(plan.boundPerYear / states);
  });
});

describe('a plan', () => {
  const rare = { lossPerYear: decimal('0.2'), recoveryYears: decimal('0.00006') };
  const fire = { domain: 'rack' as const, lossPerYear: decimal('0.02'), recoveryYears: decimal('0.00137') };

  test('leaves losses that are frequent enough as they are', () => {
    const plan = planSampling(inputOf(rack, az), copies(2));
    expect(plan).toMatchObject({ acceleration: 1, isPossible: true });
    expect(plan.lossesExpected).toBeCloseTo(1000, 6);
  });

  test('accelerates losses that nobody could wait for, and the bound with them', () => {
    const plan = planSampling({ schemes: [], node: rare, domains: [fire] }, copies(3));
    expect(plan.acceleration).toBeGreaterThan(100);
    expect(plan.isPossible).toBe(true);
    const seen = sampled(plan);
    expect(seen.agrees).toBe(true);
    expect(seen.interval.high).toBeGreaterThan(plan.boundPerYear / 1.3);
    expect(seen.lossPerYear).toBeLessThan(plan.boundPerYear);
  });

  test('says when even that is too rare', () => {
    const plan = planSampling({ schemes: [], node: rare, domains: [] }, erasureCoded(8, 8));
    expect(plan.isPossible).toBe(false);
    expect(plan.lossesExpected).toBeLessThan(20);
    expect(planSampling(inputOf(rack), copies(2), { years: 0.01 }).isPossible).toBe(false);
  });
});

function sampled(plan: SamplingPlan): Sampling {
  const steps = sampling(plan, seededRandom(3));
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

test('the same seed gives the same losses, another seed others', () => {
  const map = mapOfScheme(copies(2), ['rack']);
  const run = (seed: number) => simulate(map, inputOf(rack), seededRandom(seed), { years: 500 });
  expect(run(1)).toEqual(run(1));
  expect(run(1).unitLosses).not.toBe(run(2).unitLosses);
});

test('it can be watched and stopped', () => {
  const steps = simulation(mapOfScheme(copies(3), ['rack']), inputOf(rack), seededRandom(1), { years: 1e9 });
  const [first, second] = [steps.next(), steps.next()];
  expect(first.done).toBe(false);
  expect(second.value.unitLosses).toBe(2 * first.value.unitLosses);
  expect(second.value.years).toBeGreaterThan(first.value.years);
  steps.return(undefined as never);
  expect(steps.next().done).toBe(true);
});

test('no loss seen still has an upper end', () => {
  const seen = simulate(mapOfScheme(copies(6), []), inputOf(), seededRandom(1), { years: 10 });
  expect(seen).toMatchObject({ stripeLosses: 0, lossPerYear: 0 });
  expect(seen.interval.low).toBe(0);
  expect(seen.interval.high).toBeCloseTo(0.36889, 4);
});

test('inputs that cannot be simulated are refused', () => {
  const nodes: Partial<Record<Domain, string>>[] = [{ rack: 'r1' }, {}];
  const map = { nodes, stripes: [[0, 1]], toleratedLosses: 1 };
  expect(() => simulate(map, inputOf(rack), seededRandom(1), { years: 1 })).toThrow(/node 1 to have a rack/);
  expect(() => simulate({ ...map, nodes: [{}, {}] }, inputOf(), seededRandom(1), { years: 0 })).toThrow(
    /years above 0, got 0/,
  );
});
