/**
 * The worker pool of one simulated process: the same task functions, one at a time, on this thread.
 * In: a worker's context over the node's disk. Out: a WorkerPool. Inputs and results are cloned as between threads, errors travel
 * as text. A task in which the power fails, and all after it, never end.
 */
import type { MessagePort } from 'node:worker_threads';
import { KwamError } from '../../src/errors.ts';
import { cancelled } from '../../src/workers/byte-budget.ts';
import type { PoolObserver, RunOptions, WorkerPool } from '../../src/workers/pool.ts';
import {
  emptyReport,
  type Reporting,
  reviveError,
  serializeError,
  type Task,
  type WorkerContext,
} from '../../src/workers/task.ts';
import { PowerLoss } from '../faults/faulty-filesystem.ts';
import { counted } from './host.ts';

export interface InlinePoolOptions {
  readonly context: WorkerContext;
  readonly reporting: Reporting;
  readonly observer: PoolObserver;
  readonly isAlive: () => boolean;
  readonly onPorts: () => void;
}

const never = <T>(): Promise<T> => new Promise(() => undefined);

export class InlinePool implements WorkerPool {
  readonly threadCount = 1;
  readonly #options: InlinePoolOptions;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: InlinePoolOptions) {
    this.#options = options;
  }

  run<In, Out>(task: Task<In, Out>, input: In, options: RunOptions = {}): Promise<Out> {
    const result = this.#last.then(() => this.#run(task, input, options));
    this.#last = result.catch(() => undefined); // the caller gets the error from `result`
    return result;
  }

  async #run<In, Out>(task: Task<In, Out>, input: In, { signal, ports }: RunOptions): Promise<Out> {
    const { isAlive, onPorts } = this.#options;
    if (this.#isClosed) throw new KwamError('CANCELLED', 'the worker pool is closed');
    if (signal?.aborted) throw cancelled(signal);
    const opened = ports?.() ?? [];
    if (opened.length > 0) onPorts();
    const work = this.#execute(task, structuredClone(input), opened);
    const result = await (opened.length > 0 ? counted(work) : work);
    return isAlive() ? (result as Out) : never();
  }

  async #execute<In, Out>(
    task: Task<In, Out>,
    input: In,
    ports: readonly MessagePort[],
  ): Promise<Out | undefined> {
    const { context, reporting, observer } = this.#options;
    reporting.report = emptyReport();
    try {
      const value = structuredClone(await task.run(context, input, ports));
      observer.taskDone(task.name, reporting.report);
      return value;
    } catch (error) {
      for (const port of ports) port.close();
      if (isPowerLoss(error)) return undefined;
      throw reviveError(structuredClone(serializeError(error)));
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

/** Code that cleans up after a failure fails again: the power stays off. */
function isPowerLoss(error: unknown): boolean {
  return error instanceof AggregateError ? error.errors.some(isPowerLoss) : error instanceof PowerLoss;
}
