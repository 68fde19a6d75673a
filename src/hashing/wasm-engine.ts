/**
 * The kernel of assembly/sha256.ts as an engine: four messages at a time, bytes hashed where they lie.
 * Overwrites JOBS and DIGESTS of its instance; leaves INPUT and SCRATCH alone.
 */
import { DIGEST_BYTES } from '../digest.ts';
import { type Kernels, REGION } from '../wasm/kernels.ts';
import { countRuns, type HashEngine } from './engine.ts';

export function wasmEngine(kernels: Kernels): HashEngine {
  return {
    name: 'wasm',
    memory: kernels,
    hashRuns(runs) {
      const count = countRuns(runs, kernels.bytes().length);
      kernels.words().set(runs, REGION.jobs / 4);
      kernels.exports.sha256Jobs(count);
      return kernels.bytes().subarray(REGION.digests, REGION.digests + count * DIGEST_BYTES);
    },
  };
}
