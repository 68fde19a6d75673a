/**
 * What a checkpoint looks like now.
 * In: a directory and the name of an entry in it. Out: a version that changes with any change of names, sizes, times or inodes
 * below the entry, and whether the entry says of itself that it is done. Reads no content, follows no link.
 */
import { createHash, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { KwamError } from '../errors.ts';

export interface Snapshot {
  readonly name: string;
  readonly path: string;
  readonly version: string;
  readonly inode: string;
  /** The entry's own last change is newer than everything in it: as after a rename. */
  readonly wasRenamed: boolean;
  readonly isMarked: boolean;
  /** When it was finished: the time of its marker, else of its newest change. */
  readonly completedMs: number;
}

export interface EntryNames {
  /** Of entries that may be checkpoints. */
  readonly names: readonly string[];
  /** Names that are not UTF-8, as well as they can be shown. */
  readonly strange: readonly string[];
  /** Entry → time of the marker beside it. */
  readonly markers: ReadonlyMap<string, number>;
}

const UNFINISHED = /(^\.|\.(tmp|partial|incomplete)$)/;
const MARKERS: ReadonlySet<string> = new Set(['.done', 'done', '_SUCCESS']);
const MARKER_SUFFIX = '.done';

/** @throws KwamError ENVIRONMENT when the directory cannot be listed. */
export function entryNames(directory: string): EntryNames {
  const names: string[] = [];
  const strange: string[] = [];
  const markers = new Map<string, number>();
  for (const bytes of listed(directory)) {
    const name = bytes.toString();
    if (UNFINISHED.test(name)) continue;
    if (Buffer.compare(Buffer.from(name), bytes) !== 0) strange.push(name);
    else if (!name.endsWith(MARKER_SUFFIX)) names.push(name);
    else {
      const stat = statOf(Buffer.from(join(directory, name)));
      if (stat !== undefined) markers.set(name.slice(0, -MARKER_SUFFIX.length), millisecondsOf(stat.mtimeNs));
    }
  }
  return { names, strange, markers };
}

function listed(directory: string): Buffer[] {
  try {
    return fs.readdirSync(directory, { encoding: 'buffer' });
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code;
    throw new KwamError(
      'ENVIRONMENT',
      `expected to watch the directory ${directory}, got ${errno}; create it first`,
      { cause },
    );
  }
}

interface Tally {
  readonly hash: Hash;
  newestInsideNs: bigint;
  markerNs: bigint | undefined;
}

/** Undefined when the entry, or something in it, vanished while it was looked at. */
export function lookAt(
  directory: string,
  name: string,
  markers: ReadonlyMap<string, number>,
): Snapshot | undefined {
  const path = join(directory, name);
  const own = statOf(Buffer.from(path));
  if (own === undefined) return undefined;
  const tally: Tally = { hash: createHash('sha256'), newestInsideNs: 0n, markerNs: undefined };
  addTo(tally, Buffer.from(name), own);
  if (own.isDirectory() && !addBelow(tally, Buffer.from(path), true)) return undefined;
  const newestNs = own.ctimeNs > tally.newestInsideNs ? own.ctimeNs : tally.newestInsideNs;
  const markerMs =
    markers.get(name) ?? (tally.markerNs === undefined ? undefined : millisecondsOf(tally.markerNs));
  return {
    name,
    path,
    version: tally.hash.digest('hex'),
    inode: `${own.dev}:${own.ino}`,
    wasRenamed: own.ctimeNs > own.mtimeNs && own.ctimeNs > tally.newestInsideNs,
    isMarked: markerMs !== undefined,
    completedMs: markerMs ?? millisecondsOf(newestNs),
  };
}

function addTo(tally: Tally, name: Buffer, stat: fs.BigIntStats): void {
  const { ino, mode, size, mtimeNs, ctimeNs } = stat;
  tally.hash.update(`${name.length}:`).update(name);
  tally.hash.update(`${ino}:${mode}:${size}:${mtimeNs}:${ctimeNs};`);
}

/** False when something vanished on the way. */
function addBelow(tally: Tally, directory: Buffer, isTop: boolean): boolean {
  const names = orGone(() => fs.readdirSync(directory, { encoding: 'buffer' }));
  if (names === undefined) return false;
  for (const name of names.sort(Buffer.compare)) {
    const path = Buffer.concat([directory, Buffer.from('/'), name]);
    const stat = statOf(path);
    if (stat === undefined) return false;
    addTo(tally, name, stat);
    if (stat.mtimeNs > tally.newestInsideNs) tally.newestInsideNs = stat.mtimeNs;
    if (isTop && MARKERS.has(name.toString())) tally.markerNs = stat.mtimeNs;
    if (stat.isDirectory() && !addBelow(tally, path, false)) return false;
  }
  tally.hash.update('/');
  return true;
}

function statOf(path: Buffer): fs.BigIntStats | undefined {
  return orGone(() => fs.lstatSync(path, { bigint: true }));
}

function orGone<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code;
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw new KwamError('IO', `expected to look at a checkpoint, got ${errno}; check its permissions`, {
      cause,
    });
  }
}

function millisecondsOf(ns: bigint): number {
  return Number(ns / 1000n) / 1000;
}
