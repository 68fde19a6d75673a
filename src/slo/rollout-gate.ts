/**
 * Whether the error budgets leave room for a rollout.
 * In: the objectives and what was observed of each, in the same order. Out: yes, or every reason against it.
 * Rules: an objective of which nothing is known says no, and so does one whose budget is used up: a rollout is a risk, and there is nothing
 * left to pay for it with. An objective of no events at all has no budget; it says no from its first event on. Without any objective nothing
 * says that the cluster is healthy, which is no data, too.
 * Pure. Who may overrule it is decided elsewhere.
 */
import { assert } from '../errors.ts';
import { budgetOf, type Observed } from './budget.ts';
import { durationText, type Objective } from './objective.ts';

export interface Objection {
  /** Undefined: there is no objective. */
  readonly objective?: string;
  readonly reason: 'no data' | 'exhausted';
  /** One sentence for whoever wanted the rollout. */
  readonly words: string;
}

export interface GateVerdict {
  readonly isOpen: boolean;
  readonly objections: readonly Objection[];
}

export function rolloutGate(
  objectives: readonly Objective[],
  readings: readonly (Observed | undefined)[],
): GateVerdict {
  assert(objectives.length === readings.length, 'one reading an objective');
  const objections =
    objectives.length === 0
      ? [
          {
            reason: 'no data' as const,
            words: 'no objective is declared, so nothing says that the cluster is healthy',
          },
        ]
      : objectives.flatMap((objective, i) => objectionTo(objective, readings[i]) ?? []);
  return { isOpen: objections.length === 0, objections };
}

function objectionTo(objective: Objective, reading: Observed | undefined): Objection | undefined {
  const { name, windowMs, kind } = objective;
  const { state, events = 0, allowed = 0, left = 0 } = budgetOf(objective, reading);
  if (state === 'no data') {
    return {
      objective: name,
      reason: state,
      words: `${name}: nothing is known of it, and no data is not health`,
    };
  }
  if (state === 'kept' && (kind === 'any-event' || left > 0)) return undefined;
  const words = `${name}: ${events} of ${allowed} allowed events in ${durationText(windowMs)}; wait until it recovers`;
  return { objective: name, reason: 'exhausted', words };
}
