/**
 * Divides one process-wide memory budget.
 * In: the budget in bytes. Out: how much each consumer may take; the shares and the fixed cost add up to at most the budget.
 * The fixed cost is measured: an idle node with two workers has about 190 MB resident (Node, V8, LMDB pages, kernels).
 */
import { availableParallelism } from 'node:os';
import { KwamError } from '../errors.ts';
import { MIB } from '../limits.ts';
import { INPUT_BYTES } from '../wasm/kernels.ts';

export interface MemoryShares {
  readonly totalBytes: number;
  readonly threadCount: number;
  readonly workerHeapBytes: number;
  /** V8's old space of the main thread. */
  readonly mainHeapBytes: number;
  /** User data that tasks may handle at once. */
  readonly workBytes: number;
  /** Credits of all streams together. */
  readonly streamBytes: number;
  readonly indexBytes: number;
}

const memoryBytesMin = 256 * MIB;
const fixedBytes = 112 * MIB;
/** Kernel memory of a worker (18 MiB) and the young generation, code and stacks of its V8. */
const workerFixedBytes = 18 * MIB + 24 * MIB;
const workerHeapBytesMin = 32 * MIB;

export function memoryShares(totalBytes: number): MemoryShares {
  if (totalBytes < memoryBytesMin) {
    throw new KwamError(
      'USAGE',
      `expected --memory of at least ${memoryBytesMin / MIB}mib, got ${Math.floor(totalBytes / MIB)}mib`,
    );
  }
  const threadsWanted = availableParallelism();
  const threadsFitting = Math.floor((totalBytes - fixedBytes) / 2 / (workerFixedBytes + workerHeapBytesMin));
  const threadCount = Math.max(1, Math.min(threadsWanted, threadsFitting));
  const rest = totalBytes - fixedBytes - threadCount * (workerFixedBytes + workerHeapBytesMin);
  return {
    totalBytes,
    threadCount,
    workerHeapBytes: workerHeapBytesMin + Math.floor(rest / 8 / threadCount),
    mainHeapBytes: 64 * MIB + Math.floor(rest / 4),
    workBytes: Math.max(2 * INPUT_BYTES, threadCount * 2 * INPUT_BYTES),
    streamBytes: Math.max(16 * MIB, Math.floor(rest / 8)),
    indexBytes: Math.max(16 * MIB, Math.floor(rest / 8)),
  };
}
