/**
 * An object's stream checked against its manifest while it flows.
 * In: the stream of the object's content and its verified manifest. Out: the same bytes, one chunk at a time, each only after its
 * digest was right; so whatever comes out may be used at once, and nothing wrong ever comes out.
 * Holds: memory is bounded by one batch of chunks, whatever the length of the stream. Each array that comes out is the
 * caller's to keep. Does not seek, retry or know where the stream comes from.
 */
import { sameBytes, toHex } from '../digest.ts';
import { type ErrorCode, type ErrorContext, KwamError } from '../errors.ts';
import { MIB } from '../limits.ts';
import { showPath } from '../manifest/entry-path.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { chunkDigest, entryAt, type StreamLayout, streamLayout } from '../manifest/stream-layout.ts';
import { type ByteSource, piecesOf } from './byte-source.ts';
import { type VerifyEngine, verifyEngine } from './engine.ts';

/** Chunks hashed together: 16 of the default size feed all four lanes of the kernel; more only adds latency and memory. */
const batchBytes = 1 * MIB;

class StreamVerifier {
  readonly #engine: VerifyEngine;
  readonly #manifest: Manifest;
  readonly #layout: StreamLayout;
  readonly #chunkCount: number;
  /** Complete chunks, not yet verified; the last of them is chunk #next − 1. */
  #batch: Uint8Array[] = [];
  #batched = 0;
  /** The chunk being filled, and how far. */
  #next = 0;
  #chunk: Uint8Array;
  #filled = 0;

  constructor(engine: VerifyEngine, manifest: Manifest) {
    this.#engine = engine;
    this.#manifest = manifest;
    this.#layout = streamLayout(manifest);
    this.#chunkCount = manifest.chunks.lengths.length;
    this.#chunk = new Uint8Array(manifest.chunks.lengths[0] ?? 0);
  }

  *push(piece: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < piece.length; ) {
      if (this.#next === this.#chunkCount) {
        yield* this.flush();
        throw this.#tooLong();
      }
      const taken = Math.min(piece.length - at, this.#chunk.length - this.#filled);
      this.#chunk.set(piece.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === this.#chunk.length) this.#turnPage();
      if (this.#batched >= batchBytes) yield* this.flush();
    }
  }

  /** Verifies what is complete; the good chunks before a bad one still come out. */
  *flush(): Generator<Uint8Array> {
    const digests = this.#engine.hash(this.#batch);
    const first = this.#next - this.#batch.length;
    for (const [i, chunk] of this.#batch.entries()) {
      const expected = chunkDigest(this.#manifest, first + i);
      if (!sameBytes(digests[i]!, expected)) throw this.#mismatch(first + i, digests[i]!);
      yield chunk;
    }
    this.#batch = [];
    this.#batched = 0;
  }

  *end(): Generator<Uint8Array> {
    yield* this.flush();
    if (this.#next < this.#chunkCount) throw this.#tooShort();
  }

  #turnPage(): void {
    this.#batch.push(this.#chunk);
    this.#batched += this.#chunk.length;
    this.#next++;
    this.#filled = 0;
    this.#chunk = new Uint8Array(this.#manifest.chunks.lengths[this.#next] ?? 0);
  }

  /** Where chunk `index` lies, for messages: the first and, when it holds several files, the last. */
  #place(index: number): ErrorContext {
    const offset = this.#layout.chunkOffsets[index]!;
    const length = this.#manifest.chunks.lengths[index]!;
    const path = this.#pathAt(offset);
    const lastPath = this.#pathAt(offset + length - 1);
    return { path, ...(lastPath === path ? {} : { lastPath }), chunk: index, offset, length };
  }

  #pathAt(offset: number): string {
    return showPath(this.#manifest.files[entryAt(this.#layout, offset)]!.path);
  }

  #error(code: ErrorCode, message: string, context: ErrorContext): KwamError {
    return new KwamError(code, `object ${JSON.stringify(this.#manifest.name)}: ${message}`, { context });
  }

  #mismatch(index: number, digest: Uint8Array): KwamError {
    const place = this.#place(index);
    const expected = toHex(chunkDigest(this.#manifest, index));
    const actual = toHex(digest);
    const files = place['lastPath']
      ? `files ${place['path']} to ${place['lastPath']}`
      : `file ${place['path']}`;
    return this.#error(
      'CHUNK_DIGEST_MISMATCH',
      `chunk ${index} (${place['length']} bytes at ${place['offset']}, ${files}): expected ${expected}, got ${actual}; ` +
        'the bytes are not those of the producer, fetch them from another copy',
      { ...place, expected, actual },
    );
  }

  #tooShort(): KwamError {
    const place = this.#place(this.#next);
    const actual = this.#layout.chunkOffsets[this.#next]! + this.#filled;
    return this.#error(
      'STREAM_TOO_SHORT',
      `expected ${this.#manifest.bytes} bytes, got ${actual}: the stream ends in chunk ${this.#next}, file ${this.#pathAt(actual)}; fetch the rest`,
      { ...place, path: this.#pathAt(actual), expected: this.#manifest.bytes, actual },
    );
  }

  #tooLong(): KwamError {
    return this.#error(
      'STREAM_TOO_LONG',
      `expected the stream to end after ${this.#manifest.bytes} bytes, got more; the first ${this.#manifest.bytes} were right`,
      { expected: this.#manifest.bytes },
    );
  }
}

/**
 * @param manifest  as verifyManifest returns it.
 * @throws KwamError CHUNK_DIGEST_MISMATCH, STREAM_TOO_SHORT, STREAM_TOO_LONG, with the file, chunk, offset, expected and
 *         actual value in `context`; every array that came out before is verified.
 */
export async function* verifyStream(
  stream: ByteSource,
  manifest: Manifest,
): AsyncGenerator<Uint8Array, void, undefined> {
  const verifier = new StreamVerifier(await verifyEngine(), manifest);
  for await (const piece of piecesOf(stream)) yield* verifier.push(piece);
  yield* verifier.end();
}
