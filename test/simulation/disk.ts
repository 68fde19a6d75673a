/**
 * The disk of one simulated machine, and what a process of that machine sees of it.
 * In: a seeded Random and rates of faults. Out: a `FileSystem` and `AsyncFiles` for one process after another; `losePower`, after which
 * what was not synced is gone or torn (test/faults/faulty-filesystem.ts has the model).
 * Two kinds of faults. Those that an operation reports (EIO of a write or an fsync, ENOSPC) may strike any disk at any time. Those
 * that destroy what was acknowledged (a bit that rots, a read that fails, a write that lands in another file, an fsync that lies)
 * strike only while `isFailing`, so that the simulation can keep them within what the redundancy survives.
 * `index/` lies on a real disk without faults: LMDB writes it itself, it is derived from packs/ and thrown away after a crash.
 */
import { rmSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { KwamError } from '../../src/errors.ts';
import {
  type AsyncFile,
  type AsyncFiles,
  type FileHandle,
  type FileSystem,
  nodeFileSystem,
} from '../../src/filesystem.ts';
import type { Random } from '../../src/random.ts';
import {
  type Fault,
  FaultyFileSystem,
  type Loss,
  type Operation,
  PowerLoss,
} from '../faults/faulty-filesystem.ts';
import type { VirtualClock } from './virtual-clock.ts';

export type DiskFault = Loss | 'eio' | 'enospc' | 'power' | 'rot' | 'unreadable' | 'misdirected' | 'lie';

/** On average one operation in so many. */
export interface DiskRates {
  readonly writesPerEio: number;
  readonly readsPerUnreadable: number;
  readonly writesPerMisdirection: number;
  readonly syncsPerLie: number;
}

export interface DiskOptions {
  readonly root: string;
  readonly random: Random;
  readonly clock: VirtualClock;
  readonly rates: DiskRates;
  readonly onFault: (fault: DiskFault, path: string) => void;
}

/** Told of every operation before it happens. */
export type DiskTrace = (operation: Operation, path: string) => void;

export class Disk {
  readonly #options: DiskOptions;
  #disk: FaultyFileSystem;
  readonly #changedAtMs = new Map<string, number>();
  readonly #unreadable = new Set<string>();
  /** Whether it ever was failing: what it holds since then is not known to be what it was told to. */
  isSound = true;
  #isFailing = false;
  isFull = false;
  /** Faults that operations report. */
  isErratic = false;
  /** The power fails at the so many-th operation from now on. */
  operationsToPowerLoss: number | undefined;

  constructor(options: DiskOptions) {
    this.#options = options;
    this.#disk = new FaultyFileSystem(options.random);
  }

  get isFailing(): boolean {
    return this.#isFailing;
  }

  set isFailing(value: boolean) {
    this.#isFailing = value;
    if (value) this.isSound = false;
  }

  /** The disk as a process sees it until it is dead; `onPowerLoss` is called inside the operation that did not happen. */
  mount(
    isAlive: () => boolean,
    onPowerLoss: () => void,
    trace: DiskTrace,
  ): FileSystem & { files: AsyncFiles } {
    const before = (operation: Operation, path: string): void => {
      if (!isAlive()) throw new PowerLoss(`${operation} by a dead process`);
      trace(operation, path);
      if (this.operationsToPowerLoss === undefined || this.operationsToPowerLoss-- > 0) return;
      this.operationsToPowerLoss = undefined;
      this.#options.onFault('power', path);
      onPowerLoss();
      throw new PowerLoss(`${operation} ${path}`);
    };
    const refuseTheDead = (): void => {
      if (!isAlive()) throw new PowerLoss('by a dead process');
    };
    const fileSystem = onRealIndex(this.#options.root, this.#mounted(before), refuseTheDead);
    return { ...fileSystem, files: asyncFiles(fileSystem, this.#options, this.#changedAtMs, isAlive) };
  }

  #mounted(before: DiskTrace): FileSystem {
    const disk = this.#disk;
    const paths = new Map<FileHandle, string>();
    disk.schedule = (operation, _, path) => this.#faultOf(operation, path);
    const changed = (path: string): void => void this.#changedAtMs.set(path, this.#options.clock.now());
    return {
      open: (path, mode) => {
        before('open', String(path));
        const file = disk.open(path, mode);
        if (mode === 'create') this.#unreadable.delete(String(path));
        paths.set(file, String(path));
        return file;
      },
      close: (file) => {
        paths.delete(file);
        disk.close(file);
      },
      read: (file, into, position) => {
        before('read', paths.get(file)!);
        return disk.read(file, into, position);
      },
      write: (file, parts, position) => {
        const path = paths.get(file)!;
        before('write', path);
        changed(path);
        const elsewhere = this.#misdirection(path);
        if (elsewhere === undefined) disk.write(file, parts, position);
        else overwrite(disk, elsewhere, parts, position);
      },
      sync: (file) => {
        before('sync', paths.get(file)!);
        if (!this.#lies(paths.get(file)!)) disk.sync(file);
      },
      syncDirectory: (path) => {
        before('syncDirectory', path);
        disk.syncDirectory(path);
      },
      bytes: (file) => disk.bytes(file),
      truncate: (file, bytes) => {
        before('truncate', paths.get(file)!);
        disk.truncate(file, bytes);
      },
      rename: (from, to) => {
        before('rename', from);
        disk.rename(from, to);
        changed(to);
        if (this.#unreadable.delete(from)) this.#unreadable.add(to);
      },
      remove: (path) => {
        before('remove', path);
        disk.remove(path);
        this.#unreadable.delete(path);
      },
      exists: (path) => disk.exists(path),
      list: (directory) => disk.list(directory),
      makeDirectory: () => undefined,
    };
  }

  #oneIn(count: number): boolean {
    return this.#options.random.below(count) === 0;
  }

  #faultOf(operation: Operation, path: string): Fault | undefined {
    const { rates, onFault } = this.#options;
    if (operation === 'read') return this.#readFault(path);
    if (!['write', 'sync', 'open'].includes(operation)) return undefined;
    if (this.isFull && operation === 'write') {
      onFault('enospc', path);
      return 'ENOSPC';
    }
    if (operation === 'open' || !this.isErratic || !this.#oneIn(rates.writesPerEio)) return undefined;
    onFault('eio', path);
    return 'EIO';
  }

  /** A sector that cannot be read stays so until its file is written anew. */
  #readFault(path: string): Fault | undefined {
    if (this.#unreadable.has(path)) return 'EIO';
    if (!this.isFailing || !path.includes(`${sep}packs${sep}`)) return undefined;
    if (!this.#oneIn(this.#options.rates.readsPerUnreadable)) return undefined;
    this.#unreadable.add(path);
    this.#options.onFault('unreadable', path);
    return 'EIO';
  }

  #misdirection(path: string): string | undefined {
    if (!this.isFailing || !this.#oneIn(this.#options.rates.writesPerMisdirection)) return undefined;
    const elsewhere = this.#pick('packs');
    if (elsewhere !== undefined) this.#options.onFault('misdirected', `${path} -> ${elsewhere}`);
    return elsewhere;
  }

  #lies(path: string): boolean {
    if (!this.isFailing || !this.#oneIn(this.#options.rates.syncsPerLie)) return false;
    this.#options.onFault('lie', path);
    return true;
  }

  #pick(directory: string): string | undefined {
    const inside = `${this.#options.root}${sep}${directory}`;
    const names = this.#disk.list(inside).sort();
    return names.length === 0
      ? undefined
      : `${inside}${sep}${names[this.#options.random.below(names.length)]}`;
  }

  /** One bit of a stored pack changes. */
  rot(): void {
    const { random, onFault } = this.#options;
    const path = this.#pick('packs');
    const bytes = path === undefined ? 0 : this.#disk.contents(path).length;
    if (path === undefined || bytes === 0) return;
    this.#disk.flip(path, random.below(bytes), 1 << random.below(8));
    onFault('rot', path);
  }

  /** No process may be running on it. */
  losePower(): void {
    this.#disk.onLoss = this.#options.onFault;
    this.#disk = this.#disk.crash();
    this.operationsToPowerLoss = undefined;
  }

  /** A new disk in the place of the old one. */
  replace(): void {
    this.#disk = new FaultyFileSystem(this.#options.random);
    this.#unreadable.clear();
    rmSync(`${this.#options.root}${sep}index`, { recursive: true, force: true });
  }

  get unreadable(): ReadonlySet<string> {
    return this.#unreadable;
  }

  names(directory: string): readonly string[] {
    return this.#disk.list(`${this.#options.root}${sep}${directory}`);
  }

  /** For the checkers: what lies in a directory of the store now. */
  contents(directory: string): Map<string, Uint8Array> {
    const inside = `${this.#options.root}${sep}${directory}`;
    return new Map(
      this.#disk.list(inside).map((name) => [name, this.#disk.contents(`${inside}${sep}${name}`)]),
    );
  }

  has(path: string): boolean {
    return this.#disk.exists(path);
  }
}

function overwrite(
  disk: FaultyFileSystem,
  path: string,
  parts: readonly Uint8Array[],
  position: number,
): void {
  const file = disk.open(path, 'update');
  disk.write(file, parts, Math.min(position, disk.bytes(file)));
  disk.close(file);
}

/** Sends what happens below `index/` to the real file system; real descriptors travel as negative numbers. */
function onRealIndex(root: string, disk: FileSystem, refuseTheDead: () => void): FileSystem {
  const index = `${root}${sep}index`;
  const isReal = (path: string): boolean => path === index || dirname(path) === index;
  const of = (path: string): FileSystem => {
    if (!isReal(path)) return disk;
    refuseTheDead();
    return nodeFileSystem;
  };
  const byHandle = <T>(file: FileHandle, act: (fileSystem: FileSystem, file: FileHandle) => T): T =>
    file < 0 ? act(nodeFileSystem, -file as FileHandle) : act(disk, file);
  return {
    open: (path, mode) => {
      const file = of(String(path)).open(path, mode);
      return isReal(String(path)) ? (-file as FileHandle) : file;
    },
    close: (file) => byHandle(file, (fileSystem, own) => fileSystem.close(own)),
    read: (file, into, position) => byHandle(file, (fileSystem, own) => fileSystem.read(own, into, position)),
    write: (file, parts, position) =>
      byHandle(file, (fileSystem, own) => fileSystem.write(own, parts, position)),
    sync: (file) => byHandle(file, (fileSystem, own) => file >= 0 && fileSystem.sync(own)),
    syncDirectory: (path) => void (isReal(path) || disk.syncDirectory(path)),
    bytes: (file) => byHandle(file, (fileSystem, own) => fileSystem.bytes(own)),
    truncate: (file, bytes) => byHandle(file, (fileSystem, own) => fileSystem.truncate(own, bytes)),
    rename: (from, to) => of(from).rename(from, to),
    remove: (path) => of(path).remove(path),
    exists: (path) => of(path).exists(path),
    list: (directory) => of(directory).list(directory),
    makeDirectory: (path) => (path === root || isReal(path) ? nodeFileSystem : disk).makeDirectory(path),
  };
}

const DISK_MS_MAX = 3;

function asyncFiles(
  fileSystem: FileSystem,
  { random, clock }: DiskOptions,
  changedAtMs: ReadonlyMap<string, number>,
  isAlive: () => boolean,
): AsyncFiles {
  const later = async <T>(act: () => T): Promise<T> => {
    await clock.sleep(random.below(DISK_MS_MAX + 1));
    if (!isAlive()) return new Promise(() => undefined);
    return act();
  };
  return {
    open: (path, mode) =>
      later((): AsyncFile => {
        const file = openForAsync(fileSystem, path, mode);
        return {
          read: (into, position) => later(() => fileSystem.read(file, into, position)),
          write: (bytes, position) => later(() => fileSystem.write(file, [bytes], position)),
          close: async () => fileSystem.close(file),
        };
      }),
    remove: (path) => later(() => fileSystem.remove(path)),
    changedAtMs: (path) =>
      later(() => {
        const atMs = fileSystem.exists(path) ? changedAtMs.get(path) : undefined;
        if (atMs !== undefined) return atMs;
        throw new KwamError('NOT_FOUND', `stat ${path} failed: ENOENT`);
      }),
  };
}

function openForAsync(fileSystem: FileSystem, path: string, mode: 'read' | 'write'): FileHandle {
  if (mode === 'read') return fileSystem.open(path, 'read');
  return fileSystem.open(path, fileSystem.exists(path) ? 'update' : 'create');
}
