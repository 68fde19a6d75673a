/**
 * Runs tasks on worker threads.
 * Holds: work in flight is bounded in bytes; a worker that dies is replaced and its task tried once more; a worker whose
 * self-test fails leaves the pool (it ends its own thread) and its task is tried once more on another.
 * Cancelling removes a task that has not started; a running task is short and finishes, so no write is cut in half.
 */
import type { MessagePort, Transferable } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { KwamError } from '../errors.ts';
import { chooseEngine } from '../hashing/choose-engine.ts';
import { loadKernels } from '../wasm/load.ts';
import { ByteBudget, cancelled } from './byte-budget.ts';
import { type Outcome, reviveError, type SerializedError, type Task, type TaskReport } from './task.ts';

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

/** `disagreement`: its two hash engines gave different digests for the same bytes. */
export type ReplaceReason = 'died' | 'self-test' | 'disagreement';

export interface PoolObserver {
  taskDone(task: string, report: TaskReport): void;
  /** `task` is what it ran then, if anything. */
  workerReplaced(reason: ReplaceReason, task?: string): void;
}

/** What a worker thread needs to know at start; see src/worker.ts. */
export interface WorkerOptions {
  readonly engine: 'auto' | 'wasm' | 'native';
  readonly kernelBuild: 'release' | 'debug';
  /** Fault injection for tests: cells count down; who takes one fails its self-test, dies, or finds its engines at odds. */
  readonly sabotage?: {
    readonly selfTest?: SharedArrayBuffer;
    readonly crash?: SharedArrayBuffer;
    readonly disagreement?: SharedArrayBuffer;
  };
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

/** With what a worker ends its own thread when it does not trust itself any more. */
export interface WorkerFault extends Error {
  readonly retiredFor: SerializedError;
}

/** What came of one try; `fault` when the worker is to blame and another may do better. */
type Attempt =
  | { readonly outcome: Outcome<unknown>; readonly fault?: undefined }
  | { readonly fault: ReplaceReason; readonly error: KwamError };

const TRIES = 2;
/** Of each worker; V8's default is 48. What tasks work on lies in linear memory, so little passes through the young heap. */
const maxYoungGenerationSizeMb = 16;

class PiscinaPool implements WorkerPool {
  readonly threadCount: number;
  readonly #piscina: Piscina<TaskMessage, Outcome<unknown>>;
  readonly #budget: ByteBudget;
  readonly #observer: PoolObserver | undefined;
  /** Rejects of the tries that Piscina has not settled. */
  readonly #unsettled = new Set<(error: Error) => void>();
  #closed = false;

  constructor(entry: URL, options: PoolOptions) {
    this.threadCount = options.threadCount;
    this.#budget = new ByteBudget(options.bytesInFlightMax);
    this.#observer = options.observer;
    this.#piscina = new Piscina({
      filename: entry.href,
      minThreads: options.threadCount,
      maxThreads: options.threadCount,
      workerData: chosen(options.worker),
      resourceLimits: {
        maxOldGenerationSizeMb: Math.max(16, Math.floor(options.heapBytesMax / 2 ** 20)),
        maxYoungGenerationSizeMb,
      },
    });
    // A worker that dies outside a task has nothing to reject; the pool replaces it.
    this.#piscina.on('error', () => this.#observer?.workerReplaced('died'));
    this.#piscina.on('workerDestroy', () => queueMicrotask(() => this.#freeStranded()));
  }

  async run<In, Out>(task: Task<In, Out>, input: In, options: RunOptions = {}): Promise<Out> {
    this.#refuseWhenClosed();
    const grant = await this.#budget.take(options.bytes ?? 0, options.signal);
    try {
      for (let tries = 1; ; tries++) {
        if (options.signal?.aborted) throw cancelled(options.signal);
        const attempt = await this.#try(task, input, options.ports?.() ?? []);
        if (attempt.fault === undefined) return this.#valueOf<Out>(task.name, attempt.outcome);
        this.#observer?.workerReplaced(attempt.fault, task.name);
        if (tries === TRIES) throw attempt.error;
      }
    } finally {
      grant.release();
    }
  }

  #valueOf<Out>(task: string, outcome: Outcome<unknown>): Out {
    if (!outcome.ok) throw reviveError(outcome.error);
    this.#observer?.taskDone(task, outcome.report);
    return outcome.value as Out;
  }

  async #try<In, Out>(task: Task<In, Out>, input: In, ports: readonly MessagePort[]): Promise<Attempt> {
    this.#refuseWhenClosed();
    try {
      return { outcome: await this.#settled({ name: task.name, input, ports }) };
    } catch (cause) {
      this.#refuseWhenClosed();
      // Not a death: the input cannot travel between threads, which is a bug of the caller.
      if (cause instanceof DOMException && cause.name === 'DataCloneError') throw cause;
      return faultOf(task.name, cause);
    }
  }

  #settled(message: TaskMessage): Promise<Outcome<unknown>> {
    return new Promise((resolve, reject) => {
      this.#unsettled.add(reject);
      this.#piscina
        .run(message, { transferList: message.ports as readonly Transferable[] as never })
        .then(resolve, reject)
        .finally(() => this.#unsettled.delete(reject));
    });
  }

  /**
   * Piscina starts no worker after one that failed before it was ready, and leaves tasks waiting for one. Without a thread
   * nobody would ever answer them.
   */
  #freeStranded(): void {
    if (this.#piscina.threads.length > 0) return;
    for (const reject of this.#unsettled) reject(new Error('no worker thread starts'));
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new KwamError('CANCELLED', 'the worker pool is closed');
  }

  /** Ends all threads; tasks that wait or run fail with CANCELLED. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#piscina.destroy();
  }
}

function faultOf(task: string, cause: unknown): Attempt {
  const { retiredFor, message } = cause as Partial<WorkerFault>;
  if (retiredFor !== undefined) {
    const error = new KwamError('SELF_TEST_FAILED', `a worker was retired: ${retiredFor.message}`, {
      context: retiredFor.context,
      cause,
      retryable: true,
    });
    return { fault: retiredFor.code === 'INTEGRITY' ? 'disagreement' : 'self-test', error };
  }
  const text = `a worker died while it ran ${task}: ${message ?? String(cause)}; see the log of the node`;
  return { fault: 'died', error: new KwamError('WORKER_DIED', text, { cause, retryable: true }) };
}

/** Measures here, once, instead of in each worker and again in each that replaces one: 25 ms. */
function chosen(worker: WorkerOptions): WorkerOptions {
  if (worker.engine !== 'auto') return worker;
  const { engine } = chooseEngine(loadKernels(worker.kernelBuild), 'auto');
  return { ...worker, engine: engine.name === 'wasm' ? 'wasm' : 'native' };
}

export function createPool(entry: URL, options: PoolOptions): WorkerPool {
  return new PiscinaPool(entry, options);
}
