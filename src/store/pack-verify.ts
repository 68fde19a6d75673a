/**
 * Verifying a whole pack file, byte for byte; synchronous, for worker threads.
 * In: the file, the id it must have, a buffer (at least as large as the largest record), a batch hash over that buffer.
 * Out: what is damaged, and whether the intact bytes determine the damaged ones.
 * Holds: every byte of the file is either compared with the expected id (header, index, trailer, record headers) or
 * hashed against its digest (payloads), so `ok` means: these are exactly the bytes that the id names.
 * Does not change anything: see pack-copy.ts for rebuilding, store.ts for quarantine.
 */
import { createHash } from 'node:crypto';
import { type DigestHex, sameBytes, toHex } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../filesystem.ts';
import { packBytesMax, recordsPerPackMax } from '../limits.ts';
import {
  encodeIndex,
  endOf,
  PACK_HEADER_BYTES,
  PACK_TRAILER_BYTES,
  type PackHeader,
  type PackRecord,
  packFileBytes,
  packIdOf,
  parseIndex,
  parsePackHeader,
  parsePackTrailer,
  parseRecordHeader,
  RECORD_HEADER_BYTES,
} from './pack-format.ts';
import { type HashRuns, readExactly, readHeaderAt, readRun, withFile } from './pack-reader.ts';

export interface BadRecord {
  readonly recordIndex: number;
  readonly digest: DigestHex;
  /** What the bytes hash to, or why they could not be read. */
  readonly actual: DigestHex | 'unreadable';
  /** The engine that verifies here passed it, and others refuted that. Left out where nobody looked. */
  readonly wasPassed?: boolean;
}

export interface PackVerification {
  readonly ok: boolean;
  readonly bytesChecked: number;
  readonly recordCount: number;
  /** Records whose payload is damaged. */
  readonly bad: readonly BadRecord[];
  /** Records whose own header is damaged; the index still knows what it said. */
  readonly recordHeadersDamaged: readonly number[];
  /** Index, trailer or file length are damaged; the record headers still know what the index said. */
  readonly indexDamaged: boolean;
  /**
   * Neither index nor record headers lead to the expected id (the file header is damaged, or both are): no record
   * was checked, and only another copy helps.
   */
  readonly unreadable: boolean;
  /** Damaged, but every payload and the id are intact: rebuildPackFile makes the exact file again. */
  readonly rebuildable: boolean;
  /** The first thing that was wrong, in words. */
  readonly problem?: string;
}

/** The structure of a pack, authenticated by its id, from whichever part of the file still tells it. */
export interface PackStructure {
  readonly header: PackHeader;
  readonly headerBytes: Uint8Array;
  readonly index: Uint8Array;
  readonly records: readonly PackRecord[];
  /** Empty when index and trailer were intact. */
  readonly indexProblem?: string;
}

export function verifyPackFile(
  fileSystem: FileSystem,
  path: string,
  expectedId: DigestHex,
  buffer: Uint8Array,
  hashRuns: HashRuns,
): PackVerification {
  return withFile(fileSystem, path, (file) => {
    const bytes = fileSystem.bytes(file);
    const structure = readStructure(fileSystem, file, expectedId);
    if (typeof structure === 'string') return unreadable(structure);
    return verifyRecords(fileSystem, file, structure, bytes, buffer, hashRuns);
  });
}

function unreadable(problem: string): PackVerification {
  return {
    ok: false,
    bytesChecked: 0,
    recordCount: 0,
    bad: [],
    recordHeadersDamaged: [],
    indexDamaged: true,
    unreadable: true,
    rebuildable: false,
    problem,
  };
}

function verifyRecords(
  fileSystem: FileSystem,
  file: FileHandle,
  structure: PackStructure,
  bytes: number,
  buffer: Uint8Array,
  hashRuns: HashRuns,
): PackVerification {
  const { records } = structure;
  const bad: BadRecord[] = [];
  const recordHeadersDamaged: number[] = [];
  for (let first = 0; first < records.length; ) {
    const run = checkRun(fileSystem, file, records, first, buffer, hashRuns);
    bad.push(...run.bad);
    recordHeadersDamaged.push(...run.headersDamaged);
    first = run.next;
  }
  const indexDamaged = structure.indexProblem !== undefined;
  const ok = !indexDamaged && bad.length === 0 && recordHeadersDamaged.length === 0;
  const problem = structure.indexProblem ?? problemOf(records, bad, recordHeadersDamaged);
  return {
    ok,
    bytesChecked: bytes,
    recordCount: records.length,
    bad,
    recordHeadersDamaged,
    indexDamaged,
    unreadable: false,
    rebuildable: !ok && bad.length === 0,
    ...(problem === undefined ? {} : { problem }),
  };
}

function problemOf(
  records: readonly PackRecord[],
  bad: readonly BadRecord[],
  headers: readonly number[],
): string | undefined {
  if (bad[0] !== undefined) {
    const { recordIndex, digest, actual } = bad[0];
    return `record ${recordIndex} at byte ${records[recordIndex]!.offset}: expected ${digest}, got ${actual}`;
  }
  if (headers[0] === undefined) return undefined;
  return `header of record ${headers[0]} at byte ${records[headers[0]]!.offset} differs from the index`;
}

interface CheckedRun {
  readonly next: number;
  readonly bad: readonly BadRecord[];
  readonly headersDamaged: readonly number[];
  /** As in RecordRun; empty when the run could not be read. */
  readonly runs: Uint32Array;
}

/** Reads a run and hashes it. A run that the disk cannot read is read once more, one record at a time. */
export function checkRun(
  fileSystem: FileSystem,
  file: FileHandle,
  records: readonly PackRecord[],
  first: number,
  buffer: Uint8Array,
  hashRuns: HashRuns,
): CheckedRun {
  try {
    const run = readRun(fileSystem, file, records, first, buffer);
    const digests = hashRuns(run.runs);
    assert(digests.length >= (run.runs.length / 2) * 32, 'one digest a run');
    return { ...run, bad: compareDigests(records, first, run.next, digests) };
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'IO') throw error;
    return checkSingly(fileSystem, file, records, first, buffer, hashRuns);
  }
}

function checkSingly(
  fileSystem: FileSystem,
  file: FileHandle,
  records: readonly PackRecord[],
  first: number,
  buffer: Uint8Array,
  hashRuns: HashRuns,
): CheckedRun {
  const runs = new Uint32Array();
  try {
    const run = readRun(fileSystem, file, records.slice(0, first + 1), first, buffer);
    return { ...run, bad: compareDigests(records, first, first + 1, hashRuns(run.runs)) };
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'IO') throw error;
    const digest = toHex(records[first]!.digest);
    const bad: BadRecord[] = [{ recordIndex: first, digest, actual: 'unreadable' }];
    return { next: first + 1, bad, headersDamaged: [], runs };
  }
}

function compareDigests(
  records: readonly PackRecord[],
  first: number,
  next: number,
  digests: Uint8Array,
): BadRecord[] {
  const bad: BadRecord[] = [];
  for (let i = first; i < next; i++) {
    const actual = digests.subarray((i - first) * 32, (i - first + 1) * 32);
    const digest = records[i]!.digest;
    if (!sameBytes(actual, digest))
      bad.push({ recordIndex: i, digest: toHex(digest), actual: toHex(actual) });
  }
  return bad;
}

/**
 * Finds the structure that hashes to `expectedId`: from index and trailer, else by walking the record headers.
 * @returns why there is none, when neither leads to the id.
 */
export function readStructure(
  fileSystem: FileSystem,
  file: FileHandle,
  expectedId: DigestHex,
): PackStructure | string {
  const bytes = fileSystem.bytes(file);
  try {
    const headerBytes = readExactly(fileSystem, file, 0, PACK_HEADER_BYTES, 'header');
    const header = parsePackHeader(headerBytes);
    const fromIndex = structureFromIndex(fileSystem, file, header, headerBytes, expectedId, bytes);
    if (typeof fromIndex !== 'string') return fromIndex;
    const walked = walkRecords(fileSystem, file, header, headerBytes, expectedId, bytes);
    return walked === undefined
      ? `${fromIndex}; walking the records does not lead to ${expectedId} either`
      : { header, headerBytes, index: encodeIndex(walked), records: walked, indexProblem: fromIndex };
  } catch (error) {
    return damageOf(error);
  }
}

/** The message of an error that means damage; any other error is thrown on. */
function damageOf(error: unknown): string {
  if (error instanceof KwamError && (error.code === 'PACK_INVALID' || error.code === 'IO'))
    return error.message;
  throw error;
}

/** Strict on what the id covers; the trailer and the file length may be wrong, which `indexProblem` then says. */
function structureFromIndex(
  fileSystem: FileSystem,
  file: FileHandle,
  header: PackHeader,
  headerBytes: Uint8Array,
  expectedId: DigestHex,
  bytes: number,
): PackStructure | string {
  try {
    const tailAt = bytes - PACK_TRAILER_BYTES;
    const tail = readExactly(fileSystem, file, Math.max(0, tailAt), PACK_TRAILER_BYTES, 'trailer');
    const { recordCount, id } = parsePackTrailer(tail, tailAt);
    const indexAt = tailAt - recordCount * RECORD_HEADER_BYTES;
    const index = readExactly(fileSystem, file, Math.max(0, indexAt), tailAt - Math.max(0, indexAt), 'index');
    const actualId = toHex(packIdOf(headerBytes, index));
    if (actualId !== expectedId || toHex(id) !== expectedId)
      return `pack id: expected ${expectedId}, got ${actualId} and ${toHex(id)} in the trailer`;
    const records = parseIndex(index, header.kind, indexAt);
    const expectedBytes = packFileBytes(records.at(-1)!, records.length);
    const lengthProblem = `pack length: expected ${expectedBytes} bytes, got ${bytes}`;
    const structure = { header, headerBytes, index, records };
    return bytes === expectedBytes ? structure : { ...structure, indexProblem: lengthProblem };
  } catch (error) {
    return damageOf(error);
  }
}

/**
 * Follows the record headers from the start until header and headers hash to `expectedId`; the id alone decides where
 * the records end, so neither a truncated nor an overlong file misleads it.
 */
function walkRecords(
  fileSystem: FileSystem,
  file: FileHandle,
  header: PackHeader,
  headerBytes: Uint8Array,
  expectedId: DigestHex,
  bytes: number,
): PackRecord[] | undefined {
  const hash = createHash('sha256').update(headerBytes);
  const records: PackRecord[] = [];
  let offset = PACK_HEADER_BYTES;
  while (offset < Math.min(bytes, packBytesMax) && records.length < recordsPerPackMax) {
    const head = readHeaderAt(fileSystem, file, offset);
    const record = recordIn(head, header, offset);
    if (record === undefined) return undefined;
    records.push(record);
    hash.update(head);
    offset = endOf(record);
    if (hash.copy().digest('hex') === expectedId) return records;
  }
  return undefined;
}

function recordIn(head: Uint8Array, header: PackHeader, offset: number): PackRecord | undefined {
  try {
    return { ...parseRecordHeader(head, 0, header.kind, offset), offset };
  } catch (error) {
    damageOf(error);
    return undefined;
  }
}
