/**
 * The library import, from both sides: a producer cuts and signs a file, a consumer verifies it while it streams in.
 * Run: npm run example:verify [-- FILE]. The default FILE is this program. Ends with one flipped bit, to show how it is found.
 */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { chunkStream, KwamError, type Manifest, toHex, verifyChunk, verifyStream } from 'kwam-dp';

const path = process.argv[2] ?? import.meta.filename;

/** What a node does on `put`, here for one file; a node also signs it, and `verifyManifest` checks that signature. */
async function manifestOf(file: string): Promise<Manifest> {
  const { size, mode, mtimeNs } = await stat(file, { bigint: true });
  const lengths: number[] = [];
  const digests: number[] = [];
  for await (const chunk of chunkStream(createReadStream(file))) {
    await verifyChunk(chunk.bytes, chunk.digest);
    lengths.push(chunk.length);
    digests.push(...chunk.digest);
  }
  return {
    name: 'example',
    producer: 'spiffe://kwam.dev/example',
    codecId: toHex(new Uint8Array(32)),
    createdAt: new Date().toISOString(),
    chunker: { rule: 'example', chunkBytesMin: 16384, chunkBytesTarget: 65536, chunkBytesMax: 262144 },
    bytes: Number(size),
    chunks: { lengths: Uint32Array.from(lengths), digests: Uint8Array.from(digests) },
    files: [
      {
        type: 'file',
        path: 'file',
        mode: Number(mode) & 0o7777,
        mtimeNs,
        uid: 0,
        gid: 0,
        size: Number(size),
        sparse: false,
      },
    ],
  };
}

/** The file's bytes with one bit flipped in the middle. */
async function* damaged(file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(file);
  const middle = Math.floor((await handle.stat()).size / 2);
  let at = 0;
  for await (const piece of handle.createReadStream() as AsyncIterable<Buffer>) {
    if (at <= middle && middle < at + piece.length) piece[middle - at]! ^= 1;
    at += piece.length;
    yield piece;
  }
}

const manifest = await manifestOf(path);
let bytes = 0;
for await (const verified of verifyStream(createReadStream(path), manifest)) bytes += verified.length;
console.log(`${bytes} bytes in ${manifest.chunks.lengths.length} chunks: all verified`);

try {
  for await (const verified of verifyStream(damaged(path), manifest)) bytes += verified.length;
  console.log('one flipped bit went through');
  process.exitCode = 4;
} catch (error) {
  if (!(error instanceof KwamError)) throw error;
  console.log(`one flipped bit: ${error.code}`, error.context);
}
