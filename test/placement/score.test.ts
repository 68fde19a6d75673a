/** The score's arithmetic: its logarithm against the engine's, its hash against uniformity. */
import { describe, expect, test } from 'vitest';
import { negativeLn, seedOf, uniformOf } from '../../src/placement/score.ts';
import { seededRandom } from '../../src/random.ts';

describe('negativeLn', () => {
  const random = seededRandom(11);
  const inputs = Array.from({ length: 20_000 }, (_, i) => {
    const u = (random.below(2 ** 52) + 0.5) / 2 ** 52;
    return i % 2 === 0 ? u : u / 2 ** (i % 53);
  });

  test('agrees with Math.log to 2^-48', () => {
    for (const u of inputs) {
      const expected = u > 0.5 ? -Math.log1p(u - 1) : -Math.log(u);
      expect(Math.abs(negativeLn(u) - expected)).toBeLessThanOrEqual(expected * 2 ** -48);
    }
  });

  test('keeps its relative accuracy next to 1 and next to 0', () => {
    for (let e = 2; e <= 53; e++) {
      const near = negativeLn(1 - 2 ** -e);
      expect(Math.abs(near + Math.log1p(-(2 ** -e))) / near).toBeLessThan(2 ** -48);
      expect(Math.abs(negativeLn(2 ** -e) - e * Math.LN2) / (e * Math.LN2)).toBeLessThan(2 ** -50);
    }
  });

  test('falls as u rises', () => {
    const sorted = inputs.toSorted((a, b) => a - b).map(negativeLn);
    expect(sorted.findIndex((value, i) => i > 0 && value > sorted[i - 1]!)).toBe(-1);
  });
});

describe('uniformOf', () => {
  /** χ² of 256 cells: mean 255, standard deviation 22.6; 5 deviations. */
  const chiSquareMax = 255 + 5 * 22.6;

  test.each([
    ['consecutive names, one pack', (i: number) => uniformOf({ a: 1, b: 2, c: 3 }, seedOf(`n${i}`))],
    [
      'one name, packs that differ in the first word',
      (i: number) => uniformOf({ a: i, b: 0, c: 0 }, seedOf('n1')),
    ],
    [
      'one name, packs that differ in the last word',
      (i: number) => uniformOf({ a: 0, b: 0, c: i }, seedOf('n1')),
    ],
  ])('is uniform over %s', (_what, draw) => {
    const cells = new Array<number>(256).fill(0);
    const total = 256 * 200;
    for (let i = 0; i < total; i++) {
      const u = draw(i);
      expect(u > 0 && u < 1).toBe(true);
      cells[Math.floor(u * 256)]!++;
    }
    const chiSquare = cells.reduce((sum, seen) => sum + (seen - 200) ** 2 / 200, 0);
    expect(chiSquare).toBeLessThan(chiSquareMax);
  });

  test('draws of two similar names are independent', () => {
    const [a, b] = [seedOf('n0001'), seedOf('n0002')];
    const total = 40_000;
    let product = 0;
    const random = seededRandom(12);
    for (let i = 0; i < total; i++) {
      const pack = {
        a: random.below(2 ** 32) | 0,
        b: random.below(2 ** 32) | 0,
        c: random.below(2 ** 32) | 0,
      };
      product += (uniformOf(pack, a) - 0.5) * (uniformOf(pack, b) - 0.5);
    }
    // Correlation has standard deviation 1/√n; 5 deviations.
    expect(Math.abs((product / total) * 12)).toBeLessThan(5 / Math.sqrt(total));
  });
});
