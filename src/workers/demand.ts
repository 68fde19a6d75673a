/**
 * Whether somebody waits for this node at the moment: work that nobody waits for then leaves it the disk and the cores.
 * In: the beginning and the end of what is served. Out: yes while something is served, and a moment longer, because short calls come in
 * bursts. Schedules nothing itself.
 */
import type { Clock } from '../clock.ts';

const LINGER_MS = 1000;

export class Demand {
  readonly #clock: Clock;
  #running = 0;
  #endedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isPressing(): boolean {
    return this.#running > 0 || this.#clock.monotonic() - this.#endedMs < LINGER_MS;
  }

  async *during<T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
    this.#running++;
    try {
      yield* stream;
    } finally {
      this.#running--;
      this.#endedMs = this.#clock.monotonic();
    }
  }
}
