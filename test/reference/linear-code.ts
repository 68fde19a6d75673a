/**
 * The erasure codes, slow and plainly right: the twin that src/erasure and its kernel are compared with.
 * Shares no code and no technique with them: products by long multiplication of polynomials, inverses by search,
 * matrices as nested arrays, decoding by solving the linear equations of each byte column.
 */
import type { ErasureScheme } from '../../src/plan.ts';

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

/** All rows. Vandermonde: V · T⁻¹ with T the top of V, found as the transpose of Tᵀ X = Vᵀ. */
export function codingRows(scheme: ErasureScheme): Rows {
  const { dataShards: k, parityShards, matrix } = scheme;
  const shards = Array.from({ length: k + parityShards }, (_, i) => i);
  const data = shards.slice(0, k);
  if (matrix === 'lrc')
    return [...data.map((row) => data.map((c) => +(row === c))), ...groupedParity(scheme)];
  if (matrix === 'cauchy1') {
    return shards.map((row) => data.map((c) => (row < k ? +(row === c) : inverseSlowly(row ^ c))));
  }
  const raw = shards.map((row) => data.map((column) => powerSlowly(row, column)));
  return transpose(solve(transpose(raw.slice(0, k)), transpose(raw)));
}

/** Group by group: the sums; then with up to two global parities the powers of 2^g · (2^17)^i, with more those of cauchy1. */
function groupedParity({ dataShards, parityShards, localGroups }: ErasureScheme): Rows {
  const [k, l] = [dataShards, localGroups!];
  const places: { group: number; point: number }[] = [];
  for (let group = 0; group < l; group++) {
    let point = powerSlowly(2, group);
    for (let i = 0; i < k / l; i++) {
      places.push({ group, point });
      point = times(point, powerSlowly(2, 17));
    }
  }
  const local = Array.from({ length: l }, (_, g) => places.map(({ group }) => +(group === g)));
  const globals = codingRows({ dataShards: k, parityShards: parityShards - l, matrix: 'cauchy1' }).slice(k);
  if (globals.length > 2) return [...local, ...globals];
  return [...local, ...globals.map((_, r) => places.map(({ point }) => powerSlowly(point, r + 1)))];
}

function combineSlowly(rows: Rows, shards: readonly Uint8Array[]): Uint8Array[] {
  return rows.map((row) =>
    Uint8Array.from(shards[0]!, (_, at) =>
      row.reduce((sum, coefficient, j) => sum ^ times(coefficient, shards[j]![at]!), 0),
    ),
  );
}

/** Data shards to all of them. */
export function encodeSlowly(data: readonly Uint8Array[], scheme: ErasureScheme): Uint8Array[] {
  return combineSlowly(codingRows(scheme), data);
}

/** How many of the rows say something new: each column clears itself from all rows below its pivot. */
function rankOf(rows: Rows): number {
  const work = rows.map((row) => [...row]);
  let rank = 0;
  for (let column = 0; column < (rows[0]?.length ?? 0); column++) {
    const pivot = work.findIndex((row, i) => i >= rank && row[column] !== 0);
    if (pivot < 0) continue;
    [work[rank], work[pivot]] = [work[pivot]!, work[rank]!];
    const scale = inverseSlowly(work[rank]![column]!);
    for (let row = rank + 1; row < work.length; row++) {
      const excess = times(work[row]![column]!, scale);
      work[row] = work[row]!.map((cell, i) => cell ^ times(excess, work[rank]![i]!));
    }
    rank++;
  }
  return rank;
}

/** Whether the data follow from those shards. */
export function isDecodable(scheme: ErasureScheme, present: readonly number[]): boolean {
  const rows = codingRows(scheme);
  return rankOf(present.map((shard) => rows[shard]!)) === scheme.dataShards;
}

/** k independent ones, from the end (the code under test begins at the front). */
function lastIndependent(rows: Rows, left: readonly number[], k: number): number[] {
  const chosen: number[] = [];
  for (const shard of left.toReversed()) {
    const more = [...chosen, shard];
    if (chosen.length < k && rankOf(more.map((one) => rows[one]!)) === more.length) chosen.push(shard);
  }
  return chosen;
}

/** The data from the last independent shards that are left, then everything anew. */
export function reconstructSlowly(
  shards: readonly (Uint8Array | undefined)[],
  scheme: ErasureScheme,
): Uint8Array[] {
  const { dataShards: k, localGroups } = scheme;
  const rows = codingRows(scheme);
  const left = [...shards.keys()].filter((shard) => shards[shard] !== undefined);
  const used = localGroups === undefined ? left.slice(-k) : lastIndependent(rows, left, k);
  const known = used.map((shard) => [...shards[shard]!]);
  const data = solve(
    used.map((shard) => rows[shard]!),
    known,
  );
  return combineSlowly(
    rows,
    data.map((row) => Uint8Array.from(row)),
  );
}
