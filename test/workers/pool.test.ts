/** The pool over the real worker entry: whatever happens to a thread, a task ends, and with the right end. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { MessageChannel } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KwamError } from '../../src/errors.ts';
import { ingestRecords } from '../../src/pipeline/ingest-tasks.ts';
import { walk as walkOn, walkTree } from '../../src/pipeline/walk.ts';
import { verifyPack } from '../../src/replication/pack-tasks.ts';
import { RECORD_TYPE } from '../../src/store/pack-format.ts';
import {
  createPool,
  type PoolObserver,
  type WorkerOptions,
  type WorkerPool,
} from '../../src/workers/pool.ts';
import { defineTask, type TimeSplit } from '../../src/workers/task.ts';

const ENTRY = new URL('../../src/worker.ts', import.meta.url);
const pools: WorkerPool[] = [];
const replaced: string[] = [];
const times: [string, TimeSplit][] = [];
const observer: PoolObserver = {
  taskDone: (task, { seconds }) => times.push([task, seconds]),
  workerReplaced: (reason) => replaced.push(reason),
};
let tree: string;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'kwam-pool-'));
  for (let i = 0; i < 20; i++) {
    mkdirSync(join(tree, `d${i}`));
    writeFileSync(join(tree, `d${i}`, 'file'), 'x');
  }
});

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
  rmSync(tree, { recursive: true });
});

function cell(count: number): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(4);
  new Int32Array(shared)[0] = count;
  return shared;
}

function pool(
  worker: Partial<WorkerOptions> = {},
  options: { threads?: number; bytes?: number; entry?: URL; heap?: number } = {},
) {
  replaced.length = 0;
  const made = createPool(options.entry ?? ENTRY, {
    threadCount: options.threads ?? 2,
    bytesInFlightMax: options.bytes ?? 2 ** 20,
    heapBytesMax: options.heap ?? 2 ** 26,
    worker: { engine: 'native', kernelBuild: 'release', ...worker },
    observer,
  });
  pools.push(made);
  return made;
}

const walk = (on: WorkerPool, signal?: AbortSignal, bytes = 0) =>
  walkOn(on, tree, { bytes, ...(signal === undefined ? {} : { signal }) });
const errorOf = (run: Promise<unknown>): Promise<KwamError> =>
  run.then(
    () => expect.unreachable('the task succeeded'),
    (error: KwamError) => error,
  );

describe('tasks', () => {
  it.each([
    { engine: 'auto', kernelBuild: 'release' },
    { engine: 'wasm', kernelBuild: 'release' },
    { engine: 'native', kernelBuild: 'debug' },
  ] as const)(
    'run with $engine hashing on the $kernelBuild kernels, and their time is reported',
    async (worker) => {
      const made = pool(worker);
      const results = await Promise.all(Array.from({ length: 8 }, () => walk(made)));
      expect(results.every((result) => result.entries.length === 41)).toBe(true);
      expect(times.filter(([task]) => task === 'walk-tree').length).toBeGreaterThanOrEqual(8);
      expect(replaced).toEqual([]);
      await made.close();
    },
  );

  it('fail with the code, message, context and retryability of their own error, and the worker stays', async () => {
    const made = pool();
    const missing = await errorOf(
      made.run(verifyPack, { path: join(tree, 'none'), id: '00'.repeat(32) as never }),
    );
    expect(missing).toMatchObject({ name: 'KwamError', code: 'NOT_FOUND', retryable: false });
    const usage = await errorOf(made.run(walkTree, { root: join(tree, 'none') }));
    expect(usage.message).toContain(join(tree, 'none'));
    expect(replaced).toEqual([]);
    await made.close();
  });

  it('that nobody knows, or whose input cannot travel, are bugs and never a dead worker', async () => {
    const made = pool();
    const unknown = await errorOf(
      made.run(
        defineTask('no-such-task', () => undefined),
        undefined,
      ),
    );
    expect(unknown.message).toContain('no-such-task');
    const uncloneable = await errorOf(made.run(walkTree, { root: (() => undefined) as never }));
    expect(uncloneable.name).toBe('DataCloneError');
    expect((await walk(made)).entries.length).toBe(41);
    expect(replaced).toEqual([]);
    await made.close();
  });
});

describe('a worker that dies', () => {
  it('is replaced, and its task tried once more', async () => {
    const made = pool({ sabotage: { crash: cell(1) } });
    expect((await walk(made)).entries.length).toBe(41);
    expect(replaced).toEqual(['died']);
    await made.close();
  });

  it('twice over the same task fails it with WORKER_DIED, and the pool goes on', async () => {
    const made = pool({ sabotage: { crash: cell(2) } });
    expect(await errorOf(walk(made))).toMatchObject({ code: 'WORKER_DIED', retryable: true });
    expect((await walk(made)).entries.length).toBe(41);
    await made.close();
  });

  it('does not take others with it: of many tasks each ends', async () => {
    const made = pool({ sabotage: { crash: cell(5) } });
    const ends = await Promise.allSettled(Array.from({ length: 30 }, () => walk(made)));
    const failed = ends.filter((end) => end.status === 'rejected');
    expect(failed.every((end) => (end.reason as KwamError).code === 'WORKER_DIED')).toBe(true);
    expect(failed.length).toBeLessThanOrEqual(2);
    expect(replaced.filter((reason) => reason === 'died').length).toBe(5);
    await made.close();
  });

  it('for want of heap is replaced like any other', async () => {
    const many = Array.from({ length: 3 }, (_, i) => join(tree, `many${i}`));
    const made = pool({}, { threads: 1, heap: 2 ** 24 });
    // One task whose input alone is beyond the heap of its worker.
    const input = { root: tree, ballast: Array.from({ length: 1_000_000 }, (_, i) => `${many[i % 3]}${i}`) };
    expect(await errorOf(made.run(walkTree, input))).toMatchObject({ code: 'WORKER_DIED' });
    expect((await walk(made)).entries.length).toBe(41);
    await made.close();
  });

  it('before it is ready never leaves a task waiting', async () => {
    const made = pool({}, { entry: new URL('./no-such-worker.ts', import.meta.url) });
    const ends = await Promise.allSettled(Array.from({ length: 6 }, () => walk(made)));
    for (const end of ends)
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'WORKER_DIED' } });
    await made.close();
  });

  it('while it holds a port gives the caller a new one for the second try', async () => {
    const made = pool({ sabotage: { crash: cell(1) } });
    const opened: MessagePort[] = [];
    const ports = (): MessagePort[] => {
      const channel = new MessageChannel();
      channel.port1.on('message', () => channel.port1.postMessage({ orders: [] }));
      opened.push(channel.port1);
      return [channel.port2];
    };
    const input = { payloads: [Buffer.from('hello')], type: RECORD_TYPE.chunk };
    const run = await made.run(ingestRecords, input, { ports });
    expect(Buffer.from(run.digests).toString('hex')).toMatch(/^2cf24dba/);
    expect(opened.length).toBe(2);
    for (const port of opened) port.close();
    await made.close();
  });
});

describe('a worker whose self-test fails', () => {
  it('leaves the pool before it does anything, and the task succeeds elsewhere', async () => {
    const made = pool({ sabotage: { selfTest: cell(1) } });
    expect((await walk(made)).entries.length).toBe(41);
    expect(replaced).toEqual(['self-test']);
    await made.close();
  });

  it('is never given the next task: one bad thread costs one try, whatever waits', async () => {
    const made = pool({ sabotage: { selfTest: cell(1) } }, { threads: 1 });
    const results = await Promise.all(Array.from({ length: 10 }, () => walk(made)));
    expect(results.length).toBe(10);
    expect(replaced).toEqual(['self-test']);
    await made.close();
  });

  it('twice in a row fails the task with SELF_TEST_FAILED', async () => {
    const made = pool({ sabotage: { selfTest: cell(2) } }, { threads: 1 });
    expect(await errorOf(walk(made))).toMatchObject({ code: 'SELF_TEST_FAILED', retryable: true });
    expect(replaced).toEqual(['self-test', 'self-test']);
    expect((await walk(made)).entries.length).toBe(41);
    await made.close();
  });
});

describe('a worker whose hash engines disagree', () => {
  it('leaves the pool, and the task succeeds elsewhere', async () => {
    const made = pool({ sabotage: { disagreement: cell(1) } });
    expect((await walk(made)).entries.length).toBe(41);
    expect(replaced).toEqual(['disagreement']);
    await made.close();
  });
});

describe('bounds', () => {
  it('hold the bytes in flight down to the budget', async () => {
    const made = pool({}, { bytes: 100 });
    let inFlight = 0;
    let most = 0;
    const one = async (bytes: number): Promise<void> => {
      const channel = new MessageChannel();
      channel.port1.on('message', () => {
        inFlight += bytes;
        most = Math.max(most, inFlight);
        setImmediate(() => {
          inFlight -= bytes;
          channel.port1.postMessage({ orders: [] });
        });
      });
      const input = { payloads: [new Uint8Array(10)], type: RECORD_TYPE.chunk };
      await made.run(ingestRecords, input, { bytes, ports: () => [channel.port2] });
      channel.port1.close();
    };
    await Promise.all(Array.from({ length: 20 }, (_, i) => one(30 + (i % 3) * 20)));
    expect(most).toBeLessThanOrEqual(100);
    await made.close();
  });

  it('abort what waits at once, and let what runs finish', async () => {
    const made = pool({}, { threads: 1, bytes: 1 });
    const stop = new AbortController();
    const first = walk(made, stop.signal, 1);
    const waiting = Array.from({ length: 5 }, () => errorOf(walk(made, stop.signal, 1)));
    stop.abort(new Error('enough'));
    for (const error of await Promise.all(waiting)) expect(error.code).toBe('CANCELLED');
    // The first had its grant already; it was not told to a thread yet when the signal came, or it finished.
    const end = await first.then(
      (result) => result.entries.length,
      (error: KwamError) => error.code,
    );
    expect([41, 'CANCELLED']).toContain(end);
    expect((await walk(made)).entries.length).toBe(41);
    await made.close();
  });
});

describe('closing', () => {
  it('ends what runs and what waits with CANCELLED, refuses what comes later, and leaves no thread', async () => {
    const made = pool({}, { threads: 2, bytes: 2 });
    await walk(made);
    const many = Array.from({ length: 20 }, () => errorOf(walkOn(made, '/usr/share', { bytes: 1 })));
    await made.close();
    for (const error of await Promise.all(many)) expect(error.code).toBe('CANCELLED');
    expect(await errorOf(walk(made))).toMatchObject({ code: 'CANCELLED' });
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Worker')).toEqual([]);
  });
});
