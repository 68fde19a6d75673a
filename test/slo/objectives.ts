import type { MetricPlan } from '../../src/plan.ts';
import { type Objective, objectiveOf } from '../../src/slo/objective.ts';

const DAY = 86_400_000;

export const METRICS: readonly MetricPlan[] = [
  {
    name: 'integrity_slo',
    observe: 'silent_corruption_count',
    target: '0/1',
    targetKind: 'count',
    windowMs: 30 * DAY,
  },
  {
    name: 'detected',
    observe: 'corruption_detected_count',
    target: '1/1000',
    targetKind: 'ratio',
    windowMs: 30 * DAY,
  },
  {
    name: 'worker_deaths',
    observe: 'worker_restarts',
    target: '10/1',
    targetKind: 'count',
    windowMs: 7 * DAY,
  },
];

export const OBJECTIVES: readonly Objective[] = METRICS.map(objectiveOf);
