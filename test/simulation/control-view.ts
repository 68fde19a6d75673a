/**
 * The control store as one simulated process sees it: over a network that takes time and may be cut.
 * In: the store that all share. Out: a ControlStore whose answers come late, do not come while the process is cut off (UNAVAILABLE), and
 * get lost at times after the store has done what it was asked. A dead process hears nothing.
 */
import type {
  Compare,
  ControlEntry,
  ControlEvent,
  ControlStore,
  LeaseId,
  ListOptions,
  Operation,
  TransactionResult,
  WatchOptions,
} from '../../src/control/control-store.ts';
import { KwamError } from '../../src/errors.ts';
import type { Random } from '../../src/random.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface ControlLine {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly isAlive: () => boolean;
  readonly isReachable: () => boolean;
  readonly onChange: (operations: readonly Operation[]) => void;
  /** True when the answer to this request is to get lost. */
  readonly losesAnswer: () => boolean;
}

const LATENCY_MS_MAX = 3;

export class ControlView implements ControlStore {
  readonly #store: ControlStore;
  readonly #line: ControlLine;

  constructor(store: ControlStore, line: ControlLine) {
    this.#store = store;
    this.#line = line;
  }

  get(key: string): Promise<ControlEntry | undefined> {
    return this.#asked(() => this.#store.get(key));
  }

  list(prefix: string, options?: ListOptions): Promise<ControlEntry[]> {
    return this.#asked(() => this.#store.list(prefix, options));
  }

  transact(compares: readonly Compare[], operations: readonly Operation[]): Promise<TransactionResult> {
    return this.#asked(async () => {
      const result = await this.#store.transact(compares, operations);
      if (result.committed) this.#line.onChange(operations);
      return result;
    }, true);
  }

  grantLease(ttlMs: number): Promise<LeaseId> {
    return this.#asked(() => this.#store.grantLease(ttlMs));
  }

  keepAlive(lease: LeaseId): Promise<boolean> {
    return this.#asked(() => this.#store.keepAlive(lease));
  }

  revokeLease(lease: LeaseId): Promise<void> {
    return this.#asked(() => this.#store.revokeLease(lease));
  }

  async *watch(prefix: string, options: WatchOptions): AsyncIterable<ControlEvent> {
    await this.#travel();
    for await (const event of this.#store.watch(prefix, options)) {
      await this.#travel();
      yield event;
    }
  }

  requireWhole(): Promise<void> {
    return this.#asked(() => this.#store.requireWhole());
  }

  async close(): Promise<void> {}

  async #asked<T>(act: () => Promise<T>, mayLoseAnswer = false): Promise<T> {
    await this.#travel();
    const answer = await act();
    const isLost = mayLoseAnswer && this.#line.losesAnswer();
    await this.#travel();
    if (isLost) throw unavailable('its answer was lost');
    return answer;
  }

  async #travel(): Promise<void> {
    const { clock, random, isAlive, isReachable } = this.#line;
    await clock.sleep(random.below(LATENCY_MS_MAX + 1));
    if (!isAlive()) await new Promise(() => undefined);
    if (!isReachable()) throw unavailable('it cannot be reached');
  }
}

function unavailable(why: string): KwamError {
  return new KwamError('UNAVAILABLE', `the control store gave no answer: ${why}`, { retryable: true });
}
