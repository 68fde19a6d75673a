/**
 * Looks at an LMDB file before LMDB does.
 * In: a path. Out: nothing, or a KwamError INTEGRITY; a file that is absent or empty is fine.
 * Why: lmdb 3.5.6 crashes the whole process when the environment does not open (seen with a file of other bytes), and LMDB
 * maps what the meta pages say without comparing it with the file's length (SIGBUS on a truncated file).
 * Source: liblmdb mdb.c as bundled there (MDB_meta behind a page header of 24 bytes, two meta pages).
 * Does not find damage deeper in the tree: the values' own checksums do, as far as LMDB gets to them.
 */
import * as fs from 'node:fs';
import { damaged } from './lmdb-records.ts';

const headerBytes = 24;
const magic = 0xbeefc0de;
const dataVersion = 2;
const metaBytes = 136;
const versionOffset = 4;
const pageSizeOffset = 24;
const rootOffsets = [64, 112];
const noRoot = 0xffff_ffff_ffff_ffffn;
/** The system's page sizes LMDB may have used. */
const pageBytesMin = 4096;
const pageBytesMax = 65536;
/** Another process that creates the file at this moment writes both meta pages with one call. */
const patienceMs = 5;
const patienceRounds = 20;

export function inspectLmdbFile(file: string): void {
  if (!fs.existsSync(file)) return;
  const fd = fs.openSync(file, 'r+');
  try {
    let bytes = fs.fstatSync(fd).size;
    for (let round = 0; bytes < 2 * pageBytesMin && round < patienceRounds; round++) {
      if (bytes === 0) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, patienceMs);
      bytes = fs.fstatSync(fd).size;
    }
    const first = readMeta(fd, 0);
    const second = readMeta(fd, first.pageBytes);
    // Only now the length: another process writes the pages before the meta page that speaks of them.
    const fileBytes = fs.fstatSync(fd).size;
    for (const root of [...first.roots, ...second.roots]) {
      if (root === noRoot || (root + 1n) * BigInt(first.pageBytes) <= BigInt(fileBytes)) continue;
      throw damaged(`a file cut off at ${fileBytes} bytes, before its page ${root}`);
    }
  } finally {
    fs.closeSync(fd);
  }
}

function readMeta(fd: number, position: number): { pageBytes: number; roots: bigint[] } {
  const meta = Buffer.alloc(metaBytes);
  const found = fs.readSync(fd, meta, 0, metaBytes, position + headerBytes);
  if (found < metaBytes) throw damaged(`a file that ends within its first pages`);
  if (meta.readUInt32LE(0) !== magic) throw damaged('a file that is not LMDB');
  const version = meta.readUInt32LE(versionOffset) & 0xffff;
  if (version !== dataVersion) throw damaged(`LMDB data version ${version} instead of ${dataVersion}`);
  const pageBytes = meta.readUInt32LE(pageSizeOffset);
  if (pageBytes < pageBytesMin || pageBytes > pageBytesMax || (pageBytes & (pageBytes - 1)) !== 0) {
    throw damaged(`pages of ${pageBytes} bytes`);
  }
  return { pageBytes, roots: rootOffsets.map((offset) => meta.readBigUInt64LE(offset)) };
}
