/**
 * The code of one erasure scheme: from its data shards the parity shards, and from enough of all shards those that are missing.
 * In and out: shards of equal length, in order (data, then parity), in host memory (`encode`, `reconstruct`, `combine`) or as slices in
 * linear memory (`…InPlace`), where a worker reads file slices into place without a copy.
 * Source: Reed, Solomon 1960, any k of k + m; or with local parities, where a group makes its own loss good (matrix.ts, scheme.ts).
 * Verifies nothing: a corrupt shard that is passed as present yields corrupt output. Verify digests first, and the
 * digest of what was rebuilt afterwards.
 */
import { assert, KwamError } from '../errors.ts';
import { decodeRecipesMax } from '../limits.ts';
import type { ErasureScheme } from '../plan.ts';
import type { Kernels } from '../wasm/kernels.ts';
import { combineInPlace, combineThrough } from './combination.ts';
import { multiply } from './galois.ts';
import { codingMatrix, type Matrix, selectRows } from './matrix.ts';
import { makeRecipe, type Recipe } from './recipe.ts';
import { localFirst, requireScheme, tooFewShards } from './scheme.ts';

export class LinearCode {
  readonly scheme: ErasureScheme;
  readonly shardCount: number;
  readonly #kernels: Kernels;
  readonly #matrix: Matrix;
  readonly #encodeRecipe: Recipe;
  /** By loss pattern, least recently used first. */
  readonly #recipes = new Map<string, Recipe>();

  constructor(kernels: Kernels, scheme: ErasureScheme) {
    requireScheme(scheme);
    this.scheme = scheme;
    this.shardCount = scheme.dataShards + scheme.parityShards;
    this.#kernels = kernels;
    this.#matrix = codingMatrix(scheme);
    const all = Array.from({ length: this.shardCount }, (_, shard) => shard);
    const targets = all.slice(scheme.dataShards);
    this.#encodeRecipe = {
      sources: all.slice(0, scheme.dataShards),
      targets,
      coefficients: selectRows(this.#matrix, targets).cells,
    };
  }

  /**
   * Makes the parity shards of a stripe.
   * @param shards  k + m views of equal length; the first k are read, the last m overwritten. INPUT is overwritten too.
   */
  encode(shards: readonly Uint8Array[]): void {
    this.#through(this.#encodeRecipe, shards);
  }

  /**
   * Makes parity slices where they lie.
   * @param addresses   k + m addresses in linear memory, inside INPUT, of slices that do not overlap
   * @param sliceBytes  length of every slice
   */
  encodeInPlace(addresses: readonly number[], sliceBytes: number): void {
    this.#inPlace(this.#encodeRecipe, addresses, sliceBytes);
  }

  /**
   * Recreates missing shards of a stripe.
   * @param shards   k + m views of equal length; `present[i] === false` marks shards[i] missing.
   *                 Missing views are overwritten; present ones are only read. INPUT is overwritten too.
   * @param wanted   which of the missing shards to recreate; all of them when left out
   * @throws KwamError STRIPE_TOO_FEW_SHARDS  those present do not determine the wanted ones; nothing was written.
   * Does not verify: a corrupt present shard yields corrupt output. Verify digests first.
   */
  reconstruct(shards: readonly Uint8Array[], present: readonly boolean[], wanted?: readonly boolean[]): void {
    this.#through(this.recipe(present, wanted), shards);
  }

  /**
   * Recreates missing slices where they lie; otherwise as `reconstruct`. Only the slices that `recipe` names for the
   * same arguments are read, so no others need to be in memory.
   */
  reconstructInPlace(
    addresses: readonly number[],
    present: readonly boolean[],
    sliceBytes: number,
    wanted?: readonly boolean[],
  ): void {
    this.#inPlace(this.recipe(present, wanted), addresses, sliceBytes);
  }

  /**
   * One linear combination of any shards: into = Σ coefficients[j] · shards[j]. With the coefficients of a recipe the
   * combinations of disjoint groups of sources add up (XOR) to the lost shard, so that helpers can pass partial sums on.
   */
  combine(coefficients: Uint8Array, shards: readonly Uint8Array[], into: Uint8Array): void {
    combineThrough(this.#kernels, coefficients, shards, [into]);
  }

  combineInPlace(
    coefficients: Uint8Array,
    addresses: readonly number[],
    into: number,
    sliceBytes: number,
  ): void {
    combineInPlace(this.#kernels, coefficients, addresses, [into], sliceBytes);
  }

  /**
   * Which present shards to read and with which coefficients to recreate the wanted missing ones (all by default): k of them, or
   * where one of a local group is wanted, the others of the group.
   * @throws KwamError STRIPE_TOO_FEW_SHARDS  those present do not determine the wanted ones
   */
  recipe(present: readonly boolean[], wanted: readonly boolean[] = present.map((here) => !here)): Recipe {
    assert(present.length === this.shardCount, `expected ${this.shardCount} flags, got ${present.length}`);
    assert(wanted.length === this.shardCount, `expected ${this.shardCount} flags, got ${wanted.length}`);
    const key = present.map((here, shard) => (here ? 'p' : wanted[shard] ? 'w' : '-')).join('');
    const recipe = this.#recipes.get(key) ?? this.#makeRecipe(present, wanted);
    this.#recipes.delete(key);
    this.#recipes.set(key, recipe);
    if (this.#recipes.size > decodeRecipesMax) this.#recipes.delete(this.#recipes.keys().next().value!);
    return recipe;
  }

  #makeRecipe(present: readonly boolean[], wanted: readonly boolean[]): Recipe {
    const here = [...present.keys()].filter((shard) => present[shard]);
    const targets = [...wanted.keys()].filter((shard) => wanted[shard] && !present[shard]);
    const recipe = makeRecipe(this.#matrix, localFirst(this.scheme, here, targets), targets);
    if (recipe === undefined) throw tooFewShards(this.scheme, here);
    return recipe;
  }

  #through({ coefficients, sources, targets }: Recipe, shards: readonly Uint8Array[]): void {
    assert(shards.length === this.shardCount, `expected ${this.shardCount} shards, got ${shards.length}`);
    const pick = (shard: number): Uint8Array => shards[shard]!;
    combineThrough(this.#kernels, coefficients, sources.map(pick), targets.map(pick));
  }

  #inPlace({ coefficients, sources, targets }: Recipe, addresses: readonly number[], bytes: number): void {
    assert(
      addresses.length === this.shardCount,
      `expected ${this.shardCount} slices, got ${addresses.length}`,
    );
    const pick = (shard: number): number => addresses[shard]!;
    combineInPlace(this.#kernels, coefficients, sources.map(pick), targets.map(pick), bytes);
  }
}

/** Parity rows of rs(6, 3) and lrc(6, 2, 2), computed from the constructions in matrix.ts by an independent codec. */
const KNOWN_PARITY: readonly (readonly [ErasureScheme, readonly (readonly number[])[]])[] = [
  [
    { dataShards: 6, parityShards: 3, matrix: 'vandermonde' },
    [
      [7, 6, 5, 4, 3, 2],
      [6, 7, 4, 5, 2, 3],
      [160, 223, 223, 183, 254, 232],
    ],
  ],
  [
    { dataShards: 6, parityShards: 3, matrix: 'cauchy1' },
    [
      [122, 186, 71, 167, 142, 244],
      [186, 122, 167, 71, 244, 142],
      [173, 157, 221, 152, 61, 170],
    ],
  ],
  [
    { dataShards: 6, parityShards: 4, matrix: 'lrc', localGroups: 2 },
    [
      [1, 1, 1, 0, 0, 0],
      [0, 0, 0, 1, 1, 1],
      [1, 152, 78, 2, 45, 156],
      [1, 78, 153, 4, 37, 94],
    ],
  ],
];
/** All byte values in the wide path (288 = 9 × 32), then a tail. */
const SELF_TEST_BYTES = 291;
/** One to four fused rows, then a second group. */
const SELF_TEST_ROWS_MAX = 5;

function expectSame(what: string, actual: Uint8Array, expected: ArrayLike<number>): void {
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  if (at < 0 && actual.length === expected.length) return;
  throw new KwamError(
    'SELF_TEST_FAILED',
    `erasure code, ${what}: expected ${expected[at]} at byte ${at}, got ${actual[at]}; retire this worker, suspect its core`,
    { context: { what, at } },
  );
}

/** The kernel against logarithm tables, every byte value through every number of fused rows. */
function selfTestRows(kernels: Kernels, rows: number): void {
  const inputs = [1, 3, 255].map((step) => Uint8Array.from({ length: SELF_TEST_BYTES }, (_, i) => i * step));
  const coefficients = Uint8Array.from({ length: rows * inputs.length }, (_, i) => 29 * i + rows);
  const outputs = Array.from({ length: rows }, () => new Uint8Array(SELF_TEST_BYTES));
  combineThrough(kernels, coefficients, inputs, outputs);
  outputs.forEach((output, row) => {
    const expected = output.map((_, at) =>
      inputs.reduce((sum, input, j) => sum ^ multiply(coefficients[row * inputs.length + j]!, input[at]!), 0),
    );
    expectSame(`row ${row} of ${rows}`, output, expected);
  });
}

/** Unit vectors as data give the matrix rows as parity, which are known; then losses are made good. */
function selfTestScheme(
  kernels: Kernels,
  scheme: ErasureScheme,
  parity: readonly (readonly number[])[],
): void {
  const { matrix } = scheme;
  const codec = new LinearCode(kernels, scheme);
  const shards = Array.from({ length: codec.shardCount }, (_, shard) =>
    Uint8Array.from({ length: 6 }, (_, i) => +(i === shard)),
  );
  codec.encode(shards);
  parity.forEach((row, i) => {
    expectSame(`${matrix} parity ${i}`, shards[6 + i]!, row);
  });
  const damaged = shards.map((shard, i) => (i % 3 === 1 ? new Uint8Array(6) : shard.slice()));
  codec.reconstruct(
    damaged,
    shards.map((_, i) => i % 3 !== 1),
  );
  damaged.forEach((shard, i) => {
    expectSame(`${matrix} rebuilt shard ${i}`, shard, shards[i]!);
  });
}

/**
 * Known answers for every path of the kernel and every matrix, in a few milliseconds: a worker runs it
 * at start and again every hour. Overwrites INPUT and SCRATCH.
 * @throws KwamError SELF_TEST_FAILED  this instance computes wrongly: a faulty build or a faulty core
 */
export function selfTestLinearCode(kernels: Kernels): void {
  for (let rows = 1; rows <= SELF_TEST_ROWS_MAX; rows++) selfTestRows(kernels, rows);
  for (const [scheme, parity] of KNOWN_PARITY) selfTestScheme(kernels, scheme, parity);
}
