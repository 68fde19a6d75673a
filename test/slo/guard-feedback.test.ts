/** Declared times and rates beside observed ones: the nines that follow, and what is said when nothing was seen. */
import { expect, it } from 'vitest';
import { copies, durability, lossRate, yearMs } from '../../src/guard/durability.ts';
import type { Outages } from '../../src/guard/outages.ts';
import { DOMAINS, type GuardPlan } from '../../src/plan.ts';
import { guardFeedback } from '../../src/slo/guard-feedback.ts';
import { smallPlan } from '../faults/small-plan.ts';

const HOUR_MS = 3_600_000;
const YEAR = yearMs;
const row = (ms: number) => ({ ms, source: 's', auditedBy: 'a', auditedOn: '2026-01-01' });
const plan = smallPlan({ nodes: 6, factor: 3 });
const guard: GuardPlan = {
  name: 'sla',
  declaredNines: 6,
  supportedNines: 9,
  mttrRestoreMs: HOUR_MS,
  recoveryTimeMs: 12 * HOUR_MS,
  integrity: 'sha256',
  onViolation: 'quarantine',
  mtbf: { node: row(20 * YEAR), ...Object.fromEntries(DOMAINS.map((domain) => [domain, row(200 * YEAR)])) },
};

const nothing: Outages = { memberMs: 0, losses: [], domains: [], restores: [] };
const span = (fromMs: number, ms: number) => ({ fromMs, toMs: fromMs + ms });

it('says of everything that there is no data, and keeps the nines of the declared values', () => {
  for (const records of [[], [nothing], [{ ...nothing, memberMs: YEAR }]]) {
    const { times, rate, ninesDeclared, ninesObserved, isBelowClaim } = guardFeedback(plan, guard, records);
    expect([...times, rate].map(({ verdict }) => verdict)).toEqual(['no data', 'no data', 'no data']);
    expect(times.map(({ meanMs }) => meanMs)).toEqual([null, null]);
    expect([rate.perYear, isBelowClaim]).toEqual([null, false]);
    expect(ninesObserved).toBe(ninesDeclared);
  }
});

it('bounds a rate of which no loss was seen, by the rule of three', () => {
  const { rate } = guardFeedback(plan, guard, [{ ...nothing, memberMs: 6 * YEAR }, nothing]);
  expect(rate).toMatchObject({ losses: 0, nodeYears: 6, interval: { low: 0, high: 0.5 } });
});

it('recomputes the nines with what was seen, as the mathematics does for such a declaration', () => {
  const record = {
    ...nothing,
    memberMs: 10 * YEAR,
    losses: [{ node: 'n0001', atMs: 0 }],
    restores: [span(0, 3 * HOUR_MS), span(10 * HOUR_MS, 5 * HOUR_MS)],
    domains: [{ domain: 'rack' as const, value: 'r1', ...span(0, 24 * HOUR_MS) }],
  };
  const { times, rate, ninesDeclared, ninesObserved } = guardFeedback(plan, guard, [record]);
  expect(times).toMatchObject([
    { name: 'mttr_restore', meanMs: 4 * HOUR_MS, longestMs: 5 * HOUR_MS, verdict: 'unkept' },
    { name: 'recovery_time', meanMs: 24 * HOUR_MS, events: 1, verdict: 'unkept' },
  ]);
  // One loss in ten node-years is more than one in twenty, and far from certain to be.
  expect(rate).toMatchObject({ perYear: 0.1, declaredPerYear: 0.05, verdict: 'kept' });
  const expected = durability({
    node: lossRate(10 * YEAR, 4 * HOUR_MS),
    domains: DOMAINS.map((domain) => ({ domain, ...lossRate(200 * YEAR, 24 * HOUR_MS) })),
    schemes: [copies(3, sharingOf())],
  });
  expect(ninesObserved).toBe(expected.worst.nines);
  expect(ninesObserved!).toBeLessThan(ninesDeclared!);
});

/** Six nodes lie in three zones, with a spine each: copies in racks of their own may share those. */
function sharingOf() {
  const labels = (domain: 'az' | 'spine' | 'pdu' | 'rack') =>
    new Set(plan.nodes.map((node) => node.labels[domain])).size;
  expect([labels('az'), labels('spine')].every((count) => count >= 3)).toBe(true);
  return {};
}

it('finds a claim unkept when what was seen does not carry it', () => {
  const record = { ...nothing, restores: [span(0, 20_000 * HOUR_MS)] };
  expect(guardFeedback(plan, guard, [record])).toMatchObject({ isBelowClaim: true });
  const many = Array.from({ length: 40 }, (_, i) => ({ node: `n${i}`, atMs: i * HOUR_MS }));
  const { rate } = guardFeedback(plan, guard, [{ ...nothing, memberMs: YEAR, losses: many }]);
  expect(rate).toMatchObject({ losses: 40, verdict: 'unkept' });
});

it('counts once what several nodes saw', () => {
  const seen = (shiftMs: number): Outages => ({
    memberMs: 2 * YEAR + shiftMs,
    losses: [
      { node: 'n0001', atMs: 100_000 + shiftMs },
      { node: 'n0002', atMs: 100_000 + shiftMs },
      { node: 'n0001', atMs: 50 * HOUR_MS + shiftMs },
    ],
    domains: [
      { domain: 'rack', value: 'r1', ...span(shiftMs, HOUR_MS) },
      { domain: 'pdu', value: 'p1', ...span(1000, 2 * HOUR_MS) },
    ],
    restores: [span(shiftMs, HOUR_MS)],
  });
  const { times, rate } = guardFeedback(plan, guard, [seen(0), seen(5000)]);
  expect(rate.losses).toBe(3);
  expect(rate.nodeYears).toBe((2 * YEAR + 5000) / YEAR);
  expect(times).toMatchObject([
    { events: 1, longestMs: HOUR_MS + 5000 },
    { events: 1, longestMs: 2 * HOUR_MS + 1000 },
  ]);
});
