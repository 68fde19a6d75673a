/**
 * What runs in a worker: a named synchronous or asynchronous function over the worker's own context.
 * Tasks are defined beside the noun they serve and listed in src/worker.ts, where a worker finds them by name.
 * Inputs and outputs cross threads by structured clone, so they are plain data, typed arrays and message ports.
 */
import type { MessagePort } from 'node:worker_threads';
import { Chunker } from '../chunking/chunker.ts';
import { ReedSolomon } from '../erasure/reed-solomon.ts';
import { KwamError } from '../errors.ts';
import type { FileSystem } from '../filesystem.ts';
import type { HashEngine } from '../hashing/engine.ts';
import type { ChunkerSizes, ErasureScheme } from '../plan.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../wasm/kernels.ts';

export type TimeKind = 'hash' | 'chunk' | 'disk' | 'erasure';

export interface WorkerContext {
  readonly kernels: Kernels;
  readonly hash: HashEngine;
  /** The engine that was not chosen; it re-hashes a sample so that a fault in one path is seen by the other. */
  readonly crossHash: HashEngine;
  readonly fileSystem: FileSystem;
  chunker(sizes: ChunkerSizes): Chunker;
  /** Kept from task to task, because it remembers how to make good the losses that it has met. */
  reedSolomon(scheme: ErasureScheme): ReedSolomon;
  /** The INPUT region as bytes; the same memory that kernels see. */
  input(): Uint8Array;
  /** Runs `work` and adds its time to the split that the task reports. */
  timed<T>(kind: TimeKind, work: () => T): T;
}

export interface Task<In, Out> {
  readonly name: string;
  /** `ports` are the ends of channels that the caller opened for this try. */
  readonly run: (context: WorkerContext, input: In, ports: readonly MessagePort[]) => Out | Promise<Out>;
}

/** A task whose types the pool no longer knows; the registry of a worker holds these. */
export type AnyTask = Task<never, unknown>;

export function defineTask<In, Out>(name: string, run: Task<In, Out>['run']): Task<In, Out> {
  return { name, run };
}

/** Does nothing: a worker that answers it has loaded its kernels and passed its self-tests. */
export const warmUp = defineTask('warm-up', (_context, _input: null): void => undefined);

export type TimeSplit = Record<TimeKind, number>;

export const noTime = (): TimeSplit => ({ hash: 0, chunk: 0, disk: 0, erasure: 0 });

export function createContext(
  kernels: Kernels,
  engines: { hash: HashEngine; crossHash: HashEngine },
  fileSystem: FileSystem,
  seconds: TimeSplit,
): WorkerContext {
  const chunkers = new Map<string, Chunker>();
  const codes = new Map<string, ReedSolomon>();
  return {
    kernels,
    ...engines,
    fileSystem,
    chunker(sizes) {
      const { chunkBytesMin, chunkBytesTarget, chunkBytesMax } = sizes;
      const key = `${chunkBytesMin},${chunkBytesTarget},${chunkBytesMax}`;
      return kept(chunkers, key, () => new Chunker(kernels, sizes));
    },
    reedSolomon(scheme) {
      const key = `${scheme.dataShards},${scheme.parityShards},${scheme.matrix}`;
      return kept(codes, key, () => new ReedSolomon(kernels, scheme));
    },
    input: () => kernels.bytes().subarray(REGION.input, REGION.input + INPUT_BYTES),
    timed(kind, work) {
      const start = performance.now();
      try {
        return work();
      } finally {
        seconds[kind] += (performance.now() - start) / 1000;
      }
    },
  };
}

function kept<T>(values: Map<string, T>, key: string, make: () => T): T {
  const known = values.get(key);
  if (known !== undefined) return known;
  const made = make();
  values.set(key, made);
  return made;
}

/** How a task's end crosses the thread: errors keep their code and context. */
export type Outcome<Out> =
  | { readonly ok: true; readonly value: Out; readonly seconds: TimeSplit }
  | { readonly ok: false; readonly error: SerializedError };

export interface SerializedError {
  readonly code: KwamError['code'] | 'BUG';
  readonly message: string;
  readonly context: KwamError['context'];
  readonly retryable: boolean;
  readonly stack: string;
}

export function serializeError(error: unknown): SerializedError {
  if (error instanceof KwamError) {
    const { code, message, context, retryable } = error;
    return { code, message, context, retryable, stack: error.stack ?? '' };
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { code: 'BUG', message, context: {}, retryable: false, stack: stack ?? '' };
}

export function reviveError(error: SerializedError): Error {
  const { code, message, context, retryable } = error;
  if (code !== 'BUG') return new KwamError(code, message, { context, retryable });
  const bug = new Error(message);
  bug.stack = error.stack;
  return bug;
}
