/**
 * The field and the matrices, against klauspost's published values and the slow reference.
 */
import { describe, expect, it } from 'vitest';
import { inverse, multiply, power } from '../../src/erasure/galois.ts';
import {
  codingMatrix,
  identity,
  invert,
  type Matrix,
  product,
  rowOf,
  selectRows,
} from '../../src/erasure/matrix.ts';
import type { MatrixName } from '../../src/plan.ts';
import { codingRows, inverseSlowly, multiplySlowly } from '../reference/linear-code.ts';

const MATRICES: readonly MatrixName[] = ['vandermonde', 'cauchy1'];

function matrixFrom(rows: readonly (readonly number[])[]): Matrix {
  return { rows: rows.length, columns: rows[0]!.length, cells: Uint8Array.from(rows.flat()) };
}

function parityRows(dataShards: number, parityShards: number, matrix: MatrixName): number[][] {
  const coding = codingMatrix({ dataShards, parityShards, matrix });
  return Array.from({ length: parityShards }, (_, i) => [...rowOf(coding, dataShards + i)]);
}

function* subsets(of: number, size: number, from = 0): Generator<number[]> {
  if (size === 0) yield [];
  else {
    for (let i = from; i <= of - size; i++)
      for (const rest of subsets(of, size - 1, i + 1)) yield [i, ...rest];
  }
}

describe('GF(2^8)', () => {
  // klauspost/reedsolomon galois_test.go, testGalois
  it('has the published products and powers', () => {
    expect([multiply(3, 4), multiply(7, 7), multiply(23, 45)]).toEqual([12, 21, 41]);
    expect([power(2, 2), power(5, 20), power(13, 7)]).toEqual([4, 235, 43]);
    expect([power(0, 0), power(0, 3), power(9, 0)]).toEqual([1, 0, 1]);
  });

  it('multiplies and inverts as the reference does, everywhere', () => {
    let wrong = 0;
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b++) if (multiply(a, b) !== multiplySlowly(a, b)) wrong++;
      if (a > 0 && inverse(a) !== inverseSlowly(a)) wrong++;
    }
    expect(wrong).toBe(0);
    expect(() => inverse(0)).toThrow(/zero has no inverse/);
  });
});

describe('matrices', () => {
  // klauspost/reedsolomon matrix_test.go, TestMatrixInverse
  it('inverts the published matrix', () => {
    const matrix = matrixFrom([
      [56, 23, 98],
      [3, 100, 200],
      [45, 201, 123],
    ]);
    expect([...invert(matrix)!.cells]).toEqual([175, 133, 33, 130, 13, 245, 112, 35, 126]);
  });

  it('exchanges rows for a pivot and tells a singular matrix', () => {
    const swapped = matrixFrom([
      [0, 1, 0],
      [0, 0, 7],
      [5, 0, 0],
    ]);
    expect(product(swapped, invert(swapped)!)).toEqual(identity(3));
    const singular = matrixFrom([
      [4, 2],
      [12, 6],
    ]);
    expect(multiply(4, 6)).toBe(multiply(2, 12));
    expect(invert(singular)).toBeUndefined();
  });

  it('has the parity rows that other tools have', () => {
    expect(parityRows(6, 3, 'vandermonde')).toEqual([
      [7, 6, 5, 4, 3, 2],
      [6, 7, 4, 5, 2, 3],
      [160, 223, 223, 183, 254, 232],
    ]);
    expect(parityRows(6, 3, 'cauchy1')).toEqual([
      [122, 186, 71, 167, 142, 244],
      [186, 122, 167, 71, 244, 142],
      [173, 157, 221, 152, 61, 170],
    ]);
    expect(parityRows(8, 3, 'vandermonde')).toEqual([
      [26, 132, 186, 51, 231, 16, 198, 39],
      [132, 26, 51, 186, 16, 231, 39, 198],
      [186, 51, 26, 132, 198, 39, 231, 16],
    ]);
    expect(parityRows(8, 3, 'cauchy1')).toEqual([
      [173, 157, 221, 152, 61, 170, 93, 150],
      [157, 173, 152, 221, 170, 61, 150, 93],
      [221, 152, 173, 157, 93, 150, 61, 170],
    ]);
    expect(parityRows(10, 4, 'vandermonde')).toEqual([
      [129, 150, 175, 184, 210, 196, 254, 232, 3, 2],
      [150, 129, 184, 175, 196, 210, 232, 254, 2, 3],
      [191, 214, 98, 10, 6, 111, 223, 183, 5, 4],
      [214, 191, 10, 98, 111, 6, 183, 223, 4, 5],
    ]);
  });

  it.each(MATRICES)('%s equals the reference and begins with the identity', (matrix) => {
    for (const [k, m] of [
      [1, 1],
      [1, 9],
      [5, 2],
      [13, 7],
      [20, 30],
    ] as const) {
      const scheme = { dataShards: k, parityShards: m, matrix };
      const coding = codingMatrix(scheme);
      expect([...coding.cells]).toEqual(codingRows(scheme).flat());
      expect([...coding.cells.subarray(0, k * k)]).toEqual([...identity(k).cells]);
    }
  });

  it.each(MATRICES)('%s: every k rows are independent (4+2, 6+3, 8+3, 5+5)', (matrix) => {
    for (const [k, m] of [
      [4, 2],
      [6, 3],
      [8, 3],
      [5, 5],
    ] as const) {
      const coding = codingMatrix({ dataShards: k, parityShards: m, matrix });
      for (const rows of subsets(k + m, k)) {
        expect(invert(selectRows(coding, rows)), `${matrix} ${k}+${m} rows ${rows}`).toBeDefined();
      }
    }
  });
});
