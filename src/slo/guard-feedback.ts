/**
 * What a guard declares beside what the nodes observed, and the nines that follow from either.
 * In: a plan with a guard, the records of nodes (health/outage-record.ts). Out: a row a quantity, declared and observed, and both nines.
 * Holds: what was not observed is null and said as such; the declared value then stands in the recomputed nines. A loss rate is observed from the
 * first loss on; before it there is only a bound: a rate at which none would be seen once in twenty times (3/n). Nodes watch each other, so their records
 * overlap: time is counted once, by the longest record, and what several of them saw at about the same time is one event.
 */
import { type Durability, yearMs } from '../guard/durability.ts';
import type { Outages, Span } from '../guard/outages.ts';
import { poissonInterval } from '../guard/poisson-interval.ts';
import type { GuardPlan, Plan } from '../plan.ts';
import { planDurability } from './plan-durability.ts';

export interface TimeRow {
  readonly name: 'mttr_restore' | 'recovery_time';
  readonly declaredMs: number;
  readonly events: number;
  readonly meanMs: number | null;
  readonly longestMs: number | null;
  readonly verdict: Verdict;
}

/** unkept: the mean is longer than declared. */
export type Verdict = 'kept' | 'unkept' | 'no data';

export interface RateRow {
  readonly name: 'mtbf.node';
  readonly declaredPerYear: number;
  readonly losses: number;
  readonly nodeYears: number;
  readonly perYear: number | null;
  /** 95 %, exact for a Poisson count; null without any time watched. */
  readonly interval: { readonly low: number; readonly high: number } | null;
  /** unkept: even the low end lies above what is declared. */
  readonly verdict: Verdict;
}

export interface GuardFeedback {
  readonly guard: string;
  readonly declaredNines: number;
  /** Of the declared times and rates on these nodes; null where they make no sense together. */
  readonly ninesDeclared: number | null;
  readonly ninesObserved: number | null;
  readonly times: readonly TimeRow[];
  readonly rate: RateRow;
  /** Fewer nines than the claim, or than the declared values give where a development cluster gives less. */
  readonly isBelowClaim: boolean;
}

/** Two nodes notice the same thing within their looks and clocks. */
const SAME_EVENT_MS = 10 * 60_000;

export function guardFeedback(
  plan: Pick<Plan, 'nodes' | 'replicate'>,
  guard: GuardPlan,
  records: readonly Outages[],
): GuardFeedback {
  const restore = timeRow(
    'mttr_restore',
    guard.mttrRestoreMs,
    merged(records.map(({ restores }) => restores)),
  );
  const outages = records.map(({ domains }) => domains);
  const recovery = timeRow('recovery_time', guard.recoveryTimeMs, merged(outages));
  const rate = rateRow(guard, records);
  const declared = planDurability(plan, guard);
  const observed = planDurability(plan, guard, {
    ...(rate.perYear !== null && { nodeMtbfMs: yearMs / rate.perYear }),
    ...(restore.meanMs !== null && { restoreMs: Math.max(1, restore.meanMs) }),
    ...(recovery.meanMs !== null && { recoveryMs: Math.max(1, recovery.meanMs) }),
  });
  const { declaredNines } = guard;
  return {
    guard: guard.name,
    declaredNines,
    ninesDeclared: declared?.worst.nines ?? null,
    ninesObserved: observed?.worst.nines ?? null,
    times: [restore, recovery],
    rate,
    isBelowClaim: wholeNines(observed) < Math.min(declaredNines, wholeNines(declared)),
  };
}

const wholeNines = (result: Durability | undefined): number => result?.worst.ninesWhole ?? 0;

function timeRow(name: TimeRow['name'], declaredMs: number, spans: readonly Span[]): TimeRow {
  const times = spans.map(({ fromMs, toMs }) => Math.max(0, toMs - fromMs));
  const events = times.length;
  if (events === 0) return { name, declaredMs, events, meanMs: null, longestMs: null, verdict: 'no data' };
  const meanMs = times.reduce((sum, ms) => sum + ms, 0) / events;
  const verdict = meanMs <= declaredMs ? 'kept' : 'unkept';
  return { name, declaredMs, events, meanMs, longestMs: Math.max(...times), verdict };
}

function rateRow({ mtbf }: GuardPlan, records: readonly Outages[]): RateRow {
  const declaredPerYear = yearMs / mtbf.node!.ms;
  const nodeYears = Math.max(0, ...records.map(({ memberMs }) => memberMs)) / yearMs;
  const losses = lossesOnce(records);
  if (nodeYears === 0) {
    const verdict = 'no data';
    return { name: 'mtbf.node', declaredPerYear, losses, nodeYears, perYear: null, interval: null, verdict };
  }
  const { low, high } = poissonInterval(losses);
  const interval = { low: low / nodeYears, high: (losses === 0 ? 3 : high) / nodeYears };
  const verdict = losses === 0 ? 'no data' : interval.low <= declaredPerYear ? 'kept' : 'unkept';
  const perYear = losses === 0 ? null : losses / nodeYears;
  return { name: 'mtbf.node', declaredPerYear, losses, nodeYears, perYear, interval, verdict };
}

function lossesOnce(records: readonly Outages[]): number {
  const losses = records.flatMap((record) => record.losses).toSorted((a, b) => a.atMs - b.atMs);
  const last = new Map<string, number>();
  let count = 0;
  for (const { node, atMs } of losses) {
    if (atMs - (last.get(node) ?? Number.NEGATIVE_INFINITY) > SAME_EVENT_MS) count++;
    last.set(node, atMs);
  }
  return count;
}

/** Spans that overlap are one, from the first beginning to the last end: a domain takes down others that lie in it. */
function merged(records: readonly (readonly Span[])[]): Span[] {
  const spans = records.flat().toSorted((a, b) => a.fromMs - b.fromMs);
  const once: Span[] = [];
  for (const span of spans) {
    const last = once.at(-1);
    if (last === undefined || span.fromMs > last.toMs) once.push(span);
    else once[once.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, span.toMs) };
  }
  return once;
}
