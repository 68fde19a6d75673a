/**
 * Where files and chunks lie in an object's stream.
 * In: a checked Manifest. Out: byte offsets, and the entry or chunk at an offset, by binary search.
 * The offsets follow from sizes and lengths, so the manifest does not carry them. 8 bytes a chunk and an entry; a stream
 * has at most 2^53 − 1 bytes, which a double holds exactly.
 */
import { DIGEST_BYTES, type Digest } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { Manifest } from './manifest.ts';

export interface StreamLayout {
  /** Start of each chunk; one more element is the end of the stream. */
  readonly chunkOffsets: Float64Array;
  /** Start of each entry of the table (entries without content have length 0); one more element is the end. */
  readonly entryOffsets: Float64Array;
}

/** Half-open. */
export interface ChunkRange {
  readonly first: number;
  readonly end: number;
}

function offsetsOf(count: number, bytesOf: (index: number) => number): Float64Array {
  const offsets = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) offsets[i + 1] = offsets[i]! + bytesOf(i);
  return offsets;
}

export function streamLayout(manifest: Manifest): StreamLayout {
  const { files, chunks } = manifest;
  const sizeOf = (index: number): number => {
    const entry = files[index]!;
    return entry.type === 'file' ? entry.size : 0;
  };
  return {
    chunkOffsets: offsetsOf(chunks.lengths.length, (i) => chunks.lengths[i]!),
    entryOffsets: offsetsOf(files.length, sizeOf),
  };
}

/** The last index whose start is at or before `offset`: with empty neighbours, the one that holds the byte. */
function indexAt(offsets: Float64Array, offset: number): number {
  if (!(offset >= 0 && offset < offsets[offsets.length - 1]!)) {
    throw new KwamError(
      'USAGE',
      `expected an offset inside the stream of ${offsets.at(-1)} bytes, got ${offset}`,
    );
  }
  let low = 0;
  let high = offsets.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! <= offset) low = middle;
    else high = middle;
  }
  return low;
}

export function chunkAt(layout: StreamLayout, offset: number): number {
  return indexAt(layout.chunkOffsets, offset);
}

export function entryAt(layout: StreamLayout, offset: number): number {
  return indexAt(layout.entryOffsets, offset);
}

/** The chunks that hold the content of an entry; empty for an entry without content. */
export function chunksOfEntry(layout: StreamLayout, index: number): ChunkRange {
  const start = layout.entryOffsets[index]!;
  const end = layout.entryOffsets[index + 1]!;
  if (start === end) return { first: 0, end: 0 };
  return { first: chunkAt(layout, start), end: chunkAt(layout, end - 1) + 1 };
}

/** A view into the manifest's table. */
export function chunkDigest(manifest: Manifest, index: number): Digest {
  return manifest.chunks.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES) as Digest;
}
