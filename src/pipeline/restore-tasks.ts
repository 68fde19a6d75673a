/**
 * The worker's half of get: read a pack, verify every record, and only then write its bytes to the files that hold them.
 * In: a pack file, the wanted records, and where the parts of each go. Out: what was written, and which records were bad;
 * nothing of a bad record is written. Then `finishTree` gives files, links and directories their final form.
 * A record is read and hashed once, however many files share it.
 */
import * as fs from 'node:fs';
import { asDigest, DIGEST_BYTES, type DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { FilePath } from '../filesystem.ts';
import { type EntryPath, ROOT_PATH } from '../manifest/entry-path.ts';
import type { FileEntry, ManifestEntry, SymlinkEntry } from '../manifest/manifest.ts';
import { hashInput, withPassed } from '../replication/pack-tasks.ts';
import { type PackRecord, RECORD_TYPE } from '../store/pack-format.ts';
import { withFile } from '../store/pack-reader.ts';
import { checkRun } from '../store/pack-verify.ts';
import { defineTask } from '../workers/task.ts';

/** Where bytes of records go: piece p of record r for p in [starts[r], starts[r + 1]). */
export interface Pieces {
  readonly starts: Uint32Array;
  readonly files: Uint32Array;
  readonly fileOffsets: Float64Array;
  readonly recordOffsets: Uint32Array;
  readonly lengths: Uint32Array;
}

export interface RestorePackInput {
  readonly packPath: string;
  /** Where the tree appears; undefined verifies without writing. */
  readonly root?: string;
  readonly paths: readonly EntryPath[];
  readonly isSparse: Uint8Array;
  /** Of the wanted records, ascending. */
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
  readonly digests: Uint8Array;
  readonly pieces: Pieces;
}

export interface BadRecord {
  readonly digest: DigestHex;
  readonly actual: DigestHex | 'unreadable';
  /** The engine that verifies here passed it, and others refuted that. Left out where nobody looked. */
  readonly wasPassed?: boolean;
}

export interface RestorePackOutput {
  readonly bytes: number;
  readonly records: number;
  readonly bad: readonly BadRecord[];
}

export const restorePack = defineTask(
  'restore-pack',
  (context, input: RestorePackInput): RestorePackOutput => {
    const records = recordsOf(input);
    const files = new OpenFiles(input);
    const bad: BadRecord[] = [];
    let bytes = 0;
    try {
      withFile(context.fileSystem, input.packPath, (pack) => {
        for (let first = 0; first < records.length; ) {
          const run = checkRun(context.fileSystem, pack, records, first, context.input(), hashInput(context));
          bad.push(...withPassed(context, run.bad));
          const isBad = new Set(run.bad.map(({ recordIndex }) => recordIndex));
          for (let i = first; i < run.next; i++) {
            if (isBad.has(i)) continue;
            const { length } = records[i]!;
            const from = run.runs[(i - first) * 2]!;
            context.timed('disk', () => files.write(i, context.input().subarray(from, from + length)));
            bytes += length;
          }
          first = run.next;
        }
      });
    } finally {
      files.close();
    }
    return { bytes, records: records.length, bad };
  },
);

function recordsOf(input: RestorePackInput): PackRecord[] {
  return Array.from(input.lengths, (length, i) => ({
    length,
    type: RECORD_TYPE.chunk,
    offset: input.offsets[i]!,
    digest: asDigest(input.digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)),
  }));
}

const OPEN_FILES_MAX = 32;
const ZEROS = new Uint8Array(64 * 1024);

/** The destination files of one task; a few stay open because neighbouring records go to the same file. */
class OpenFiles {
  readonly #input: RestorePackInput;
  readonly #handles = new Map<number, number>();

  constructor(input: RestorePackInput) {
    this.#input = input;
  }

  write(record: number, payload: Uint8Array): void {
    const { pieces, root } = this.#input;
    if (root === undefined) return;
    for (let p = pieces.starts[record]!; p < pieces.starts[record + 1]!; p++) {
      const from = pieces.recordOffsets[p]!;
      const part = payload.subarray(from, from + pieces.lengths[p]!);
      const file = pieces.files[p]!;
      if (this.#input.isSparse[file] === 1 && isZero(part)) continue;
      writeAt(this.#handle(file, root), part, pieces.fileOffsets[p]!);
    }
  }

  #handle(file: number, root: string): number {
    const known = this.#handles.get(file);
    if (known !== undefined) return known;
    if (this.#handles.size >= OPEN_FILES_MAX) this.close();
    const handle = openTarget(targetPath(root, this.#input.paths[file]!));
    this.#handles.set(file, handle);
    return handle;
  }

  close(): void {
    for (const handle of this.#handles.values()) fs.closeSync(handle);
    this.#handles.clear();
  }
}

export function targetPath(root: string, path: EntryPath): FilePath {
  if (path === ROOT_PATH) return root;
  if (typeof path === 'string') return `${root}/${path}`;
  return Buffer.concat([Buffer.from(`${root}/`), path]);
}

/** Links are made last, so nothing in the destination is followed; O_NOFOLLOW makes that certain. */
const TARGET_FLAGS = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW;

function openTarget(path: FilePath): number {
  return guarded('write', path, () => fs.openSync(path, TARGET_FLAGS, 0o600));
}

function writeAt(file: number, bytes: Uint8Array, position: number): void {
  guarded('write', String(file), () => {
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(file, bytes, done, bytes.length - done, position + done);
    }
  });
}

function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}

function guarded<T>(what: string, path: FilePath, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
    const remedy = isFull ? 'free space and run get again' : 'check the destination and run get again';
    throw new KwamError(isFull ? 'DISK_FULL' : 'IO', `${what} ${String(path)} failed (${errno}); ${remedy}`, {
      cause,
    });
  }
}

export interface FinishInput<Entry> {
  readonly root: string;
  readonly entries: readonly Entry[];
}

/** Exact sizes, modes, owners and times of regular files; empty files appear here. */
export const finishFiles = defineTask('finish-files', (context, input: FinishInput<FileEntry>): number => {
  context.timed('disk', () => {
    for (const entry of input.entries) finishFile(targetPath(input.root, entry.path), entry);
  });
  return input.entries.length;
});

function finishFile(path: FilePath, entry: FileEntry): void {
  const file = openTarget(path);
  try {
    guarded('finish', path, () => {
      fs.ftruncateSync(file, entry.size);
      if (isRoot) fs.fchownSync(file, entry.uid, entry.gid);
      fs.fchmodSync(file, entry.mode);
      const seconds = secondsOf(entry.mtimeNs);
      fs.futimesSync(file, seconds, seconds);
    });
  } finally {
    fs.closeSync(file);
  }
}

const isRoot = process.getuid?.() === 0;

/**
 * Node takes times as doubles of seconds, and libuv cuts them towards zero to whole microseconds. A double has a quarter of a
 * microsecond of play in this century, so the middle of the wanted microsecond arrives there and its start may not.
 */
function secondsOf(mtimeNs: bigint): number {
  const microseconds = Number((mtimeNs - (((mtimeNs % 1000n) + 1000n) % 1000n)) / 1000n);
  return (microseconds < 0 ? microseconds - 0.5 : microseconds + 0.5) / 1e6;
}

/** Creates every directory, parents first. */
export const makeDirectories = defineTask(
  'make-directories',
  (context, input: FinishInput<ManifestEntry>): void =>
    context.timed('disk', () => {
      for (const entry of input.entries) {
        const path = targetPath(input.root, entry.path);
        guarded('create', path, () => fs.mkdirSync(path, { recursive: true }));
      }
    }),
);

/**
 * Links, then modes and times of directories from the deepest up, because filling a directory changes its time. Links that
 * are there are from a worker that died in this task.
 */
export const finishTree = defineTask('finish-tree', (context, input: FinishInput<ManifestEntry>): void =>
  context.timed('disk', () => makeLinksAndFinish(input)),
);

function makeLinksAndFinish(input: FinishInput<ManifestEntry>): void {
  for (const entry of input.entries) {
    const path = targetPath(input.root, entry.path);
    if (entry.type === 'hardlink') {
      guarded('link', path, () => {
        fs.rmSync(path, { force: true });
        fs.linkSync(targetPath(input.root, entry.target), path);
      });
    }
    if (entry.type === 'symlink') guarded('link', path, () => makeSymlink(path, entry));
  }
  const directories = input.entries.filter((entry) => entry.type === 'directory');
  for (const entry of directories.reverse()) {
    const path = targetPath(input.root, entry.path);
    guarded('finish', path, () => {
      if (isRoot) fs.chownSync(path, entry.uid, entry.gid);
      fs.chmodSync(path, entry.mode);
      fs.utimesSync(path, secondsOf(entry.mtimeNs), secondsOf(entry.mtimeNs));
    });
  }
}

function makeSymlink(path: FilePath, entry: SymlinkEntry): void {
  const { target } = entry;
  fs.rmSync(path, { force: true });
  fs.symlinkSync(typeof target === 'string' ? target : Buffer.from(target), path);
  if (isRoot) fs.lchownSync(path, entry.uid, entry.gid);
  fs.lutimesSync(path, secondsOf(entry.mtimeNs), secondsOf(entry.mtimeNs));
}
