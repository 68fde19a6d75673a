/**
 * Bugs to plant, so that a run without violations is known to mean something: each must be found.
 * In: the pool of a node. Out: the same pool with the bug.
 */
import type { WorkerPool } from '../../src/workers/pool.ts';
import type { Task } from '../../src/workers/task.ts';

export type Bug = keyof typeof BUGS;

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

export const BUGS = {
  'get-does-not-verify': replacing('restore-pack', unverified),
  'install-does-not-sync': replacing('install-pack', unsynced),
  'scrub-sees-nothing': replacing('verify-pack', lenient),
} as const satisfies Readonly<Record<string, (pool: WorkerPool) => WorkerPool>>;
