/**
 * Names of files inside an object, and the rules that keep a manifest from writing outside its destination.
 * A path is a string when its bytes are valid UTF-8 and the bytes themselves when they are not; never the other way
 * round, so that one name has one form. Newlines, backslashes and every other byte but NUL are ordinary.
 * Holds after checkPaths: paths are relative, made of real names, distinct, and no path leads through an entry that
 * is not a directory; so a symbolic link of the manifest is never followed by another entry of it.
 * Does not look at a disk: whoever writes must still refuse to follow links that were there before.
 */
import { KwamError } from '../errors.ts';
import { entryPathBytesMax } from '../limits.ts';

export type EntryPath = string | Uint8Array;
export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink';

/** The object's root directory itself, so that its mode and time can be recorded. */
export const ROOT_PATH = '.';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder('latin1');
const textEncoder = new TextEncoder();
const SLASH = 0x2f;

export function entryPath(bytes: Uint8Array): EntryPath {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    if (cause instanceof TypeError) return bytes;
    throw cause;
  }
}

export function entryPathBytes(path: EntryPath): Uint8Array {
  return typeof path === 'string' ? textEncoder.encode(path) : path;
}

/** For messages: quoted, with every unusual character escaped. */
export function showPath(path: EntryPath): string {
  return JSON.stringify(typeof path === 'string' ? path : latin1.decode(path));
}

/** Equal keys mean equal bytes. NUL cannot occur in a path, so the two forms do not meet. */
export function pathKey(path: EntryPath): string {
  return typeof path === 'string' ? path : `\0${latin1.decode(path)}`;
}

function refuse(path: EntryPath, why: string): never {
  throw new KwamError(
    'MANIFEST_INVALID',
    `entry ${showPath(path)}: ${why}; the manifest is refused and nothing is written`,
    { context: { path: showPath(path) } },
  );
}

/** Length, NUL, and the one form; also for the targets of symbolic links, which may point anywhere. */
export function checkPathBytes(path: EntryPath): void {
  if (typeof path === 'string' && !path.isWellFormed()) refuse(path, 'expected well-formed Unicode or bytes');
  // A string has at most three bytes a unit: a short one need not be encoded to know that it is short.
  const bytes = path.length * 3 <= entryPathBytesMax ? path.length : entryPathBytes(path).length;
  if (bytes === 0 || bytes > entryPathBytesMax) {
    refuse(path, `expected 1 to ${entryPathBytesMax} bytes, got ${bytes}`);
  }
  if (typeof path === 'string' ? path.includes('\0') : path.includes(0)) refuse(path, 'expected no NUL byte');
  if (typeof path !== 'string' && typeof entryPath(path) === 'string') {
    refuse(path, 'expected a name that is valid UTF-8 to be written as text');
  }
}

/** A segment that is empty, `.` or `..`. */
const NO_NAME = /(?:^|\/)\.{0,2}(?:\/|$)/;

export function checkRelativePath(path: EntryPath): void {
  checkPathBytes(path);
  const text = typeof path === 'string' ? path : latin1.decode(path);
  if (!NO_NAME.test(text)) return;
  for (const segment of text.split('/')) {
    if (segment === '' || segment === '.' || segment === '..') {
      refuse(path, `expected a relative path of real names, got the segment ${JSON.stringify(segment)}`);
    }
  }
}

function parentOf(path: EntryPath): EntryPath | undefined {
  const at = typeof path === 'string' ? path.lastIndexOf('/') : path.lastIndexOf(SLASH);
  if (at < 0) return undefined;
  return typeof path === 'string' ? path.substring(0, at) : entryPath(path.subarray(0, at));
}

interface PathOwner {
  readonly path: EntryPath;
  readonly type: EntryType;
}

function checkOwnPath(entry: PathOwner): void {
  if (entry.path !== ROOT_PATH) checkRelativePath(entry.path);
  else if (entry.type !== 'directory') refuse(entry.path, 'expected the root to be a directory');
}

/** Walks up until an ancestor that is already known to be reached through directories only. */
function checkAncestors(path: EntryPath, types: ReadonlyMap<string, EntryType>, clear: Set<string>): void {
  for (let parent = parentOf(path); parent !== undefined; parent = parentOf(parent)) {
    const key = pathKey(parent);
    if (clear.has(key)) return;
    const type = types.get(key);
    if (type !== undefined && type !== 'directory')
      refuse(path, `its parent ${showPath(parent)} is a ${type}`);
    clear.add(key);
  }
}

/** @returns the type of each path, by pathKey. */
export function checkPaths(entries: readonly PathOwner[]): ReadonlyMap<string, EntryType> {
  const types = new Map<string, EntryType>();
  for (const entry of entries) {
    checkOwnPath(entry);
    const key = pathKey(entry.path);
    if (types.has(key)) refuse(entry.path, 'it is listed twice');
    types.set(key, entry.type);
  }
  const clear = new Set<string>();
  for (const entry of entries) checkAncestors(entry.path, types, clear);
  return types;
}
