/**
 * Writes a manifest as its canonical text: the payload that the producer signs.
 * In: a Manifest. Out: UTF-8 bytes, in RFC 8785 form; members are written in that order here, and a test compares the
 * result with the general serialiser. Digests go straight to base64 bytes, so that no string holds them all.
 * Holds: only manifests that the reader would accept are written. Does not sign.
 */
import { toBase64 } from './base64.ts';
import { ByteWriter } from './byte-writer.ts';
import { canonicalNumber, canonicalString } from './canonical-json.ts';
import type { EntryPath } from './entry-path.ts';
import {
  type Inode,
  type Manifest,
  type ManifestChunker,
  type ManifestEntry,
  manifestSchema,
} from './manifest.ts';
import { checkManifest } from './manifest-check.ts';

/** Texts of this many array elements are handed to the writer at once: enough for it to be quick, small for the heap. */
const elementsPerText = 1024;
/** Of a digest in base64 and a length with its comma; of an entry without its names, when its numbers are the longest. */
const chunkTextBytes = 44 + 11;
const entryTextBytes = 160;

/** Names of plain ASCII take what this says; others let the writer grow. */
function textBytesExpected({ chunks, files }: Manifest): number {
  let bytes = 2048 + chunks.lengths.length * chunkTextBytes + files.length * entryTextBytes;
  for (const entry of files) bytes += entry.path.length + ('target' in entry ? entry.target.length : 0);
  return bytes;
}

function pathMember(name: string, path: EntryPath): string {
  if (typeof path === 'string') return `"${name}":${canonicalString(path)}`;
  return `"${name}Bytes":"${toBase64(path)}"`;
}

function inodeHead(entry: Inode): string {
  const { gid, mode, mtimeNs } = entry;
  return `"gid":${canonicalNumber(gid)},"mode":${canonicalNumber(mode)},"mtimeNs":"${mtimeNs}"`;
}

function entryText(entry: ManifestEntry): string {
  const path = pathMember('path', entry.path);
  switch (entry.type) {
    case 'file': {
      const sparse = entry.sparse ? ',"sparse":true' : '';
      return `{${inodeHead(entry)},${path},"size":${canonicalNumber(entry.size)}${sparse},"type":"file","uid":${canonicalNumber(entry.uid)}}`;
    }
    case 'directory':
      return `{${inodeHead(entry)},${path},"type":"directory","uid":${canonicalNumber(entry.uid)}}`;
    case 'symlink':
      return `{${inodeHead(entry)},${path},${pathMember('target', entry.target)},"type":"symlink","uid":${canonicalNumber(entry.uid)}}`;
    case 'hardlink':
      return `{${path},${pathMember('target', entry.target)},"type":"hardlink"}`;
  }
}

function writeArray(writer: ByteWriter, count: number, element: (index: number) => string): void {
  writer.text('[');
  for (let first = 0; first < count; first += elementsPerText) {
    const texts: string[] = [];
    for (let i = first; i < Math.min(count, first + elementsPerText); i++) texts.push(element(i));
    writer.text((first === 0 ? '' : ',') + texts.join(','));
  }
  writer.text(']');
}

function chunkerText(chunker: ManifestChunker): string {
  const { chunkBytesMax, chunkBytesMin, chunkBytesTarget, rule } = chunker;
  return `{"chunkBytesMax":${chunkBytesMax},"chunkBytesMin":${chunkBytesMin},"chunkBytesTarget":${chunkBytesTarget},"rule":${canonicalString(rule)}}`;
}

/** @throws KwamError MANIFEST_INVALID, LIMIT_EXCEEDED when the manifest would be refused by parseManifest. */
export function encodeManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  checkManifest(manifest);
  const { chunks, files } = manifest;
  const count = chunks.lengths.length;
  const writer = new ByteWriter(textBytesExpected(manifest));
  writer.text(
    `{"bytes":${manifest.bytes},"chunker":${chunkerText(manifest.chunker)},"chunks":{"count":${count},`,
  );
  writer.text('"digests":"');
  writer.base64(chunks.digests);
  writer.text('","lengths":');
  writeArray(writer, count, (i) => String(chunks.lengths[i]));
  writer.text(`},"codecId":"${manifest.codecId}","createdAt":"${manifest.createdAt}","files":`);
  writeArray(writer, files.length, (i) => entryText(files[i]!));
  writer.text(`,"name":${canonicalString(manifest.name)},"producer":${canonicalString(manifest.producer)},`);
  writer.text(`"schema":"${manifestSchema}"}`);
  return writer.done();
}
