/**
 * The two operations of the verification library, on the best machinery at hand.
 * `wasm`: our kernels, where WebAssembly has SIMD. `portable`: hash-wasm and the cut rule in TypeScript, elsewhere.
 * Holds: both give the same digests and cuts; an engine has passed its self-tests before anyone gets it.
 * INPUT is overwritten by every call and keeps nothing between calls, so any number of streams share one engine.
 */
import { Chunker, selfTestChunker } from '../chunking/chunker.ts';
import { portableCut } from '../chunking/portable-cut.ts';
import { DIGEST_BYTES, type Digest } from '../digest.ts';
import { assert } from '../errors.ts';
import type { HashEngine } from '../hashing/engine.ts';
import { selfTestSha256 } from '../hashing/self-test.ts';
import { wasmEngine } from '../hashing/wasm-engine.ts';
import type { ChunkerSizes } from '../plan.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../wasm/kernels.ts';
import { type KernelSource, loadVerifyKernels } from '../wasm/load-verify.ts';

/** What one call can take. */
export const engineBytesMax = INPUT_BYTES;

export interface VerifyEngine {
  readonly name: 'wasm' | 'portable';
  /** Digests of the messages, in order; together at most engineBytesMax. The result is the caller's. */
  hash(messages: readonly Uint8Array[]): Digest[];
  /** End offsets of the chunks of `bytes`, which begins a chunk; unless final, only those that more input cannot change. */
  cut(bytes: Uint8Array, sizes: ChunkerSizes, final: boolean): number[];
}

function hashWith(engine: HashEngine, input: number, messages: readonly Uint8Array[]): Digest[] {
  const memory = engine.memory.bytes();
  const runs = new Uint32Array(2 * messages.length);
  let at = input;
  for (const [i, message] of messages.entries()) {
    assert(at + message.length <= input + engineBytesMax, 'the messages fit INPUT');
    memory.set(message, at);
    runs.set([at, message.length], 2 * i);
    at += message.length;
  }
  const digests = engine.hashRuns(runs);
  return messages.map((_, i) => digests.slice(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES) as Digest);
}

function wasmVerifyEngine(kernels: Kernels): VerifyEngine {
  const engine = wasmEngine(kernels);
  selfTestSha256(kernels);
  selfTestChunker(kernels);
  return {
    name: 'wasm',
    hash: (messages) => hashWith(engine, REGION.input, messages),
    cut(bytes, sizes, final) {
      kernels.bytes().set(bytes, REGION.input);
      return [...new Chunker(kernels, sizes).scan(0, bytes.length, final)];
    },
  };
}

function portableCuts(bytes: Uint8Array, sizes: ChunkerSizes, final: boolean): number[] {
  const cuts: number[] = [];
  for (let start = 0; start < bytes.length; ) {
    const length = portableCut(bytes, start, bytes.length, sizes, final);
    if (length === 0) break;
    start += length;
    cuts.push(start);
  }
  return cuts;
}

/** Loaded only here: most machines never need hash-wasm. */
async function portableVerifyEngine(): Promise<VerifyEngine> {
  const { portableEngine } = await import('../hashing/portable-engine.ts');
  const memory = new Uint8Array(engineBytesMax);
  const engine = await portableEngine({ bytes: () => memory });
  selfTestSha256(engine);
  return { name: 'portable', hash: (messages) => hashWith(engine, 0, messages), cut: portableCuts };
}

let current: Promise<VerifyEngine> | undefined;

async function start(source?: KernelSource): Promise<VerifyEngine> {
  const kernels = await loadVerifyKernels(source);
  return kernels ? wasmVerifyEngine(kernels) : portableVerifyEngine();
}

/** Starts the engine from there, in place of the one in use; needed only where the library cannot find verify.wasm by itself. */
export async function useKernels(source?: KernelSource): Promise<VerifyEngine['name']> {
  const engine = await start(source);
  current = Promise.resolve(engine);
  return engine.name;
}

/** One engine for all callers. A failed start is not kept, so that the next call tries again. */
export function verifyEngine(): Promise<VerifyEngine> {
  current ??= start().catch((error: unknown) => {
    current = undefined;
    throw error;
  });
  return current;
}
