/**
 * An identity that is looked at again and again: files that somebody replaces, a secret that gets a new version.
 * In: how to load it. Out: an IdentitySource. What does not load is no renewal: a certificate and its key are seldom replaced in one moment, so
 * a failure is told only when the next look fails as well, and only once.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import type { Identity } from './identity.ts';
import { HeldIdentity, type IdentitySource, type IdentityWatcher } from './identity-source.ts';

export interface PolledIdentityOptions {
  readonly origin: string;
  readonly load: () => Identity | Promise<Identity>;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly watcher?: IdentityWatcher;
}

/** @throws KwamError  whatever `load` throws at the first time. */
export async function pollIdentity(options: PolledIdentityOptions): Promise<IdentitySource> {
  const held = new HeldIdentity(options.origin, await options.load());
  const closing = new AbortController();
  const looking = look(held, options, closing.signal);
  return {
    origin: held.origin,
    get current() {
      return held.current;
    },
    onChange: (listener) => held.onChange(listener),
    close: async () => {
      closing.abort();
      await looking;
    },
  };
}

async function look(held: HeldIdentity, options: PolledIdentityOptions, signal: AbortSignal): Promise<void> {
  const { load, everyMs, clock, watcher } = options;
  let failures = 0;
  while (await sleeps(clock, everyMs, signal)) {
    try {
      const next = await load();
      if (!signal.aborted && held.replace(next)) watcher?.renewed?.(next);
      failures = 0;
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      if (++failures === 2) watcher?.failed?.(error);
    }
  }
}

/** False when it was ended instead. */
async function sleeps(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}
