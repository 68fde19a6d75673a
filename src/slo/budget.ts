/**
 * What is left of an objective's budget.
 * In: an objective and what was observed within its window, or nothing. Out: kept, exhausted or no data; no data is never kept.
 * The gate of rollouts asks the same question of the same numbers.
 */
import type { Objective } from './objective.ts';

export interface Observed {
  readonly events: number;
  /** Of a ratio: all there were. */
  readonly total?: number;
}

export interface Budget {
  readonly state: 'kept' | 'exhausted' | 'no data';
  readonly events?: number;
  /** Events that the window allows; of a ratio, as many as its total so far allows. */
  readonly allowed?: number;
  /** Negative when more happened than was allowed. */
  readonly left?: number;
}

export function budgetOf(objective: Objective, observed: Observed | undefined): Budget {
  if (observed === undefined || !isCount(observed.events)) return { state: 'no data' };
  const allowed = allowedEvents(objective, observed);
  if (allowed === undefined) return { state: 'no data' };
  const { events } = observed;
  return { state: events > allowed ? 'exhausted' : 'kept', events, allowed, left: allowed - events };
}

/** Undefined for a share of nothing. */
function allowedEvents(objective: Objective, { total }: Observed): number | undefined {
  if (objective.kind === 'any-event') return 0;
  if (objective.kind === 'count') return objective.allowed;
  return isCount(total) && total > 0 ? objective.allowed * total : undefined;
}

/** Prometheus answers NaN where it has no samples, and NaN is above no limit. */
function isCount(value: number | undefined): value is number {
  return value !== undefined && value >= 0 && Number.isFinite(value);
}
