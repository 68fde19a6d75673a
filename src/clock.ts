/**
 * Time enters the program here and nowhere else, so that a simulator can own it.
 * `now` is wall time for records; `monotonic` is for durations; both in milliseconds.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  now(): number;
  monotonic(): number;
  /**
   * Resolves after `ms`, rejects with the signal's reason when aborted. Keeps the process alive until then: whoever waits has something left
   * to do, and what only passes the time is ended by its signal.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
};
