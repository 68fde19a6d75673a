/**
 * What a node keeps to itself: its keys, what it trusts, its control store, its packs. No call reads or writes there, whoever makes it.
 * In: the node's own directories, and a path of a call. Out: nothing, or KwamError PERMISSION_DENIED `own-files`. Links are followed, so another name
 * for the same place is the same place. A tree that has them in it is refused too: it would carry the private keys to every node.
 */
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { KwamError } from '../errors.ts';

export type OwnFiles = readonly string[];

/** Before a tree is read. */
export function checkNotOwn(own: OwnFiles, path: string): void {
  const read = realPath(path);
  refuseIf(
    own.find((each) => isWithin(read, realPath(each)) || isWithin(realPath(each), read)),
    path,
  );
}

/** Before something is written where nothing is yet. */
export function checkNotIntoOwn(own: OwnFiles, path: string): void {
  const written = realPath(path);
  refuseIf(
    own.find((each) => isWithin(written, realPath(each))),
    path,
  );
}

/** What is not there yet lies in the directory that is. */
function realPath(path: string): string {
  const full = resolve(path);
  if (existsSync(full)) return realpathSync(full);
  return full === dirname(full) ? full : join(realPath(dirname(full)), basename(full));
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

function refuseIf(own: string | undefined, path: string): void {
  if (own === undefined) return;
  throw new KwamError(
    'PERMISSION_DENIED',
    `expected a path apart from the node's own files, got ${path}, which is not apart from ${own}; take a directory beside it, or keep the ` +
      'cluster elsewhere (--dir)',
    { context: { rule: 'own-files', path, own } },
  );
}
