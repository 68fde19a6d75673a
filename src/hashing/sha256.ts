/**
 * SHA-256 of one message that lies anywhere, whole or piece by piece, on the kernel of assembly/sha256.ts.
 * Browser-safe. For many messages in linear memory an engine is quicker (wasm-engine.ts).
 * Overwrites SCRATCH and the first digest of DIGESTS; leaves INPUT and JOBS alone.
 */
import { asDigest, DIGEST_BYTES, type Digest } from '../digest.ts';
import { type Kernels, REGION, SCRATCH_BYTES } from '../wasm/kernels.ts';

/** Any number of streams may share one instance: each keeps the kernel's streaming state while it is not running. */
export class Sha256Stream {
  readonly #kernels: Kernels;
  readonly #state: Uint8Array;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#state = new Uint8Array(kernels.exports.sha256StateBytes());
    this.#start();
  }

  /** Appends a copy-free view of linear memory, or any other bytes by way of SCRATCH. Only reads `bytes`. */
  update(bytes: Uint8Array): this {
    const { exports } = this.#kernels;
    const memory = this.#load();
    if (bytes.buffer === memory.buffer) {
      exports.sha256Update(bytes.byteOffset, bytes.length);
    } else {
      for (let from = 0; from < bytes.length; from += SCRATCH_BYTES) {
        const piece = bytes.subarray(from, from + SCRATCH_BYTES);
        memory.set(piece, REGION.scratch);
        exports.sha256Update(REGION.scratch, piece.length);
      }
    }
    this.#save(memory);
    return this;
  }

  /** The digest, the caller's to keep. The stream then starts anew with an empty message. */
  digest(): Digest {
    const memory = this.#load();
    this.#kernels.exports.sha256Final();
    const digest = asDigest(memory.slice(REGION.digests, REGION.digests + DIGEST_BYTES));
    this.#start();
    return digest;
  }

  #start(): void {
    this.#kernels.exports.sha256Init();
    this.#save(this.#kernels.bytes());
  }

  #load(): Uint8Array {
    const memory = this.#kernels.bytes();
    memory.set(this.#state, this.#kernels.exports.sha256State());
    return memory;
  }

  #save(memory: Uint8Array): void {
    const from = this.#kernels.exports.sha256State();
    this.#state.set(memory.subarray(from, from + this.#state.length));
  }
}

export function sha256(kernels: Kernels, bytes: Uint8Array): Digest {
  return new Sha256Stream(kernels).update(bytes).digest();
}
