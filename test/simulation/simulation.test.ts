/**
 * A few seeds of the simulator, that the same seed is the same run, and that planted bugs are found. Thousands of seeds: npm run simulate.
 */
import { expect, test, vi } from 'vitest';
import { CAMPAIGN, chosenSeed } from '../store/packs.ts';
import { BUGS, type Bug } from './bugs.ts';
import { simulate } from './simulate.ts';

vi.setConfig({ testTimeout: CAMPAIGN ? 3_600_000 : 600_000 });
const SEEDS = CAMPAIGN ? 200 : 1;

test('the same seed is the same run, down to each operation of each disk', async () => {
  const [first, second] = [await simulate(1), await simulate(1)];
  expect(first.events).toBeGreaterThan(1000);
  expect(second.digest).toBe(first.digest);
});

test('storms over a whole cluster leave nothing wrong, lost or without its redundancy', async () => {
  const from = chosenSeed();
  let acknowledged = 0;
  for (let seed = from; seed < from + SEEDS; seed++) {
    const { violations, recent, ...rest } = await simulate(seed);
    expect(violations, `seed ${seed}: ${JSON.stringify(rest.options)}\n${recent.join('\n')}`).toEqual([]);
    acknowledged += rest.acknowledged;
  }
  expect(acknowledged).toBeGreaterThan(0);
});

test.each(Object.keys(BUGS) as Bug[])('canary: %s is found', async (bug) => {
  const found: string[] = [];
  // The first one does not put and get enough for all of them.
  for (let seed = 1; found.length === 0 && seed <= 20; seed++) {
    found.push(...(await simulate(seed, { plant: BUGS[bug] })).violations);
  }
  expect(found).not.toEqual([]);
});
