/** Small packs for the store's tests: seeded records, built with the real writer. */
import { hash } from 'node:crypto';
import { asDigest, type Digest } from '../../src/digest.ts';
import type { FileSystem } from '../../src/filesystem.ts';
import type { Random } from '../../src/random.ts';
import type { StoreLayout } from '../../src/store/layout.ts';
import { type PackHeader, RECORD_TYPE, type RecordHeader } from '../../src/store/pack-format.ts';
import type { HashRuns } from '../../src/store/pack-reader.ts';
import { PackBuilder, type SealedPack, sealPackFile, writeRecords } from '../../src/store/pack-writer.ts';

export const CODEC_ID = asDigest(new Uint8Array(32).fill(0xc0));
export const CHUNKS_HEADER: PackHeader = { kind: 'chunks', codecId: CODEC_ID };

export const sha256 = (bytes: Uint8Array): Digest => asDigest(hash('sha256', bytes, 'buffer'));

export interface Payload {
  readonly header: RecordHeader;
  readonly bytes: Uint8Array;
}

export function payloadOf(bytes: Uint8Array): Payload {
  return { header: { digest: sha256(bytes), length: bytes.length, type: RECORD_TYPE.chunk }, bytes };
}

export function randomPayloads(random: Random, count: number, bytesMax: number): Payload[] {
  return Array.from({ length: count }, () =>
    payloadOf(random.fill(new Uint8Array(1 + random.below(bytesMax)))),
  );
}

/** The batch hash of the kernels, with node:crypto. */
export function hashRunsIn(buffer: Uint8Array): HashRuns {
  return (runs) => {
    const digests = new Uint8Array((runs.length / 2) * 32);
    for (let i = 0; i < runs.length; i += 2)
      digests.set(sha256(buffer.subarray(runs[i]!, runs[i]! + runs[i + 1]!)), i * 16);
    return digests;
  };
}

export function fill(fileSystem: FileSystem, builder: PackBuilder, payloads: readonly Payload[]): void {
  const headers = payloads.map((payload) => payload.header);
  const { path, offset } = builder.allocate(headers);
  const file = fileSystem.open(path, 'update');
  try {
    writeRecords(
      fileSystem,
      file,
      offset,
      headers,
      payloads.map((payload) => payload.bytes),
    );
  } finally {
    fileSystem.close(file);
  }
}

export function buildPack(
  fileSystem: FileSystem,
  layout: StoreLayout,
  payloads: readonly Payload[],
  name = 'a.part',
): Promise<SealedPack> {
  const builder = new PackBuilder({ fileSystem, layout, header: CHUNKS_HEADER, name });
  fill(fileSystem, builder, payloads);
  return builder.seal((request) => sealPackFile(fileSystem, request));
}

/** A seed that a failing run prints and KWAM_SEED brings back. */
export function chosenSeed(): number {
  const given = process.env['KWAM_SEED'];
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}

export const CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';
