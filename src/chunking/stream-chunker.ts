/**
 * Chunks of a stream that arrives in pieces of any length, in constant memory.
 * In: pieces, by push; end() says that there are no more. Out: the chunks' bytes, in order, each an array of its own that the caller keeps.
 * Holds: the chunks are those of the whole stream, however it was pieced. Buffers 4 × chunkBytesMax bytes (1 MiB by default), so a
 * chunk may come some pushes after its last byte. Between calls nothing lies in kernel memory: streams may share one instance.
 * Does not hash. Uses no Node built-in.
 */
import type { ChunkerSizes } from '../plan.ts';
import { type Kernels, REGION } from '../wasm/kernels.ts';
import { Chunker } from './chunker.ts';

/** A scan leaves less than one chunk of the largest size undecided: with four of them at most a quarter is scanned twice. */
const BUFFERED_CHUNKS = 4;

export class StreamChunker {
  readonly #kernels: Kernels;
  readonly #chunker: Chunker;
  readonly #buffer: Uint8Array;
  #pending = 0;

  constructor(kernels: Kernels, sizes: ChunkerSizes) {
    this.#kernels = kernels;
    this.#chunker = new Chunker(kernels, sizes);
    this.#buffer = new Uint8Array(BUFFERED_CHUNKS * sizes.chunkBytesMax);
  }

  /** Takes a copy of `piece`; returns the chunks that are now complete. */
  push(piece: Uint8Array): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    let taken = 0;
    while (taken < piece.length) {
      const part = piece.subarray(taken, taken + this.#buffer.length - this.#pending);
      this.#buffer.set(part, this.#pending);
      this.#pending += part.length;
      taken += part.length;
      if (this.#pending === this.#buffer.length) this.#cut(false, chunks);
    }
    return chunks;
  }

  /** Returns the remaining chunks; afterwards the chunker stands at the start of a new stream. */
  end(): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    this.#cut(true, chunks);
    return chunks;
  }

  #cut(final: boolean, chunks: Uint8Array[]): void {
    this.#kernels.bytes().set(this.#buffer.subarray(0, this.#pending), REGION.input);
    let start = 0;
    for (const end of this.#chunker.scan(0, this.#pending, final)) {
      chunks.push(this.#buffer.slice(start, end));
      start = end;
    }
    this.#buffer.copyWithin(0, start, this.#pending);
    this.#pending -= start;
  }
}
