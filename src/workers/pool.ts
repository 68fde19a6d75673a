/**
 * Runs tasks on worker threads.
 * Holds: work in flight is bounded in bytes; a worker that dies is replaced and its task tried once more; a worker whose
 * self-test fails leaves the pool (it ends its own thread) and its task is tried once more on another.
 * Cancelling removes a task that has not started; a running task is short and finishes, so no write is cut in half.
 */
import type { MessagePort, Transferable } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { KwamError } from '../errors.ts';
import { ByteBudget, cancelled } from './byte-budget.ts';
import { type Outcome, reviveError, type Task, type TimeSplit } from './task.ts';

export interface RunOptions {
  /** Bytes of user data that the task handles; what the pool's queue is bounded by. */
  readonly bytes?: number;
  readonly signal?: AbortSignal;
  /** Given anew at each try, because a port that went to a dead worker is gone with it. */
  readonly ports?: () => readonly MessagePort[];
}

export interface WorkerPool {
  readonly threadCount: number;
  run<In, Out>(task: Task<In, Out>, input: In, options?: RunOptions): Promise<Out>;
  close(): Promise<void>;
}

export interface PoolObserver {
  taskTime(task: string, seconds: TimeSplit): void;
  workerReplaced(reason: 'died' | 'self-test'): void;
}

/** What a worker thread needs to know at start; see src/worker.ts. */
export interface WorkerOptions {
  readonly engine: 'auto' | 'wasm' | 'native';
  readonly kernelBuild: 'release' | 'debug';
  /** Fault injection for tests: cells count down; the worker that takes the last one fails its self-test or dies. */
  readonly sabotage?: { readonly selfTest?: SharedArrayBuffer; readonly crash?: SharedArrayBuffer };
}

export interface PoolOptions {
  readonly threadCount: number;
  readonly bytesInFlightMax: number;
  readonly heapBytesMax: number;
  readonly worker: WorkerOptions;
  readonly observer?: PoolObserver;
}

/** Structured data plus its ports; the shape that src/worker.ts receives. */
export interface TaskMessage {
  readonly name: string;
  readonly input: unknown;
  readonly ports: readonly MessagePort[];
}

const TRIES = 2;

class PiscinaPool implements WorkerPool {
  readonly threadCount: number;
  readonly #piscina: Piscina<TaskMessage, Outcome<unknown>>;
  readonly #budget: ByteBudget;
  readonly #observer: PoolObserver | undefined;

  constructor(entry: URL, options: PoolOptions) {
    this.threadCount = options.threadCount;
    this.#budget = new ByteBudget(options.bytesInFlightMax);
    this.#observer = options.observer;
    this.#piscina = new Piscina({
      filename: entry.href,
      minThreads: options.threadCount,
      maxThreads: options.threadCount,
      workerData: options.worker,
      resourceLimits: { maxOldGenerationSizeMb: Math.max(16, Math.floor(options.heapBytesMax / 2 ** 20)) },
    });
    // A worker that dies outside a task has nothing to reject; the pool replaces it.
    this.#piscina.on('error', () => this.#observer?.workerReplaced('died'));
  }

  async run<In, Out>(task: Task<In, Out>, input: In, options: RunOptions = {}): Promise<Out> {
    const grant = await this.#budget.take(options.bytes ?? 0, options.signal);
    try {
      for (let tries = 1; ; tries++) {
        if (options.signal?.aborted) throw cancelled(options.signal);
        const outcome = await this.#try(task, input, options.ports?.() ?? []);
        if (outcome.ok) {
          this.#observer?.taskTime(task.name, outcome.seconds);
          return outcome.value as Out;
        }
        const error = reviveError(outcome.error);
        const isWorkerFault = error instanceof KwamError && WORKER_FAULTS.has(error.code);
        if (!isWorkerFault) throw error;
        this.#observer?.workerReplaced(error.code === 'SELF_TEST_FAILED' ? 'self-test' : 'died');
        if (tries === TRIES) throw error;
      }
    } finally {
      grant.release();
    }
  }

  async #try<In, Out>(
    task: Task<In, Out>,
    input: In,
    ports: readonly MessagePort[],
  ): Promise<Outcome<unknown>> {
    try {
      const message: TaskMessage = { name: task.name, input, ports };
      return await this.#piscina.run(message, { transferList: ports as readonly Transferable[] as never });
    } catch (cause) {
      const message = `a worker died while it ran ${task.name}: ${cause instanceof Error ? cause.message : String(cause)}`;
      return { ok: false, error: { code: 'WORKER_DIED', message, context: {}, retryable: true, stack: '' } };
    }
  }

  async close(): Promise<void> {
    await this.#piscina.destroy();
  }
}

const WORKER_FAULTS: ReadonlySet<string> = new Set(['WORKER_DIED', 'SELF_TEST_FAILED']);

export function createPool(entry: URL, options: PoolOptions): WorkerPool {
  return new PiscinaPool(entry, options);
}
