/** The corruption campaign in short, and its canaries: without them a campaign that looks at nothing would look healthy. */
import { expect, test } from 'vitest';
import { CAMPAIGN, chosenSeed } from '../../store/packs.ts';
import { CANARIES, runCorruption, SITES } from './corruption.ts';

const FAULTS = CAMPAIGN ? 100_000 : 2000;

test('no fault stays unseen and does harm', { timeout: 600_000 }, async () => {
  const seed = chosenSeed();
  const report = await runCorruption({ faults: FAULTS, seed });
  console.log(
    `seed ${seed}: ${report.injected} faults, ${report.detected} detected, ${report.silent} silent`,
  );
  expect(Object.keys(report.bySite)).toEqual(Object.keys(SITES));
  for (const [site, tally] of Object.entries(report.bySite)) {
    expect(tally, `${site}, KWAM_SEED=${seed}`).toMatchObject({ silent: 0 });
    expect(tally.detected + tally.harmless + tally.silent).toBe(tally.injected);
  }
  expect(report.injected).toBeGreaterThanOrEqual(FAULTS);
  expect(report.bound95).toBe(3 / report.injected);
  for (const site of ['source', 'wire', 'pack', 'parity'] as const) {
    const { injected, detected, repaired } = report.bySite[site]!;
    expect({ site, detected, repaired }).toEqual({ site, detected: injected, repaired: injected });
  }
});

test.each(CANARIES)(
  'the canary: with the verification of %s switched off, faults are silent',
  async (site) => {
    const report = await runCorruption({ faults: 300, seed: 1, canary: site, sites: [site] });
    expect(report.silent).toBeGreaterThan(0);
    expect(report.bound95).toBeNull();
  },
);

test('a run repeats with its seed', async () => {
  const request = { faults: 200, seed: 5, sites: ['manifest', 'pack'] as const };
  const tallies = async () => {
    const { bySite } = await runCorruption(request);
    return Object.values(bySite).map(({ wallSeconds: _, ...tally }) => tally);
  };
  expect(await tallies()).toEqual(await tallies());
});
