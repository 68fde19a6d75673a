/**
 * How many more losses a stripe survives.
 * In: a scheme and which shards there are. Out: a count that holds whichever shards go next. Reads no shard.
 */
import type { ErasureScheme } from '../plan.ts';
import { codingMatrix, rowOf } from './matrix.ts';
import { RowSpace } from './row-space.ts';
import { groupOf, type LocalGroups, localGroupsOf } from './scheme.ts';

/** Any so many losses of a whole stripe are survived, whichever they are. */
export function lossesSurvived(scheme: ErasureScheme): number {
  const groups = localGroupsOf(scheme);
  return groups === undefined ? scheme.parityShards : groups.globalParities + 1;
}

/** Below 0 when the data cannot be made from the shards that are there. */
export function lossesLeft(scheme: ErasureScheme, present: readonly boolean[]): number {
  const groups = localGroupsOf(scheme);
  if (groups === undefined) return present.filter(Boolean).length - scheme.dataShards;
  const losses = countLosses(scheme, groups, present);
  return groups.globalParities <= 2 ? leftOfAll(groups, losses) : leftOfSure(scheme, groups, losses, present);
}

interface Losses {
  readonly inGroups: readonly number[];
  readonly global: number;
}

function countLosses(scheme: ErasureScheme, { count }: LocalGroups, present: readonly boolean[]): Losses {
  const inGroups = new Array<number>(count).fill(0);
  let global = 0;
  for (const [shard, here] of present.entries()) {
    if (here) continue;
    const group = groupOf(scheme, shard);
    if (group === undefined) global++;
    else inGroups[group]!++;
  }
  return { inGroups, global };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

/** What the global parities have to make good: a group does one loss itself. */
function excessOf({ inGroups, global }: Losses): number {
  return global + sum(inGroups.map((lost) => Math.max(0, lost - 1)));
}

/**
 * Up to two global parities decode whatever they are enough for (matrix.ts). A group that is whole takes one loss for nothing; the
 * worst that can happen is that all are in one group, or where one has a loss already.
 */
function leftOfAll({ globalParities }: LocalGroups, losses: Losses): number {
  const untouched = losses.inGroups.every((lost) => lost === 0);
  return globalParities - excessOf(losses) + Number(untouched);
}

/**
 * With more of them m + 1 losses are sure, not counting a single one of a group, which the group makes good. Each further loss in such a
 * group makes two count. Beyond that the shards that are there decide, and nothing is sure of what comes.
 */
function leftOfSure(
  scheme: ErasureScheme,
  { globalParities }: LocalGroups,
  { inGroups, global }: Losses,
  present: readonly boolean[],
): number {
  const singles = inGroups.filter((lost) => lost === 1).length;
  const room = globalParities + 1 - global - sum(inGroups) + singles;
  if (room >= 0) return room >= 2 * singles ? room - singles : Math.floor(room / 2);
  return determinesAll(scheme, present) ? 0 : room;
}

function determinesAll(scheme: ErasureScheme, present: readonly boolean[]): boolean {
  const matrix = codingMatrix(scheme);
  const space = new RowSpace(matrix.columns);
  for (const [shard, here] of present.entries()) if (here) space.add(rowOf(matrix, shard));
  return space.rank === matrix.columns;
}
