/**
 * The catalog's record of an object, from its manifest and where that and its chunks lie. The one place where it is made: a put and the
 * recovery of a lost catalog must write the same.
 */
import type { DigestHex } from '../digest.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { ObjectRecord } from '../replication/catalog.ts';

export interface ManifestPlace {
  readonly digest: DigestHex;
  readonly parts: readonly DigestHex[];
  readonly partList: DigestHex | undefined;
  readonly packs: readonly DigestHex[];
}

export function objectOf(manifest: Manifest, place: ManifestPlace): ObjectRecord {
  const { digest, parts, partList, packs } = place;
  return {
    schema: 'kwam.object/v1',
    name: manifest.name,
    manifest: digest,
    parts,
    ...(partList === undefined ? {} : { partList }),
    packs,
    producer: manifest.producer,
    files: countFiles(manifest),
    bytes: manifest.bytes,
    chunks: manifest.chunks.lengths.length,
    createdAt: manifest.createdAt,
  };
}

export function countFiles(manifest: Manifest): number {
  return manifest.files.filter((entry) => entry.type === 'file' || entry.type === 'hardlink').length;
}
