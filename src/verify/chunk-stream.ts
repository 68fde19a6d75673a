/**
 * A stream cut into the chunks that a put of the same bytes, as one file, would make.
 * In: a stream and, if not the default, sizes. Out: chunk after chunk with its digest and place.
 * Holds: chunks do not depend on how the stream is fed; memory is bounded by one window. The bytes of a chunk are the
 * caller's to keep.
 */
import type { Digest } from '../digest.ts';
import { KwamError } from '../errors.ts';
import {
  chunkBytesMaxDefault,
  chunkBytesMaxHighest,
  chunkBytesMinDefault,
  chunkBytesMinLowest,
  chunkBytesTargetDefault,
  MIB,
} from '../limits.ts';
import type { ChunkerSizes } from '../plan.ts';
import { type ByteSource, piecesOf } from './byte-source.ts';
import { engineBytesMax, type VerifyEngine, verifyEngine } from './engine.ts';

export interface StreamChunk {
  readonly digest: Digest;
  /** Of the chunk's first byte in the stream. */
  readonly offset: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** Chunks of the largest size that a window holds: what is scanned twice at its end is then a small part. */
const chunksPerWindow = 4;

function checkedSizes(sizes: Partial<ChunkerSizes>): ChunkerSizes {
  const { chunkBytesMin: min = chunkBytesMinDefault, chunkBytesTarget: target = chunkBytesTargetDefault } =
    sizes;
  const { chunkBytesMax: max = chunkBytesMaxDefault } = sizes;
  const isOrdered = [min, target, max].every(Number.isInteger) && min < target && target < max;
  if (isOrdered && min >= chunkBytesMinLowest && max <= chunkBytesMaxHighest) {
    return { chunkBytesMin: min, chunkBytesTarget: target, chunkBytesMax: max };
  }
  throw new KwamError(
    'USAGE',
    `expected chunk sizes ${chunkBytesMinLowest} ≤ min < target < max ≤ ${chunkBytesMaxHighest}, got ${min}, ${target}, ${max}`,
  );
}

class StreamCutter {
  readonly #engine: VerifyEngine;
  readonly #sizes: ChunkerSizes;
  /** The bytes since the last cut lie at its start. */
  readonly #window: Uint8Array;
  #filled = 0;
  #offset = 0;

  constructor(engine: VerifyEngine, sizes: ChunkerSizes) {
    this.#engine = engine;
    this.#sizes = sizes;
    const bytes = Math.max(1 * MIB, chunksPerWindow * sizes.chunkBytesMax);
    this.#window = new Uint8Array(Math.min(bytes, engineBytesMax));
  }

  *push(piece: Uint8Array): Generator<StreamChunk> {
    for (let at = 0; at < piece.length; ) {
      const taken = Math.min(piece.length - at, this.#window.length - this.#filled);
      this.#window.set(piece.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === this.#window.length) yield* this.#cut(false);
    }
  }

  *end(): Generator<StreamChunk> {
    yield* this.#cut(true);
  }

  *#cut(final: boolean): Generator<StreamChunk> {
    const cuts = this.#engine.cut(this.#window.subarray(0, this.#filled), this.#sizes, final);
    // Copies, taken before anything is yielded: the window is ours and is written again.
    const chunks = cuts.map((end, i) => this.#window.slice(cuts[i - 1] ?? 0, end));
    const used = cuts.at(-1) ?? 0;
    this.#window.copyWithin(0, used, this.#filled);
    this.#filled -= used;
    const digests = this.#engine.hash(chunks);
    for (const [i, bytes] of chunks.entries()) {
      const offset = this.#offset;
      this.#offset += bytes.length;
      yield { digest: digests[i]!, offset, length: bytes.length, bytes };
    }
  }
}

/** @throws KwamError USAGE  sizes out of order or outside the limits. */
export async function* chunkStream(
  stream: ByteSource,
  sizes: Partial<ChunkerSizes> = {},
): AsyncGenerator<StreamChunk, void, undefined> {
  const checked = checkedSizes(sizes);
  const cutter = new StreamCutter(await verifyEngine(), checked);
  for await (const piece of piecesOf(stream)) yield* cutter.push(piece);
  yield* cutter.end();
}
