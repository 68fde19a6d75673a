/**
 * The shape of an erasure scheme: how many shards it has, which of them belong together, and its bounds.
 * In: a scheme. Out: numbers and its name. Order of the shards: data 0 … k−1, group after group; one local parity a group; global parities.
 * Computes no shard: see matrix.ts for the coefficients and survival.ts for which losses they decode.
 */
import { KwamError } from '../errors.ts';
import {
  globalParityMax,
  localGroupDataMax,
  localGroupsMax,
  localShardsMax,
  shardCountMax,
} from '../limits.ts';
import type { ErasureScheme } from '../plan.ts';

export interface LocalGroups {
  readonly count: number;
  /** Data shards of each group; its local parity comes on top. */
  readonly dataShards: number;
  readonly globalParities: number;
}

/** Undefined for a scheme without local groups. */
export function localGroupsOf({
  dataShards,
  parityShards,
  localGroups,
}: ErasureScheme): LocalGroups | undefined {
  if (localGroups === undefined) return undefined;
  return {
    count: localGroups,
    dataShards: dataShards / localGroups,
    globalParities: parityShards - localGroups,
  };
}

/** The local group that a shard belongs to, by its data or as its parity; undefined for a global parity, and without groups. */
export function groupOf(scheme: ErasureScheme, shard: number): number | undefined {
  const groups = localGroupsOf(scheme);
  if (groups === undefined) return undefined;
  if (shard < scheme.dataShards) return Math.floor(shard / groups.dataShards);
  const parity = shard - scheme.dataShards;
  return parity < groups.count ? parity : undefined;
}

export function shardCountOf({
  dataShards,
  parityShards,
}: Pick<ErasureScheme, 'dataShards' | 'parityShards'>): number {
  return dataShards + parityShards;
}

/** Those that share a local group with a target before the others, which else have to make good what a group can do itself. */
export function localFirst(
  scheme: ErasureScheme,
  candidates: readonly number[],
  targets: readonly number[],
): readonly number[] {
  const groups = new Set(targets.map((target) => groupOf(scheme, target)));
  groups.delete(undefined);
  const isFar = (shard: number): boolean => !groups.has(groupOf(scheme, shard));
  return candidates.toSorted((a, b) => Number(isFar(a)) - Number(isFar(b)));
}

export function dataOf({ dataShards }: ErasureScheme): readonly number[] {
  return Array.from({ length: dataShards }, (_, shard) => shard);
}

/** The scheme alone, of something that says more. */
export function schemeOf({ dataShards, parityShards, matrix, localGroups }: ErasureScheme): ErasureScheme {
  const scheme = { dataShards, parityShards, matrix };
  return localGroups === undefined ? scheme : { ...scheme, localGroups };
}

/** As a program writes it. */
export function schemeText(scheme: ErasureScheme): string {
  const { dataShards, parityShards } = scheme;
  const groups = localGroupsOf(scheme);
  return groups === undefined
    ? `rs(${dataShards}, ${parityShards})`
    : `lrc(${dataShards}, ${groups.count}, ${groups.globalParities})`;
}

/** Undefined when there is such a code; else what was expected of its numbers. */
export function schemeProblem(scheme: ErasureScheme): string | undefined {
  const { dataShards: k, parityShards, matrix, localGroups } = scheme;
  if ((matrix === 'lrc') !== (localGroups !== undefined)) return 'local groups exactly with the matrix lrc';
  const groups = localGroupsOf(scheme);
  if (groups === undefined) {
    const fits = isCount(k) && isCount(parityShards) && k + parityShards <= shardCountMax;
    return fits ? undefined : `rs(k, m) with k ≥ 1, m ≥ 1 and k + m ≤ ${shardCountMax}`;
  }
  const fits =
    isCount(groups.count, 2, localGroupsMax) &&
    isCount(groups.dataShards, 2, localGroupDataMax) &&
    isCount(groups.globalParities, 1, globalParityMax) &&
    k + parityShards <= localShardsMax;
  return fits
    ? undefined
    : `lrc(k, l, m) with 2 to ${localGroupsMax} groups of 2 to ${localGroupDataMax} data shards, m from 1 to ${globalParityMax} and k + l + m ≤ ${localShardsMax}`;
}

function isCount(value: number, least = 1, most = Number.POSITIVE_INFINITY): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** @throws KwamError LIMIT_EXCEEDED */
export function requireScheme(scheme: ErasureScheme): void {
  const problem = schemeProblem(scheme);
  if (problem === undefined) return;
  throw new KwamError(
    'LIMIT_EXCEEDED',
    `expected ${problem}, got ${schemeText(scheme)}; choose other numbers`,
    { context: { ...schemeOf(scheme) } },
  );
}

/** @param here  the shards that there are, which do not determine what is wanted. */
export function tooFewShards(scheme: ErasureScheme, here: readonly number[]): KwamError {
  const { dataShards: needed } = scheme;
  const shardCount = shardCountOf(scheme);
  const context = { needed, present: here.length, shardCount };
  const what =
    here.length < needed
      ? `expected at least ${needed} of ${shardCount} shards, got ${here.length}; bring back ${needed - here.length} more`
      : `expected shards of ${schemeText(scheme)} that determine the lost ones, got ${here.join(', ')}; bring back one of the others`;
  return new KwamError('STRIPE_TOO_FEW_SHARDS', what, { context });
}
