/**
 * A file system whose every operation is timed.
 * In: a file system and a stopwatch. Out: the same operations with the same results and errors; the time goes to the watch.
 */
import type { FileSystem } from '../filesystem.ts';

export function timedFileSystem(of: FileSystem, timed: <T>(work: () => T) => T): FileSystem {
  return {
    open: (path, mode) => timed(() => of.open(path, mode)),
    close: (file) => timed(() => of.close(file)),
    read: (file, into, position) => timed(() => of.read(file, into, position)),
    write: (file, parts, position) => timed(() => of.write(file, parts, position)),
    sync: (file) => timed(() => of.sync(file)),
    syncDirectory: (path) => timed(() => of.syncDirectory(path)),
    bytes: (file) => timed(() => of.bytes(file)),
    truncate: (file, bytes) => timed(() => of.truncate(file, bytes)),
    rename: (from, to) => timed(() => of.rename(from, to)),
    remove: (path) => timed(() => of.remove(path)),
    exists: (path) => timed(() => of.exists(path)),
    list: (directory) => timed(() => of.list(directory)),
    makeDirectory: (path) => timed(() => of.makeDirectory(path)),
  };
}
