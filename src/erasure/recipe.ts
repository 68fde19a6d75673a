/**
 * How to make some shards of a stripe from others.
 * In: the coding matrix and which shards there are. Out: which to read and the factors to multiply them with. Addition is XOR, so the
 * sources of one target may be added up in any order and at different places: what is added so far is a partial sum.
 */
import type { ErasureScheme } from '../plan.ts';
import { codingMatrix, type Matrix, rowOf } from './matrix.ts';
import { RowSpace } from './row-space.ts';
import { localFirst } from './scheme.ts';

/** targets[r] = Σ coefficients[r · sources.length + j] · sources[j] */
export interface Recipe {
  readonly sources: readonly number[];
  readonly targets: readonly number[];
  /** Row after row, one row a target, one column a source. */
  readonly coefficients: Uint8Array;
}

/**
 * Reads none that it can do without: of the candidates the first ones that are independent, and of those the ones with a factor other than 0.
 * @param candidates  different shards, those to prefer first
 * @returns undefined when they do not determine the targets
 */
export function makeRecipe(
  matrix: Matrix,
  candidates: readonly number[],
  targets: readonly number[],
): Recipe | undefined {
  const space = new RowSpace(matrix.columns);
  const kept = candidates.filter((shard) => space.add(rowOf(matrix, shard)));
  const factors: Uint8Array[] = [];
  for (const target of targets) {
    const row = space.express(rowOf(matrix, target));
    if (row === undefined) return undefined;
    factors.push(row);
  }
  const used = [...kept.keys()].filter((column) => factors.some((row) => row[column] !== 0));
  return {
    sources: used.map((column) => kept[column]!),
    targets,
    coefficients: Uint8Array.from(factors.flatMap((row) => used.map((column) => row[column]!))),
  };
}

/**
 * Which shards to read so that the wanted ones are at hand: those of them that are there, and what the others follow from.
 * @returns undefined when those that are there do not determine them
 */
export function shardsToRead(
  scheme: ErasureScheme,
  present: readonly number[],
  wanted: readonly number[],
): readonly number[] | undefined {
  const here = new Set(present);
  const targets = wanted.filter((shard) => !here.has(shard));
  const sources = targets.length === 0 ? [] : sourcesOf(scheme, present, targets);
  return sources && [...new Set([...wanted.filter((shard) => here.has(shard)), ...sources])];
}

function sourcesOf(
  scheme: ErasureScheme,
  present: readonly number[],
  targets: readonly number[],
): readonly number[] | undefined {
  const { dataShards: k, localGroups } = scheme;
  // Any k of them do; the factors, which are dear for wide stripes, are for the worker to find.
  if (localGroups === undefined) return present.length < k ? undefined : present.slice(0, k);
  return makeRecipe(codingMatrix(scheme), localFirst(scheme, present, targets), targets)?.sources;
}
