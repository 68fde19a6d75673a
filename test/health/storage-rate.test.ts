/** The rule about failing storage against the exact tail of a Poisson variable, and at its edges. */
import { expect, it } from 'vitest';
import { judgeStorage } from '../../src/health/storage-rate.ts';
import { drainChanceMax, storageBitsPerError } from '../../src/limits.ts';

const TB = 1e12;

/** Slow and plain: 1 − Σ_{j < k} e^-m m^j / j!. */
function tail(mean: number, count: number): number {
  let below = 0;
  let term = Math.exp(-mean);
  for (let j = 0; j < count; j++) {
    below += term;
    term *= mean / (j + 1);
  }
  return 1 - below;
}

it('drains nothing for one damaged pack or two, however little was read', () => {
  for (const damagedPacks of [0, 1, 2]) {
    expect(judgeStorage({ damagedPacks, verifiedBytes: 0 }).isFailing).toBe(false);
  }
});

it('asks for more damage the more was read', () => {
  const least = (verifiedBytes: number): number =>
    Array.from({ length: 50 }, (_, k) => k).find(
      (damagedPacks) => judgeStorage({ damagedPacks, verifiedBytes }).isFailing,
    )!;
  expect([1e9, TB, 10 * TB, 100 * TB].map(least)).toEqual([3, 3, 5, 9]);
});

it('is never bolder than the exact tail, and at most the tenfold of it where it matters', () => {
  for (const verifiedBytes of [TB, 10 * TB, 50 * TB, 125 * TB]) {
    const mean = (8 * verifiedBytes) / storageBitsPerError;
    for (let damagedPacks = 1; damagedPacks < 8; damagedPacks++) {
      const { chance } = judgeStorage({ damagedPacks, verifiedBytes });
      const exact = tail(mean, damagedPacks);
      expect(chance).toBeGreaterThanOrEqual(exact - 1e-15);
      if (exact > 1e-9) expect(chance).toBeLessThan(10 * exact);
    }
  }
});

it('says what it saw and how likely that is', () => {
  expect(judgeStorage({ damagedPacks: 3, verifiedBytes: TB }).words).toBe(
    '3 packs were found damaged among 1000000000000 bytes verified; storage in order does that with a chance below 9e-8',
  );
  expect(drainChanceMax).toBe(1e-6);
});
