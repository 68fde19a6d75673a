/**
 * Pack file, version 1: its parts as bytes, and strict parsing of them.
 * In: plain values. Out: bytes; or bytes in, values out. Source: ARCHITECTURE.md, "Pack file, version 1".
 * Holds: what a parser accepts, the encoder would write again byte for byte; everything else is PACK_INVALID with the
 * offset, the expected and the actual value. No I/O, and no payload: see pack-reader.ts and pack-verify.ts for those.
 */
import { hash } from 'node:crypto';
import { asDigest, DIGEST_BYTES, type Digest, sameBytes, toHex } from '../digest.ts';
import { schemeProblem } from '../erasure/scheme.ts';
import { assert, KwamError } from '../errors.ts';
import { packBytesMax, recordBytesMax, recordsPerPackMax } from '../limits.ts';
import type { ErasureScheme, MatrixName } from '../plan.ts';

export const PACK_HEADER_BYTES = 128;
export const RECORD_HEADER_BYTES = 40;
export const PACK_TRAILER_BYTES = 64;
const PACK_VERSION = 1;
const HEADER_CHECK_AT = 112;
const MAGIC_HEAD = new TextEncoder().encode('KWAMPACK');
const MAGIC_TAIL = new TextEncoder().encode('KWAMTAIL');

export const RECORD_TYPE = { chunk: 1, manifestPart: 2, shardSlice: 3 } as const;
export type RecordType = (typeof RECORD_TYPE)[keyof typeof RECORD_TYPE];

export type PackKind = 'chunks' | 'shard';
const KIND_CODE: Record<PackKind, number> = { chunks: 1, shard: 2 };
const MATRIX_CODE: Record<MatrixName, number> = { vandermonde: 1, cauchy1: 2, lrc: 3 };

/** Which shard of which stripe a pack of kind `shard` holds. */
export interface StripeInfo extends ErasureScheme {
  readonly pack: Digest;
  readonly packBytes: number;
  readonly shardIndex: number;
}

export interface PackHeader {
  readonly kind: PackKind;
  readonly codecId: Digest;
  /** Present exactly when kind is `shard`. */
  readonly stripe?: StripeInfo;
}

export interface RecordHeader {
  readonly digest: Digest;
  /** Of the payload, in bytes. */
  readonly length: number;
  readonly type: RecordType;
}

/** A record header and the place in the file where it lies; the payload follows it. */
export interface PackRecord extends RecordHeader {
  readonly offset: number;
}

export interface PackTrailer {
  readonly recordCount: number;
  readonly id: Digest;
}

export function packInvalid(what: string, at: number, expected: unknown, actual: unknown): KwamError {
  return new KwamError(
    'PACK_INVALID',
    `pack ${what} at byte ${at}: expected ${expected}, got ${actual}; verify the pack and repair it from another copy`,
    { context: { what, offset: at, expected: String(expected), actual: String(actual) } },
  );
}

const sha256 = (bytes: Uint8Array): Digest => asDigest(hash('sha256', bytes, 'buffer'));
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function requireThat(holds: boolean, what: string, at: number, expected: unknown, actual: unknown): void {
  if (!holds) throw packInvalid(what, at, expected, actual);
}

function requireBytes(bytes: Uint8Array, at: number, expected: Uint8Array, what: string): void {
  const actual = bytes.subarray(at, at + expected.length);
  if (!sameBytes(actual, expected)) throw packInvalid(what, at, toHex(expected), toHex(actual));
}

function requireZero(bytes: Uint8Array, from: number, to: number, what: string): void {
  for (let i = from; i < to; i++) requireThat(bytes[i] === 0, `${what} padding`, i, 0, bytes[i]);
}

function nameOf<N extends string>(codes: Record<N, number>, code: number, what: string, at: number): N {
  for (const name in codes) if (codes[name] === code) return name;
  throw packInvalid(what, at, Object.values(codes).join(' or '), code);
}

export function encodePackHeader(header: PackHeader): Uint8Array {
  assert((header.kind === 'shard') === (header.stripe !== undefined), 'exactly a shard pack has a stripe');
  const bytes = new Uint8Array(PACK_HEADER_BYTES);
  const view = viewOf(bytes);
  bytes.set(MAGIC_HEAD, 0);
  bytes[8] = PACK_VERSION;
  bytes[9] = KIND_CODE[header.kind];
  view.setUint32(12, PACK_HEADER_BYTES, true);
  bytes.set(header.codecId, 16);
  if (header.stripe !== undefined) encodeStripe(header.stripe, bytes, view);
  bytes.set(sha256(bytes.subarray(0, HEADER_CHECK_AT)).subarray(0, 16), HEADER_CHECK_AT);
  return bytes;
}

function encodeStripe(stripe: StripeInfo, bytes: Uint8Array, view: DataView): void {
  assert(stripeProblem(stripe) === undefined, stripeProblem(stripe) ?? '');
  bytes.set(stripe.pack, 48);
  view.setBigUint64(80, BigInt(stripe.packBytes), true);
  bytes[88] = stripe.dataShards;
  bytes[89] = stripe.parityShards;
  bytes[90] = MATRIX_CODE[stripe.matrix];
  bytes[91] = stripe.shardIndex;
  bytes[92] = stripe.localGroups ?? 0;
}

function stripeProblem(stripe: StripeInfo): string | undefined {
  const problem = schemeProblem(stripe);
  if (problem !== undefined) return problem;
  if (stripe.shardIndex >= stripe.dataShards + stripe.parityShards) return 'a shard index below their count';
  if (stripe.packBytes < 1 || stripe.packBytes > packBytesMax) return `a pack of 1 to ${packBytesMax} bytes`;
  return undefined;
}

export function parsePackHeader(bytes: Uint8Array): PackHeader {
  requireThat(bytes.length === PACK_HEADER_BYTES, 'header length', 0, PACK_HEADER_BYTES, bytes.length);
  const view = viewOf(bytes);
  requireBytes(bytes, 0, MAGIC_HEAD, 'magic');
  requireThat(bytes[8] === PACK_VERSION, 'version', 8, PACK_VERSION, bytes[8]);
  const check = sha256(bytes.subarray(0, HEADER_CHECK_AT)).subarray(0, 16);
  requireBytes(bytes, HEADER_CHECK_AT, check, 'header check');
  const kind = nameOf(KIND_CODE, bytes[9]!, 'kind', 9);
  requireZero(bytes, 10, 12, 'header');
  const headerBytes = view.getUint32(12, true);
  requireThat(headerBytes === PACK_HEADER_BYTES, 'header length', 12, PACK_HEADER_BYTES, headerBytes);
  requireZero(bytes, kind === 'shard' ? 93 : 48, HEADER_CHECK_AT, 'header');
  const codecId = asDigest(bytes.slice(16, 48));
  return kind === 'shard' ? { kind, codecId, stripe: parseStripe(bytes, view) } : { kind, codecId };
}

function parseStripe(bytes: Uint8Array, view: DataView): StripeInfo {
  const stripe: StripeInfo = {
    pack: asDigest(bytes.slice(48, 80)),
    packBytes: Number(view.getBigUint64(80, true)),
    dataShards: bytes[88]!,
    parityShards: bytes[89]!,
    matrix: nameOf(MATRIX_CODE, bytes[90]!, 'matrix', 90),
    shardIndex: bytes[91]!,
    ...(bytes[92] === 0 ? {} : { localGroups: bytes[92]! }),
  };
  const problem = stripeProblem(stripe);
  requireThat(problem === undefined, 'stripe', 80, problem, toHex(bytes.subarray(80, 93)));
  return stripe;
}

export function encodeRecordHeader(record: RecordHeader, into: Uint8Array, at = 0): void {
  assert(record.length >= 1 && record.length <= recordBytesMax, `record of ${record.length} bytes`);
  const view = viewOf(into);
  view.setUint32(at, record.length, true);
  view.setUint32(at + 4, record.type, true);
  into.set(record.digest, at + 8);
}

/** `fileOffset` is only for the error message: where in the file these bytes lie. */
export function parseRecordHeader(
  bytes: Uint8Array,
  at: number,
  kind: PackKind,
  fileOffset = at,
): RecordHeader {
  requireThat(at + RECORD_HEADER_BYTES <= bytes.length, 'record header', fileOffset, '40 bytes', 'fewer');
  const view = viewOf(bytes);
  const length = view.getUint32(at, true);
  requireThat(
    length >= 1 && length <= recordBytesMax,
    'record length',
    fileOffset,
    `1 to ${recordBytesMax}`,
    length,
  );
  const type = view.getUint32(at + 4, true);
  const fits =
    kind === 'shard' ? type === RECORD_TYPE.shardSlice : type >= 1 && type <= RECORD_TYPE.manifestPart;
  requireThat(fits, 'record type', fileOffset + 4, kind === 'shard' ? '3' : '1 or 2', type);
  const digest = asDigest(bytes.subarray(at + 8, at + 8 + DIGEST_BYTES));
  return { digest, length, type: type as RecordType };
}

export function encodeIndex(records: readonly RecordHeader[]): Uint8Array {
  const index = new Uint8Array(records.length * RECORD_HEADER_BYTES);
  records.forEach((record, i) => {
    encodeRecordHeader(record, index, i * RECORD_HEADER_BYTES);
  });
  return index;
}

/** The records with their offsets. Digests are views into `index`: valid as long as nobody overwrites it. */
export function parseIndex(index: Uint8Array, kind: PackKind, fileOffset = 0): PackRecord[] {
  requireRecordCount(index.length / RECORD_HEADER_BYTES, fileOffset);
  const records: PackRecord[] = [];
  let offset = PACK_HEADER_BYTES;
  for (let at = 0; at < index.length; at += RECORD_HEADER_BYTES) {
    const { digest, length, type } = parseRecordHeader(index, at, kind, fileOffset + at);
    records.push({ digest, length, type, offset });
    offset += RECORD_HEADER_BYTES + length;
  }
  requireThat(offset <= packBytesMax, 'records', fileOffset, `at most ${packBytesMax} bytes`, offset);
  return records;
}

function requireRecordCount(count: number, at: number): void {
  const holds = Number.isInteger(count) && count >= 1 && count <= recordsPerPackMax;
  requireThat(holds, 'record count', at, `1 to ${recordsPerPackMax}`, count);
}

/** Where the record after `record` begins; after the last one, where the index begins. */
export function endOf(record: PackRecord): number {
  return record.offset + RECORD_HEADER_BYTES + record.length;
}

/** Bytes of a whole pack file whose last record is `last` and which holds `recordCount` records. */
export function packFileBytes(last: PackRecord, recordCount: number): number {
  return endOf(last) + recordCount * RECORD_HEADER_BYTES + PACK_TRAILER_BYTES;
}

export function packIdOf(header: Uint8Array, index: Uint8Array): Digest {
  const both = new Uint8Array(header.length + index.length);
  both.set(header, 0);
  both.set(index, header.length);
  return sha256(both);
}

export function encodePackTrailer(trailer: PackTrailer): Uint8Array {
  const bytes = new Uint8Array(PACK_TRAILER_BYTES);
  const view = viewOf(bytes);
  bytes.set(MAGIC_TAIL, 0);
  view.setUint32(8, trailer.recordCount, true);
  bytes[12] = PACK_VERSION;
  view.setBigUint64(16, BigInt(trailer.recordCount * RECORD_HEADER_BYTES), true);
  bytes.set(trailer.id, 32);
  return bytes;
}

/** `fileOffset` is only for the error message: where in the file the trailer lies. */
export function parsePackTrailer(bytes: Uint8Array, fileOffset = 0): PackTrailer {
  requireThat(
    bytes.length === PACK_TRAILER_BYTES,
    'trailer length',
    fileOffset,
    PACK_TRAILER_BYTES,
    bytes.length,
  );
  const view = viewOf(bytes);
  requireBytes(bytes, 0, MAGIC_TAIL, 'trailer magic');
  requireThat(bytes[12] === PACK_VERSION, 'trailer version', fileOffset + 12, PACK_VERSION, bytes[12]);
  requireZero(bytes, 13, 16, 'trailer');
  const recordCount = view.getUint32(8, true);
  requireRecordCount(recordCount, fileOffset + 8);
  const indexBytes = Number(view.getBigUint64(16, true));
  const expected = recordCount * RECORD_HEADER_BYTES;
  requireThat(indexBytes === expected, 'index length', fileOffset + 16, expected, indexBytes);
  requireZero(bytes, 24, 32, 'trailer');
  return { recordCount, id: asDigest(bytes.slice(32, 64)) };
}
