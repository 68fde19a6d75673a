/**
 * Exact confidence interval of a Poisson mean from a count.
 * Source: Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936: the means at which so few, or so many, would be
 *   seen with probability `tail`. It covers at least as often as it says.
 * Same bits everywhere: a Poisson probability is a quotient of two sums of terms relative to the largest, each from its neighbour
 *   by one product and one quotient; neither exp nor a gamma function is needed.
 */
import { assert } from '../errors.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** @param tail  probability left out on each side: 0.025 for 95 %. */
export function poissonInterval(count: number, tail = 0.025): Interval {
  assert(Number.isSafeInteger(count) && count >= 0, 'a count is a whole number');
  const spread = 40 + 20 * Math.sqrt(count + 1);
  const low = count === 0 ? 0 : bisect(0, count, (mean) => 1 - poissonAtMost(count - 1, mean) < tail);
  return { low, high: bisect(count, count + spread, (mean) => poissonAtMost(count, mean) > tail) };
}

/** P(X ≤ count) for X Poisson of this mean. */
export function poissonAtMost(count: number, mean: number): number {
  if (mean === 0) return 1;
  const mode = Math.floor(mean);
  let [atMost, all] = [0, 0];
  const add = (i: number, term: number): void => {
    all += term;
    if (i <= count) atMost += term;
  };
  for (let i = mode, term = 1; i >= 0 && term > negligible; term *= i / mean, i--) add(i, term);
  for (let i = mode + 1, term = mean / i; term > negligible; i++, term *= mean / i) add(i, term);
  return atMost / all;
}

/** Of the largest term; what is left out then sums to far less than the last bit of a double. */
const negligible = 1e-25;

/** The last double at which `below` holds, which it does up to some point between low and high. */
function bisect(low: number, high: number, below: (mean: number) => boolean): number {
  for (;;) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return low;
    if (below(middle)) low = middle;
    else high = middle;
  }
}
