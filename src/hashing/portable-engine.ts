/**
 * hash-wasm as an engine, for machines whose WebAssembly has no SIMD and therefore cannot load our kernels.
 * Asynchronous only while it starts. Browser-safe. Leaves all of the given memory alone.
 */
import { createSHA256 } from 'hash-wasm';
import { DIGEST_BYTES } from '../digest.ts';
import { countRuns, type HashEngine, type LinearMemory } from './engine.ts';

export async function portableEngine(memory: LinearMemory): Promise<HashEngine> {
  const hasher = await createSHA256();
  let digests = new Uint8Array(0);
  return {
    name: 'portable',
    memory,
    hashRuns(runs) {
      const bytes = memory.bytes();
      const count = countRuns(runs, bytes.length);
      if (digests.length < count * DIGEST_BYTES) digests = new Uint8Array(count * DIGEST_BYTES);
      for (let run = 0; run < count; run++) {
        const from = runs[2 * run]!;
        hasher.init().update(bytes.subarray(from, from + runs[2 * run + 1]!));
        digests.set(hasher.digest('binary'), run * DIGEST_BYTES);
      }
      return digests.subarray(0, count * DIGEST_BYTES);
    },
  };
}
