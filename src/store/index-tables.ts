/**
 * The LMDB index of one node: packs by id, chunk locations by digest.
 * In: entries. Out: entries whose checksum held; a damaged one is reported and counts as missing.
 * Holds: what it says is a hint, derived from packs/; readers compare with the record header and the digest. It is opened
 * without fsync, because an index that was not closed is thrown away (index-seal.ts).
 * Not for worker threads: one process, one thread writes. Does not know files.
 *
 *   packs    id (32)      → sequence u32, kind u8, state u8, k u8, m u8, bytes u64, records u32, matrix u8, shardIndex u8,
 *                           localGroups u8, zero u8, stripeBytes u64, stripePack (32), crc u32
 *   chunks   digest (32)  → (sequence u32, offset u32, length u32, type u32) × n, crc u32
 *   meta     "sequence"   → next sequence u32, crc u32
 * crc: CRC-32 of key ‖ value; finds every flipped bit, burst up to 32 bits and swapped value; 4 bytes and no call of SHA-256.
 */
import { statfsSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Database, open, type RootDatabase } from 'lmdb';
import { asDigest, type Digest, type DigestHex, fromHex, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { MIB } from '../limits.ts';
import type { MatrixName } from '../plan.ts';
import type { PackKind, RecordType, StripeInfo } from './pack-format.ts';

export type PackState = 'present' | 'quarantined' | 'missing' | 'remote';

export interface PackInfo {
  readonly id: DigestHex;
  /** Short local name of the pack, never used again for another one while the index lives. */
  readonly sequence: number;
  readonly state: PackState;
  readonly kind: PackKind;
  readonly bytes: number;
  readonly recordCount: number;
  readonly stripe?: StripeInfo;
}

export interface Place {
  readonly sequence: number;
  readonly offset: number;
  readonly length: number;
  readonly type: RecordType;
}

const MATRICES: readonly MatrixName[] = ['vandermonde', 'cauchy1', 'lrc'];
const STATES: readonly PackState[] = ['present', 'quarantined', 'missing', 'remote'];
const PACK_VALUE_BYTES = 64; // without the checksum
const PLACE_BYTES = 16;
const CRC_BYTES = 4;
const SEQUENCE_KEY = Buffer.from('sequence');

type Table = Database<Buffer, Uint8Array>;
export type OnEntryDamaged = (table: 'packs' | 'chunks' | 'meta', key: Uint8Array) => void;

/** A commit that stops short of this much free space was stopped by it. */
const FREE_BYTES_ENOUGH = MIB;

/** LMDB says EIO, not ENOSPC, when the disk takes only a part of a write (seen on a full tmpfs): so the disk is asked. */
function indexError(cause: unknown, directory: string): unknown {
  if (cause instanceof KwamError) return cause;
  const text = String((cause as Error).message);
  const { bavail, bsize } = statfsSync(directory);
  const full = /No space left|MDB_MAP_FULL|quota/i.test(text) || bavail * bsize < FREE_BYTES_ENOUGH;
  return full
    ? new KwamError(
        'DISK_FULL',
        `expected room for the index in ${directory}, got: ${text}; free space and try again`,
        { cause, retryable: true },
      )
    : new KwamError('IO', `index failed: ${text}; restart the node, which rebuilds it from its packs`, {
        cause,
      });
}

function checked(key: Uint8Array, value: Buffer): Buffer {
  value.writeUInt32LE(crc32(value.subarray(0, -CRC_BYTES), crc32(key)), value.length - CRC_BYTES);
  return value;
}

function isIntact(key: Uint8Array, value: Buffer): boolean {
  if (value.length < CRC_BYTES) return false;
  return crc32(value.subarray(0, -CRC_BYTES), crc32(key)) === value.readUInt32LE(value.length - CRC_BYTES);
}

function encodePack(info: PackInfo): Buffer {
  const value = Buffer.alloc(PACK_VALUE_BYTES + CRC_BYTES);
  value.writeUInt32LE(info.sequence, 0);
  value[4] = info.kind === 'chunks' ? 1 : 2;
  value[5] = STATES.indexOf(info.state);
  value.writeBigUInt64LE(BigInt(info.bytes), 8);
  value.writeUInt32LE(info.recordCount, 16);
  if (info.stripe !== undefined) {
    value[6] = info.stripe.dataShards;
    value[7] = info.stripe.parityShards;
    value[20] = 1 + MATRICES.indexOf(info.stripe.matrix);
    value[21] = info.stripe.shardIndex;
    value[22] = info.stripe.localGroups ?? 0;
    value.writeBigUInt64LE(BigInt(info.stripe.packBytes), 24);
    value.set(info.stripe.pack, 32);
  }
  return checked(fromHex(info.id), value);
}

function decodePack(id: DigestHex, value: Buffer): PackInfo {
  const info = {
    id,
    sequence: value.readUInt32LE(0),
    state: STATES[value[5]!]!,
    kind: value[4] === 1 ? ('chunks' as const) : ('shard' as const),
    bytes: Number(value.readBigUInt64LE(8)),
    recordCount: value.readUInt32LE(16),
  };
  if (value[6] === 0) return info;
  const stripe: StripeInfo = {
    pack: asDigest(new Uint8Array(value.subarray(32, 64))),
    packBytes: Number(value.readBigUInt64LE(24)),
    dataShards: value[6]!,
    parityShards: value[7]!,
    matrix: MATRICES[value[20]! - 1]!,
    shardIndex: value[21]!,
    ...(value[22] === 0 ? {} : { localGroups: value[22]! }),
  };
  return { ...info, stripe };
}

function encodePlaces(digest: Uint8Array, places: readonly Place[]): Buffer {
  const value = Buffer.allocUnsafe(places.length * PLACE_BYTES + CRC_BYTES);
  places.forEach((place, i) => {
    value.writeUInt32LE(place.sequence, i * PLACE_BYTES);
    value.writeUInt32LE(place.offset, i * PLACE_BYTES + 4);
    value.writeUInt32LE(place.length, i * PLACE_BYTES + 8);
    value.writeUInt32LE(place.type, i * PLACE_BYTES + 12);
  });
  return checked(digest, value);
}

function decodePlaces(value: Buffer): Place[] {
  const places: Place[] = [];
  for (let at = 0; at + PLACE_BYTES <= value.length - CRC_BYTES; at += PLACE_BYTES)
    places.push({
      sequence: value.readUInt32LE(at),
      offset: value.readUInt32LE(at + 4),
      length: value.readUInt32LE(at + 8),
      type: value.readUInt32LE(at + 12) as RecordType,
    });
  return places;
}

export class IndexTables {
  readonly #env: RootDatabase<Buffer, Uint8Array>;
  readonly #packs: Table;
  readonly #chunks: Table;
  readonly #meta: Table;
  readonly #onDamaged: OnEntryDamaged;
  readonly #directory: string;

  /** Opens or creates the index in `directory`. Only a sealed or an absent file may be given to it. */
  constructor(directory: string, onDamaged: OnEntryDamaged) {
    const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
    this.#onDamaged = onDamaged;
    this.#directory = directory;
    this.#env = this.#guarded(() =>
      open<Buffer, Uint8Array>(directory, { ...binary, noSync: true, maxDbs: 3 }),
    );
    const table = (name: string): Table =>
      this.#guarded(() => this.#env.openDB<Buffer, Uint8Array>({ name, ...binary }));
    this.#packs = table('packs');
    this.#chunks = table('chunks');
    this.#meta = table('meta');
  }

  #guarded<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      throw indexError(cause, this.#directory);
    }
  }

  /** All writes that `act` makes become visible together. Blocks; keep it to about a thousand entries. */
  transaction(act: () => void): void {
    this.#guarded(() => this.#env.transactionSync(act));
  }

  #intact(table: Table, name: 'packs' | 'chunks' | 'meta', key: Uint8Array): Buffer | undefined {
    const value = this.#guarded(() => table.getBinary(key));
    if (value === undefined || isIntact(key, value)) return value;
    this.#onDamaged(name, key);
    return undefined;
  }

  *packs(): Generator<PackInfo> {
    for (const { key, value } of this.#packs.getRange({ snapshot: false })) {
      if (isIntact(key, value) && key.length === 32) yield decodePack(toHex(key), value);
      else this.#onDamaged('packs', key);
    }
  }

  /** Ids in ascending order, after `after`. */
  packIds(after: DigestHex | undefined, limit: number): DigestHex[] {
    const start = after === undefined ? {} : { start: fromHex(after), exclusiveStart: true };
    return this.#guarded(() => [...this.#packs.getKeys({ ...start, limit })].map(toHex));
  }

  putPack(info: PackInfo): void {
    this.#guarded(() => this.#packs.putSync(fromHex(info.id), encodePack(info)));
  }

  removePack(id: DigestHex): void {
    this.#guarded(() => this.#packs.removeSync(fromHex(id)));
  }

  places(digest: Digest): readonly Place[] {
    const value = this.#intact(this.#chunks, 'chunks', digest);
    return value === undefined ? [] : decodePlaces(value);
  }

  putPlaces(digest: Digest, places: readonly Place[]): void {
    this.#guarded(() => {
      if (places.length === 0) this.#chunks.removeSync(digest);
      else this.#chunks.putSync(digest, encodePlaces(digest, places));
    });
  }

  *chunks(): Generator<{ readonly digest: Digest; readonly places: readonly Place[] }> {
    for (const { key, value } of this.#chunks.getRange({ snapshot: false })) {
      if (key.length === 32 && isIntact(key, value))
        yield { digest: asDigest(new Uint8Array(key)), places: decodePlaces(value) };
      else this.#onDamaged('chunks', key);
    }
  }

  get chunkCount(): number {
    return (this.#chunks.getStats() as { entryCount: number }).entryCount;
  }

  get nextSequence(): number {
    const value = this.#intact(this.#meta, 'meta', SEQUENCE_KEY);
    return value === undefined ? 0 : value.readUInt32LE(0);
  }

  putNextSequence(sequence: number): void {
    const value = Buffer.alloc(4 + CRC_BYTES);
    value.writeUInt32LE(sequence, 0);
    this.#guarded(() => this.#meta.putSync(SEQUENCE_KEY, checked(SEQUENCE_KEY, value)));
  }

  async close(): Promise<void> {
    await this.#env.close();
  }
}
