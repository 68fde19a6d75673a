/**
 * Matrices over GF(2^8) and the coding matrices: one row a shard, first the data (the identity), then the parities.
 * `vandermonde`: Backblaze's and klauspost's default. `cauchy1`: ISA-L's gf_gen_cauchy1_matrix, which is klauspost's
 * WithCauchyMatrix. Every k rows of either are independent, and other people's tools read their shards.
 * `lrc`: for each of l groups of k/l data shards the XOR of the group, then m rows over all data (globalRow).
 * Does not touch shards. Deliberately absent: ISA-L's gf_gen_rs_matrix, whose rows are dependent for many k and m.
 */
import { assert } from '../errors.ts';
import { localGroupsMax } from '../limits.ts';
import type { ErasureScheme } from '../plan.ts';
import { inverse, power, productsOf } from './galois.ts';
import { type LocalGroups, localGroupsOf } from './scheme.ts';

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** Row after row. */
  readonly cells: Uint8Array;
}

function matrixOf(rows: number, columns: number, cell: (row: number, column: number) => number): Matrix {
  const cells = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) cells[row * columns + column] = cell(row, column);
  }
  return { rows, columns, cells };
}

export function identity(size: number): Matrix {
  return matrixOf(size, size, (row, column) => (row === column ? 1 : 0));
}

export function rowOf(matrix: Matrix, row: number): Uint8Array {
  return matrix.cells.subarray(row * matrix.columns, (row + 1) * matrix.columns);
}

export function selectRows(matrix: Matrix, rows: readonly number[]): Matrix {
  const cells = new Uint8Array(rows.length * matrix.columns);
  rows.forEach((row, i) => {
    cells.set(rowOf(matrix, row), i * matrix.columns);
  });
  return { rows: rows.length, columns: matrix.columns, cells };
}

/** target += factor · source */
export function addScaledRow(target: Uint8Array, source: Uint8Array, factor: number): void {
  if (factor === 0) return;
  const products = productsOf(factor);
  for (let i = 0; i < target.length; i++) target[i]! ^= products[source[i]!]!;
}

export function scaleRow(row: Uint8Array, factor: number): void {
  const products = productsOf(factor);
  for (let i = 0; i < row.length; i++) row[i] = products[row[i]!]!;
}

export function product(a: Matrix, b: Matrix): Matrix {
  assert(a.columns === b.rows, `a product needs equal inner sizes, got ${a.columns} and ${b.rows}`);
  const result = matrixOf(a.rows, b.columns, () => 0);
  for (let row = 0; row < a.rows; row++) {
    for (let i = 0; i < a.columns; i++) {
      addScaledRow(rowOf(result, row), rowOf(b, i), a.cells[row * a.columns + i]!);
    }
  }
  return result;
}

function swapRows(matrix: Matrix, a: number, b: number): void {
  if (a === b) return;
  const kept = rowOf(matrix, a).slice();
  rowOf(matrix, a).set(rowOf(matrix, b));
  rowOf(matrix, b).set(kept);
}

/** Brings a nonzero cell onto the diagonal; false when the whole column below is zero. */
function bringPivot(left: Matrix, right: Matrix, column: number): boolean {
  for (let row = column; row < left.rows; row++) {
    if (left.cells[row * left.columns + column] === 0) continue;
    swapRows(left, row, column);
    swapRows(right, row, column);
    return true;
  }
  return false;
}

/** Gauss–Jordan with row exchange. Undefined when the matrix is singular, which no k rows of a coding matrix are. */
export function invert(matrix: Matrix): Matrix | undefined {
  assert(matrix.rows === matrix.columns, 'only a square matrix has an inverse');
  const size = matrix.rows;
  const left: Matrix = { ...matrix, cells: matrix.cells.slice() };
  const right = identity(size);
  for (let column = 0; column < size; column++) {
    if (!bringPivot(left, right, column)) return undefined;
    const factor = inverse(left.cells[column * size + column]!);
    scaleRow(rowOf(left, column), factor);
    scaleRow(rowOf(right, column), factor);
    for (let row = 0; row < size; row++) {
      if (row === column) continue;
      const excess = left.cells[row * size + column]!;
      addScaledRow(rowOf(left, row), rowOf(left, column), excess);
      addScaledRow(rowOf(right, row), rowOf(right, column), excess);
    }
  }
  return right;
}

/** For k rows of a coding matrix, whose independence is what makes the code correct. */
export function invertIndependent(matrix: Matrix): Matrix {
  const result = invert(matrix);
  assert(result !== undefined, 'any k rows of a coding matrix are independent');
  return result;
}

/** V · inverse of V's top square, V[r][c] = r^c (Backblaze buildMatrix). */
function vandermonde(rows: number, columns: number): Matrix {
  const raw = matrixOf(rows, columns, power);
  const top = matrixOf(columns, columns, power);
  return product(raw, invertIndependent(top));
}

/** Identity, then 1 / (r + c) (ISA-L gf_gen_cauchy1_matrix; addition is XOR). */
function cauchy1(rows: number, columns: number): Matrix {
  return matrixOf(rows, columns, (row, column) => {
    if (row < columns) return row === column ? 1 : 0;
    return inverse(row ^ column);
  });
}

/**
 * Global parity r = 1 … m of a code with local groups: its factor for data shard `column`, the i-th of group g.
 *
 * m ≤ 2: α^r with α = 2^(g + 17i). As Huang and others, "Erasure coding in Windows Azure storage", ATC 2012, have it for two groups: the
 * points of a group together with 0 are closed under addition, and two groups share 0 alone. Here g + 17i makes group g the multiple 2^g
 * of the subfield GF(2^4), whose nonzero elements are the 15 powers of 2^17. What is lost beyond one shard a group leaves a column
 * (d, d²) for each further data shard, d ≠ 0 a sum of two points of its group, and a unit column for a lost global parity. Two such columns
 * are independent unless they have the same d, which two shards of one group or of two groups never do. So every loss that any code
 * with these groups can survive is survived: the code is maximally recoverable.
 *
 * m ≥ 3: row r of cauchy1 for rs(k, m). The row that adds all data, which the local parities add up to, is a Cauchy row too, of a point at
 * infinity, so that any k of the k + m + 1 are independent. m + 1 losses therefore always leave enough: with all local parities
 * k of those rows, with one of them lost as many data and global ones. That is as good as the shape allows in the worst case; of the larger
 * losses that some code could survive this one survives nearly all (test/erasure/local-groups.test.ts prints the share).
 */
function globalFactor(scheme: ErasureScheme, groups: LocalGroups, r: number, column: number): number {
  if (groups.globalParities > 2) return inverse((scheme.dataShards + r - 1) ^ column);
  const group = Math.floor(column / groups.dataShards);
  const i = column % groups.dataShards;
  return power(2, r * (group + localGroupsMax * i));
}

function lrc(scheme: ErasureScheme, groups: LocalGroups): Matrix {
  const { dataShards: k, parityShards } = scheme;
  return matrixOf(k + parityShards, k, (row, column) => {
    if (row < k) return +(row === column);
    const parity = row - k;
    if (parity < groups.count) return +(parity === Math.floor(column / groups.dataShards));
    return globalFactor(scheme, groups, parity - groups.count + 1, column);
  });
}

export function codingMatrix(scheme: ErasureScheme): Matrix {
  const { dataShards, parityShards, matrix } = scheme;
  if (matrix === 'lrc') return lrc(scheme, localGroupsOf(scheme)!);
  const make = { vandermonde, cauchy1 }[matrix];
  return make(dataShards + parityShards, dataShards);
}
