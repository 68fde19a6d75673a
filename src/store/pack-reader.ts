/**
 * Reading sealed packs; synchronous, for worker threads.
 * In: a FileSystem, a path or an open file, records. Out: records of a pack; payload bytes in the caller's buffer.
 * Holds: `openPack` accepts a file only when header, index and trailer are strict and hash to its id; `readRecord` returns
 * only bytes that hash to the digest asked for. `readRun` does not hash: its caller does, in one batch.
 */
import { hash } from 'node:crypto';
import { asDigest, type Digest, type DigestHex, sameBytes, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../filesystem.ts';
import { hashJobsMax, packBytesMax } from '../limits.ts';
import {
  encodeRecordHeader,
  endOf,
  PACK_HEADER_BYTES,
  PACK_TRAILER_BYTES,
  type PackHeader,
  type PackRecord,
  packIdOf,
  packInvalid,
  parseIndex,
  parsePackHeader,
  parsePackTrailer,
  RECORD_HEADER_BYTES,
} from './pack-format.ts';

/** Hashes `(offset, length)` pairs of the caller's buffer; returns 32 bytes a pair, in order. */
export type HashRuns = (runs: Uint32Array) => Uint8Array;
export type HashOne = (bytes: Uint8Array) => Digest;

export interface PackContents {
  readonly id: DigestHex;
  readonly header: PackHeader;
  readonly headerBytes: Uint8Array;
  readonly index: Uint8Array;
  readonly records: readonly PackRecord[];
  readonly bytes: number;
}

/** Bytes between two wanted records that are cheaper to read along than to skip with a second read. */
const RUN_GAP_BYTES_MAX = 64 * 1024;

export const hashOneNative: HashOne = (bytes) => asDigest(hash('sha256', bytes, 'buffer'));

export function withFile<T>(fileSystem: FileSystem, path: string, act: (file: FileHandle) => T): T {
  const file = fileSystem.open(path, 'read');
  try {
    return act(file);
  } finally {
    fileSystem.close(file);
  }
}

/** Exactly `length` bytes at `position`, or PACK_INVALID. */
export function readExactly(
  fileSystem: FileSystem,
  file: FileHandle,
  position: number,
  length: number,
  what: string,
): Uint8Array {
  const bytes = new Uint8Array(length);
  const got = fileSystem.read(file, bytes, position);
  if (got !== length) throw packInvalid(what, position, `${length} bytes`, `${got} bytes`);
  return bytes;
}

/**
 * Everything of a pack but its payloads, checked against each other and against `expectedId`.
 * Does not look at the records themselves: verifyPackFile does.
 * @throws KwamError PACK_INVALID, or NOT_FOUND when there is no such file.
 */
export function readPackContents(
  fileSystem: FileSystem,
  file: FileHandle,
  expectedId?: DigestHex,
): PackContents {
  const bytes = fileSystem.bytes(file);
  const tailAt = bytes - PACK_TRAILER_BYTES;
  const fits = bytes <= packBytesMax && tailAt >= PACK_HEADER_BYTES + RECORD_HEADER_BYTES;
  if (!fits) throw packInvalid('length', 0, `232 to ${packBytesMax} bytes`, bytes);
  const headerBytes = readExactly(fileSystem, file, 0, PACK_HEADER_BYTES, 'header');
  const header = parsePackHeader(headerBytes);
  const tail = readExactly(fileSystem, file, tailAt, PACK_TRAILER_BYTES, 'trailer');
  const trailer = parsePackTrailer(tail, tailAt);
  const indexAt = tailAt - trailer.recordCount * RECORD_HEADER_BYTES;
  if (indexAt < PACK_HEADER_BYTES) throw packInvalid('index', tailAt, 'an index inside the file', indexAt);
  const index = readExactly(fileSystem, file, indexAt, tailAt - indexAt, 'index');
  const id = toHex(packIdOf(headerBytes, index));
  if (id !== toHex(trailer.id)) throw packInvalid('id', tailAt + 32, toHex(trailer.id), id);
  if (expectedId !== undefined && id !== expectedId) throw packInvalid('id', tailAt + 32, expectedId, id);
  const records = parseIndex(index, header.kind, indexAt);
  const recordsEnd = endOf(records.at(-1)!);
  if (recordsEnd !== indexAt) throw packInvalid('records end', indexAt, recordsEnd, indexAt);
  return { id, header, headerBytes, index, records, bytes };
}

export function openPack(fileSystem: FileSystem, path: string, expectedId?: DigestHex): PackContents {
  return withFile(fileSystem, path, (file) => readPackContents(fileSystem, file, expectedId));
}

/**
 * The payload of one record, verified. `record` may be a stale hint: what lies there is compared with it first.
 * @returns a view of `into` where that is given (at least `record.length` bytes), else of new memory.
 * @throws KwamError NOT_FOUND when the record is not at that place (look the digest up again),
 *                   CHUNK_DIGEST_MISMATCH when it is and its bytes are damaged (quarantine the pack).
 */
export function readRecord(
  fileSystem: FileSystem,
  file: FileHandle,
  record: PackRecord,
  into: Uint8Array = new Uint8Array(record.length),
  hashOne: HashOne = hashOneNative,
): Uint8Array {
  if (!headerMatches(readHeaderAt(fileSystem, file, record.offset), 0, record)) throw staleRecord(record);
  const payload = into.subarray(0, record.length);
  const got = fileSystem.read(file, payload, record.offset + RECORD_HEADER_BYTES);
  const actual = hashOne(payload.subarray(0, got));
  if (!sameBytes(actual, record.digest)) throw digestMismatch(record, toHex(actual));
  return payload;
}

function staleRecord(record: PackRecord): KwamError {
  return new KwamError(
    'NOT_FOUND',
    `expected the record ${toHex(record.digest)} at byte ${record.offset}, got another one; look its digest up again`,
    { context: { digest: toHex(record.digest), offset: record.offset }, retryable: true },
  );
}

export function digestMismatch(record: PackRecord, actual: string): KwamError {
  const expected = toHex(record.digest);
  return new KwamError(
    'CHUNK_DIGEST_MISMATCH',
    `record at byte ${record.offset}: expected digest ${expected}, got ${actual}; quarantine the pack and repair it`,
    { context: { expected, actual, offset: record.offset } },
  );
}

/** Up to 40 bytes: fewer where the file ends earlier. */
export function readHeaderAt(fileSystem: FileSystem, file: FileHandle, offset: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES);
  return bytes.subarray(0, fileSystem.read(file, bytes, offset));
}

const expectedHeader = new Uint8Array(RECORD_HEADER_BYTES);

export function headerMatches(bytes: Uint8Array, at: number, record: PackRecord): boolean {
  if (at + RECORD_HEADER_BYTES > bytes.length) return false;
  encodeRecordHeader(record, expectedHeader);
  for (let i = 0; i < RECORD_HEADER_BYTES; i++) if (bytes[at + i] !== expectedHeader[i]) return false;
  return true;
}

export interface RecordRun {
  /** Index of the first record after this run. */
  readonly next: number;
  /**
   * `(offset, length)` in the buffer of each payload, ready for a HashRuns. Length 0 where the file ends before the
   * payload does: no record is empty, so that never hashes to the expected digest.
   */
  readonly runs: Uint32Array;
  /** Records whose 40 bytes in the file are not what `records` says. */
  readonly headersDamaged: readonly number[];
}

/**
 * Reads as many payloads as fit into `buffer` with one large read, from `records[first]` on.
 *
 *     file    [header|payload][header|payload] gap [header|payload] …      records ascending by offset
 *     buffer          [payload][header|payload] gap [header|payload]       overwritten; valid until the next call
 *
 * The first header is read apart, so that a payload as large as the buffer fits.
 */
export function readRun(
  fileSystem: FileSystem,
  file: FileHandle,
  records: readonly PackRecord[],
  first: number,
  buffer: Uint8Array,
): RecordRun {
  const start = records[first]!.offset + RECORD_HEADER_BYTES;
  const next = endOfRun(records, first, buffer.length);
  const head = readHeaderAt(fileSystem, file, records[first]!.offset);
  const span = buffer.subarray(0, endOf(records[next - 1]!) - start);
  const got = span.subarray(0, fileSystem.read(file, span, start));
  const runs = new Uint32Array((next - first) * 2);
  const headersDamaged: number[] = [];
  for (let i = first; i < next; i++) {
    const record = records[i]!;
    const at = record.offset - start;
    const intact = i === first ? headerMatches(head, 0, record) : headerMatches(got, at, record);
    if (!intact) headersDamaged.push(i);
    const whole = at + RECORD_HEADER_BYTES + record.length <= got.length;
    runs.set(whole ? [at + RECORD_HEADER_BYTES, record.length] : [0, 0], (i - first) * 2);
  }
  return { next, runs, headersDamaged };
}

function endOfRun(records: readonly PackRecord[], first: number, bufferBytes: number): number {
  const start = records[first]!.offset + RECORD_HEADER_BYTES;
  if (records[first]!.length > bufferBytes) throw bufferTooSmall(records[first]!.length, bufferBytes);
  let next = first + 1;
  for (; next < records.length && next - first < hashJobsMax; next++) {
    const gap = records[next]!.offset - endOf(records[next - 1]!);
    if (gap < 0 || gap > RUN_GAP_BYTES_MAX || endOf(records[next]!) - start > bufferBytes) break;
  }
  return next;
}

function bufferTooSmall(length: number, bufferBytes: number): KwamError {
  return new KwamError(
    'LIMIT_EXCEEDED',
    `expected a buffer of at least ${length} bytes for this record, got ${bufferBytes}; pass a larger one`,
  );
}
