/**
 * How to make some shards of a stripe from others.
 * In: the coding matrix and which shards there are. Out: which to read and the factors to multiply them with. Addition is XOR, so the
 * sources of one target may be added up in any order and at different places: what is added so far is a partial sum.
 */
import { assert } from '../errors.ts';
import { invertIndependent, type Matrix, product, selectRows } from './matrix.ts';

/** targets[r] = Σ coefficients[r · sources.length + j] · sources[j] */
export interface Recipe {
  readonly sources: readonly number[];
  readonly targets: readonly number[];
  /** Row after row, one row a target, one column a source. */
  readonly coefficients: Uint8Array;
}

/** @param sources  exactly k different shards */
export function makeRecipe(matrix: Matrix, sources: readonly number[], targets: readonly number[]): Recipe {
  assert(sources.length === matrix.columns, `expected ${matrix.columns} sources, got ${sources.length}`);
  const decode = invertIndependent(selectRows(matrix, sources));
  return { sources, targets, coefficients: product(selectRows(matrix, targets), decode).cells };
}
