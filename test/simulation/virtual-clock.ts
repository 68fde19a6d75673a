/**
 * Time that passes only when nothing else can happen.
 * In: sleepers. Out: they wake one at a time, in the order of their time and then of their falling asleep; the next one wakes when
 * everything that the last one set going has come to rest.
 * Each process gets a clock of its own (`forProcess`), which never wakes anybody once that process is dead.
 */
import type { Clock } from '../../src/clock.ts';
import { isBusy, PORT_TURNS, rest, turn } from './host.ts';

interface Sleeper {
  readonly atMs: number;
  readonly order: number;
  readonly wake: () => void;
  isGone: boolean;
}

/** Now and then a turn all the same: what is collected as garbage, and messages to other processes, wait for one. */
const RESTS_PER_TURN = 1024;
const always = (): boolean => true;
const START_MS = Date.UTC(2026, 0, 1);

export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Sleeper[] = [];
  /** Set by whoever may have used a port. */
  usedPort = false;
  #rests = 0;

  now(): number {
    return START_MS + this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  /** @param isAlive  asked when it is time: whoever is dead then never wakes. */
  sleep(ms: number, signal?: AbortSignal, isAlive = always): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return isAlive() ? reject(signal.reason) : undefined;
      const abort = (): void => {
        sleeper.isGone = true;
        if (isAlive()) reject(signal!.reason);
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', abort);
        if (isAlive()) resolve();
      };
      const sleeper = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, wake, isGone: false };
      push(this.#heap, sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  forProcess(isAlive: () => boolean): Clock {
    return {
      now: () => this.now(),
      monotonic: () => this.monotonic(),
      sleep: (ms, signal) => this.sleep(ms, signal, isAlive),
    };
  }

  /** Lets time pass until `work` is done. @throws what it throws, or when nothing is left that could ever finish it. */
  async until<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    work.then(done, done);
    for (;;) {
      await this.settle();
      if (isDone) return work;
      if (!this.#wakeNext()) throw new Error('nothing can happen any more, and the work is not done');
    }
  }

  pass(ms: number): Promise<void> {
    return this.until(this.sleep(ms));
  }

  /** Until nothing can go on without the clock: promises and ticks are at rest, and turns of Node's loop bring nothing more. */
  async settle(): Promise<void> {
    await rest();
    if (!isBusy() && !this.usedPort && ++this.#rests % RESTS_PER_TURN !== 0) return;
    for (let quiet = 0; quiet < PORT_TURNS; ) {
      await turn();
      quiet = isBusy() ? 0 : quiet + 1;
    }
    this.usedPort = false;
  }

  #wakeNext(): boolean {
    for (let next = pop(this.#heap); next !== undefined; next = pop(this.#heap)) {
      if (next.isGone) continue;
      this.#nowMs = next.atMs;
      next.wake();
      return true;
    }
    return false;
  }
}

function isBefore(a: Sleeper, b: Sleeper): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Sleeper[], sleeper: Sleeper): void {
  heap.push(sleeper);
  for (let at = heap.length - 1; at > 0; ) {
    const parent = (at - 1) >> 1;
    if (!isBefore(heap[at]!, heap[parent]!)) return;
    [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
    at = parent;
  }
}

function pop(heap: Sleeper[]): Sleeper | undefined {
  const [first] = heap;
  const last = heap.pop();
  if (heap.length === 0 || last === undefined) return first;
  heap[0] = last;
  for (let at = 0; ; ) {
    const [left, right] = [2 * at + 1, 2 * at + 2];
    let least = at;
    if (left < heap.length && isBefore(heap[left]!, heap[least]!)) least = left;
    if (right < heap.length && isBefore(heap[right]!, heap[least]!)) least = right;
    if (least === at) return first;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}
