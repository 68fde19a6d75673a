/**
 * The durability bound: worked figures, the exact rate by enumeration of all states, and what must hold for any inputs.
 * Figures: published Markov results for AFR 5 % and 12 h (three copies 7.0353e-10, 6+3 8.0912e-12, 8+3 2.1187e-11, 10+4
 * 1.1003e-14), recomputed by test/reference/durability.ts; the RAID-4/5 closed form for 10 disks.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  accepts,
  copies,
  type DurabilityInput,
  durability,
  erasureCoded,
  lossRate,
  problemsOf,
  type Scheme,
  sharingUpTo,
  yearMs,
} from '../../src/guard/durability.ts';
import {
  compare,
  decimal,
  exactly,
  plus,
  type Ratio,
  ratio,
  times,
  toNumber,
} from '../../src/guard/ratio.ts';
import type { Domain } from '../../src/plan.ts';
import { exactLossPerYear, meanYearsToLoss, type Unit } from '../reference/durability.ts';

const campaign = process.env['KWAM_CAMPAIGN'] === '1';
const hourMs = 3_600_000;
const node = rate('0.0462', 6);
const rack = { domain: 'rack' as const, ...rate('0.01', 24) };

function rate(lossPerYear: string, recoveryHours: number) {
  return { lossPerYear: decimal(lossPerYear), recoveryYears: ratio(BigInt(recoveryHours), 8760n) };
}

function of(scheme: Scheme, changes: Partial<DurabilityInput> = {}) {
  return durability({ schemes: [scheme], node, domains: [rack], ...changes });
}

describe('worked figures', () => {
  test.each([
    { scheme: copies(3), exact: 7.0353e-10 },
    { scheme: erasureCoded(6, 3), exact: 8.0912e-12 },
    { scheme: erasureCoded(8, 3), exact: 2.1187e-11 },
    { scheme: erasureCoded(10, 4), exact: 1.1003e-14 },
  ])(
    '$scheme.name on independent nodes, 5 % a year and 12 h: within 0.2 % above the Markov chain',
    ({ scheme, exact }) => {
      const { lossPerYear } = of(scheme, { node: rate('0.05', 12), domains: [] }).worst;
      const chain = -Math.expm1(-1 / meanYearsToLoss(scheme.shards, scheme.toleratedLosses, 0.05, 12 / 8760));
      expect(Math.abs(chain / exact - 1)).toBeLessThan(1e-4);
      expect(lossPerYear / chain).toBeGreaterThan(1);
      expect(lossPerYear / chain).toBeLessThan(1.002);
    },
  );

  test('the reference chain gives the mean time of RAID-5 over ten disks of 100,000 h and 24 h', () => {
    expect(meanYearsToLoss(10, 1, 0.0876, 24 / 8760) * 8760).toBeCloseTo(4_650_740.7, 1);
  });

  test('three copies, nodes 4.62 % and 6 h, racks 1 % and 24 h: 9.23 nines, so 6 are accepted and 11 are not', () => {
    const result = of(copies(3));
    expect(result.worst).toMatchObject({ nines: 9.23, ninesWhole: 9 });
    expect(accepts(result, 6)).toBe(true);
    expect(accepts(result, 9)).toBe(true);
    expect(accepts(result, 10)).toBe(false);
    expect(accepts(result, 11)).toBe(false);
  });

  test.each([
    { afr: '0.0462', hours: ratio(161n, 100n) },
    { afr: '0.0156', hours: ratio(82n, 10n) },
  ])(
    'nodes alone would grant eleven nines to three copies ($afr a year); with their racks they do not have them',
    ({ afr, hours }) => {
      const fast = { lossPerYear: decimal(afr), recoveryYears: times(hours, ratio(1n, 8760n)) };
      expect(accepts(of(copies(3), { node: fast, domains: [] }), 11)).toBe(true);
      expect(accepts(of(copies(3), { node: fast }), 11)).toBe(false);
    },
  );

  test('without sharing the rate is n·C(n−1,m)·ΣL·(ΣL·t)^m, to the last digit', () => {
    const az = { domain: 'az' as const, ...rate('0.0001', 720) };
    for (const [scheme, ways] of [
      [copies(4), 4n],
      [erasureCoded(6, 3), 9n * 56n],
    ] as const) {
      const rates = [node, rack, az].map((each) => each.lossPerYear).reduce(plus);
      const down = [node, rack, az].map((each) => times(each.lossPerYear, each.recoveryYears)).reduce(plus);
      const expected = Array.from({ length: 3 }, () => down).reduce(times, times(rates, ratio(ways)));
      expect(of(scheme, { domains: [rack, az] }).worst.lossPerYearExact).toEqual(expected);
    }
  });

  test('a site that burns once in ten million years caps everything in it at seven nines', () => {
    const result = of(copies(5), { unmodelledPerYear: decimal('0.0000001') });
    expect(accepts(result, 7)).toBe(false);
    expect(accepts(result, 6)).toBe(true);
    expect(result.worst.terms.at(-1)).toMatchObject({ name: 'unmodelled', lossPerYear: 1e-7 });
  });

  test('a domain that holds more than the tolerated losses caps the nines by its own rate', () => {
    const { worst } = of(erasureCoded(6, 3), { schemes: [erasureCoded(6, 3, { rack: [4, 3, 2] })] });
    expect(worst.lossPerYear).toBeGreaterThan(0.01);
    expect(worst.lossPerYear).toBeLessThan(0.0101);
    expect(worst.ninesWhole).toBe(1);
  });

  test('of two schemes the worse one stands', () => {
    const result = durability({ schemes: [copies(2), erasureCoded(6, 3)], node, domains: [rack] });
    expect(result.worst.scheme.name).toBe('factor 2');
    expect(result.schemes.map((each) => each.scheme.name)).toEqual(['factor 2', 'rs(6, 3)']);
  });
});

describe('against enumeration of all states', () => {
  const unitRate = fc.record({
    lossPerYear: fc.double({ min: 0.01, max: 2, noNaN: true }),
    q: fc.double({ min: 1e-6, max: 0.01, noNaN: true }),
  });

  /** A stripe of up to five shards, and for up to two domains which shards lie in which. */
  const cases = fc.integer({ min: 1, max: 5 }).chain((shards) =>
    fc.record({
      shards: fc.constant(shards),
      tolerated: fc.integer({ min: 0, max: shards - 1 }),
      node: unitRate,
      domains: fc.array(
        fc.record({
          rate: unitRate,
          labels: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: shards, maxLength: shards }),
        }),
        { maxLength: 2 },
      ),
    }),
  );
  const names: readonly Domain[] = ['rack', 'pdu'];

  function ratesOf({
    shards,
    tolerated,
    node,
    domains,
  }: typeof cases extends fc.Arbitrary<infer T> ? T : never) {
    const groups = domains.map(({ labels }) => groupsOf(labels));
    const units: Unit[] = [
      ...Array.from({ length: shards }, (_, shard) => unit(node, 1 << shard)),
      ...domains.flatMap((domain, d) => groups[d]!.map((members) => unit(domain.rate, members))),
    ];
    const sharing = Object.fromEntries(groups.map((each, d) => [names[d], each.map(bitCount)]));
    const scheme = { name: 'any', shards, toleratedLosses: tolerated, sharing };
    const input = {
      node: exactRate(node),
      domains: domains.map((domain, d) => ({ domain: names[d]!, ...exactRate(domain.rate) })),
    };
    const bound = durability({ schemes: [scheme], ...input }).worst.lossPerYear;
    const exact = exactLossPerYear(units, tolerated);
    const coarse = Object.fromEntries(
      groups.map((each, d) => [names[d], sharingUpTo(Math.max(...each.map(bitCount)), each.length)]),
    );
    const coarser = durability({ schemes: [{ ...scheme, sharing: coarse }], ...input }).worst.lossPerYear;
    const shared = groups.filter((each) => each.some((members) => bitCount(members) > 1)).length;
    const states = units.reduce((all, each) => all * (1 + each.lossPerYear * each.recoveryYears), 1);
    return { bound, exact, coarser, shared, states };
  }

  test('the bound is never below the exact rate, wherever the shards lie', () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { bound, exact, coarser } = ratesOf(one);
        expect(bound).toBeGreaterThanOrEqual(exact * (1 - 1e-12));
        // Knowing only the fullest domain gives a bound for every placement, so never a lower one.
        expect(coarser).toBeGreaterThanOrEqual(bound * (1 - 1e-12));
      }),
      { numRuns: campaign ? 20_000 : 400 },
    );
  });

  test('the bound is within Π(1 + q) of the exact rate where at most one class is shared', () => {
    let seen = 0;
    fc.assert(
      fc.property(cases, (one) => {
        const { bound, exact, shared, states } = ratesOf(one);
        if (shared > 1) return;
        seen += shared;
        expect(bound).toBeLessThanOrEqual(exact * states * (1 + 1e-9));
      }),
      { numRuns: campaign ? 20_000 : 400 },
    );
    expect(seen).toBeGreaterThan(20);
  });

  function unit({ lossPerYear, q }: { lossPerYear: number; q: number }, shards: number): Unit {
    return { lossPerYear, recoveryYears: q / lossPerYear, shards };
  }

  function exactRate({ lossPerYear, q }: { lossPerYear: number; q: number }) {
    return { lossPerYear: exactly(lossPerYear), recoveryYears: exactly(q / lossPerYear) };
  }

  function groupsOf(labels: readonly number[]): number[] {
    const groups = new Map<number, number>();
    for (const [shard, label] of labels.entries()) groups.set(label, (groups.get(label) ?? 0) | (1 << shard));
    return [...groups.values()];
  }

  function bitCount(word: number): number {
    return word.toString(2).replaceAll('0', '').length;
  }
});

describe('properties', () => {
  const hours = fc.integer({ min: 1, max: 24 * 30 });
  const years = fc.integer({ min: 2, max: 1000 });
  const aRate = fc.record({ years, hours }).map((each) => lossRate(each.years * yearMs, each.hours * hourMs));
  const aScheme = fc.oneof(
    fc.integer({ min: 1, max: 6 }).map((factor) => copies(factor)),
    fc
      .tuple(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 0, max: 4 }))
      .map(([k, m]) => erasureCoded(k, m)),
    fc.integer({ min: 1, max: 4 }).map((most) => erasureCoded(6, 3, { rack: sharingUpTo(most, 9) })),
  );
  const anInput = fc.record({
    schemes: fc.array(aScheme, { minLength: 1, maxLength: 2 }),
    node: aRate,
    domains: fc.tuple(aRate, aRate).map(([a, b]) => [
      { domain: 'rack' as const, ...a },
      { domain: 'az' as const, ...b },
    ]),
  });
  const runs = { numRuns: campaign ? 5000 : 100 };

  test('a higher rate, a slower recovery or one domain more never raises the nines', () => {
    fc.assert(
      fc.property(
        anInput,
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 2, max: 9 }),
        (input, which, by) => {
          const before = durability(input).worst.lossPerYearExact;
          for (const field of ['lossPerYear', 'recoveryYears'] as const) {
            const rates = [input.node, ...input.domains].map((each, i) =>
              i === which ? { ...each, [field]: times(each[field], ratio(BigInt(by), 2n)) } : each,
            );
            const worse = { ...input, node: rates[0]!, domains: rates.slice(1) as typeof input.domains };
            if (problemsOf(worse).length > 0) continue;
            expect(compare(durability(worse).worst.lossPerYearExact, before)).toBeGreaterThanOrEqual(0);
          }
          const fewer = durability({ ...input, domains: input.domains.slice(1) }).worst.lossPerYearExact;
          expect(compare(fewer, before)).toBeLessThanOrEqual(0);
        },
      ),
      runs,
    );
  });

  test('one copy more never lowers the nines, nor does one fewer in the fullest rack raise the rate', () => {
    fc.assert(
      fc.property(
        anInput,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 2, max: 4 }),
        (input, factor, most) => {
          const rateOf = (scheme: Scheme): Ratio =>
            durability({ ...input, schemes: [scheme] }).worst.lossPerYearExact;
          expect(compare(rateOf(copies(factor + 1)), rateOf(copies(factor)))).toBeLessThanOrEqual(0);
          const apart = erasureCoded(4, 2, { rack: sharingUpTo(most - 1, 6) });
          expect(
            compare(rateOf(apart), rateOf(erasureCoded(4, 2, { rack: sharingUpTo(most, 6) }))),
          ).toBeLessThanOrEqual(0);
        },
      ),
      runs,
    );
  });

  test('the terms sum to the rate, exactly, and their shares to one', () => {
    fc.assert(
      fc.property(anInput, fc.option(fc.integer({ min: 1, max: 1000 })), (input, perMillion) => {
        const unmodelledPerYear =
          perMillion === null ? {} : { unmodelledPerYear: ratio(BigInt(perMillion), 1_000_000n) };
        for (const { lossPerYearExact, terms } of durability({ ...input, ...unmodelledPerYear }).schemes) {
          expect(terms.map((each) => each.lossPerYearExact).reduce(plus)).toEqual(lossPerYearExact);
          expect(terms.reduce((all, each) => all + each.share, 0)).toBeCloseTo(1, 9);
        }
      }),
      runs,
    );
  });

  test('what is accepted is exactly what the nines say', () => {
    fc.assert(
      fc.property(anInput, (input) => {
        const result = durability(input);
        expect(accepts(result, result.worst.ninesWhole)).toBe(result.worst.lossPerYear <= 1);
        expect(accepts(result, result.worst.ninesWhole + 1)).toBe(false);
      }),
      runs,
    );
  });
});

test('a class that never failed would cost no nines: the node cost is what the racks alone leave', () => {
  const terms = of(copies(3)).worst.terms;
  const racksAlone = toNumber(
    times(ratio(3n), times(rack.lossPerYear, square(times(rack.lossPerYear, rack.recoveryYears)))),
  );
  expect(terms[0]!.ninesCost).toBeCloseTo(-Math.log10(racksAlone) - 9.23, 1);
  expect(of(copies(3), { domains: [] }).worst.terms[0]!.ninesCost).toBeUndefined();
});

describe('the longest stripe', () => {
  test('is bounded', () => {
    expect(of(erasureCoded(128, 127)).worst.nines).toBeGreaterThan(100);
  });

  test('is bounded where its shards share domains, by less than where they do not and by more than where they share more', () => {
    const rateOf = (sharing: Scheme['sharing']) => of(erasureCoded(200, 55, sharing)).worst.lossPerYear;
    const [apart, shared, crowded] = [
      rateOf({}),
      rateOf({ rack: sharingUpTo(5, 51) }),
      rateOf({ rack: sharingUpTo(55, 5) }),
    ];
    expect(shared).toBeGreaterThan(apart);
    expect(crowded).toBeGreaterThan(shared);
  });

  test('loses a stripe of full racks when the racks do: no node is needed where two of them are enough', () => {
    const racks = sharingUpTo(51, 5);
    const { worst } = of(erasureCoded(200, 55, { rack: racks }), { node: rate('0.000001', 1) });
    const pairs = 5 * 4 * toNumber(times(rack.lossPerYear, times(rack.lossPerYear, rack.recoveryYears)));
    expect(worst.lossPerYear / pairs).toBeGreaterThan(1);
    expect(worst.lossPerYear / pairs).toBeLessThan(1.001);
  });
});

describe('refused inputs', () => {
  test.each([
    {
      what: 'a rate of zero',
      changes: { node: rate('0', 6) },
      says: /node loss rate: expected more than 0 a year, got 0/,
    },
    {
      what: 'no recovery time',
      changes: { domains: [{ ...rack, recoveryYears: ratio(0n) }] },
      says: /rack recovery time: expected more than 0/,
    },
    {
      what: 'a node that is always down',
      changes: { node: rate('2', 8760) },
      says: /below 1, got node 2\.00 \+ rack/,
    },
    { what: 'no scheme', changes: { schemes: [] }, says: /at least one scheme, got none/ },
    { what: 'a domain twice', changes: { domains: [rack, rack] }, says: /rack: expected each domain once/ },
    {
      what: 'an unmodelled rate of zero',
      changes: { unmodelledPerYear: ratio(0n) },
      says: /unmodelled rate: expected more than 0/,
    },
    {
      what: 'no copy',
      changes: { schemes: [copies(0)] },
      says: /factor 0: expected 0 ≤ tolerated losses < shards/,
    },
    { what: 'half a copy', changes: { schemes: [copies(2.5)] }, says: /factor 2\.5: expected/ },
    {
      what: 'too many shards',
      changes: { schemes: [erasureCoded(200, 56)] },
      says: /shards ≤ 255, got 256 shards/,
    },
    {
      what: 'racks that cannot hold the stripe',
      changes: { schemes: [copies(3, { rack: [1, 1] })] },
      says: /factor 3 rack: .* hold 3 shards.* got \[1, 1\]/,
    },
  ])('$what', ({ changes, says }) => {
    expect(() => of(copies(3), changes)).toThrow(says);
  });

  test('claims that are no number of nines', () => {
    for (const nines of [-1, 1.5, 101, Number.NaN])
      expect(() => accepts(of(copies(3)), nines)).toThrow(/whole nines/);
  });

  test('a mean time of zero', () => {
    expect(() => lossRate(0, hourMs)).toThrow(/above 0 ms, got 0/);
  });

  test('an mtbf of 20 y is one loss in 20 years, and 6 h are 1/1460 of a year', () => {
    expect(lossRate(20 * yearMs, 6 * hourMs)).toEqual({
      lossPerYear: ratio(1n, 20n),
      recoveryYears: ratio(1n, 1460n),
    });
  });
});

function square(value: Ratio): Ratio {
  return times(value, value);
}
