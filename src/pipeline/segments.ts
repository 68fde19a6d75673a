/**
 * Divides the regular files of a walk into work for the pool.
 * In: entries in content order. Out: batches of whole files, and large files on their own.
 * A segment is the run of content that is chunked as one: a file, or a group of small neighbours. Groups end where a
 * hash of the file name says so, not at a count, so that an added file disturbs one group and not all later ones.
 */
import { MIB } from '../limits.ts';
import type { FileEntry } from '../manifest/manifest.ts';
import { SMALL_FILE_BYTES_MAX } from './walk.ts';

/** Half of INPUT: leaves room for files that grow while they are read. */
export const BATCH_BYTES_MAX = 8 * MIB;
/** Bounds the memory of a batch of empty or tiny files. */
const BATCH_FILES_MAX = 2048;
const GROUP_BYTES_MAX = 1 * MIB;
/** A group holds 64 files on average: long enough to fill chunks, short enough to shift little after an insertion. */
const GROUP_FILES_MEAN = 64;

export interface FileBatch {
  readonly kind: 'files';
  readonly segments: readonly (readonly FileEntry[])[];
  readonly bytes: number;
}

export interface LargeFile {
  readonly kind: 'large';
  readonly file: FileEntry;
  readonly bytes: number;
}

export type Work = FileBatch | LargeFile;

export function* divide(files: Iterable<FileEntry>): Generator<Work> {
  let segments: FileEntry[][] = [];
  let bytes = 0;
  let fileCount = 0;
  for (const segment of segmentsOf(files)) {
    const segmentBytes = segment.reduce((sum, file) => sum + file.size, 0);
    const isFull = bytes + segmentBytes > BATCH_BYTES_MAX || fileCount + segment.length > BATCH_FILES_MAX;
    if (isFull && segments.length > 0) {
      yield { kind: 'files', segments, bytes };
      segments = [];
      bytes = 0;
      fileCount = 0;
    }
    if (segmentBytes > BATCH_BYTES_MAX) {
      yield { kind: 'large', file: segment[0]!, bytes: segmentBytes };
      continue;
    }
    segments.push(segment);
    bytes += segmentBytes;
    fileCount += segment.length;
  }
  if (segments.length > 0) yield { kind: 'files', segments, bytes };
}

function* segmentsOf(files: Iterable<FileEntry>): Generator<FileEntry[]> {
  let group: FileEntry[] = [];
  let bytes = 0;
  for (const file of files) {
    if (file.size >= SMALL_FILE_BYTES_MAX) {
      if (group.length > 0) yield group;
      yield [file];
      group = [];
      bytes = 0;
      continue;
    }
    group.push(file);
    bytes += file.size;
    if (bytes >= GROUP_BYTES_MAX || endsGroup(file.path)) {
      yield group;
      group = [];
      bytes = 0;
    }
  }
  if (group.length > 0) yield group;
}

/** FNV-1a (Fowler, Noll, Vo; offset basis and prime for 32 bits) of the last path segment, so a moved folder groups alike. */
function endsGroup(path: string | Uint8Array): boolean {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path;
  let hash = 0x811c9dc5;
  for (let i = bytes.lastIndexOf(SLASH) + 1; i < bytes.length; i++) {
    hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  }
  return (hash >>> 0) % GROUP_FILES_MEAN === 0;
}

const SLASH = 0x2f;
