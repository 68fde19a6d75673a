/**
 * What a `metric` block asks for, as an objective on series that nodes export.
 * In: a plan's metrics. Out: objectives of three kinds:
 *   any-event  target 0: one event breaks it; there is no budget and so no rate at which one burns;
 *   count      so many events in the window;
 *   ratio      such a share of all in the window.
 * Pure. Does not know Prometheus' language beyond the names of series and the spelling of durations.
 */
import { assert } from '../errors.ts';
import { COUNTERS, TOTALS } from '../language/counters.ts';
import type { MetricPlan } from '../plan.ts';

interface Base {
  readonly name: string;
  readonly series: string;
  readonly windowMs: number;
}

export interface AnyEventObjective extends Base {
  readonly kind: 'any-event';
}

export interface CountObjective extends Base {
  readonly kind: 'count';
  readonly allowed: number;
}

export interface RatioObjective extends Base {
  readonly kind: 'ratio';
  /** Above 0, at most 1. */
  readonly allowed: number;
  /** The counter of all. */
  readonly totalSeries: string;
}

export type Objective = AnyEventObjective | CountObjective | RatioObjective;

export function objectiveOf({ name, observe, target, targetKind, windowMs }: MetricPlan): Objective {
  const series = COUNTERS.get(observe);
  assert(series !== undefined, `the checked metric ${name} observes a counter that nodes export`);
  const allowed = numberOf(target);
  const base = { name, series, windowMs };
  if (allowed === 0) return { ...base, kind: 'any-event' };
  if (targetKind === 'count') return { ...base, kind: 'count', allowed };
  const totalSeries = COUNTERS.get(TOTALS.get(observe) ?? '');
  assert(totalSeries !== undefined, `the checked metric ${name} is a share of something`);
  return { ...base, kind: 'ratio', allowed, totalSeries };
}

/** `1/1000` */
function numberOf(fraction: string): number {
  const [numerator, denominator] = fraction.split('/').map(Number);
  return numerator! / denominator!;
}

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/** As Prometheus and OpenSLO write it, in the largest unit that divides it: 30d, 90m. */
export function durationText(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, length]) => ms % length === 0)!;
  return `${ms / unitMs}${unit}`;
}
