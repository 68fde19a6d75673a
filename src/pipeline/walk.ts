/**
 * Lists a file tree for ingest.
 * In: the path of a directory or a file. Out: manifest entries in content order — directories, links, then regular files,
 * small ones first — and by name what could not be listed. Order is by bytes of the path, so the same tree gives the
 * same list everywhere. Does not read contents. What vanishes while it is listed is reported, not fatal.
 */
import * as fs from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { KwamError } from '../errors.ts';
import type { FilePath } from '../filesystem.ts';
import {
  type EntryPath,
  entryPath,
  entryPathBytes,
  pathKey,
  ROOT_PATH,
  showPath,
} from '../manifest/entry-path.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { RunOptions, WorkerPool } from '../workers/pool.ts';
import { defineTask } from '../workers/task.ts';

export interface Problem {
  readonly path: string;
  readonly reason: 'unreadable' | 'vanished' | 'changed' | 'unsupported';
  readonly detail: string;
}

export interface Walk {
  /** The directory that entry paths are relative to; for a single file, the directory it lies in. */
  readonly base: string;
  readonly entries: readonly ManifestEntry[];
  readonly problems: readonly Problem[];
}

/** Entries that a worker holds before it sends them on: the list of a large tree is beyond the heap of a worker. */
const PAGE_ENTRIES = 4096;
/** A block of st_blocks is 512 bytes on every Linux file system. */
const STAT_BLOCK_BYTES = 512n;
/** Below this a file shares chunks with its neighbours; from here on it starts a chunk of its own (the default minimum). */
export const SMALL_FILE_BYTES_MAX = 16 * 1024;

interface Lister {
  readonly emit: (page: ManifestEntry[]) => void;
  page: ManifestEntry[];
  readonly problems: Problem[];
  /** Device and inode → the path under which the content is listed. */
  readonly firstLinks: Map<string, EntryPath>;
}

type Listing = Omit<Walk, 'entries'>;

/** Sends the entries through the port, page after page, each directory before what it holds, and null after the last. */
export const walkTree = defineTask('walk-tree', (_context, input: { root: string }, [port]): Listing => {
  const listing = listTree(input.root, (page) => port!.postMessage(page));
  port!.postMessage(null);
  port!.close();
  return listing;
});

/** Lists a tree in a worker; here the entries come together, in content order. */
export async function walk(
  pool: WorkerPool,
  root: string,
  options: Pick<RunOptions, 'bytes' | 'signal'> = {},
): Promise<Walk> {
  let collected = collectPages();
  try {
    const ports = (): MessagePort[] => {
      collected.port.close();
      collected = collectPages();
      return [collected.far];
    };
    const listing = await pool.run(walkTree, { root }, { ...options, ports });
    return { ...listing, entries: await collected.entries };
  } finally {
    collected.port.close();
  }
}

function collectPages() {
  const { port1: port, port2: far } = new MessageChannel();
  const classes: ManifestEntry[][] = [[], [], [], [], []];
  const entries = new Promise<ManifestEntry[]>((resolve) => {
    port.on('message', (page: ManifestEntry[] | null) => {
      if (page === null) return resolve(classes.flat());
      for (const entry of page) classes[classOf(entry)]!.push(compact(entry));
    });
  });
  return { port, far, entries };
}

/** What came through a port has its properties outside of the object, which takes twice the heap. */
function compact(entry: ManifestEntry): ManifestEntry {
  if (entry.type !== 'file') return entry;
  const { path, mode, uid, gid, mtimeNs, size, sparse } = entry;
  return { type: 'file', path, mode, uid, gid, mtimeNs, size, sparse };
}

export function listTree(path: string, emit: (page: ManifestEntry[]) => void): Listing {
  const { root, stat } = statRoot(resolve(path));
  const lister: Lister = { emit, page: [], problems: [], firstLinks: new Map() };
  addEntry(lister, root, stat.isDirectory() ? ROOT_PATH : entryPath(Buffer.from(basename(root))), stat);
  if (stat.isDirectory()) listDirectory(lister, root, ROOT_PATH);
  emit(lister.page);
  return { base: stat.isDirectory() ? root : dirname(root), problems: lister.problems };
}

function add(lister: Lister, entry: ManifestEntry): void {
  lister.page.push(entry);
  if (lister.page.length < PAGE_ENTRIES) return;
  lister.emit(lister.page);
  lister.page = [];
}

/** A link given as the root stands for what it points to: below the root no link is followed. */
function statRoot(path: string): { readonly root: string; readonly stat: fs.BigIntStats } {
  try {
    const root = fs.realpathSync(path);
    const stat = fs.statSync(root, { bigint: true });
    if (stat.isDirectory() || stat.isFile()) return { root, stat };
  } catch (cause) {
    throw noRoot(path, (cause as NodeJS.ErrnoException).code ?? String(cause), cause);
  }
  throw noRoot(path, 'something else');
}

function noRoot(path: string, got: string, cause?: unknown): KwamError {
  const message = `expected a readable file or directory at ${path}, got ${got}; check the path`;
  return new KwamError('USAGE', message, { cause });
}

function listDirectory(lister: Lister, directory: FilePath, relative: EntryPath): void {
  // As Latin-1 each byte of a name is one character: names sort by bytes, and plain ones are read without a decoder.
  const names = attempt(lister, relative, () => fs.readdirSync(directory, { encoding: 'latin1' }));
  if (names === undefined) return;
  for (const name of names.sort()) {
    const own = isAscii(name) ? name : entryPath(new Uint8Array(Buffer.from(name, 'latin1')));
    const path = relative === ROOT_PATH ? own : joined(relative, own);
    const full = toFilePath(joined(directory, own));
    const stat = attempt(lister, path, () => fs.lstatSync(full, { bigint: true }));
    if (stat === undefined) continue;
    addEntry(lister, full, path, stat);
    if (stat.isDirectory()) listDirectory(lister, full, path);
  }
}

const isAscii = (name: string): boolean => !/[^ -~]/.test(name);

function joined(parent: EntryPath, own: EntryPath): EntryPath {
  if (typeof parent === 'string' && typeof own === 'string') return `${parent}/${own}`;
  return new Uint8Array(Buffer.concat([entryPathBytes(parent), SLASH, entryPathBytes(own)]));
}

const SLASH = Buffer.from('/');

function toFilePath(path: EntryPath): FilePath {
  return typeof path === 'string' ? path : Buffer.from(path.buffer, path.byteOffset, path.length);
}

function addEntry(lister: Lister, full: FilePath, path: EntryPath, stat: fs.BigIntStats): void {
  const inode = {
    path,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNs: stat.mtimeNs,
  };
  if (stat.isDirectory()) add(lister, { type: 'directory', ...inode });
  else if (stat.isSymbolicLink()) addSymlink(lister, full, inode);
  else if (stat.isFile()) addFile(lister, inode, stat);
  else {
    lister.problems.push({
      path: showPath(path),
      reason: 'unsupported',
      detail: 'not a file, directory or link',
    });
  }
}

interface NamedInode {
  readonly path: EntryPath;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
}

function addSymlink(lister: Lister, full: FilePath, inode: NamedInode): void {
  const target = attempt(lister, inode.path, () => fs.readlinkSync(full, { encoding: 'buffer' }));
  if (target === undefined) return;
  add(lister, { type: 'symlink', ...inode, target: entryPath(new Uint8Array(target)) });
}

function addFile(lister: Lister, inode: NamedInode, stat: fs.BigIntStats): void {
  const first = firstLinkOf(lister, inode.path, stat);
  if (first !== undefined) {
    add(lister, { type: 'hardlink', path: inode.path, target: first });
    return;
  }
  const sparse = stat.blocks * STAT_BLOCK_BYTES < stat.size;
  add(lister, { type: 'file', ...inode, size: Number(stat.size), sparse });
}

function firstLinkOf(lister: Lister, path: EntryPath, stat: fs.BigIntStats): EntryPath | undefined {
  if (stat.nlink <= 1n) return undefined;
  const key = `${stat.dev}:${stat.ino}`;
  const first = lister.firstLinks.get(key);
  if (first === undefined) lister.firstLinks.set(key, path);
  return first;
}

/** Runs one file-system call; a failure is recorded under the path and the walk goes on. */
function attempt<T>(lister: Lister, path: EntryPath, act: () => T): T | undefined {
  try {
    return act();
  } catch (cause) {
    lister.problems.push(problemOf(path, cause));
    return undefined;
  }
}

export function problemOf(path: EntryPath, cause: unknown): Problem {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === undefined) throw cause;
  return { path: showPath(path), reason: code === 'ENOENT' ? 'vanished' : 'unreadable', detail: code };
}

/**
 * The content order is by class, and by path within it: small files come in one run, so that their neighbours in the stream are
 * small too and a chunk can span several.
 */
function classOf(entry: ManifestEntry): number {
  if (entry.type === 'directory') return 0;
  if (entry.type === 'symlink') return 1;
  if (entry.type === 'hardlink') return 4;
  return entry.size < SMALL_FILE_BYTES_MAX ? 2 : 3;
}

/** Apart from the rest: hard links to files that could not be read. Without its content such a link has no meaning. */
export function splitOrphanLinks(entries: readonly ManifestEntry[]): {
  readonly kept: ManifestEntry[];
  readonly orphans: Problem[];
} {
  const files = new Set(entries.filter((entry) => entry.type === 'file').map((entry) => pathKey(entry.path)));
  const kept: ManifestEntry[] = [];
  const orphans: Problem[] = [];
  for (const entry of entries) {
    if (entry.type !== 'hardlink' || files.has(pathKey(entry.target))) kept.push(entry);
    else {
      const detail = `is a hard link to ${showPath(entry.target)}, which was not read`;
      orphans.push({ path: showPath(entry.path), reason: 'unreadable', detail });
    }
  }
  return { kept, orphans };
}
