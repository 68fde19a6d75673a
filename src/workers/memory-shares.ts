/**
 * Divides one process-wide memory budget.
 * In: the budget in bytes. Out: how much each consumer may take; the shares and the fixed costs add up to at most the budget.
 * The fixed costs are measured: a node without workers has 116 MiB resident, of which 36 are the heap of its main thread; a
 * worker that has done work, 40 MiB, of which about 8 are its heap. Three eighths of what is left after the least that
 * everyone needs are given to nobody: buffers of the sockets and pages of the index files come out of them.
 */
import { availableParallelism } from 'node:os';
import { KwamError } from '../errors.ts';
import { MIB } from '../limits.ts';
import { INPUT_BYTES } from '../wasm/kernels.ts';

export interface MemoryShares {
  readonly totalBytes: number;
  /** Code, stacks and native memory of the process, without heaps. */
  readonly fixedBytes: number;
  readonly threadCount: number;
  /** Each worker's kernel memory (18 MiB), young generation, code and stacks. */
  readonly workerFixedBytes: number;
  /** V8's old space of each worker. */
  readonly workerHeapBytes: number;
  /** V8's old space of the main thread. */
  readonly mainHeapBytes: number;
  /** User data that tasks may handle at once: it lies in the kernels' memory, and so bounds queues, not memory. */
  readonly workBytes: number;
  /** Credits of all streams together. */
  readonly streamBytes: number;
  readonly indexBytes: number;
}

const memoryBytesMin = 256 * MIB;
const fixedBytes = 80 * MIB;
const workerFixedBytes = 18 * MIB + 24 * MIB;
const workerHeapBytesMin = 32 * MIB;
const mainHeapBytesMin = 64 * MIB;
const streamBytesMin = 16 * MIB;
const indexBytesMin = 16 * MIB;
/** More threads than this share of the budget pays for would leave little to work with. */
const WORKERS_SHARE = 0.6;

export function memoryShares(totalBytes: number, processors: number = availableParallelism()): MemoryShares {
  if (totalBytes < memoryBytesMin) {
    throw new KwamError(
      'USAGE',
      `expected --memory of at least ${memoryBytesMin / MIB}mib, got ${Math.floor(totalBytes / MIB)}mib`,
    );
  }
  const others = fixedBytes + mainHeapBytesMin + streamBytesMin + indexBytesMin;
  const workerBytesMin = workerFixedBytes + workerHeapBytesMin;
  const fitting = Math.floor(((totalBytes - others) * WORKERS_SHARE) / workerBytesMin);
  const threadCount = Math.max(1, Math.min(processors, fitting));
  const rest = totalBytes - others - threadCount * workerBytesMin;
  return {
    totalBytes,
    fixedBytes,
    threadCount,
    workerFixedBytes,
    workerHeapBytes: workerHeapBytesMin + Math.floor(rest / 8 / threadCount),
    mainHeapBytes: mainHeapBytesMin + Math.floor(rest / 4),
    workBytes: threadCount * 2 * INPUT_BYTES,
    streamBytes: streamBytesMin + Math.floor(rest / 8),
    indexBytes: indexBytesMin + Math.floor(rest / 8),
  };
}
