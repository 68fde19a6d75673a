/** What a node remembers of its own storage: over restarts, for a window, until a drain that it led to was ended. */
import { expect, it } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { KwamError } from '../../src/errors.ts';
import { StorageRecord } from '../../src/health/storage-record.ts';
import { drainWindowMs } from '../../src/limits.ts';
import { FakeClock } from '../control/fake-clock.ts';

const DAY_MS = 86_400_000;
const unnoted = (error: Error): never => {
  throw error;
};
const pack = (i: number): DigestHex => String(i).padStart(64, '0') as DigestHex;

function notes() {
  const kept = new Map<string, string>();
  let durable = 0;
  return {
    getNote: (key: string) => kept.get(key),
    putDurableNote(key: string, text: string) {
      durable++;
      kept.set(key, text);
    },
    get durable() {
      return durable;
    },
  };
}

it('forgets no damage with a restart, and of the bytes only what was not kept', () => {
  const [store, clock] = [notes(), new FakeClock()];
  const record = new StorageRecord(store, clock, unnoted);
  record.verified(100);
  record.keep();
  record.damaged(pack(1));
  record.damaged(pack(1));
  expect(store.durable).toBe(3);
  record.verified(7);
  expect(new StorageRecord(store, clock, unnoted).evidence).toEqual({ damagedPacks: 2, verifiedBytes: 100 });
  expect(record.evidence).toEqual({ damagedPacks: 2, verifiedBytes: 107 });
});

it('looks at the window and no further', async () => {
  const [store, clock] = [notes(), new FakeClock()];
  const record = new StorageRecord(store, clock, unnoted);
  record.damaged(pack(1));
  record.verified(10);
  await clock.advance(drainWindowMs - DAY_MS);
  record.damaged(pack(2));
  record.verified(20);
  expect(record.evidence).toEqual({ damagedPacks: 2, verifiedBytes: 30 });
  await clock.advance(2 * DAY_MS);
  expect(record.evidence).toEqual({ damagedPacks: 1, verifiedBytes: 20 });
  await clock.advance(drainWindowMs);
  expect(record.evidence).toEqual({ damagedPacks: 0, verifiedBytes: 0 });
});

it('forgives once what led to a drain, not what comes after it', async () => {
  const [store, clock] = [notes(), new FakeClock()];
  const record = new StorageRecord(store, clock, unnoted);
  for (const i of [1, 2, 3]) record.damaged(pack(i));
  record.forgive('2026-11-25T10:00:00.000Z');
  expect(record.evidence.damagedPacks).toBe(0);
  await clock.advance(1000);
  record.damaged(pack(4));
  record.forgive('2026-11-25T10:00:00.000Z');
  const again = new StorageRecord(store, clock, unnoted);
  again.forgive('2026-11-25T10:00:00.000Z');
  expect(again.evidence.damagedPacks).toBe(1);
});

it('goes on counting where the disk is full, and notes it all once there is room', () => {
  const [store, clock] = [notes(), new FakeClock()];
  const failures: string[] = [];
  let isFull = true;
  const full = {
    getNote: store.getNote,
    putDurableNote(key: string, text: string): void {
      if (isFull) throw new KwamError('DISK_FULL', 'full');
      store.putDurableNote(key, text);
    },
  };
  const record = new StorageRecord(full, clock, ({ code }) => failures.push(code));
  record.damaged(pack(1));
  record.keep();
  expect([record.evidence.damagedPacks, failures]).toEqual([1, ['DISK_FULL', 'DISK_FULL']]);
  isFull = false;
  record.keep();
  expect(new StorageRecord(store, clock, unnoted).evidence.damagedPacks).toBe(1);
});
