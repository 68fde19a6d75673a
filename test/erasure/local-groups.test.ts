/**
 * What codes with local groups decode: every loss, counted, against what any code of the shape could decode.
 * Source of the shape's bound: a group makes one loss good, the global parities one each; beyond that nothing can (Gopalan and others,
 * "Explicit maximally recoverable codes with locality", IEEE Transactions on Information Theory 60, 2014).
 * KWAM_CAMPAIGN=1 goes through every scheme that there is.
 */
import { describe, expect, it, test } from 'vitest';
import { inverse } from '../../src/erasure/galois.ts';
import { addScaledRow, codingMatrix, rowOf, scaleRow } from '../../src/erasure/matrix.ts';
import { makeRecipe, shardsToRead } from '../../src/erasure/recipe.ts';
import { groupOf, localFirst, localGroupsOf, schemeProblem, schemeText } from '../../src/erasure/scheme.ts';
import { lossesLeft, lossesSurvived } from '../../src/erasure/survival.ts';
import { globalParityMax, localGroupDataMax, localGroupsMax } from '../../src/limits.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { isDecodable } from '../reference/linear-code.ts';

const IS_CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';

function lrc(dataShards: number, localGroups: number, globals: number): ErasureScheme {
  return { dataShards, parityShards: localGroups + globals, matrix: 'lrc', localGroups };
}

const countOf = ({ dataShards, parityShards }: ErasureScheme): number => dataShards + parityShards;
const presentWithout = (scheme: ErasureScheme, lost: readonly number[]): boolean[] =>
  Array.from({ length: countOf(scheme) }, (_, shard) => !lost.includes(shard));

/**
 * The checks that each shard takes part in: one a group, one a global parity. A loss decodes when the columns of what is lost are
 * independent.
 */
function checksOf(scheme: ErasureScheme): Uint8Array[] {
  const { count, globalParities } = localGroupsOf(scheme)!;
  const { dataShards: k } = scheme;
  const matrix = codingMatrix(scheme);
  return Array.from({ length: countOf(scheme) }, (_, shard) => {
    const column = new Uint8Array(count + globalParities);
    const group = groupOf(scheme, shard);
    if (group !== undefined) column[group] = 1;
    if (shard >= k && group === undefined) column[shard - k] = 1;
    for (let r = 0; shard < k && r < globalParities; r++)
      column[count + r] = rowOf(matrix, k + count + r)[shard]!;
    return column;
  });
}

interface Tally {
  losses: number;
  /** Of them, those that some code of this shape could decode. */
  possible: number;
  decoded: number;
}

/** Goes through all losses of `size` shards, one more column at a time. */
class Losses {
  readonly #scheme: ErasureScheme;
  readonly #checks: readonly Uint8Array[];
  readonly #inGroups: number[];
  readonly #groups: readonly (number | undefined)[];
  readonly #globals: number;
  readonly #basis: { readonly pivot: number; readonly column: Uint8Array }[] = [];
  /** Beyond one a group. */
  #excess = 0;
  readonly tally: Tally = { losses: 0, possible: 0, decoded: 0 };

  constructor(scheme: ErasureScheme, size: number) {
    const { count, globalParities } = localGroupsOf(scheme)!;
    this.#scheme = scheme;
    this.#checks = checksOf(scheme);
    this.#groups = this.#checks.map((_, shard) => groupOf(scheme, shard));
    this.#inGroups = new Array<number>(count).fill(0);
    this.#globals = globalParities;
    this.#walk(0, size, true);
  }

  #walk(from: number, left: number, independent: boolean): void {
    if (left === 0) {
      const isPossible = this.#excess <= this.#globals;
      this.tally.losses++;
      if (isPossible) this.tally.possible++;
      if (isPossible && independent) this.tally.decoded++;
      return;
    }
    for (let shard = from; shard <= countOf(this.#scheme) - left; shard++) {
      const group = this.#groups[shard];
      const costs = group === undefined || this.#inGroups[group]! > 0 ? 1 : 0;
      const isNew = independent && this.#add(this.#checks[shard]!);
      this.#excess += costs;
      if (group !== undefined) this.#inGroups[group]!++;
      this.#walk(shard + 1, left - 1, isNew);
      if (group !== undefined) this.#inGroups[group]!--;
      this.#excess -= costs;
      if (isNew) this.#basis.pop();
    }
  }

  #add(check: Uint8Array): boolean {
    const column = check.slice();
    for (const kept of this.#basis) addScaledRow(column, kept.column, column[kept.pivot]!);
    const pivot = column.findIndex((cell) => cell !== 0);
    if (pivot < 0) return false;
    scaleRow(column, inverse(column[pivot]!));
    this.#basis.push({ pivot, column });
    return true;
  }
}

function* allSchemes(): Generator<ErasureScheme> {
  for (let groups = 2; groups <= localGroupsMax; groups++) {
    for (let each = 2; each <= localGroupDataMax; each++) {
      for (let globals = 1; globals <= globalParityMax; globals++) {
        const scheme = lrc(groups * each, groups, globals);
        if (schemeProblem(scheme) === undefined) yield scheme;
      }
    }
  }
}

const NARROW = [lrc(6, 2, 2), lrc(12, 2, 2), lrc(12, 3, 2), lrc(9, 3, 1), lrc(12, 2, 3), lrc(8, 2, 4)];

describe('every loss', () => {
  const schemes = IS_CAMPAIGN ? [...allSchemes()] : NARROW;
  it(`of up to m + 1 shards decodes (${schemes.length} schemes)`, () => {
    expect(schemes.length).toBeGreaterThanOrEqual(IS_CAMPAIGN ? 300 : NARROW.length);
    for (const scheme of schemes) {
      const size = lossesSurvived(scheme);
      // What is independent stays so with less of it.
      const { losses, possible, decoded } = new Losses(scheme, size).tally;
      expect([possible, decoded], `${schemeText(scheme)}, ${size} lost`).toEqual([losses, losses]);
    }
  }, 3_600_000);

  it('that any code could decode decodes with up to two global parities; with more, nearly every one', () => {
    const lines: string[] = [];
    for (const scheme of NARROW) {
      const { globalParities, count } = localGroupsOf(scheme)!;
      for (let size = globalParities + 2; size <= globalParities + count; size++) {
        const { losses, possible, decoded } = new Losses(scheme, size).tally;
        const share = decoded / possible;
        lines.push(
          `${schemeText(scheme)}, ${size} lost: ${losses} losses, ${possible} decodable, ${decoded} decoded (${(100 * share).toFixed(2)} %)`,
        );
        if (globalParities <= 2) expect(decoded, lines.at(-1)).toBe(possible);
        else expect(share, lines.at(-1)).toBeGreaterThan(0.97);
      }
    }
    if (IS_CAMPAIGN) console.log(lines.join('\n'));
    // Huang and others, 2012: LRC(6, 2, 2) decodes 86 % of all losses of four.
    const azure = new Losses(lrc(6, 2, 2), 4).tally;
    expect((azure.decoded / azure.losses).toFixed(2)).toBe('0.86');
  });

  it(`of two global parities, with ${IS_CAMPAIGN ? 'every scheme' : 'the narrow ones'}`, () => {
    const two = schemes.filter((scheme) => localGroupsOf(scheme)!.globalParities === 2);
    for (const scheme of two) {
      // A single loss in a group changes nothing for the others: two and two, or three of one, are all there is.
      const { possible, decoded } = new Losses(scheme, 4).tally;
      expect(decoded, schemeText(scheme)).toBe(possible);
    }
  }, 3_600_000);
});

/** The least number of further losses after which the rest does not determine the data, less one. */
function leftByTrying(scheme: ErasureScheme, present: readonly boolean[]): number {
  const here = [...present.keys()].filter((shard) => present[shard]);
  if (!isDecodable(scheme, here)) return -1;
  for (let more = 1; ; more++) {
    for (const gone of subsets(here, more)) {
      if (
        !isDecodable(
          scheme,
          here.filter((shard) => !gone.includes(shard)),
        )
      )
        return more - 1;
    }
  }
}

function* subsets(of: readonly number[], size: number, from = 0): Generator<number[]> {
  if (size === 0) yield [];
  else {
    for (let i = from; i <= of.length - size; i++)
      for (const rest of subsets(of, size - 1, i + 1)) yield [of[i]!, ...rest];
  }
}

describe('losses that are left', () => {
  const shards = (scheme: ErasureScheme): number[] => [...presentWithout(scheme, []).keys()];

  it.each([lrc(4, 2, 1), lrc(4, 2, 2), lrc(6, 3, 1)])(
    'are exact with $localGroups groups, whatever is lost',
    (scheme) => {
      for (let size = 0; size <= scheme.parityShards + 1; size++) {
        for (const lost of subsets(shards(scheme), size)) {
          const present = presentWithout(scheme, lost);
          const tried = leftByTrying(scheme, present);
          expect(Math.max(-1, lossesLeft(scheme, present)), `lost ${lost}`).toBe(tried);
        }
      }
    },
  );

  it('are never more than there are with three global parities, and right about whether there is enough', () => {
    const scheme = lrc(4, 2, 3);
    for (let size = 0; size <= scheme.parityShards + 1; size++) {
      for (const lost of subsets(shards(scheme), size)) {
        const present = presentWithout(scheme, lost);
        const [left, tried] = [lossesLeft(scheme, present), leftByTrying(scheme, present)];
        expect(left, `lost ${lost}`).toBeLessThanOrEqual(tried);
        expect(left < 0, `lost ${lost}`).toBe(tried < 0);
      }
    }
  });

  test('of lrc(12, 2, 2): three; then by where the losses are', () => {
    const scheme = lrc(12, 2, 2);
    const left = (...lost: number[]): number => lossesLeft(scheme, presentWithout(scheme, lost));
    expect(lossesSurvived(scheme)).toBe(3);
    expect([left(), left(0), left(0, 6), left(0, 1), left(14), left(14, 15)]).toEqual([3, 2, 2, 1, 2, 1]);
    expect([left(0, 1, 6, 7), left(0, 1, 2, 6), left(0, 1, 2, 12)]).toEqual([0, 0, -1]);
  });
});

describe('what is read', () => {
  const scheme = lrc(12, 2, 2);
  const others = (...lost: number[]): number[] =>
    [...presentWithout(scheme, lost).entries()].flatMap(([shard, here]) => (here ? [shard] : []));

  test.each([
    [3, [0, 1, 2, 4, 5, 12]],
    [11, [6, 7, 8, 9, 10, 13]],
    [13, [6, 7, 8, 9, 10, 11]],
  ])('for shard %i: the other six of its group, whatever else is lost elsewhere', (lost, group) => {
    expect(shardsToRead(scheme, others(lost), [lost])!.toSorted((a, b) => a - b)).toEqual(group);
    const elsewhere = others(lost).filter((shard) => group.includes(shard));
    expect(shardsToRead(scheme, elsewhere, [lost])!.toSorted((a, b) => a - b)).toEqual(group);
    const recipe = makeRecipe(codingMatrix(scheme), localFirst(scheme, others(lost), [lost]), [lost])!;
    expect([...recipe.coefficients]).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('for a global parity, or two of a group: twelve', () => {
    expect(shardsToRead(scheme, others(14), [14])).toHaveLength(12);
    expect(shardsToRead(scheme, others(0, 1), [0])).toHaveLength(12);
  });

  test('for all data with one lost: the other eleven and one more', () => {
    const data = [...Array(12).keys()];
    expect(shardsToRead(scheme, others(4), data)).toHaveLength(12);
    expect(shardsToRead(scheme, others(4), data)).toContain(12);
    expect(shardsToRead(scheme, others(0, 1, 2, 12), data)).toBeUndefined();
  });
});

test.each([
  [lrc(12, 1, 2), 'one group'],
  [lrc(12, 5, 2), 'groups of 2.4'],
  [lrc(12, 12, 2), 'groups of one'],
  [lrc(36, 18, 2), 'too many groups'],
  [lrc(32, 2, 2), 'groups of 16'],
  [lrc(12, 2, 0), 'no global parity'],
  [lrc(12, 2, 5), 'too many global parities'],
  [lrc(60, 4, 1), 'too many shards'],
  [{ ...lrc(12, 2, 2), matrix: 'cauchy1' as const }, 'groups of another matrix'],
  [{ dataShards: 12, parityShards: 4, matrix: 'lrc' as const }, 'no groups'],
])('there is no code %j: %s', (scheme) => {
  expect(schemeProblem(scheme)).toBeDefined();
});

test('without groups any k are read, the first ones, as the recipe has them', () => {
  for (const matrix of ['vandermonde', 'cauchy1'] as const) {
    const scheme = { dataShards: 6, parityShards: 3, matrix };
    for (const lost of subsets([...Array(9).keys()], 3)) {
      const here = [...Array(9).keys()].filter((shard) => !lost.includes(shard));
      const { sources } = makeRecipe(codingMatrix(scheme), here, lost)!;
      expect(sources).toEqual(here.slice(0, 6));
      expect(shardsToRead(scheme, here, lost)).toEqual(sources);
      expect(shardsToRead(scheme, here.slice(1), lost)).toBeUndefined();
    }
  }
});
