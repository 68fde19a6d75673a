/**
 * Bugs to plant in every node, so that a run without violations is known to mean something: each must be found.
 * Each check of simulate.ts has one that only it can find, or finds first.
 */
import type { RedundancyTimes } from '../../src/background.ts';
import type { Store } from '../../src/store/store.ts';
import type { WorkerPool } from '../../src/workers/pool.ts';
import type { Task } from '../../src/workers/task.ts';

export type Bug = keyof typeof BUGS;

/** Where a bug sits: what stands in for the pool, what happens to the store when it is opened, how often redundancy is looked at. */
export interface Planted {
  readonly pool?: (pool: WorkerPool) => WorkerPool;
  readonly store?: (store: Store) => void;
  readonly redundancy?: RedundancyTimes;
}

type Result = Record<string, unknown>;

/** Replaces what one task does, for all nodes. */
function replacing(
  name: string,
  by: (task: Task<never, Result>) => Task<never, Result>,
): (pool: WorkerPool) => WorkerPool {
  return (pool) => ({
    threadCount: pool.threadCount,
    close: () => pool.close(),
    run(task, input, options) {
      if (task.name !== name) return pool.run(task, input, options);
      return pool.run(by(task as never) as never, input, options);
    },
  });
}

/** Whatever is hashed is what was expected. */
const unverified = (task: Task<never, Result>): Task<never, Result> => ({
  name: task.name,
  run: (context, input: { digests: Uint8Array }, ports) => {
    const expected = input.digests;
    let at = 0;
    const hashArbitrated = (runs: Uint32Array): Uint8Array => {
      const digests = expected.slice(at, at + (runs.length / 2) * 32);
      at += digests.length;
      return digests;
    };
    return task.run({ ...context, hashArbitrated }, input as never, ports);
  },
});

/** The pack is under its final name before its bytes are on the disk. */
const unsynced = (task: Task<never, Result>): Task<never, Result> => ({
  name: task.name,
  run: (context, input, ports) =>
    task.run({ ...context, fileSystem: { ...context.fileSystem, sync: () => undefined } }, input, ports),
});

/** Damage is seen, and the pack is called good. */
const lenient = (task: Task<never, Result>): Task<never, Result> => ({
  name: task.name,
  run: async (context, input, ports) => ({ ...(await task.run(context, input, ports)), ok: true, bad: [] }),
});

/** What is set aside is given to whoever asks for it. */
function servesEvidence(store: Store): void {
  const { hasPack, packFile } = store;
  store.hasPack = (id) => hasPack.call(store, id) || store.latestEvidence(id) !== undefined;
  store.packFile = (id) => store.latestEvidence(id) ?? packFile.call(store, id);
}

function keepsAll(store: Store): void {
  store.retirePack = async () => undefined;
}

/** Longer than any simulation. */
const NEVER_MS = 1e9;

export const BUGS = {
  'get-does-not-verify': { pool: replacing('restore-pack', unverified) },
  'install-does-not-sync': { pool: replacing('install-pack', unsynced) },
  'scrub-sees-nothing': { pool: replacing('verify-pack', lenient) },
  'quarantine-is-served': { store: servesEvidence },
  'orphans-stay': { store: keepsAll },
  'redundancy-is-left-alone': { redundancy: { everyMs: NEVER_MS } },
} as const satisfies Readonly<Record<string, Planted>>;
