/**
 * One worker without a thread: the real tasks over a file system of the caller's, and engines that may be made blind.
 * A blind engine remembers what it once said of bytes at a place and never looks again: a stale result, the classic silent fault, and
 * verification switched off for whatever it has seen intact before.
 */
import type { MessagePort } from 'node:worker_threads';
import type { FileSystem } from '../../../src/filesystem.ts';
import type { HashEngine } from '../../../src/hashing/engine.ts';
import { nativeEngine } from '../../../src/hashing/native-engine.ts';
import { portableEngine } from '../../../src/hashing/portable-engine.ts';
import { wasmEngine } from '../../../src/hashing/wasm-engine.ts';
import type { Random } from '../../../src/random.ts';
import { loadKernels } from '../../../src/wasm/load.ts';
import type { WorkerPool } from '../../../src/workers/pool.ts';
import { createContext, emptyReport, type Task, type WorkerContext } from '../../../src/workers/task.ts';

function blind(engine: HashEngine): HashEngine {
  const said = new Map<string, Uint8Array>();
  return {
    ...engine,
    hashRuns(runs) {
      const key = runs.join();
      if (!said.has(key)) said.set(key, engine.hashRuns(runs).slice());
      return said.get(key)!;
    },
  };
}

export interface Engines {
  readonly kernels: ReturnType<typeof loadKernels>;
  readonly hash: HashEngine;
  readonly other: HashEngine;
  readonly referee: HashEngine;
}

export async function loadEngines(): Promise<Engines> {
  const kernels = loadKernels();
  const [hash, other, referee] = [nativeEngine(kernels), wasmEngine(kernels), await portableEngine(kernels)];
  return { kernels, hash, other, referee };
}

export interface InlineWorker {
  readonly context: WorkerContext;
  run<In, Out>(task: Task<In, Out>, input: In, ports?: readonly MessagePort[]): Out | Promise<Out>;
}

export function inlineWorker(engines: Engines, fileSystem: FileSystem, isBlind: boolean): InlineWorker {
  const sight = isBlind ? blind : (engine: HashEngine) => engine;
  const seen = { hash: sight(engines.hash), other: sight(engines.other), referee: sight(engines.referee) };
  const context = createContext(engines.kernels, seen, fileSystem, { report: emptyReport() });
  return { context, run: (task, input, ports = []) => task.run(context, input, ports) };
}

export function inlinePool(worker: InlineWorker): WorkerPool {
  return {
    threadCount: 1,
    run: async (task, input) => worker.run(task, input),
    close: async () => undefined,
  };
}

/** One bit of one byte. */
export const anyMask = (random: Random): number => 1 << random.below(8);

export const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
