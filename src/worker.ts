/**
 * Entry of a worker thread: kernels, self-tests, and the table of every task.
 * In: a TaskMessage. Out: an Outcome. A worker accepts no work before its known-answer tests pass, repeats them hourly
 * (a core can go bad), and ends its own thread when one fails: it is retired, not trusted.
 */
import { workerData } from 'node:worker_threads';
import { selfTestChunker } from './chunking/chunker.ts';
import { selfTestLinearCode } from './erasure/linear-code.ts';
import { KwamError } from './errors.ts';
import { nodeFileSystem } from './filesystem.ts';
import { chooseEngine } from './hashing/choose-engine.ts';
import type { HashEngine } from './hashing/engine.ts';
import { portableEngine } from './hashing/portable-engine.ts';
import { selfTestSha256 } from './hashing/self-test.ts';
import { ingestFiles, ingestPart, ingestRecords } from './pipeline/ingest-tasks.ts';
import { finishFiles, finishTree, makeDirectories, restorePack } from './pipeline/restore-tasks.ts';
import { walkTree } from './pipeline/walk.ts';
import { copyInto, installPack, preparePack, sealPack, verifyPack } from './replication/pack-tasks.ts';
import { addSlice } from './replication/partial-sum-tasks.ts';
import {
  encodeStripe,
  reconstructPack,
  reconstructShard,
  sealRebuiltShard,
} from './replication/stripe-tasks.ts';
import { loadKernels } from './wasm/load.ts';
import type { TaskMessage, WorkerFault, WorkerOptions } from './workers/pool.ts';
import {
  type AnyTask,
  createContext,
  emptyReport,
  type Outcome,
  serializeError,
  type WorkerContext,
  warmUp,
} from './workers/task.ts';

const TASKS: ReadonlyMap<string, AnyTask> = new Map(
  [
    warmUp,
    walkTree,
    ingestFiles,
    ingestPart,
    ingestRecords,
    sealPack,
    preparePack,
    installPack,
    verifyPack,
    copyInto,
    encodeStripe,
    reconstructPack,
    reconstructShard,
    addSlice,
    sealRebuiltShard,
    restorePack,
    makeDirectories,
    finishFiles,
    finishTree,
  ].map((task) => [task.name, task as AnyTask]),
);
const SELF_TEST_EVERY_MS = 60 * 60 * 1000;

const options = workerData as WorkerOptions;
const kernels = loadKernels(options.kernelBuild);
const reporting = { report: emptyReport() };
let context: WorkerContext | undefined;
let testedAt = Number.NEGATIVE_INFINITY;

async function testedContext(): Promise<WorkerContext> {
  if (context !== undefined && performance.now() - testedAt <= SELF_TEST_EVERY_MS) return context;
  const { engine, other } = chooseEngine(kernels, options.engine);
  const referee = await portableEngine(kernels);
  selfTest([engine, other, referee]);
  testedAt = performance.now();
  context ??= createContext(kernels, { hash: engine, other, referee }, nodeFileSystem, reporting);
  return context;
}

function selfTest(engines: readonly HashEngine[]): void {
  if (takesFault(options.sabotage?.selfTest)) {
    throw new KwamError('SELF_TEST_FAILED', 'a fault was injected into the self-test', { retryable: true });
  }
  selfTestSha256(kernels);
  for (const engine of engines) selfTestSha256(engine);
  selfTestChunker(kernels);
  selfTestLinearCode(kernels);
}

/** Takes one from a cell of injected faults; true for as many callers as the cell holds. */
function takesFault(cell: SharedArrayBuffer | undefined): boolean {
  return cell !== undefined && Atomics.sub(new Int32Array(cell), 0, 1) > 0;
}

export default async function runTask(message: TaskMessage): Promise<Outcome<unknown>> {
  try {
    const ready = await testedContext();
    if (takesFault(options.sabotage?.crash)) process.exit(1);
    if (takesFault(options.sabotage?.disagreement))
      throw new KwamError('INTEGRITY', 'a disagreement of the hash engines was injected');
    reporting.report = emptyReport();
    const task = TASKS.get(message.name);
    if (task === undefined) throw new Error(`no task is named ${message.name}`);
    const value = await task.run(ready, message.input as never, message.ports);
    // An engine that was wrong once may fail its self-test; then this thread does not get to the next task.
    if (reporting.report.overruled.length > 0) testedAt = Number.NEGATIVE_INFINITY;
    return { ok: true, value, report: reporting.report };
  } catch (error) {
    for (const port of message.ports) port.close();
    return isFaultyCore(error) ? retire(error) : { ok: false, error: serializeError(error) };
  }
}

/** Known answers came out wrong, or the two hash engines disagree: this thread's results cannot be trusted. */
function isFaultyCore(error: unknown): boolean {
  return error instanceof KwamError && (error.code === 'SELF_TEST_FAILED' || error.code === 'INTEGRITY');
}

/**
 * Ends this thread with the task still open: the pool hands the error to the task's caller and starts another worker. An
 * answer would not do, because the thread would be given the next task before it could leave.
 */
function retire(error: unknown): Promise<never> {
  const fault: WorkerFault = Object.assign(new Error('this worker is retired'), {
    retiredFor: serializeError(error),
  });
  queueMicrotask(() => {
    throw fault;
  });
  return new Promise(() => undefined);
}
