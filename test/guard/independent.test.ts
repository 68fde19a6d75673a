/**
 * Vectors: Backblaze, erasure-coding-durability (README): 17+3, AFR 0.405 %, 6.5 days is "11 nines", annual loss 7.354e-12; the rows of its
 * table up to four tolerated losses (below 1e-14 their floats lose digits). Storj, whitepaper v3, section 7: its Poisson table for p = 0.1.
 */
import { expect, test } from 'vitest';
import { backblazeAnnualLoss, poissonDurability } from '../../src/guard/independent.ts';
import { exactly, hundredthsOfNines, supportsNines } from '../../src/guard/ratio.ts';

const published = { shards: 20, annualFailureRate: 0.00405, recoveryDays: 6.5 };

test.each([
  { tolerated: 0, loss: 7.781e-2 },
  { tolerated: 1, loss: 5.545e-5 },
  { tolerated: 2, loss: 2.399e-8 },
  { tolerated: 3, loss: 7.354e-12 },
])('Backblaze, $tolerated tolerated losses of 20: $loss a year', ({ tolerated, loss }) => {
  expect(backblazeAnnualLoss({ ...published, tolerated })).toBeCloseTo(
    loss,
    3 - Math.floor(Math.log10(loss)),
  );
});

test('Backblaze 17+3 is eleven nines', () => {
  const loss = backblazeAnnualLoss({ ...published, tolerated: 3 });
  expect(Math.abs(loss / 7.3537994988e-12 - 1)).toBeLessThan(1e-9);
  expect(supportsNines(exactly(loss), 11)).toBe(true);
  expect(supportsNines(exactly(loss), 12)).toBe(false);
  expect(hundredthsOfNines(exactly(loss))).toBe(1113);
});

test.each([
  { needed: 2, pieces: 4, percent: 99.207366813274618 },
  { needed: 4, pieces: 8, percent: 99.85886898541132 },
  { needed: 8, pieces: 16, percent: 99.995462406878261 },
  { needed: 16, pieces: 32, percent: 99.999994620652785 },
  { needed: 20, pieces: 40, percent: 99.999999807694138 },
  { needed: 32, pieces: 64, percent: 99.999999999990536 },
])('Storj ($needed, $pieces) at p = 0.1', ({ needed, pieces, percent }) => {
  expect(Math.abs(100 * poissonDurability(needed, pieces, 0.1) - percent)).toBeLessThan(2e-13);
});

test('impossible inputs are refused', () => {
  expect(() => backblazeAnnualLoss({ ...published, tolerated: 20 })).toThrow(/fewer losses than shards/);
});
