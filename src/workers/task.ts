/**
 * What runs in a worker: a named synchronous or asynchronous function over the worker's own context.
 * Tasks are defined beside the noun they serve and listed in src/worker.ts, where a worker finds them by name.
 * Inputs and outputs cross threads by structured clone, so they are plain data, typed arrays and message ports.
 */
import type { MessagePort } from 'node:worker_threads';
import { Chunker } from '../chunking/chunker.ts';
import type { DigestHex } from '../digest.ts';
import { LinearCode } from '../erasure/linear-code.ts';
import { schemeText } from '../erasure/scheme.ts';
import { KwamError } from '../errors.ts';
import type { FileSystem } from '../filesystem.ts';
import { type Arbiters, arbitrate } from '../hashing/arbitration.ts';
import { crossCheck } from '../hashing/cross-check.ts';
import type { HashEngine } from '../hashing/engine.ts';
import type { ChunkerSizes, ErasureScheme } from '../plan.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../wasm/kernels.ts';
import { timedFileSystem } from './timed-file-system.ts';

export type TimeKind = 'hash' | 'chunk' | 'disk' | 'erasure';

export interface WorkerContext {
  readonly kernels: Kernels;
  readonly hash: HashEngine;
  /** Times every operation as `disk`. */
  readonly fileSystem: FileSystem;
  chunker(sizes: ChunkerSizes): Chunker;
  /** Kept from task to task, because it remembers how to make good the losses that it has met. */
  linearCode(scheme: ErasureScheme): LinearCode;
  /** The INPUT region as bytes; the same memory that kernels see. */
  input(): Uint8Array;
  /** Runs `work` and adds its time to what the task reports; what is timed inside it counts as its own kind only. */
  timed<T>(kind: TimeKind, work: () => T): T;
  /**
   * Has the engine that was not chosen hash one run in `every` again, and counts what was compared.
   * @throws KwamError INTEGRITY  they disagree.
   */
  crossCheck(runs: Uint32Array, digests: Uint8Array, every: number): void;
  /**
   * Hashes for a verification: one run in `every` is hashed by the other engine too, and a third one decides between them.
   * @returns as `hash.hashRuns`, but the caller's own.
   */
  hashArbitrated(runs: Uint32Array, every: number): Uint8Array;
  /** True when the first engine gave this digest in this task, for bytes that have another one. */
  wasOverruled(digest: DigestHex): boolean;
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

/** What a task did beside its result. */
export interface TaskReport {
  readonly seconds: TimeSplit;
  /** Compared with a second engine's digests. */
  readonly crossChecked: { bytes: number; chunks: number };
  /** Digests that the first engine gave for bytes that have another one. */
  readonly overruled: DigestHex[];
}

export const emptyReport = (): TaskReport => ({
  seconds: { hash: 0, chunk: 0, disk: 0, erasure: 0 },
  crossChecked: { bytes: 0, chunks: 0 },
  overruled: [],
});

/** Where the context notes what a task does; `report` is replaced for each task. */
export interface Reporting {
  report: TaskReport;
}

export function createContext(
  kernels: Kernels,
  engines: Arbiters & { readonly hash: HashEngine },
  fileSystem: FileSystem,
  reporting: Reporting,
): WorkerContext {
  const timed = stopwatch(reporting);
  const chunkers = new Map<string, Chunker>();
  const codes = new Map<string, LinearCode>();
  return {
    kernels,
    hash: engines.hash,
    fileSystem: timedFileSystem(fileSystem, (work) => timed('disk', work)),
    chunker(sizes) {
      const { chunkBytesMin, chunkBytesTarget, chunkBytesMax } = sizes;
      const key = `${chunkBytesMin},${chunkBytesTarget},${chunkBytesMax}`;
      return kept(chunkers, key, () => new Chunker(kernels, sizes));
    },
    linearCode(scheme) {
      const key = `${scheme.matrix} ${schemeText(scheme)}`;
      return kept(codes, key, () => new LinearCode(kernels, scheme));
    },
    input: () => kernels.bytes().subarray(REGION.input, REGION.input + INPUT_BYTES),
    timed,
    crossCheck(runs, digests, every) {
      const { crossChecked } = reporting.report;
      const compared = crossCheck(runs, digests, engines.other, every);
      crossChecked.bytes += compared.bytes;
      crossChecked.chunks += compared.runs;
    },
    hashArbitrated(runs, every) {
      const { digests, overruled } = arbitrate(runs, engines.hash.hashRuns(runs), engines, every);
      reporting.report.overruled.push(...overruled);
      return digests;
    },
    wasOverruled: (digest) => reporting.report.overruled.includes(digest),
  };
}

/** Only the innermost kind runs at any moment, so the kinds add up to the time that was spent. */
function stopwatch(reporting: Reporting): WorkerContext['timed'] {
  let running: TimeKind | undefined;
  let since = 0;
  const switchTo = (kind: TimeKind | undefined): void => {
    const now = performance.now();
    if (running !== undefined) reporting.report.seconds[running] += (now - since) / 1000;
    running = kind;
    since = now;
  };
  return (kind, work) => {
    const outer = running;
    switchTo(kind);
    try {
      return work();
    } finally {
      switchTo(outer);
    }
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
  | { readonly ok: true; readonly value: Out; readonly report: TaskReport }
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
