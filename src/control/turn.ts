/**
 * Takes turns with other processes at work that only one of them should do at a time, because others would do it in vain.
 * In: the name of the work and who asks. Out: what the work returns. The turn is a key under a lease: it ends with the work, or seconds after
 * its holder does. Who waits is let in some time after; nobody is promised an order.
 * Does not make the work safe: a holder that was cut off may go on while the next one begins. What must not happen twice carries the `fence`
 * in its transaction, which then fails.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { controlPollMs, heartbeatMs, leaseMs } from '../limits.ts';
import type { Compare, ControlStore, LeaseId } from './control-store.ts';

export interface TurnOptions {
  readonly control: ControlStore;
  readonly clock: Clock;
  readonly work: string;
  readonly holder: string;
  /** Ends the waiting; the work itself has to look. */
  readonly signal: AbortSignal;
}

export interface Turn {
  /** Holds while the turn does. */
  readonly fence: Compare;
  /** As far as is known: the lease ran out. */
  readonly isLost: boolean;
}

export async function inTurn<T>(options: TurnOptions, act: (turn: Turn) => Promise<T>): Promise<T> {
  const { lease, fence } = await take(options);
  const done = new AbortController();
  const turn = { fence, isLost: false };
  const beating = keep(options, lease, done.signal).then((isKept) => {
    turn.isLost = !isKept;
  });
  beating.catch(() => undefined); // awaited below; until then a failure of it must not count as unhandled
  try {
    return await act(turn);
  } finally {
    done.abort();
    await beating;
    await giveUp(options, lease);
  }
}

async function take(options: TurnOptions): Promise<{ readonly lease: LeaseId; readonly fence: Compare }> {
  const { control, clock, work, holder, signal } = options;
  const key = `turns/${work}`;
  for (;;) {
    signal.throwIfAborted();
    if ((await control.get(key)) === undefined) {
      const lease = await control.grantLease(leaseMs);
      const put = { kind: 'put', key, value: Buffer.from(holder), lease } as const;
      const { committed, revision } = await control.transact([{ key, modRevision: 0 }], [put]);
      if (committed) return { lease, fence: { key, modRevision: revision } };
      await control.revokeLease(lease);
    }
    await clock.sleep(controlPollMs, signal);
  }
}

/** Resolves when `done`, or with false as soon as the lease is gone. A store that is away for a moment costs nothing yet. */
async function keep({ control, clock }: TurnOptions, lease: LeaseId, done: AbortSignal): Promise<boolean> {
  while (!done.aborted) {
    try {
      await clock.sleep(heartbeatMs, done);
      if (!(await control.keepAlive(lease))) return false;
    } catch (error) {
      if (!done.aborted && !isUnavailable(error)) throw error;
    }
  }
  return true;
}

/** Out of reach: the lease then ends by itself. */
async function giveUp({ control }: TurnOptions, lease: LeaseId): Promise<void> {
  try {
    await control.revokeLease(lease);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
  }
}

const isUnavailable = (error: unknown): boolean => error instanceof KwamError && error.code === 'UNAVAILABLE';
