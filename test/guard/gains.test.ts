import { expect, test } from 'vitest';
import {
  copies,
  durability,
  erasureCoded,
  locallyCoded,
  lossRate,
  yearMs,
} from '../../src/guard/durability.ts';
import { gains } from '../../src/guard/gains.ts';
import { ratio } from '../../src/guard/ratio.ts';

const hourMs = 3_600_000;
const rates = {
  node: lossRate(20 * yearMs, 6 * hourMs),
  domains: [
    { domain: 'rack' as const, ...lossRate(100 * yearMs, 24 * hourMs) },
    { domain: 'az' as const, ...lossRate(10_000 * yearMs, 72 * hourMs) },
  ],
};

test('a fourth copy gains most, and each gain is what the bound says of the changed inputs', () => {
  const found = gains({ schemes: [copies(3)], ...rates });
  expect(found[0]!.change).toBe('one copy more than factor 3');
  expect(found[0]!.lossPerYear).toBe(durability({ schemes: [copies(4)], ...rates }).worst.lossPerYear);
  expect(found.map((each) => each.change)).toContain('lose an az half as often');
  const losses = found.map((each) => each.lossPerYear);
  expect(losses).toEqual(losses.toSorted((a, b) => a - b));
  expect(found.every((each) => each.ninesGained >= 0)).toBe(true);
});

test('a rack that holds too much: spreading gains most, a longer stripe in the same racks does not help as much', () => {
  const found = gains({ schemes: [erasureCoded(6, 3, { rack: [4, 3, 2] })], ...rates });
  expect(found[0]!.change).toBe('no two shards of a stripe in one rack');
  expect(found.find((each) => each.change === 'one parity shard more than rs(6, 3)')!.nines).toBeLessThan(
    found[0]!.nines,
  );
});

test('only the scheme that stands for the guard gains from a shard more', () => {
  const changes = gains({ schemes: [copies(2), erasureCoded(6, 3)], ...rates }).map((each) => each.change);
  expect(changes).toContain('one copy more than factor 2');
  expect(changes).not.toContain('one parity shard more than rs(6, 3)');
});

test('no longer code is proposed than there is', () => {
  const changes = (globals: number): string[] =>
    gains({ schemes: [locallyCoded(12, 2, globals)], ...rates }).map((each) => each.change);
  expect(changes(2)).toContain('one parity shard more than lrc(12, 2, 2)');
  expect(changes(4).filter((change) => change.includes('parity'))).toEqual([]);
});

test('where the unmodelled rate rules, halving it gains three tenths of a nine', () => {
  const found = gains({ schemes: [copies(4)], ...rates, unmodelledPerYear: ratio(1n, 10_000_000n) });
  expect(found[0]).toMatchObject({ change: 'halve the unmodelled rate', nines: 7.3 });
});
