/**
 * Waiting for known nodes that give no answer: they may be starting, or this node may not have heard yet that they are up.
 * In: who was silent at the last look. Out: whether to look again, after a pause; not for longer than a node takes to start.
 * Does not look itself: holders.ts says who answered.
 */
import type { Clock } from '../clock.ts';
import { silenceLookMs, silenceMsMax } from '../limits.ts';

export class Silence {
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  #deadlineMs: number | undefined;

  constructor(clock: Clock, signal?: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /** True after a pause, at once false when nobody is silent or all that were had time to answer. */
  async mayEnd(silent: readonly string[]): Promise<boolean> {
    const nowMs = this.#clock.monotonic();
    this.#deadlineMs ??= nowMs + silenceMsMax;
    if (silent.length === 0 || nowMs >= this.#deadlineMs) return false;
    await this.#clock.sleep(silenceLookMs, this.#signal);
    return true;
  }
}
