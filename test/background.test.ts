/** Chores that could not be done come round again. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { GarbageTimer } from '../src/background.ts';
import { MemoryControlStore } from '../src/control/memory.ts';
import { DedupIndex } from '../src/dedup/dedup-index.ts';
import { KwamError } from '../src/errors.ts';
import type { CompactServices } from '../src/pipeline/compact.ts';
import { Catalog } from '../src/replication/catalog.ts';
import { loadKernels } from '../src/wasm/load.ts';
import { FakeClock } from './control/fake-clock.ts';

/** Of an empty cluster whose catalog answers the first `refusals` times with `error`. */
function timerOf(clock: FakeClock, error: KwamError, refusals: number) {
  const control = new MemoryControlStore({ clock });
  const askedAtMs: number[] = [];
  const start = clock.now();
  const services = {
    control,
    clock,
    catalog: new Catalog(control),
    peers: { self: 'n0001' },
    lineage: {
      require: async () => {
        askedAtMs.push(clock.now() - start);
        if (askedAtMs.length <= refusals) throw error;
      },
    },
    createIndex: () => new DedupIndex(loadKernels(), { entriesMax: 1 }),
  } as unknown as CompactServices;
  return { timer: new GarbageTimer(services, clock, pino({ level: 'silent' })), askedAtMs };
}

/** Lets what is ready run between the seconds. */
async function pass(clock: FakeClock, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    clock.advance(1000);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  }
}

const away = new KwamError('UNAVAILABLE', 'the control store is away', { retryable: true });

test('compaction is tried again, later each time but never more than a minute, until it is done', async () => {
  const clock = new FakeClock();
  const { timer, askedAtMs } = timerOf(clock, away, 9);
  timer.expect();
  await pass(clock, 400);
  const gaps = askedAtMs.map((at, i) => (at - (askedAtMs[i - 1] ?? 0)) / 1000);
  expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
  await timer.stop();
});

test('what no retry can help is left alone, and so is everything once it is stopped', async () => {
  const clock = new FakeClock();
  const doubted = timerOf(clock, new KwamError('INTEGRITY', 'another catalog'), 99);
  const stopped = timerOf(clock, away, 99);
  doubted.timer.expect();
  stopped.timer.expect();
  await pass(clock, 2);
  await stopped.timer.stop();
  await pass(clock, 100);
  expect([doubted.askedAtMs.length, stopped.askedAtMs.length]).toEqual([1, 1]);
  doubted.timer.expect();
  await pass(clock, 2);
  expect(doubted.askedAtMs.length).toBe(2);
  await doubted.timer.stop();
});
