/**
 * Writing one pack: the main thread allocates room, workers write into it, a worker seals it.
 * In: record headers, then payloads. Out: `incoming/<name>` while it grows, then `packs/<id>.pack`, durable.
 * Source: write order of ARCHITECTURE.md, "Store directory of a node".
 * Holds: a file appears under packs/ only after its bytes are durable, and is durable there when sealing returns. Any
 * error while sealing, fsync above all, condemns the file: it is removed, and never synced a second time.
 * Does not hash payloads: digests come from whoever read the source. Does not touch the index: see store.ts.
 */
import { dirname, join } from 'node:path';
import { type DigestHex, toHex } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../filesystem.ts';
import { packBytesMax, recordsPerPackMax } from '../limits.ts';
import { packPath, type StoreLayout } from './layout.ts';
import {
  encodeIndex,
  encodePackHeader,
  encodePackTrailer,
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
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from './pack-format.ts';
import { headerMatches, openPack } from './pack-reader.ts';

/** A pack that is durable under packs/. Plain data: it travels between threads. */
export interface SealedPack {
  readonly id: DigestHex;
  readonly bytes: number;
  readonly header: Uint8Array;
  readonly index: Uint8Array;
}

/** What a worker needs to seal a pack file. Plain data. */
export interface SealRequest {
  readonly path: string;
  /** The directory packs/. */
  readonly packs: string;
  readonly header: Uint8Array;
  readonly index: Uint8Array;
}

export type SealRunner = (request: SealRequest) => SealedPack | Promise<SealedPack>;

export interface PackBuilderOptions {
  readonly fileSystem: FileSystem;
  readonly layout: StoreLayout;
  readonly header: PackHeader;
  /** File name in incoming/, unique among the packs being written. */
  readonly name: string;
}

export interface Allocation {
  readonly path: string;
  /** Of the first record's header; the others follow without gaps. */
  readonly offset: number;
}

export class PackBuilder {
  readonly path: string;
  readonly #options: PackBuilderOptions;
  readonly #header: Uint8Array;
  readonly #records: PackRecord[] = [];
  #end = PACK_HEADER_BYTES;
  #state: 'open' | 'sealed' | 'abandoned' = 'open';

  /** Creates the file with its header. @throws KwamError DISK_FULL, IO; nothing is left behind then. */
  constructor(options: PackBuilderOptions) {
    this.#options = options;
    this.#header = encodePackHeader(options.header);
    this.path = join(options.layout.incoming, options.name);
    createPackFile(options.fileSystem, this.path, this.#header);
  }

  /** Bytes that the file will have when it is sealed now. */
  get bytes(): number {
    return this.#end + this.#records.length * RECORD_HEADER_BYTES + PACK_TRAILER_BYTES;
  }

  get recordCount(): number {
    return this.#records.length;
  }

  get records(): readonly PackRecord[] {
    return this.#records;
  }

  /**
   * Reserves consecutive room, one record after another. The caller has `writeRecords` fill exactly that room; doing so
   * twice with the same bytes is harmless, so a task whose worker died can be run again.
   */
  allocate(records: readonly RecordHeader[]): Allocation {
    assert(this.#state === 'open', `allocate in a pack that is ${this.#state}`);
    const offset = this.#end;
    const payload = records.reduce((sum, record) => sum + record.length, 0);
    const added = payload + records.length * 2 * RECORD_HEADER_BYTES;
    const fits =
      this.bytes + added <= packBytesMax && this.#records.length + records.length <= recordsPerPackMax;
    if (!fits) throw packFull(this.bytes + added, this.#records.length + records.length);
    for (const record of records) {
      const placed = { ...record, offset: this.#end };
      this.#records.push(placed);
      this.#end = endOf(placed);
    }
    return { path: this.path, offset };
  }

  /**
   * Call when every allocation has been written. `run` executes sealPackFile where its fsync blocks nobody: in a worker.
   * After a failure the pack is abandoned.
   */
  async seal(run: SealRunner): Promise<SealedPack> {
    assert(this.#state === 'open', `seal a pack that is ${this.#state}`);
    assert(this.#records.length > 0, 'seal a pack without records');
    this.#state = 'sealed';
    try {
      return await run({
        path: this.path,
        packs: this.#options.layout.packs,
        header: this.#header,
        index: encodeIndex(this.#records),
      });
    } catch (error) {
      this.#state = 'abandoned';
      removeAfter(this.#options.fileSystem, this.path, error);
      throw error;
    }
  }

  /** Removes the file. Nothing in it was acknowledged. */
  abandon(): void {
    if (this.#state !== 'open') return;
    this.#state = 'abandoned';
    this.#options.fileSystem.remove(this.path);
  }
}

function packFull(bytes: number, records: number): KwamError {
  return new KwamError(
    'LIMIT_EXCEEDED',
    `expected a pack of at most ${packBytesMax} bytes and ${recordsPerPackMax} records, got ${bytes} and ${records}; seal it and start another`,
    { context: { bytes, records } },
  );
}

/** Removes `path` because of `error`; when that fails as well, the second failure must not hide the first. */
function removeAfter(fileSystem: FileSystem, path: string, error: unknown): void {
  try {
    fileSystem.remove(path);
  } catch (second) {
    throw new AggregateError([error, second], `cannot remove ${path} after a failure`, { cause: error });
  }
}

/** A new pack file that holds its header so far. Nothing is left behind when it fails. */
export function createPackFile(fileSystem: FileSystem, path: string, header: Uint8Array): void {
  const file = fileSystem.open(path, 'create');
  try {
    fileSystem.write(file, [header], 0);
  } catch (error) {
    removeAfter(fileSystem, path, error);
    throw error;
  } finally {
    fileSystem.close(file);
  }
}

/**
 * Writes records with their payloads, one after another, in one gathered write. `payloads` are only read and may lie in
 * linear memory.
 */
export function writeRecords(
  fileSystem: FileSystem,
  file: FileHandle,
  offset: number,
  records: readonly RecordHeader[],
  payloads: readonly Uint8Array[],
): void {
  const headers = new Uint8Array(records.length * RECORD_HEADER_BYTES);
  const parts: Uint8Array[] = [];
  records.forEach((record, i) => {
    const at = i * RECORD_HEADER_BYTES;
    assert(payloads[i]?.length === record.length, `payload ${i} has the length its header says`);
    encodeRecordHeader(record, headers, at);
    parts.push(headers.subarray(at, at + RECORD_HEADER_BYTES), payloads[i]!);
  });
  fileSystem.write(file, parts, offset);
}

/**
 * Index, trailer, fsync, rename, fsync of the directory; in this order. Blocks: run it in a worker.
 * Reads every record header back first, so that room which nobody filled is found before anything is acknowledged.
 * May run again after a worker died in it; not after it threw.
 * @throws KwamError PACK_INVALID (a hole), IO, DISK_FULL; the file under `path` is removed then. Where only the last step
 *         failed the whole pack lies under packs/, unacknowledged: recovery indexes it, retirePack removes it.
 */
export function sealPackFile(fileSystem: FileSystem, request: SealRequest): SealedPack {
  const { path, header, index } = request;
  const records = parseIndex(index, parsePackHeader(header).kind);
  const id = packIdOf(header, index);
  const end = endOf(records.at(-1)!);
  const tail = [index, encodePackTrailer({ recordCount: records.length, id })];
  const target = packPath(request.packs, toHex(id));
  const sealed = { id: toHex(id), bytes: end + index.length + PACK_TRAILER_BYTES, header, index };
  if (!fileSystem.exists(path) && fileSystem.exists(target)) return sealedBefore(fileSystem, target, sealed);
  try {
    // Opened anew: since Linux 4.16 a new descriptor still reports a write-back error that nobody has seen yet.
    syncedUpdate(fileSystem, path, (file) => {
      requireFilled(fileSystem, file, records, end);
      fileSystem.write(file, tail, end);
    });
    fileSystem.rename(path, target);
    fileSystem.syncDirectory(request.packs);
  } catch (error) {
    removeAfter(fileSystem, path, error);
    throw error;
  }
  return sealed;
}

/** The worker that sealed this pack died before it could say so, and the task runs again. */
function sealedBefore(fileSystem: FileSystem, target: string, sealed: SealedPack): SealedPack {
  openPack(fileSystem, target, sealed.id);
  fileSystem.syncDirectory(dirname(target));
  return sealed;
}

function syncedUpdate(fileSystem: FileSystem, path: string, act: (file: FileHandle) => void): void {
  const file = fileSystem.open(path, 'update');
  try {
    act(file);
    fileSystem.sync(file);
  } finally {
    fileSystem.close(file);
  }
}

/** One read serves many small records; large ones are visited one by one. */
const HEADER_WINDOW_BYTES = 64 * 1024;

function requireFilled(
  fileSystem: FileSystem,
  file: FileHandle,
  records: readonly PackRecord[],
  end: number,
): void {
  const bytes = fileSystem.bytes(file);
  const bytesMax = end + records.length * RECORD_HEADER_BYTES + PACK_TRAILER_BYTES;
  if (bytes < end || bytes > bytesMax) throw packInvalid('records end', bytes, end, bytes);
  const dense = end / records.length < HEADER_WINDOW_BYTES / 8;
  const buffer = new Uint8Array(dense ? HEADER_WINDOW_BYTES : RECORD_HEADER_BYTES);
  let windowAt = 0;
  let window = buffer.subarray(0, 0);
  for (const record of records) {
    if (record.offset + RECORD_HEADER_BYTES > windowAt + window.length) {
      windowAt = record.offset;
      window = buffer.subarray(0, fileSystem.read(file, buffer, windowAt));
    }
    if (!headerMatches(window, record.offset - windowAt, record))
      throw packInvalid('record', record.offset, toHex(record.digest), 'room that was never written');
  }
}

/**
 * Makes a complete pack file durable under packs/: one that was received, or rebuilt. Verify its payloads first.
 * @throws KwamError PACK_INVALID when its id is not `id`; IO, DISK_FULL. The file is removed then.
 */
export function installPackFile(
  fileSystem: FileSystem,
  path: string,
  packs: string,
  id: DigestHex,
): SealedPack {
  try {
    const pack = openPack(fileSystem, path, id);
    syncedUpdate(fileSystem, path, () => undefined);
    fileSystem.rename(path, packPath(packs, id));
    fileSystem.syncDirectory(packs);
    return { id, bytes: pack.bytes, header: pack.headerBytes, index: pack.index };
  } catch (error) {
    removeAfter(fileSystem, path, error);
    throw error;
  }
}

/** The records of a sealed pack, in order; fails when id, header and index do not belong together. */
export function recordsOfSealed(sealed: SealedPack): PackRecord[] {
  const id = toHex(packIdOf(sealed.header, sealed.index));
  if (id !== sealed.id) throw packInvalid('id', 0, sealed.id, id);
  return parseIndex(sealed.index, parsePackHeader(sealed.header).kind);
}
