/**
 * The part of slo about the guard: what it declares beside what the nodes of a running cluster have seen.
 * In: the plan; every node that answers. Out: the comparison, and its lines.
 */
import type { Outages } from '../guard/outages.ts';
import type { Plan } from '../plan.ts';
import { type GuardFeedback, guardFeedback, type RateRow, type TimeRow } from '../slo/guard-feedback.ts';
import { type ClusterOptions, withCluster } from './cluster-client.ts';
import { counted, showSeconds } from './quantity.ts';
import type { Shell } from './shell.ts';

/** Null: the plan has no guard. Nodes that do not answer are missing from what was observed; the rest of slo names them. */
export async function readGuard(
  shell: Shell,
  options: ClusterOptions,
  plan: Plan,
): Promise<GuardFeedback | null> {
  const { guard } = plan;
  if (guard === undefined) return null;
  const { answers } = await withCluster(shell, options, (cluster) =>
    cluster.askAll<Outages>('node.outages', {}),
  );
  return guardFeedback(plan, guard, [...answers.values()]);
}

export function isUnkept({ times, rate, isBelowClaim }: GuardFeedback): boolean {
  return isBelowClaim || [...times, rate].some(({ verdict }) => verdict === 'unkept');
}

export function guardRows(feedback: GuardFeedback): string[][] {
  const { guard, declaredNines, ninesDeclared, ninesObserved, times, rate } = feedback;
  const nines = (value: number | null): string => (value === null ? 'none' : `${value} nines`);
  return [
    [`guard ${guard}`, 'state', 'declared', 'observed'],
    ...times.map(timeCells),
    rateCells(rate),
    [
      `durability ${declaredNines}nines`,
      feedback.isBelowClaim ? 'unkept' : 'kept',
      nines(ninesDeclared),
      `${nines(ninesObserved)}, with what was observed`,
    ],
  ];
}

function timeCells({ name, declaredMs, events, meanMs, longestMs, verdict }: TimeRow): string[] {
  const observed =
    meanMs === null
      ? 'none seen'
      : `${showSeconds(meanMs / 1000)} on average of ${events}, ${showSeconds(longestMs! / 1000)} at most`;
  return [name, verdict, showSeconds(declaredMs / 1000), observed];
}

function rateCells({ name, declaredPerYear, losses, nodeYears, interval, verdict }: RateRow): string[] {
  const seen = `${counted(losses, 'loss', 'losses')} in ${digits(nodeYears)} node-years`;
  const range =
    interval === null
      ? 'nothing watched yet'
      : losses === 0
        ? `${seen}: below ${digits(interval.high)} a year, at 95 %`
        : `${seen}: ${digits(interval.low)} to ${digits(interval.high)} a year, at 95 %`;
  return [name, verdict, `${digits(declaredPerYear)} a year`, range];
}

const digits = (value: number): string => String(Number(value.toPrecision(3)));
