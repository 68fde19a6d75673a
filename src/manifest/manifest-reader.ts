/**
 * Reads a manifest from its canonical text and from no other: writing the result again gives the payload byte for byte.
 * So repeated or unknown members, other orders, spaces and odd numbers are refused without a rule for each, and one
 * content has one digest.
 * In: the payload of a verified envelope. Out: a Manifest that has passed checkManifest and owns its memory.
 * Does not verify signatures: see signed-manifest.ts.
 */
import { DIGEST_BYTES, type DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { manifestChunksMax, manifestEntriesMax } from '../limits.ts';
import { base64Bytes, fromBase64, readBase64 } from './base64.ts';
import type { EntryPath } from './entry-path.ts';
import { JsonCursor } from './json-cursor.ts';
import {
  type HardlinkEntry,
  type Inode,
  type Manifest,
  type ManifestChunker,
  type ManifestChunks,
  type ManifestEntry,
  manifestSchema,
} from './manifest.ts';
import { checkManifest } from './manifest-check.ts';

/** An unknown version is refused by its name before anything else of it is read. */
function checkSchema(payload: Uint8Array): void {
  const tail = new TextDecoder('latin1').decode(payload.subarray(-128));
  const schema = /"schema":"([^"\\]{0,64})"\}$/.exec(tail)?.[1];
  if (schema === manifestSchema) return;
  throw new KwamError(
    'MANIFEST_INVALID',
    `expected a manifest of schema ${manifestSchema}, got ${JSON.stringify(schema ?? 'none')}; a newer kwam-dp may read it`,
    { context: { schema } },
  );
}

function readCount(cursor: JsonCursor, what: string, limit: number): number {
  const count = cursor.integer();
  if (count >= 0 && count <= limit) return count;
  throw new KwamError('LIMIT_EXCEEDED', `expected at most ${limit} ${what} in a manifest, got ${count}`, {
    context: { count, limit },
  });
}

function readDigests(cursor: JsonCursor, count: number): Uint8Array {
  const text = cursor.rawString();
  if (base64Bytes(text) !== count * DIGEST_BYTES) cursor.fail(`base64 of ${count} digests before it`);
  const digests = new Uint8Array(count * DIGEST_BYTES);
  if (!readBase64(text, digests, 0)) cursor.fail('base64 of digests before it');
  return digests;
}

function readLengths(cursor: JsonCursor, count: number): Uint32Array {
  const lengths = new Uint32Array(count);
  cursor.expect('[');
  for (let i = 0; i < count; i++) {
    if (i > 0) cursor.expect(',');
    const length = cursor.integer();
    if (length < 1 || length > 0xffff_ffff) cursor.fail('a chunk length before it');
    lengths[i] = length;
  }
  cursor.expect(']');
  return lengths;
}

function readChunks(cursor: JsonCursor): ManifestChunks {
  cursor.expect('"chunks":{"count":');
  const count = readCount(cursor, 'chunks', manifestChunksMax);
  cursor.expect(',"digests":');
  const digests = readDigests(cursor, count);
  cursor.expect(',"lengths":');
  const lengths = readLengths(cursor, count);
  cursor.expect('}');
  return { lengths, digests };
}

function readChunker(cursor: JsonCursor): ManifestChunker {
  cursor.expect('"chunker":{"chunkBytesMax":');
  const chunkBytesMax = cursor.integer();
  cursor.expect(',"chunkBytesMin":');
  const chunkBytesMin = cursor.integer();
  cursor.expect(',"chunkBytesTarget":');
  const chunkBytesTarget = cursor.integer();
  cursor.expect(',"rule":');
  const rule = cursor.string('canonical');
  cursor.expect('}');
  return { rule, chunkBytesMin, chunkBytesTarget, chunkBytesMax };
}

function readPath(cursor: JsonCursor, name: string): EntryPath {
  if (cursor.accept(`"${name}":`)) return cursor.string('canonical');
  cursor.expect(`"${name}Bytes":`);
  return fromBase64(cursor.rawString()) ?? cursor.fail('base64 before it');
}

function readMtimeNs(cursor: JsonCursor): bigint {
  const text = new TextDecoder('latin1').decode(cursor.rawString());
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) cursor.fail('nanoseconds in decimal before it');
  return BigInt(text);
}

function readInodeHead(cursor: JsonCursor): Omit<Inode, 'uid'> {
  cursor.expect('"gid":');
  const gid = cursor.integer();
  cursor.expect(',"mode":');
  const mode = cursor.integer();
  cursor.expect(',"mtimeNs":');
  const mtimeNs = readMtimeNs(cursor);
  cursor.expect(',');
  return { gid, mode, mtimeNs };
}

function readHardlink(cursor: JsonCursor): HardlinkEntry {
  const path = readPath(cursor, 'path');
  cursor.expect(',');
  const target = readPath(cursor, 'target');
  cursor.expect(',"type":"hardlink"}');
  return { type: 'hardlink', path, target };
}

function readUid(cursor: JsonCursor): number {
  cursor.expect(',"uid":');
  const uid = cursor.integer();
  cursor.expect('}');
  return uid;
}

function readEntry(cursor: JsonCursor): ManifestEntry {
  cursor.expect('{');
  if (cursor.at('"path')) return readHardlink(cursor);
  const inode = readInodeHead(cursor);
  const path = readPath(cursor, 'path');
  cursor.expect(',');
  if (cursor.accept('"type":"directory"')) return { type: 'directory', path, ...inode, uid: readUid(cursor) };
  if (cursor.accept('"size":')) {
    const size = cursor.integer();
    const sparse = cursor.accept(',"sparse":true');
    cursor.expect(',"type":"file"');
    return { type: 'file', path, size, sparse, ...inode, uid: readUid(cursor) };
  }
  const target = readPath(cursor, 'target');
  cursor.expect(',"type":"symlink"');
  return { type: 'symlink', path, target, ...inode, uid: readUid(cursor) };
}

function readEntries(cursor: JsonCursor): ManifestEntry[] {
  const entries: ManifestEntry[] = [];
  cursor.expect('"files":[');
  if (cursor.accept(']')) return entries;
  do {
    if (entries.length === manifestEntriesMax) cursor.fail(`at most ${manifestEntriesMax} entries`);
    entries.push(readEntry(cursor));
  } while (cursor.accept(','));
  cursor.expect(']');
  return entries;
}

/** @throws KwamError MANIFEST_INVALID, LIMIT_EXCEEDED. The result owns its memory; `payload` may be dropped. */
export function parseManifest(payload: Uint8Array): Manifest {
  checkSchema(payload);
  const cursor = new JsonCursor(payload, 'manifest', 'MANIFEST_INVALID');
  cursor.expect('{"bytes":');
  const bytes = cursor.integer();
  cursor.expect(',');
  const chunker = readChunker(cursor);
  cursor.expect(',');
  const chunks = readChunks(cursor);
  cursor.expect(',"codecId":');
  const codecId = cursor.string('canonical') as DigestHex;
  cursor.expect(',"createdAt":');
  const createdAt = cursor.string('canonical');
  cursor.expect(',');
  const files = readEntries(cursor);
  cursor.expect(',"name":');
  const name = cursor.string('canonical');
  cursor.expect(',"producer":');
  const producer = cursor.string('canonical');
  cursor.expect(`,"schema":"${manifestSchema}"}`);
  cursor.expectEnd();
  const manifest: Manifest = { name, producer, codecId, createdAt, chunker, bytes, chunks, files };
  checkManifest(manifest);
  return manifest;
}
