/**
 * OpenSLO v1 documents of objectives.
 * In: objectives. Out: one Service and one SLO an objective, as data.
 * Source: OpenSLO specification v1 (github.com/OpenSLO/OpenSLO). It knows shares only, below 1: what must never happen, and counts of events, are
 *   written as time slices of a minute without any, and the exact target stands in an annotation.
 */
import { durationText, type Objective } from './objective.ts';

type Document = Readonly<Record<string, unknown>>;

const SERVICE = 'kwam';
/** The share of good minutes that stands for "never": 1 is not allowed. */
const NEARLY_ALWAYS = 0.9999999;
const SLICE = '1m';
const MINUTE_MS = 60_000;

export function openSlo(objectives: readonly Objective[]): readonly Document[] {
  const service = {
    apiVersion: 'openslo/v1',
    kind: 'Service',
    metadata: { name: SERVICE },
    spec: { description: 'Verified replication by KWAM' },
  };
  return [service, ...objectives.map(sloOf)];
}

function sloOf(objective: Objective): Document {
  const { name, windowMs } = objective;
  return {
    apiVersion: 'openslo/v1',
    kind: 'SLO',
    metadata: {
      // OpenSLO takes names of DNS labels.
      name: name.replaceAll('_', '-').toLowerCase(),
      annotations: { 'kwam.dev/metric': name, 'kwam.dev/exact-target': exactTarget(objective) },
    },
    spec: {
      service: SERVICE,
      indicator: {
        metadata: { name: `${name.replaceAll('_', '-').toLowerCase()}-indicator` },
        spec: indicator(objective),
      },
      timeWindow: [{ duration: durationText(windowMs), isRolling: true }],
      ...budget(objective),
    },
  };
}

function exactTarget(objective: Objective): string {
  if (objective.kind === 'any-event') return '0 events';
  return objective.kind === 'count' ? `${objective.allowed} events` : `${objective.allowed} of all`;
}

const prometheus = (query: string): Document => ({ metricSource: { type: 'Prometheus', spec: { query } } });

function indicator(objective: Objective): Document {
  const { series } = objective;
  if (objective.kind === 'ratio') {
    const bad = prometheus(`sum(${series})`);
    return { ratioMetric: { counter: true, bad, total: prometheus(`sum(${objective.totalSeries})`) } };
  }
  return { thresholdMetric: prometheus(`sum(increase(${series}[${SLICE}]))`) };
}

function budget(objective: Objective): Document {
  if (objective.kind === 'ratio') {
    return { budgetingMethod: 'Occurrences', objectives: [{ target: 1 - objective.allowed }] };
  }
  const target =
    objective.kind === 'any-event' ? NEARLY_ALWAYS : goodMinutes(objective.allowed, objective.windowMs);
  return {
    budgetingMethod: 'Timeslices',
    objectives: [{ op: 'lte', value: 0, target, timeSliceTarget: 1, timeSliceWindow: SLICE }],
  };
}

/** Each event spoils one minute. */
function goodMinutes(allowed: number, windowMs: number): number {
  return Math.min(NEARLY_ALWAYS, Math.max(0, 1 - (allowed * MINUTE_MS) / windowMs));
}
