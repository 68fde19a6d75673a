/**
 * Decides whether the LMDB file that an earlier process left may be opened.
 * LMDB maps its file and follows page numbers unchecked: in a trial of 300 random bit flips 53 gave wrong values, one made
 * keys vanish and 5 killed the process with a native signal. So a closed index is sealed with the SHA-256 of its
 * file, and a file without a matching seal (killed process, damaged disk) is never opened but rebuilt from packs/.
 * In: the layout. Out: sealed, unsealed, damaged or absent. Does not open LMDB.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { FileSystem } from '../filesystem.ts';
import { MIB } from '../limits.ts';
import type { StoreLayout } from './layout.ts';
import { withFile } from './pack-reader.ts';

export type IndexState = 'sealed' | 'unsealed' | 'damaged' | 'absent';

const SEAL_PREFIX = 'kwam-index 1 ';

const dataPath = (layout: StoreLayout): string => join(layout.index, 'data.mdb');
const sealPath = (layout: StoreLayout): string => join(layout.index, 'seal');

export function inspectIndex(fileSystem: FileSystem, layout: StoreLayout): IndexState {
  if (!fileSystem.exists(dataPath(layout))) return 'absent';
  if (!fileSystem.exists(sealPath(layout))) return 'unsealed';
  const expected = sealTextOf(fileSystem, layout);
  const seal = withFile(fileSystem, sealPath(layout), (file) => {
    const bytes = new Uint8Array(fileSystem.bytes(file));
    return Buffer.from(bytes.subarray(0, fileSystem.read(file, bytes, 0))).toString('latin1');
  });
  return seal === expected ? 'sealed' : 'damaged';
}

/** Call after LMDB has closed the file. Until the next `breakSeal` nobody may write to it. */
export function sealIndex(fileSystem: FileSystem, layout: StoreLayout): void {
  const data = fileSystem.open(dataPath(layout), 'update');
  try {
    fileSystem.sync(data);
  } finally {
    fileSystem.close(data);
  }
  const seal = fileSystem.open(sealPath(layout), 'create');
  try {
    fileSystem.write(seal, [Buffer.from(sealTextOf(fileSystem, layout), 'latin1')], 0);
    fileSystem.sync(seal);
  } finally {
    fileSystem.close(seal);
  }
  fileSystem.syncDirectory(layout.index);
}

/** Before LMDB may write: from now on the file is trusted by this process alone. */
export function breakSeal(fileSystem: FileSystem, layout: StoreLayout): void {
  fileSystem.remove(sealPath(layout));
  fileSystem.remove(join(layout.index, 'lock.mdb'));
  fileSystem.syncDirectory(layout.index);
}

/** Removes an index that is not to be trusted; a damaged one is kept as evidence and its new path returned. */
export function discardIndex(
  fileSystem: FileSystem,
  layout: StoreLayout,
  state: IndexState,
): string | undefined {
  breakSeal(fileSystem, layout);
  if (state === 'absent') return undefined;
  if (state !== 'damaged') {
    fileSystem.remove(dataPath(layout));
    return undefined;
  }
  let n = 1;
  while (fileSystem.exists(join(layout.quarantine, `index.${n}.mdb`))) n++;
  const evidence = join(layout.quarantine, `index.${n}.mdb`);
  fileSystem.rename(dataPath(layout), evidence);
  fileSystem.syncDirectory(layout.quarantine);
  return evidence;
}

function sealTextOf(fileSystem: FileSystem, layout: StoreLayout): string {
  const hash = createHash('sha256');
  withFile(fileSystem, dataPath(layout), (file) => {
    const buffer = new Uint8Array(Math.min(MIB, fileSystem.bytes(file)));
    for (let at = 0; ; ) {
      const got = fileSystem.read(file, buffer, at);
      if (got === 0) return;
      hash.update(buffer.subarray(0, got));
      at += got;
    }
  });
  return `${SEAL_PREFIX}${hash.digest('hex')}\n`;
}
