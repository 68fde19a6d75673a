/**
 * What every SHA-256 engine promises, and the checks they share.
 * An engine hashes runs of bytes where they lie in one linear memory; test/suites/hash-engine.ts is its compliance suite.
 */
import { DIGEST_BYTES } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import { CUTS_MAX } from '../wasm/kernels.ts';

/** Memory that runs point into. `bytes()` is taken anew for each call, because growth detaches old views. */
export interface LinearMemory {
  bytes(): Uint8Array;
}

type HashEngineName = 'wasm' | 'native' | 'portable';

export interface HashEngine {
  readonly name: HashEngineName;
  /** The memory whose bytes the runs name. */
  readonly memory: LinearMemory;
  /**
   * @param runs  (offset from the start of memory, length in bytes) pairs, at most `runCountMax`; may lie in JOBS.
   * @returns 32 bytes a run, in order: a view that this engine owns, valid until its next call or until memory grows.
   *          The wasm engine's view is region DIGESTS. Bytes of the runs are only read.
   * @throws KwamError LIMIT_EXCEEDED  more runs than DIGESTS has room for; nothing was hashed.
   */
  hashRuns(runs: Uint32Array): Uint8Array;
}

/** One digest for every cut that one scan can make; JOBS and DIGESTS are laid out for this many. */
export const runCountMax = CUTS_MAX;

/** A run outside of memory is a bug of ours: a typed array would silently hash less than was asked for. */
export function countRuns(runs: Uint32Array, memoryBytes: number): number {
  assert(runs.length % 2 === 0, 'runs are (offset, length) pairs');
  const count = runs.length / 2;
  if (count > runCountMax) {
    throw new KwamError(
      'LIMIT_EXCEEDED',
      `expected at most ${runCountMax} runs a call, got ${count}; split them`,
      {
        context: { count, runCountMax },
      },
    );
  }
  for (let i = 0; i < runs.length; i += 2) {
    assert(runs[i]! + runs[i + 1]! <= memoryBytes, `run ${i / 2} lies inside linear memory`);
  }
  return count;
}

export function digestOfRun(digests: Uint8Array, run: number): Uint8Array {
  return digests.subarray(run * DIGEST_BYTES, (run + 1) * DIGEST_BYTES);
}
