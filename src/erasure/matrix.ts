/**
 * Matrices over GF(2^8) and the two coding matrices whose shards other people's tools read.
 * `vandermonde`: Backblaze's and klauspost's default. `cauchy1`: ISA-L's gf_gen_cauchy1_matrix, which is klauspost's
 * WithCauchyMatrix. Both are (k + m) × k, begin with the identity, and every k of their rows are independent.
 * Does not touch shards. Deliberately absent: ISA-L's gf_gen_rs_matrix, whose rows are dependent for many k and m.
 */
import { assert } from '../errors.ts';
import type { ErasureScheme } from '../plan.ts';
import { inverse, power, productsOf } from './galois.ts';

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
function addScaledRow(target: Uint8Array, source: Uint8Array, factor: number): void {
  if (factor === 0) return;
  const products = productsOf(factor);
  for (let i = 0; i < target.length; i++) target[i]! ^= products[source[i]!]!;
}

function scaleRow(row: Uint8Array, factor: number): void {
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

export function codingMatrix(scheme: ErasureScheme): Matrix {
  const rows = scheme.dataShards + scheme.parityShards;
  const make = { vandermonde, cauchy1 }[scheme.matrix];
  return make(rows, scheme.dataShards);
}
