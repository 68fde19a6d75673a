/**
 * A program for memory.test.ts: verifies a stream of argv[2] MiB and prints the largest resident set it saw, in bytes.
 * The stream is one block over and over, so that its manifest needs no pass over all of it.
 */
import { createHash } from 'node:crypto';
import type { DigestHex } from '../../src/digest.ts';
import { MIB } from '../../src/limits.ts';
import type { Manifest } from '../../src/manifest/manifest.ts';
import { seededRandom } from '../../src/random.ts';
import { chunkStream, verifyStream } from '../../src/verify.ts';

const blocks = Number(process.argv[2]);
const chunkBytes = 64 * 1024;
const perBlock = MIB / chunkBytes;
const block = seededRandom(9).fill(new Uint8Array(MIB));
const digests = new Uint8Array(blocks * perBlock * 32);
for (let i = 0; i < blocks * perBlock; i++) {
  const at = (i % perBlock) * chunkBytes;
  if (i < perBlock)
    digests.set(
      createHash('sha256')
        .update(block.subarray(at, at + chunkBytes))
        .digest(),
      i * 32,
    );
  else digests.copyWithin(i * 32, (i % perBlock) * 32, (i % perBlock) * 32 + 32);
}
const manifest: Manifest = {
  name: 'large',
  producer: 'spiffe://kwam.dev/node/n0001',
  codecId: '00'.repeat(32) as DigestHex,
  createdAt: '2026-11-02T03:04:05.678Z',
  chunker: {
    rule: 'fixed',
    chunkBytesMin: 1024,
    chunkBytesTarget: chunkBytes,
    chunkBytesMax: 2 * chunkBytes,
  },
  bytes: blocks * MIB,
  chunks: { lengths: new Uint32Array(blocks * perBlock).fill(chunkBytes), digests },
  files: [
    { type: 'file', path: 'f', mode: 0, mtimeNs: 0n, uid: 0, gid: 0, size: blocks * MIB, sparse: false },
  ],
};

let peak = 0;
async function* source(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    peak = Math.max(peak, process.memoryUsage.rss());
    yield block.slice();
  }
}

let bytes = 0;
for await (const piece of verifyStream(source(blocks), manifest)) bytes += piece.length;
for await (const chunk of chunkStream(source(blocks / 4))) bytes += chunk.length;
process.stdout.write(JSON.stringify({ bytes, peak }));
