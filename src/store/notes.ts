/**
 * Small values that a node wants to find again after a restart: the scrub cursor, for example.
 * In: a key and text. Out: the text, or undefined when it is absent or damaged. One file a note, replaced by rename.
 * Holds: survives kill -9; after a power loss a note is its last or an earlier value, or absent, never a torn one; a durable one is its last.
 * A file of its own and not a row in LMDB, because the index of a killed process is thrown away (index-seal.ts).
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { assert } from '../errors.ts';
import type { FileSystem } from '../filesystem.ts';
import { withFile } from './pack-reader.ts';

const KEY = /^[a-z][a-z0-9-]{0,63}$/;
const CHECK_BYTES = 32;

function notePath(directory: string, key: string): string {
  assert(KEY.test(key), `note key ${key}`);
  return join(directory, `${key}.note`);
}

function checkOf(key: string, value: Uint8Array): Buffer {
  return createHash('sha256').update(`${key}\0`).update(value).digest();
}

export function putNote(
  fileSystem: FileSystem,
  directory: string,
  key: string,
  text: string,
  { durable }: { readonly durable: boolean },
): void {
  const path = notePath(directory, key);
  const value = Buffer.from(text);
  fileSystem.remove(`${path}.new`);
  const file = fileSystem.open(`${path}.new`, 'create');
  try {
    fileSystem.write(file, [checkOf(key, value), value], 0);
    if (durable) fileSystem.sync(file);
  } finally {
    fileSystem.close(file);
  }
  fileSystem.rename(`${path}.new`, path);
  if (durable) fileSystem.syncDirectory(directory);
}

/** `onDamaged` is called when the note is there and does not match its checksum. */
export function getNote(
  fileSystem: FileSystem,
  directory: string,
  key: string,
  onDamaged: () => void,
): string | undefined {
  const path = notePath(directory, key);
  if (!fileSystem.exists(path)) return undefined;
  const bytes = withFile(fileSystem, path, (file) => {
    const all = Buffer.alloc(fileSystem.bytes(file));
    return all.subarray(0, fileSystem.read(file, all, 0));
  });
  const value = bytes.subarray(CHECK_BYTES);
  if (bytes.length >= CHECK_BYTES && checkOf(key, value).equals(bytes.subarray(0, CHECK_BYTES)))
    return value.toString();
  onDamaged();
  return undefined;
}
