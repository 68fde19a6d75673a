/**
 * Content for tests of the library: a manifest made of given bytes, and streams that deliver bytes in odd pieces.
 */
import { createHash } from 'node:crypto';
import type { DigestHex } from '../../src/digest.ts';
import type { Manifest } from '../../src/manifest/manifest.ts';
import { checkManifest } from '../../src/manifest/manifest-check.ts';
import type { Random } from '../../src/random.ts';

export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const inode = { mode: 0o644, mtimeNs: 0n, uid: 0, gid: 0 };

/** `bytes` as chunks of the given lengths and files of the given sizes; digests by node:crypto, an independent SHA-256. */
export function manifestOf(bytes: Uint8Array, lengths: number[], fileSizes: number[]): Manifest {
  const digests = new Uint8Array(lengths.length * 32);
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    digests.set(
      createHash('sha256')
        .update(bytes.subarray(at, at + length))
        .digest(),
      i * 32,
    );
    at += length;
  }
  const manifest: Manifest = {
    name: 'object',
    producer: 'spiffe://kwam.dev/node/n0001',
    codecId: 'ab'.repeat(32) as DigestHex,
    createdAt: '2026-11-02T03:04:05.678Z',
    chunker: {
      rule: 'kwam-window34-v1',
      chunkBytesMin: 16384,
      chunkBytesTarget: 65536,
      chunkBytesMax: 262144,
    },
    bytes: bytes.length,
    chunks: { lengths: Uint32Array.from(lengths), digests },
    files: fileSizes.map((size, i) => ({ type: 'file', path: `file-${i}`, ...inode, size, sparse: false })),
  };
  checkManifest(manifest);
  return manifest;
}

/** Numbers of at least 1 (at most `most`) that add up to `total`. */
export function randomSplit(random: Random, total: number, most: number): number[] {
  const parts: number[] = [];
  for (let rest = total; rest > 0; rest -= parts.at(-1)!) parts.push(Math.min(rest, 1 + random.below(most)));
  return parts;
}

export function* inPieces(bytes: Uint8Array, random: Random, most: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + random.below(most + 1));
    yield bytes.slice(at, end);
    at = end;
  }
}

export async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await listOf(pieces));
}

/** What came out before the error, and the error. */
export async function untilError(
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ good: Buffer; error: unknown }> {
  const good: Uint8Array[] = [];
  try {
    for await (const piece of pieces) good.push(piece);
  } catch (error) {
    return { good: Buffer.concat(good), error };
  }
  throw new Error('expected the stream to fail');
}
