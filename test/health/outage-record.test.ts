/** What a node remembers of failures: losses that are taken back, domains that come back, restores, restarts. */
import { beforeEach, expect, it } from 'vitest';
import { OutageRecord } from '../../src/health/outage-record.ts';
import type { Absence, WatchedMember } from '../../src/health/watch.ts';
import { FakeClock } from '../control/fake-clock.ts';

const TICK_MS = 10_000;

let clock: FakeClock;
let notes: Map<string, string>;
let record: OutageRecord;
let gone: Map<string, { atMs: number; permanent: number }>;

const open = (): OutageRecord =>
  new OutageRecord(
    { getNote: (key) => notes.get(key), putDurableNote: (key, text) => void notes.set(key, text) },
    clock,
    (error) => {
      throw error;
    },
  );

beforeEach(() => {
  clock = new FakeClock();
  notes = new Map();
  gone = new Map();
  record = open();
});

/** Two racks of two. */
const members: WatchedMember[] = [0, 1, 2, 3].map((i) => ({
  name: `n${i}`,
  labels: { az: 'a', spine: 's', pdu: 'p', rack: i < 2 ? 'left' : 'right' },
  address: 'h:1',
  state: 'up',
}));

function away(name: string, permanent = 0.1): void {
  gone.set(name, { atMs: gone.get(name)?.atMs ?? clock.now(), permanent });
}

async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const absences = [...gone].map(([node, { atMs, permanent }]): Absence => {
      const absentMs = clock.now() - atMs;
      const belief = { ok: 0, suspect: 0, transient: 1 - permanent, permanent, domainDown: 0 };
      return { node, absentMs, aloneMs: absentMs, belief };
    });
    record.tick(members, absences);
    await clock.advance(TICK_MS);
  }
}

it('counts the time of all members that it watched', async () => {
  await ticks(4);
  expect(record.outages).toEqual({ memberMs: 4 * 3 * TICK_MS, losses: [], domains: [], restores: [] });
});

it('counts a node as lost once, from when it went, and takes that back when it returns', async () => {
  const atMs = clock.now();
  away('n1', 0.4);
  await ticks(2);
  expect(record.outages.losses).toEqual([]);
  away('n1', 0.6);
  await ticks(3);
  expect(record.outages.losses).toEqual([{ node: 'n1', atMs }]);
  gone.delete('n1');
  await ticks(1);
  expect(record.outages.losses).toEqual([]);
});

it('keeps a loss of which the members know nothing any more', async () => {
  away('n1', 0.9);
  await ticks(1);
  gone.delete('n1');
  const rest = members.filter(({ name }) => name !== 'n1');
  record.tick(rest, []);
  expect(record.outages.losses).toMatchObject([{ node: 'n1' }]);
});

it('sees a rack that is down as a whole, from the last node that went to the last that came back', async () => {
  away('n2');
  await ticks(2);
  const fromMs = clock.now();
  away('n3');
  await ticks(3);
  gone.delete('n2');
  await ticks(2);
  expect(record.outages.domains).toEqual([]);
  gone.delete('n3');
  await ticks(1);
  const toMs = clock.now() - TICK_MS;
  expect(record.outages.domains).toEqual([{ domain: 'rack', value: 'right', fromMs, toMs }]);
});

it('measures a restore from the first lack to none, and only where something was restored', async () => {
  const fromMs = clock.now();
  record.looked(3, 0);
  await clock.advance(30_000);
  record.looked(2, 5);
  await clock.advance(30_000);
  record.looked(0, 0);
  expect(record.outages.restores).toEqual([{ fromMs, toMs: fromMs + 60_000 }]);
  record.looked(1, 0);
  await clock.advance(30_000);
  record.looked(0, 0);
  expect(record.outages.restores).toHaveLength(1);
});

it('goes on over a restart, a restore in progress included', async () => {
  const fromMs = clock.now();
  record.looked(1, 1);
  await ticks(10);
  const kept = record.outages.memberMs;
  record = open();
  expect(kept - record.outages.memberMs).toBeLessThanOrEqual(4 * 60_000);
  record.looked(0, 0);
  expect(record.outages.restores).toMatchObject([{ fromMs }]);
});
