/**
 * Reed–Solomon, slow and plainly right: the twin that src/erasure and its kernel are compared with.
 * Shares no code and no technique with them: products by long multiplication of polynomials, inverses by search,
 * matrices as nested arrays, decoding by solving the linear equations of each byte column.
 */
export type Rows = number[][];

/** Multiply the polynomials, then reduce by x^8+x^4+x^3+x^2+1 from the top. */
export function multiplySlowly(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) if ((b >> bit) & 1) product ^= a << bit;
  for (let bit = 15; bit >= 8; bit--) if ((product >> bit) & 1) product ^= 0x11d << (bit - 8);
  return product;
}

/** The same products looked up, for tests that need many. */
const PRODUCTS = Array.from({ length: 256 }, (_, a) =>
  Uint8Array.from({ length: 256 }, (_, b) => multiplySlowly(a, b)),
);
const times = (a: number, b: number): number => PRODUCTS[a]![b]!;

export function inverseSlowly(a: number): number {
  for (let b = 1; b < 256; b++) if (times(a, b) === 1) return b;
  throw new Error(`${a} has no inverse`);
}

function powerSlowly(a: number, exponent: number): number {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = times(result, a);
  return result;
}

/** X with left · X = right, by elimination on the rows of both; right may have any width. */
function solve(left: Rows, right: Rows): Rows {
  const size = left.length;
  const work = left.map((row, i) => [...row, ...right[i]!]);
  for (let column = 0; column < size; column++) {
    const pivot = work.findIndex((row, i) => i >= column && row[column] !== 0);
    if (pivot < 0) throw new Error('singular');
    [work[column], work[pivot]] = [work[pivot]!, work[column]!];
    const scale = inverseSlowly(work[column]![column]!);
    work[column] = work[column]!.map((cell) => times(cell, scale));
    for (let row = 0; row < size; row++) {
      const excess = work[row]![column]!;
      if (row === column || excess === 0) continue;
      work[row] = work[row]!.map((cell, i) => cell ^ times(excess, work[column]![i]!));
    }
  }
  return work.map((row) => row.slice(size));
}

const transpose = (rows: Rows): Rows => rows[0]!.map((_, column) => rows.map((row) => row[column]!));

/** All k + m rows. Vandermonde: V · T⁻¹ with T the top of V, found as the transpose of Tᵀ X = Vᵀ. */
export function codingRows(k: number, m: number, matrix: 'vandermonde' | 'cauchy1'): Rows {
  const shards = Array.from({ length: k + m }, (_, i) => i);
  const data = shards.slice(0, k);
  if (matrix === 'cauchy1') {
    return shards.map((row) => data.map((c) => (row < k ? +(row === c) : inverseSlowly(row ^ c))));
  }
  const raw = shards.map((row) => data.map((column) => powerSlowly(row, column)));
  return transpose(solve(transpose(raw.slice(0, k)), transpose(raw)));
}

function combineSlowly(rows: Rows, shards: readonly Uint8Array[]): Uint8Array[] {
  return rows.map((row) =>
    Uint8Array.from(shards[0]!, (_, at) =>
      row.reduce((sum, coefficient, j) => sum ^ times(coefficient, shards[j]![at]!), 0),
    ),
  );
}

/** Data shards to all k + m shards. */
export function encodeSlowly(
  data: readonly Uint8Array[],
  m: number,
  matrix: 'vandermonde' | 'cauchy1',
): Uint8Array[] {
  return combineSlowly(codingRows(data.length, m, matrix), data);
}

/** The data from the last k shards that are left (the code under test takes the first k), then everything anew. */
export function reconstructSlowly(
  shards: readonly (Uint8Array | undefined)[],
  k: number,
  matrix: 'vandermonde' | 'cauchy1',
): Uint8Array[] {
  const rows = codingRows(k, shards.length - k, matrix);
  const left = [...shards.keys()].filter((shard) => shards[shard] !== undefined).slice(-k);
  const known = left.map((shard) => [...shards[shard]!]);
  const data = solve(
    left.map((shard) => rows[shard]!),
    known,
  );
  return combineSlowly(
    rows,
    data.map((row) => Uint8Array.from(row)),
  );
}
