/** A connection ages before its certificate ends, so that streams move on while nothing has broken yet. */
import { Client, credentials } from '@grpc/grpc-js';
import { beforeEach, expect, it } from 'vitest';
import { Line } from '../../src/transport/grpc-line.ts';
import { FakeClock } from '../control/fake-clock.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
let clock: FakeClock;
let line: Line;
const told: string[] = [];

beforeEach(() => {
  told.length = 0;
  clock = new FakeClock();
  line = new Line(clock, {
    ageing: () => told.push('ageing'),
    expired: () => told.push('expired'),
    closed: () => told.push('closed'),
  }).over(new Client('127.0.0.1:1', credentials.createInsecure()));
});

/** Minute by minute, as untilExpiry looks at the clock. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= MINUTE_MS) {
    await clock.advance(Math.min(left, MINUTE_MS));
  }
}

it('ages at half of what was left, and expires at the end', async () => {
  line.opened(clock.now() + 4 * HOUR_MS);
  await pass(2 * HOUR_MS - MINUTE_MS);
  expect(told).toEqual([]);
  await pass(2 * MINUTE_MS);
  expect(told).toEqual(['ageing']);
  await pass(2 * HOUR_MS);
  expect(told).toEqual(['ageing', 'expired']);
  line.close();
});

it('does not age in its last minute', async () => {
  line.opened(clock.now() + MINUTE_MS);
  await pass(2 * MINUTE_MS);
  expect(told).toEqual(['expired']);
  line.close();
});

it('counts anew after another handshake', async () => {
  line.opened(clock.now() + 4 * HOUR_MS);
  await pass(HOUR_MS);
  line.opened(clock.now() + 8 * HOUR_MS);
  await pass(3 * HOUR_MS);
  expect(told).toEqual([]);
  await pass(HOUR_MS + MINUTE_MS);
  expect(told).toEqual(['ageing']);
  line.close();
});

it('says nothing once it is closed, and closes at once when it is retired without streams', async () => {
  line.opened(clock.now() + 4 * HOUR_MS);
  line.retire();
  line.close();
  await pass(5 * HOUR_MS);
  expect(told).toEqual(['closed']);
});
