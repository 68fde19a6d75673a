/**
 * The bytes of the embedded control store, version 1. One ordered table; the first byte of a key names its kind.
 *
 *   m                             revision u64, leasesGranted u64, compactedRevision u64, logEvents u64, logBytes u64
 *   e key                         createRevision u64, modRevision u64, lease u64 (0 = none), value
 *   l lease u64                   ttlMs u64, deadlineMs u64 (wall time: several processes share it), then each key that
 *                                 the lease holds as keyBytes u32, key
 *   c revision u64, index u32     kind u8 (1 put, 2 delete), createRevision u64, lease u64, keyBytes u32, key, value
 *
 * Integers inside keys are big-endian, so that they sort; inside values little-endian, as in all our formats. Every value
 * is sealed: version u8 = 1, then the first 16 bytes of SHA-256(key ‖ rest), then the rest. A value that rotted or was
 * moved under another key is INTEGRITY. Does not read or write the table.
 */
import { createHash } from 'node:crypto';
import { KwamError } from '../errors.ts';
import type { ControlEntry, LeaseId } from './control-store.ts';
import type { Change } from './watch.ts';

const version = 1;
const checkBytes = 16;
const sealBytes = 1 + checkBytes;
const leaseHeadBytes = 16;
const entryHeadBytes = 24;
const changeHeadBytes = 21;
const kindPut = 1;
const kindDelete = 2;

export interface Meta {
  readonly revision: number;
  readonly leasesGranted: number;
  readonly compactedRevision: number;
  readonly logEvents: number;
  readonly logBytes: number;
}

export interface LeaseRecord {
  readonly ttlMs: number;
  readonly deadlineMs: number;
  readonly keys: readonly string[];
}

export const metaFirst: Meta = {
  revision: 1,
  leasesGranted: 0,
  compactedRevision: 1,
  logEvents: 0,
  logBytes: 0,
};

export const metaKey = Buffer.from('m');

function u64be(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function u64s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  values.forEach((value, i) => {
    bytes.writeBigUInt64LE(BigInt(value), 8 * i);
  });
  return bytes;
}

function u64At(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}

export function entryKey(key: string): Buffer {
  return Buffer.from(`e${key}`);
}

export function leaseKey(lease: LeaseId): Buffer {
  return Buffer.concat([Buffer.from('l'), u64be(Number(lease))]);
}

export function leaseOfKey(tableKey: Buffer): LeaseId {
  return String(tableKey.readBigUInt64BE(1)) as LeaseId;
}

export function changeKey(revision: number, index: number): Buffer {
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(index);
  return Buffer.concat([Buffer.from('c'), u64be(revision), tail]);
}

export function revisionOfChange(tableKey: Buffer): number {
  return Number(tableKey.readBigUInt64BE(1));
}

/** The first key after all that start with `prefix`, whose last byte is below 255 in every use here. */
export function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1]!++;
  return end;
}

function checkOf(tableKey: Buffer, parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256').update(tableKey);
  for (const part of parts) hash.update(part);
  return hash.digest().subarray(0, checkBytes);
}

export function seal(tableKey: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.of(version), checkOf(tableKey, parts), ...parts]);
}

export function damaged(what: string, cause?: unknown): KwamError {
  return new KwamError(
    'INTEGRITY',
    `expected an intact control store, got ${what}; stop every node of this cluster, keep the folder as evidence and ` +
      'put back a copy of it (the data in the packs is not affected)',
    { cause },
  );
}

/** The sealed part, or INTEGRITY. */
export function unseal(tableKey: Buffer, stored: Buffer, bytesMin: number): Buffer {
  const name = JSON.stringify(tableKey.toString('latin1'));
  if (stored[0] !== version) {
    throw damaged(`version ${stored[0]} instead of ${version} under ${name}`);
  }
  const rest = stored.subarray(sealBytes);
  const check = checkOf(tableKey, [rest]);
  if (rest.length < bytesMin || !check.equals(stored.subarray(1, sealBytes))) {
    throw damaged(`a value under ${name} that fails its checksum`);
  }
  return rest;
}

export function sealMeta(meta: Meta): Buffer {
  const { revision, leasesGranted, compactedRevision, logEvents, logBytes } = meta;
  return seal(metaKey, u64s(revision, leasesGranted, compactedRevision, logEvents, logBytes));
}

export function unsealMeta(stored: Buffer): Meta {
  const rest = unseal(metaKey, stored, 40);
  return {
    revision: u64At(rest, 0),
    leasesGranted: u64At(rest, 8),
    compactedRevision: u64At(rest, 16),
    logEvents: u64At(rest, 24),
    logBytes: u64At(rest, 32),
  };
}

export function sealLease(lease: LeaseId, record: LeaseRecord): Buffer {
  const keys = record.keys.flatMap((key) => {
    const bytes = Buffer.from(key);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytes.length);
    return [head, bytes];
  });
  return seal(leaseKey(lease), u64s(record.ttlMs, Math.ceil(record.deadlineMs)), ...keys);
}

export function unsealLease(lease: LeaseId, stored: Buffer): LeaseRecord {
  const rest = unseal(leaseKey(lease), stored, leaseHeadBytes);
  const keys: string[] = [];
  for (let at = leaseHeadBytes; at < rest.length; ) {
    const end = at + 4 + rest.readUInt32LE(at);
    keys.push(rest.toString('utf8', at + 4, end));
    at = end;
  }
  return { ttlMs: u64At(rest, 0), deadlineMs: u64At(rest, 8), keys };
}

export function sealEntry(entry: ControlEntry): Buffer {
  const head = u64s(entry.createRevision, entry.modRevision, Number(entry.lease ?? 0));
  return seal(entryKey(entry.key), head, entry.value);
}

function withLease(lease: number): { lease?: LeaseId } {
  return lease === 0 ? {} : { lease: String(lease) as LeaseId };
}

export function unsealEntry(key: string, stored: Buffer): ControlEntry {
  const rest = unseal(entryKey(key), stored, entryHeadBytes);
  return {
    key,
    value: Uint8Array.from(rest.subarray(entryHeadBytes)),
    createRevision: u64At(rest, 0),
    modRevision: u64At(rest, 8),
    ...withLease(u64At(rest, 16)),
  };
}

export function sealChange(tableKey: Buffer, change: Change): Buffer {
  const entry = change.kind === 'put' ? change.entry : undefined;
  const key = Buffer.from(change.kind === 'put' ? change.entry.key : change.key);
  const head = Buffer.alloc(changeHeadBytes);
  head[0] = entry === undefined ? kindDelete : kindPut;
  head.writeBigUInt64LE(BigInt(entry?.createRevision ?? 0), 1);
  head.writeBigUInt64LE(BigInt(entry?.lease ?? 0), 9);
  head.writeUInt32LE(key.length, 17);
  return seal(tableKey, head, key, entry?.value ?? new Uint8Array());
}

export function unsealChange(tableKey: Buffer, stored: Buffer): Change {
  const rest = unseal(tableKey, stored, changeHeadBytes);
  const revision = revisionOfChange(tableKey);
  const keyEnd = changeHeadBytes + rest.readUInt32LE(17);
  const key = rest.toString('utf8', changeHeadBytes, keyEnd);
  if (rest[0] === kindDelete) return { kind: 'delete', revision, key };
  const entry: ControlEntry = {
    key,
    value: Uint8Array.from(rest.subarray(keyEnd)),
    createRevision: u64At(rest, 1),
    modRevision: revision,
    ...withLease(u64At(rest, 9)),
  };
  return { kind: 'put', revision, entry };
}
