/** Reading back over time: rounds over restarts, the age of what was not verified, and making way for those who wait. Real store and packs. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { KwamError } from '../../src/errors.ts';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { seededRandom } from '../../src/random.ts';
import { type ScrubServices, scrub } from '../../src/repair/scrub.ts';
import { ScrubRounds } from '../../src/repair/scrub-rounds.ts';
import { Store } from '../../src/store/store.ts';
import { Demand } from '../../src/workers/demand.ts';
import type { WorkerPool } from '../../src/workers/pool.ts';
import { inlinePool, inlineWorker, loadEngines } from '../campaign/corruption/worker.ts';
import { FakeClock } from '../control/fake-clock.ts';
import { buildPack, randomPayloads } from '../store/packs.ts';

const HOUR_MS = 3_600_000;
/** No note fails here that is not meant to. */
const fail = (error: KwamError): never => {
  throw error;
};
const PACKS = 5;
let directory: string;
let store: Store;
let pool: WorkerPool;
let clock: FakeClock;
/** Slept, not waited for. */
let sleptMs: number;

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-scrub-'));
  store = await Store.open({ directory });
  pool = inlinePool(inlineWorker(await loadEngines(), nodeFileSystem, false));
  clock = new FakeClock();
  sleptMs = 0;
});

afterEach(async () => {
  await store.close();
  fs.rmSync(directory, { recursive: true });
});

async function fill(): Promise<void> {
  const random = seededRandom(11);
  for (let i = 0; i < PACKS; i++)
    await store.commitPack(
      await buildPack(nodeFileSystem, store.layout, randomPayloads(random, 4, 400), `${i}.part`),
    );
}

function servicesWith(
  changes: Partial<ScrubServices> = {},
): ScrubServices & { readonly seen: { packs: number } } {
  const seen = { packs: 0 };
  const sleeping: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: async (ms) => {
      sleptMs += ms;
      clock.advance(ms);
    },
  };
  const observer = {
    verified: () => seen.packs++,
    corrupt: () => undefined,
    gone: () => undefined,
    unfounded: () => undefined,
  };
  return {
    store,
    pool,
    clock: sleeping,
    limits: { intervalMs: HOUR_MS, bytesPerSecondMax: 1e12 },
    observer,
    rounds: new ScrubRounds(store, clock, fail),
    demand: { isPressing: false },
    seen,
    ...changes,
  };
}

const quiet = { onProgress: () => undefined };

test('the age of the oldest byte grows until a whole round is done, and counts from its start', async () => {
  const services = servicesWith();
  await fill();
  clock.advance(3 * HOUR_MS);
  expect(services.rounds.ageMs).toBe(3 * HOUR_MS);
  await scrub(
    { ...services, limits: { intervalMs: HOUR_MS, bytesPerSecondMax: 1000 } },
    { full: true, ...quiet },
  );
  expect(sleptMs).toBeGreaterThan(0);
  expect(services.rounds.ageMs).toBe(sleptMs);
  expect(new ScrubRounds(store, clock, fail).ageMs).toBe(sleptMs);
});

test('a round that was cut off goes on after a restart, and only what is left is read', async () => {
  const before = servicesWith();
  await fill();
  const stopping = new AbortController();
  const stopAfter = 2;
  const cut = { ...before.observer, verified: () => ++before.seen.packs === stopAfter && stopping.abort() };
  await scrub({ ...before, observer: cut as never }, { full: true, signal: stopping.signal, ...quiet });
  expect(before.seen.packs).toBe(stopAfter);
  expect(before.rounds.progress).toBeGreaterThan(0);
  expect(before.rounds.progress).toBeLessThan(1);

  clock.advance(HOUR_MS);
  const after = servicesWith({ rounds: before.rounds });
  await scrub(after, { full: false, ...quiet });
  expect(after.seen.packs).toBe(PACKS - stopAfter);
  expect(after.rounds.progress).toBe(1);
  // What the first part read is an hour old.
  expect(after.rounds.ageMs).toBe(HOUR_MS);
});

test('how far a round was is noted, so that a killed process loses some packs of it at most', async () => {
  await fill();
  const { rounds } = servicesWith();
  const [first, ...others] = store.listPacks(undefined, PACKS).map(({ id }) => id);
  rounds.begin(true);
  for (let i = 0; i < 16; i++) rounds.passed(first!, 1);
  rounds.passed(others[0]!, 1);
  expect(new ScrubRounds(store, clock, fail).begin(false)).toBe(first);
});

test('a disk that takes no note stops no round, and what an older note says is never too young', async () => {
  const services = servicesWith();
  await fill();
  clock.advance(HOUR_MS);
  const full = new KwamError('DISK_FULL', 'the disk is full', { retryable: true });
  const unnoted: KwamError[] = [];
  const putNote = vi.spyOn(store, 'putNote').mockImplementation(() => {
    throw full;
  });
  const rounds = new ScrubRounds(store, clock, (error) => unnoted.push(error));
  await scrub({ ...services, rounds }, { full: true, ...quiet });
  putNote.mockRestore();
  expect(services.seen.packs).toBe(PACKS);
  expect(rounds.ageMs).toBeLessThan(HOUR_MS);
  expect(new Set(unnoted)).toEqual(new Set([full]));
  expect(new ScrubRounds(store, clock, fail).ageMs).toBeGreaterThanOrEqual(HOUR_MS);
});

test('a store whose note is gone does not look young', async () => {
  await fill();
  const { rounds } = servicesWith();
  expect(rounds.ageMs).toBe(clock.now());
});

test('it makes way for those who wait: ten times slower while others are served', async () => {
  await fill();
  const limits = { intervalMs: HOUR_MS, bytesPerSecondMax: 100_000 };
  await scrub(servicesWith({ limits }), { full: true, isYielding: true, ...quiet });
  const alone = sleptMs;
  sleptMs = 0;
  await scrub(servicesWith({ limits, demand: { isPressing: true } }), {
    full: true,
    isYielding: true,
    ...quiet,
  });
  expect(sleptMs / alone).toBeCloseTo(10, 1);
  sleptMs = 0;
  await scrub(servicesWith({ limits, demand: { isPressing: true } }), { full: true, ...quiet });
  expect(sleptMs / alone).toBeCloseTo(1, 1);
});

test('demand presses while something is served, and a moment longer', async () => {
  const demand = new Demand(clock);
  expect(demand.isPressing).toBe(false);
  const stream = demand.during(
    (async function* () {
      yield 1;
    })(),
  );
  await stream.next();
  expect(demand.isPressing).toBe(true);
  await stream.return(undefined);
  expect(demand.isPressing).toBe(true);
  clock.advance(1000);
  expect(demand.isPressing).toBe(false);
});
