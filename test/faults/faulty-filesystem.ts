/**
 * A file system in memory that loses what was not synced, tears writes and fails on demand.
 * In: a seeded Random and a fault schedule. Out: the FileSystem interface, and `crash()`, the disk as the next boot sees it.
 * Model: bytes are durable after sync(file); names after syncDirectory, and until then a prefix of each directory's
 * changes survives, each directory on its own; unsynced writes survive whole, in part or not at all, each on its own. After a
 * failed sync the dirty bytes are clean and not durable (as on Linux): a second sync succeeds and saves nothing.
 */
import { dirname, sep } from 'node:path';
import { KwamError } from '../../src/errors.ts';
import type { FileHandle, FilePath, FileSystem, OpenMode } from '../../src/filesystem.ts';
import type { Random } from '../../src/random.ts';

export type Operation =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'syncDirectory'
  | 'truncate'
  | 'rename'
  | 'remove';
export type Fault = 'EIO' | 'ENOSPC' | 'crash' | 'short';
/** Asked before each operation; `count` is the number of operations before it. */
export type FaultSchedule = (operation: Operation, count: number, path: string) => Fault | undefined;

/** What a power failure does to what was not synced. */
export type Loss = 'lost-write' | 'torn-write' | 'lost-name';

/** Thrown where the power fails; not a KwamError, so that nothing handles it. */
export class PowerLoss extends Error {
  override readonly name = 'PowerLoss';
}

interface Change {
  readonly position: number;
  readonly bytes: Uint8Array;
  /** Set for a truncation. */
  readonly length?: number;
}

interface Inode {
  current: Uint8Array;
  durable: Uint8Array;
  pending: Change[];
}

interface NameChange {
  readonly path: string;
  readonly directory: string;
  readonly inode: Inode | undefined;
}

function applied(bytes: Uint8Array, { position, bytes: added, length }: Change): Uint8Array {
  if (length !== undefined) {
    const cut = new Uint8Array(length);
    cut.set(bytes.subarray(0, length));
    return cut;
  }
  const result = new Uint8Array(Math.max(bytes.length, position + added.length));
  result.set(bytes);
  result.set(added, position);
  return result;
}

function notFound(path: string): KwamError {
  return new KwamError('NOT_FOUND', `open ${path} failed: ENOENT`);
}

export class FaultyFileSystem implements FileSystem {
  operationCount = 0;
  schedule: FaultSchedule = () => undefined;
  /** Told by `crash` of each loss. */
  onLoss: (loss: Loss, path: string) => void = () => undefined;
  readonly #random: Random;
  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();
  readonly #pendingNames: NameChange[] = [];
  readonly #open = new Map<number, { inode: Inode; path: string }>();
  #nextHandle = 3;
  #lost = false;

  constructor(random: Random) {
    this.#random = random;
  }

  #step(operation: Operation, path: string): Fault | undefined {
    if (this.#lost) throw new PowerLoss(`${operation} after the power failed`);
    const fault = this.schedule(operation, this.operationCount++, path);
    if (fault === 'crash') {
      this.#lost = true;
      throw new PowerLoss(`${operation} ${path}`);
    }
    if (fault === 'EIO') {
      if (operation === 'sync') this.#inodeAt(path).pending = [];
      throw new KwamError('IO', `${operation} ${path} failed: EIO`, { context: { errno: 'EIO' } });
    }
    return fault;
  }

  #inodeAt(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw notFound(path);
    return inode;
  }

  #entry(file: FileHandle): { inode: Inode; path: string } {
    const entry = this.#open.get(file);
    if (entry === undefined) throw new Error(`handle ${file} is not open`);
    return entry;
  }

  #setName(path: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#names.delete(path);
    else this.#names.set(path, inode);
    this.#pendingNames.push({ path, directory: dirname(path), inode });
  }

  open(path: FilePath, mode: OpenMode): FileHandle {
    const name = String(path);
    if (this.#step('open', name) === 'ENOSPC') throw diskFull(name);
    let inode = this.#names.get(name);
    if (mode === 'create') {
      if (inode !== undefined) throw new KwamError('IO', `open ${name} failed: EEXIST`);
      inode = { current: new Uint8Array(), durable: new Uint8Array(), pending: [] };
      this.#setName(name, inode);
    }
    if (inode === undefined) throw notFound(name);
    const handle = this.#nextHandle++ as FileHandle;
    this.#open.set(handle, { inode, path: name });
    return handle;
  }

  close(file: FileHandle): void {
    this.#open.delete(file);
  }

  get openFiles(): number {
    return this.#open.size;
  }

  read(file: FileHandle, into: Uint8Array, position: number): number {
    const { inode, path } = this.#entry(file);
    const fault = this.#step('read', path);
    const bytes = inode.current.subarray(position, position + into.length);
    const got = fault === 'short' ? bytes.subarray(0, bytes.length >> 1) : bytes;
    into.set(got);
    return got.length;
  }

  write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const { inode, path } = this.#entry(file);
    const bytes = Buffer.concat(parts);
    const fault = this.#step('write', path);
    const kept = fault === 'ENOSPC' ? bytes.subarray(0, this.#random.below(bytes.length + 1)) : bytes;
    this.#change(inode, { position, bytes: new Uint8Array(kept) });
    if (fault === 'ENOSPC') throw diskFull(path);
  }

  #change(inode: Inode, change: Change): void {
    inode.current = applied(inode.current, change);
    inode.pending.push(change);
  }

  sync(file: FileHandle): void {
    const { inode, path } = this.#entry(file);
    this.#step('sync', path);
    inode.durable = inode.pending.reduce(applied, inode.durable);
    inode.pending = [];
  }

  syncDirectory(path: string): void {
    this.#step('syncDirectory', path);
    const waiting = this.#pendingNames.splice(0);
    for (const change of waiting) {
      if (change.directory === path) setName(this.#durableNames, change);
      else this.#pendingNames.push(change);
    }
  }

  bytes(file: FileHandle): number {
    return this.#entry(file).inode.current.length;
  }

  truncate(file: FileHandle, bytes: number): void {
    const { inode, path } = this.#entry(file);
    this.#step('truncate', path);
    this.#change(inode, { position: 0, bytes: new Uint8Array(), length: bytes });
  }

  rename(from: string, to: string): void {
    this.#step('rename', from);
    const inode = this.#inodeAt(from);
    this.#setName(to, inode);
    this.#setName(from, undefined);
  }

  remove(path: string): void {
    this.#step('remove', path);
    if (this.#names.has(path)) this.#setName(path, undefined);
  }

  exists(path: string): boolean {
    return this.#names.has(path);
  }

  list(directory: string): string[] {
    const start = directory.length + 1;
    const isInside = (path: string): boolean =>
      path.lastIndexOf(sep) === directory.length && path.startsWith(directory);
    return [...this.#names.keys()].filter(isInside).map((path) => path.slice(start));
  }

  makeDirectory(): void {}

  /** Rot: changes bytes on the disk without anyone having written. */
  flip(path: string, at: number, mask: number): void {
    const inode = this.#inodeAt(path);
    inode.current = inode.current.slice();
    inode.current[at]! ^= mask;
    inode.durable = inode.current.slice();
  }

  contents(path: string): Uint8Array {
    return this.#inodeAt(path).current.slice();
  }

  /** Puts a file on the disk, durable. */
  place(path: string, bytes: Uint8Array): void {
    const inode = { current: bytes.slice(), durable: bytes.slice(), pending: [] };
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  /**
   * The disk after a power failure now. This object is of no use afterwards, except for other outcomes of the same failure.
   * @param chance  decides what of the unsynced survives
   */
  crash(chance: Pick<Random, 'below'> = this.#random): FaultyFileSystem {
    this.#lost = true;
    const after = new FaultyFileSystem(this.#random);
    const survivors = new Map<Inode, Uint8Array>();
    const contentOf = (inode: Inode, path: string): Uint8Array => {
      const known = survivors.get(inode) ?? this.#surviving(inode, path, chance);
      survivors.set(inode, known);
      return known;
    };
    for (const [path, inode] of this.#survivingNames(chance)) after.place(path, contentOf(inode, path));
    return after;
  }

  #survivingNames(chance: Pick<Random, 'below'>): Map<string, Inode> {
    const names = new Map(this.#durableNames);
    const byDirectory = Map.groupBy(this.#pendingNames, ({ directory }) => directory);
    for (const changes of byDirectory.values()) {
      const survive = chance.below(changes.length + 1);
      for (const [i, change] of changes.entries()) {
        if (i < survive) setName(names, change);
        else this.onLoss('lost-name', change.path);
      }
    }
    return names;
  }

  #surviving(inode: Inode, path: string, chance: Pick<Random, 'below'>): Uint8Array {
    let bytes = inode.durable;
    for (const change of inode.pending) {
      const fate = chance.below(3);
      if (fate < 2) this.onLoss(fate === 0 ? 'lost-write' : 'torn-write', path);
      if (fate === 0) continue;
      const part = fate === 1 ? torn(change, chance) : change;
      bytes = applied(bytes, part);
    }
    return bytes;
  }
}

function torn(change: Change, chance: Pick<Random, 'below'>): Change {
  if (change.length !== undefined) return change;
  const from = chance.below(change.bytes.length + 1);
  const to = from + chance.below(change.bytes.length - from + 1);
  return { position: change.position + from, bytes: change.bytes.subarray(from, to) };
}

function setName(names: Map<string, Inode>, { path, inode }: NameChange): void {
  if (inode === undefined) names.delete(path);
  else names.set(path, inode);
}

function diskFull(path: string): KwamError {
  return new KwamError('DISK_FULL', `write ${path}: the disk is full (ENOSPC); free space and try again`, {
    retryable: true,
  });
}
