import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  compare,
  decimal,
  exactly,
  hundredthsOfNines,
  plus,
  ratio,
  supportsNines,
  times,
  toNumber,
} from '../../src/guard/ratio.ts';

const ratios = fc
  .tuple(fc.bigInt({ min: 1n, max: 10n ** 40n }), fc.bigInt({ min: 1n, max: 10n ** 40n }))
  .map(([a, b]) => ratio(a, b));

test('every double is taken as it is', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(toNumber(exactly(value))).toBe(value + 0);
    }),
  );
  expect(() => exactly(Number.NaN)).toThrow(/finite number, got NaN/);
});

test('decimal text keeps its tenths', () => {
  expect(decimal('0.1')).toEqual(ratio(1n, 10n));
  expect(decimal('12')).toEqual(ratio(12n));
  for (const text of ['', '.5', '1e3', '-1', '0x1']) expect(() => decimal(text)).toThrow(/decimal number/);
});

test('sums, products and comparisons agree with each other', () => {
  fc.assert(
    fc.property(ratios, ratios, ratios, (a, b, c) => {
      expect(times(a, plus(b, c))).toEqual(plus(times(a, b), times(a, c)));
      expect(compare(plus(a, b), a)).toBe(1);
      expect(compare(a, b) + compare(b, a)).toBe(0);
    }),
  );
});

test('nines are the largest hundredth that the rate supports', () => {
  fc.assert(
    fc.property(ratios, (loss) => {
      const hundredths = hundredthsOfNines(loss);
      const logarithm = Math.max(0, -100 * Math.log10(toNumber(loss)));
      expect(Math.abs(hundredths + 0.5 - logarithm)).toBeLessThanOrEqual(0.5 + 1e-9);
      const whole = Math.floor(hundredths / 100);
      if (compare(loss, ratio(1n)) <= 0) expect(supportsNines(loss, whole)).toBe(true);
      expect(supportsNines(loss, whole + 1)).toBe(false);
    }),
  );
});

test('nines at their edges', () => {
  expect(supportsNines(ratio(1n, 10n ** 6n), 6)).toBe(true);
  expect(supportsNines(ratio(10n ** 30n + 1n, 10n ** 36n), 6)).toBe(false);
  expect(hundredthsOfNines(ratio(2n))).toBe(0);
  expect(hundredthsOfNines(ratio(1n, 10n ** 6n))).toBe(600);
});
