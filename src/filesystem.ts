/**
 * The disk, as the store sees it: synchronous, because nearly every caller that touches bytes runs in a worker. What the main
 * thread does with bulk bytes goes through `AsyncFiles`, which keeps nobody waiting.
 * Implementations: `nodeFileSystem` and `nodeAsyncFiles` here; a seeded faulty one in test/. All throw KwamError `NOT_FOUND`,
 * `IO` or `DISK_FULL`.
 */
import * as fs from 'node:fs';
import { type FileHandle as NodeFile, open as openLater, rm, stat } from 'node:fs/promises';
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

/** A file that the main thread has open. */
export interface AsyncFile {
  /** Up to `into.length` bytes at `position`; 0 only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  write(bytes: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}

/** The same disk for the main thread, where bytes come from other nodes and go to them. */
export interface AsyncFiles {
  /** `write` opens for writing at any place, and creates the file when it is not there. */
  open(path: string, mode: 'read' | 'write'): Promise<AsyncFile>;
  /** Also when it is not there. */
  remove(path: string): Promise<void>;
  /** When the name or the bytes last changed, as wall time. */
  changedAtMs(path: string): Promise<number>;
}

function guarded<T>(what: string, path: FilePath | FileHandle, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw diskError(what, String(path), cause);
  }
}

function diskError(what: string, path: string, cause: unknown): KwamError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new KwamError(
      'DISK_FULL',
      `${what} ${path}: the disk is full (${code}); free space and try again`,
      { cause, retryable: true, context: { errno: code } },
    );
  }
  return new KwamError(code === 'ENOENT' ? 'NOT_FOUND' : 'IO', `${what} ${path} failed: ${code}`, {
    cause,
    context: { errno: code },
  });
}

const FLAGS: Record<OpenMode, string> = { read: 'r', update: 'r+', create: 'wx+' };

export const nodeFileSystem: FileSystem = {
  open: (path, mode) => guarded('open', path, () => fs.openSync(path, FLAGS[mode]) as FileHandle),
  close: (file) => guarded('close', file, () => fs.closeSync(file)),
  read: (file, into, position) => guarded('read', file, () => readUpTo(file, into, position)),
  write: (file, parts, position) => guarded('write', file, () => writeGathered(file, parts, position)),
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

/** Small parts are copied together up to this size; a chunk is rarely larger. */
const GATHER_BYTES = 256 * 1024;
let gathered: Uint8Array | undefined;

/**
 * Writes the parts back to back. One call over hundreds of small parts takes the kernel two to five times as long as the same bytes in
 * one piece, which is more than copying them costs.
 */
function writeGathered(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
  gathered ??= new Uint8Array(GATHER_BYTES);
  let at = position;
  let held = 0;
  const flush = (): void => {
    at += writeAll(file, gathered!.subarray(0, held), at);
    held = 0;
  };
  for (const part of parts) {
    if (held + part.length > GATHER_BYTES) flush();
    if (part.length > GATHER_BYTES) at += writeAll(file, part, at);
    else {
      gathered.set(part, held);
      held += part.length;
    }
  }
  flush();
}

function writeAll(file: FileHandle, bytes: Uint8Array, position: number): number {
  let done = 0;
  while (done < bytes.length) {
    const count = fs.writeSync(file, bytes, done, bytes.length - done, position + done);
    assert(count > 0, 'write makes progress or fails');
    done += count;
  }
  return done;
}

const ASYNC_FLAGS = { read: fs.constants.O_RDONLY, write: fs.constants.O_RDWR | fs.constants.O_CREAT };

export const nodeAsyncFiles: AsyncFiles = {
  async open(path, mode) {
    const file = await later('open', path, openLater(path, ASYNC_FLAGS[mode]));
    return {
      read: async (into, position) => {
        const { bytesRead } = await later('read', path, file.read(into, 0, into.length, position));
        return bytesRead;
      },
      write: (bytes, position) => later('write', path, writeLater(file, bytes, position)),
      close: () => later('close', path, file.close()),
    };
  },
  remove: (path) => later('remove', path, rm(path, { force: true })),
  changedAtMs: async (path) => (await later('stat', path, stat(path))).ctimeMs,
};

async function later<T>(what: string, path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw diskError(what, path, cause);
  }
}

async function writeLater(file: NodeFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}
