/**
 * The loop behind `watch`: follows a change log by revision.
 * In: a log that may forget its oldest changes, and a bell that rings when something may have changed.
 * Out: every change once and in order, or a snapshot where the log no longer reaches back.
 * A store rings at once for its own changes; those of other processes and leases that ran out are found at an interval.
 */
import type { Clock } from '../clock.ts';
import type { ControlEntry, ControlEvent, WatchOptions } from './control-store.ts';

export type Change = Exclude<ControlEvent, { kind: 'snapshot' }>;

export interface ChangeLog {
  /** Whole transactions from `revision` on, up to `last`, a bounded number; undefined when forgotten. */
  changesFrom(revision: number): { readonly changes: readonly Change[]; readonly last: number } | undefined;
  snapshot(prefix: string): { readonly revision: number; readonly entries: ControlEntry[] };
}

/** Wakes all that wait; whoever took a ticket before a ring sees that ring. */
class Bell {
  #next = Promise.withResolvers<void>();

  /** Take it before looking, await it after: a change in between is then seen. */
  get ticket(): Promise<void> {
    return this.#next.promise;
  }

  ring(): void {
    const rung = this.#next;
    this.#next = Promise.withResolvers<void>();
    rung.resolve();
  }
}

/** All watchers of one open store; the clock runs only while there are any. */
export class Watchers {
  readonly #bell = new Bell();
  readonly #log: ChangeLog;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #closing: AbortSignal;
  #count = 0;
  #polling = false;

  constructor(log: ChangeLog, clock: Clock, pollMs: number, closing: AbortSignal) {
    this.#log = log;
    this.#clock = clock;
    this.#pollMs = pollMs;
    this.#closing = closing;
    closing.addEventListener('abort', () => this.ring(), { once: true });
  }

  ring(): void {
    this.#bell.ring();
  }

  async *watch(prefix: string, options: WatchOptions): AsyncGenerator<ControlEvent, void, undefined> {
    this.#count++;
    void this.#poll();
    try {
      yield* follow(this.#log, this.#bell, prefix, options);
    } finally {
      this.#count--;
    }
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    while (this.#count > 0 && !this.#closing.aborted) {
      // The only way to fail is the abort that the loop's condition reads next.
      await this.#clock.sleep(this.#pollMs, this.#closing).catch(() => undefined);
      this.ring();
    }
    this.#polling = false;
  }
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key;
}

async function* follow(
  log: ChangeLog,
  bell: Bell,
  prefix: string,
  options: WatchOptions,
): AsyncGenerator<ControlEvent, void, undefined> {
  const { signal } = options;
  let wake = (): void => undefined;
  const abort = () => wake();
  signal.addEventListener('abort', abort, { once: true });
  let next = options.fromRevision;
  try {
    while (!signal.aborted) {
      const ticket = bell.ticket;
      const page = next === undefined ? undefined : log.changesFrom(next);
      if (page === undefined) {
        const { revision, entries } = log.snapshot(prefix);
        next = revision + 1;
        yield { kind: 'snapshot', revision, entries };
        continue;
      }
      for (const change of page.changes) {
        if (signal.aborted) return;
        if (keyOf(change).startsWith(prefix)) yield change;
      }
      if (page.last >= next!) next = page.last + 1;
      // Not a race with one promise of the abort: that would keep something of every wait for as long as the watch lives.
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
          void ticket.then(resolve);
        });
    }
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
