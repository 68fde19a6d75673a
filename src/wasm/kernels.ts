/**
 * Loads a kernel module and gives typed access to its exports and memory regions.
 * In: the bytes of build/kernels.wasm (see load.ts). Out: one instance with a memory of its own.
 * Holds: no imports are given to the module, so its result depends on its bytes and its inputs alone.
 * The region addresses repeat assembly/memory.ts; test/wasm/kernels.test.ts compares the two.
 */
import { instantiateSync } from '@assemblyscript/loader';
import { KwamError } from '../errors.ts';

export const REGION = {
  cuts: 0x0002_0000,
  jobs: 0x0004_0000,
  digests: 0x0008_0000,
  scratch: 0x0018_0000,
  input: 0x0020_0000,
  index: 0x0020_0000,
} as const;
export const CUTS_MAX = 32768;
export const SCRATCH_BYTES = 0x0008_0000;
export const INPUT_BYTES = 0x0100_0000;

/** Every function that assembly/kernels.ts exports; each kernel's own file documents it. */
export interface KernelExports {
  readonly memory: WebAssembly.Memory;
  /** assembly/chunker.ts: end offsets relative to `offset` to CUTS; returns how many. Sizes unchecked. */
  chunkScan(
    offset: number,
    length: number,
    chunkBytesMin: number,
    chunkBytesTarget: number,
    chunkBytesMax: number,
    final: number,
  ): number;
  /** assembly/sha256.ts: `count` messages named in JOBS, digests to DIGESTS in the same order. */
  sha256Jobs(count: number): void;
  /** The one streaming state of the instance: where it lies, and its size; copy it out and in to interleave streams. */
  sha256State(): number;
  sha256StateBytes(): number;
  sha256Init(): void;
  sha256Update(pointer: number, bytes: number): void;
  /** Digest to DIGESTS[0]. */
  sha256Final(): void;
  dedupReset(slots: number, tail: number, limit: number, seedLow: number, seedHigh: number): number;
  dedupSlots(): number;
  dedupEntries(): number;
  dedupLookup(count: number): void;
  dedupInsert(from: number, count: number): number;
  dedupRemove(count: number): number;
  dedupScan(from: number, to: number): number;
  dedupGrow(slots: number, tail: number, limit: number): number;
  /** assembly/reed-solomon.ts: outputs[r] = Σ coefficient[r][j] · inputs[j] over GF(2^8), all named in SCRATCH. */
  rsCode(inputs: number, outputs: number, shardBytes: number): void;
}

export interface Kernels {
  readonly exports: KernelExports;
  /** A view of all linear memory; taken anew after growth, so do not keep it over a call that may grow memory. */
  bytes(): Uint8Array;
  words(): Uint32Array;
}

export function instantiateKernels(module: WebAssembly.Module | Uint8Array): Kernels {
  let exports: KernelExports;
  try {
    exports = instantiateSync(module as WebAssembly.Module, {}).exports as unknown as KernelExports;
  } catch (cause) {
    throw new KwamError('ENVIRONMENT', 'the kernel module does not load: expected WebAssembly with SIMD128', {
      cause,
    });
  }
  let bytes = new Uint8Array(exports.memory.buffer);
  let words = new Uint32Array(exports.memory.buffer);
  const fresh = (): void => {
    if (bytes.buffer === exports.memory.buffer) return;
    bytes = new Uint8Array(exports.memory.buffer);
    words = new Uint32Array(exports.memory.buffer);
  };
  return {
    exports,
    bytes() {
      fresh();
      return bytes;
    },
    words() {
      fresh();
      return words;
    },
  };
}
