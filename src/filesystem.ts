/**
 * The disk, as the store sees it: synchronous, because every caller that touches bytes runs in a worker.
 * Implementations: `nodeFileSystem` here; a seeded faulty one in test/. All throw KwamError `IO` or `DISK_FULL`.
 */
import * as fs from 'node:fs';
import { assert, KwamError } from './errors.ts';

/** Names may be invalid UTF-8: such paths travel as bytes. */
export type FilePath = string | Buffer;
export type FileHandle = number & { readonly __fileHandle: true };
export type OpenMode = 'read' | 'update' | 'create';

export interface FileSystem {
  /** `create` fails when the file exists; `update` opens an existing file for reading and writing. */
  open(path: FilePath, mode: OpenMode): FileHandle;
  close(file: FileHandle): void;
  /** Reads up to `into.length` bytes at `position`; fewer only at the end of the file. */
  read(file: FileHandle, into: Uint8Array, position: number): number;
  /** Writes all the parts one after another at `position`. */
  write(file: FileHandle, parts: readonly Uint8Array[], position: number): void;
  /** Data and metadata are durable after this. An error here is fatal for the file: nobody may trust a later success. */
  sync(file: FileHandle): void;
  syncDirectory(path: string): void;
  bytes(file: FileHandle): number;
  truncate(file: FileHandle, bytes: number): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  exists(path: string): boolean;
  list(directory: string): string[];
  makeDirectory(path: string): void;
}

/** POSIX: one writev takes at most 1024 parts (IOV_MAX on Linux). */
const WRITE_PARTS_MAX = 1024;

function guarded<T>(what: string, path: FilePath | FileHandle, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new KwamError(
        'DISK_FULL',
        `${what} ${String(path)}: the disk is full (${code}); free space and try again`,
        {
          cause,
          retryable: true,
        },
      );
    }
    throw new KwamError(code === 'ENOENT' ? 'NOT_FOUND' : 'IO', `${what} ${String(path)} failed: ${code}`, {
      cause,
      context: { errno: code },
    });
  }
}

const FLAGS: Record<OpenMode, string> = { read: 'r', update: 'r+', create: 'wx+' };

export const nodeFileSystem: FileSystem = {
  open: (path, mode) => guarded('open', path, () => fs.openSync(path, FLAGS[mode]) as FileHandle),
  close: (file) => guarded('close', file, () => fs.closeSync(file)),
  read: (file, into, position) => guarded('read', file, () => readUpTo(file, into, position)),
  write: (file, parts, position) =>
    guarded('write', file, () => {
      for (let first = 0; first < parts.length; first += WRITE_PARTS_MAX) {
        position += writeAll(file, parts.slice(first, first + WRITE_PARTS_MAX), position);
      }
    }),
  sync: (file) => guarded('fsync', file, () => fs.fsyncSync(file)),
  syncDirectory: (path) =>
    guarded('fsync', path, () => {
      const fd = fs.openSync(path, 'r');
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    }),
  bytes: (file) => guarded('stat', file, () => fs.fstatSync(file).size),
  truncate: (file, bytes) => guarded('truncate', file, () => fs.ftruncateSync(file, bytes)),
  rename: (from, to) => guarded('rename', from, () => fs.renameSync(from, to)),
  remove: (path) => guarded('remove', path, () => fs.rmSync(path, { force: true })),
  exists: (path) => fs.existsSync(path),
  list: (directory) => guarded('list', directory, () => fs.readdirSync(directory)),
  makeDirectory: (path) =>
    guarded('create directory', path, () => void fs.mkdirSync(path, { recursive: true })),
};

/** Fills `into` from `position` on; fewer bytes only where the file ends. Throws what Node throws. */
export function readUpTo(file: number, into: Uint8Array, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = fs.readSync(file, into, done, into.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function writeAll(file: FileHandle, parts: readonly Uint8Array[], position: number): number {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  let rest = parts;
  let done = 0;
  while (done < total) {
    let count = fs.writevSync(file, rest as NodeJS.ArrayBufferView[], position + done);
    assert(count > 0, 'writev makes progress or fails');
    done += count;
    let i = 0;
    while (i < rest.length && count >= rest[i]!.length) count -= rest[i++]!.length;
    rest = i < rest.length ? [rest[i]!.subarray(count), ...rest.slice(i + 1)] : [];
  }
  return total;
}
