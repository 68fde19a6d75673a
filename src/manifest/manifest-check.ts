/**
 * The rules that every manifest keeps, whoever wrote it.
 * In: a Manifest. Throws KwamError MANIFEST_INVALID or LIMIT_EXCEEDED at the first rule broken, naming the entry.
 * Holds after it: lengths, sizes and digests agree with each other; paths are safe to restore (entry-path.ts); every number is
 * in the range that the file system and the store accept. Does not know whether the bytes exist.
 */
import { DIGEST_BYTES } from '../digest.ts';
import { type ErrorContext, KwamError } from '../errors.ts';
import {
  chunkBytesMaxHighest,
  chunkBytesMinLowest,
  manifestChunksMax,
  manifestEntriesMax,
  objectNameBytesMax,
  spiffeIdBytesMax,
} from '../limits.ts';
import {
  checkPathBytes,
  checkPaths,
  checkRelativePath,
  type EntryType,
  pathKey,
  showPath,
} from './entry-path.ts';
import type { HardlinkEntry, Inode, Manifest, ManifestChunker, ManifestEntry } from './manifest.ts';

const modeMax = 0o7777;
const idMax = 0xffff_ffff;
const int64Max = 2n ** 63n - 1n;
/** The shape of a SPIFFE ID with a path; the identity layer has the full rules and applies them to certificates. */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)+$/;
const RULE = /^[a-z0-9][a-z0-9./-]{0,63}$/;
const HEX = /^[0-9a-f]{64}$/;

function refuse(message: string, context: ErrorContext = {}): never {
  throw new KwamError('MANIFEST_INVALID', `manifest: ${message}`, { context });
}

function isWhole(value: number, lowest: number, highest: number): boolean {
  return Number.isSafeInteger(value) && value >= lowest && value <= highest && !Object.is(value, -0);
}

function checkCounts(manifest: Manifest): void {
  const chunks = manifest.chunks.lengths.length;
  const entries = manifest.files.length;
  if (chunks <= manifestChunksMax && entries <= manifestEntriesMax) return;
  throw new KwamError(
    'LIMIT_EXCEEDED',
    `expected at most ${manifestChunksMax} chunks and ${manifestEntriesMax} entries in one object, got ${chunks} and ` +
      `${entries}; put it as several objects`,
    { context: { chunks, entries } },
  );
}

function isTime(text: string): boolean {
  const time = Date.parse(text);
  return !Number.isNaN(time) && new Date(time).toISOString() === text;
}

function isSpiffeId(text: string): boolean {
  return text.length <= spiffeIdBytesMax && SPIFFE_ID.test(text) && !/\/\.{1,2}(\/|$)/.test(text);
}

function checkName(name: string): void {
  const bytes = name.isWellFormed() ? new TextEncoder().encode(name).length : 0;
  if (bytes === 0 || bytes > objectNameBytesMax || name.includes('\0')) {
    refuse(
      `expected a name of 1 to ${objectNameBytesMax} bytes of UTF-8 without NUL, got ${JSON.stringify(name)}`,
    );
  }
}

function checkHead(manifest: Manifest): void {
  checkName(manifest.name);
  if (!isSpiffeId(manifest.producer)) refuse(`expected a SPIFFE ID as producer, got ${manifest.producer}`);
  if (!HEX.test(manifest.codecId))
    refuse(`expected 64 hexadecimal digits as codecId, got ${manifest.codecId}`);
  if (!isTime(manifest.createdAt)) {
    refuse(`expected createdAt as YYYY-MM-DDTHH:MM:SS.mmmZ, got ${manifest.createdAt}`);
  }
}

function checkChunker(chunker: ManifestChunker): void {
  const { rule, chunkBytesMin: min, chunkBytesTarget: target, chunkBytesMax: max } = chunker;
  if (!RULE.test(rule)) refuse(`expected the name of a cut rule, got ${JSON.stringify(rule)}`);
  const sized = isWhole(min, chunkBytesMinLowest, target) && isWhole(target, min, max);
  if (!sized || !isWhole(max, target, chunkBytesMaxHighest)) {
    refuse(
      `expected chunk sizes ${chunkBytesMinLowest} ≤ min ≤ target ≤ max ≤ ${chunkBytesMaxHighest}, got ${min}, ${target}, ${max}`,
    );
  }
}

function checkChunks(manifest: Manifest): void {
  const { lengths, digests } = manifest.chunks;
  if (digests.length !== lengths.length * DIGEST_BYTES) {
    refuse(`expected ${lengths.length} digests of ${DIGEST_BYTES} bytes, got ${digests.length} bytes`);
  }
  let total = 0;
  for (const [index, length] of lengths.entries()) {
    if (length < 1 || length > manifest.chunker.chunkBytesMax) {
      refuse(`expected chunk ${index} to have 1 to ${manifest.chunker.chunkBytesMax} bytes, got ${length}`);
    }
    total += length;
  }
  if (total !== manifest.bytes) refuse(`expected ${manifest.bytes} bytes in chunks, got ${total}`);
}

function checkInode(entry: Inode & ManifestEntry): void {
  const { mode, uid, gid, mtimeNs } = entry;
  const ids = isWhole(uid, 0, idMax) && isWhole(gid, 0, idMax);
  if (ids && isWhole(mode, 0, modeMax) && mtimeNs <= int64Max && mtimeNs >= -int64Max) return;
  refuse(
    `entry ${showPath(entry.path)}: expected mode ≤ 07777, 32-bit uid and gid, 64-bit mtimeNs, got ${mode}, ${uid}, ${gid}, ${mtimeNs}`,
  );
}

function checkHardlink(entry: HardlinkEntry, types: ReadonlyMap<string, EntryType>): void {
  checkRelativePath(entry.target);
  if (types.get(pathKey(entry.target)) === 'file') return;
  refuse(
    `hard link ${showPath(entry.path)}: expected its target ${showPath(entry.target)} to be a file of this manifest`,
  );
}

function checkEntry(entry: ManifestEntry, types: ReadonlyMap<string, EntryType>): void {
  if (entry.type === 'hardlink') {
    checkHardlink(entry, types);
    return;
  }
  checkInode(entry);
  if (entry.type === 'symlink') checkPathBytes(entry.target);
  if (entry.type === 'file' && !isWhole(entry.size, 0, Number.MAX_SAFE_INTEGER)) {
    refuse(`entry ${showPath(entry.path)}: expected a size in bytes, got ${entry.size}`);
  }
}

function checkFiles(manifest: Manifest): void {
  const types = checkPaths(manifest.files);
  let total = 0;
  for (const entry of manifest.files) {
    checkEntry(entry, types);
    if (entry.type === 'file') total += entry.size;
  }
  if (total !== manifest.bytes) refuse(`expected ${manifest.bytes} bytes in files, got ${total}`);
}

export function checkManifest(manifest: Manifest): void {
  checkCounts(manifest);
  checkHead(manifest);
  checkChunker(manifest.chunker);
  checkChunks(manifest);
  checkFiles(manifest);
}
