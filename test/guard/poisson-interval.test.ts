/** Vectors: 95 % limits of a Poisson mean, Garwood 1936 as tabulated everywhere: 0 → 3.689; 1 → 0.0253, 5.572; 10 → 4.795, 18.390; 100 → 81.364, 121.627. */
import { expect, test } from 'vitest';
import { poissonAtMost, poissonInterval } from '../../src/guard/poisson-interval.ts';

test.each([
  { count: 0, low: 0, high: 3.6889 },
  { count: 1, low: 0.0253, high: 5.5716 },
  { count: 10, low: 4.7954, high: 18.3904 },
  { count: 100, low: 81.364, high: 121.627 },
])('$count seen', ({ count, low, high }) => {
  const interval = poissonInterval(count);
  expect(interval.low).toBeCloseTo(low, 3);
  expect(interval.high).toBeCloseTo(high, 3);
});

test('probabilities agree with the sum of their terms', () => {
  for (const mean of [0, 0.1, 1, 7.5, 30]) {
    let [term, sum] = [Math.exp(-mean), 0];
    for (let i = 0; i < 60; i++) {
      sum += term;
      expect(poissonAtMost(i, mean)).toBeCloseTo(sum, 12);
      term *= mean / (i + 1);
    }
  }
});

test('a million seen: about two standard deviations to each side', () => {
  const { low, high } = poissonInterval(1_000_000);
  expect(Math.abs(low - (1_000_000 - 1959))).toBeLessThan(5);
  expect(Math.abs(high - (1_000_000 + 1962))).toBeLessThan(5);
});
