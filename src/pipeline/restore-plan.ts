/**
 * Which bytes of a pack go where in the files of an object.
 * In: a verified manifest, and the records of a pack. Out: the input of one restore task, or nothing when the pack holds no
 * chunk of the object that is still wanted. Pure; remembers which chunks have been handed out, so that a chunk which two
 * packs hold is read once, and that what no pack holds can be named.
 */
import { DIGEST_BYTES, type Digest, sameBytes } from '../digest.ts';
import { type EntryPath, showPath } from '../manifest/entry-path.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { chunkDigest, entryAt, type StreamLayout, streamLayout } from '../manifest/stream-layout.ts';
import type { PackRecord } from '../store/pack-format.ts';
import type { Pieces, RestorePackInput } from './restore-tasks.ts';

const NONE = -1;
const DAMAGED_FILES_NAMED_MAX = 100;

/** What of an object cannot be read back. */
export interface Damage {
  readonly chunks: number;
  readonly files: number;
  /** Of these files, in the order of the manifest; not more than a hundred. */
  readonly paths: readonly string[];
}

/** Digest → the chunks that have it: a chained hash table over the manifest's own digests, 8 bytes a chunk. */
class Occurrences {
  readonly #digests: Uint8Array;
  readonly #heads: Int32Array;
  readonly #nexts: Int32Array;

  constructor(digests: Uint8Array) {
    const count = digests.length / DIGEST_BYTES;
    this.#digests = digests;
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(count + 1))).fill(NONE);
    this.#nexts = new Int32Array(count);
    for (let i = count - 1; i >= 0; i--) {
      const bucket = this.#bucket(digests, i * DIGEST_BYTES);
      this.#nexts[i] = this.#heads[bucket]!;
      this.#heads[bucket] = i;
    }
  }

  /** Digests are uniform: their first four bytes are a hash already. */
  #bucket(bytes: Uint8Array, at: number): number {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    return word & (this.#heads.length - 1);
  }

  of(digest: Digest): number[] {
    const found: number[] = [];
    for (let i = this.#heads[this.#bucket(digest, 0)]!; i !== NONE; i = this.#nexts[i]!) {
      if (sameBytes(this.#digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES), digest)) found.push(i);
    }
    return found;
  }
}

export class RestorePlan {
  readonly #manifest: Manifest;
  readonly #layout: StreamLayout;
  readonly #occurrences: Occurrences;
  /** 1 for chunks that a task has been given, or that are restored. */
  readonly #taken: Uint8Array;

  constructor(manifest: Manifest) {
    this.#manifest = manifest;
    this.#layout = streamLayout(manifest);
    this.#occurrences = new Occurrences(manifest.chunks.digests);
    this.#taken = new Uint8Array(manifest.chunks.lengths.length);
  }

  /** @param root  where to write; left out, the task only verifies. */
  take(packPath: string, records: readonly PackRecord[], root?: string): RestorePackInput | undefined {
    const wanted = new Wanted();
    for (const record of records) {
      const chunks = this.#occurrences.of(record.digest).filter((i) => this.#taken[i] === 0);
      if (chunks.length === 0) continue;
      wanted.add(record);
      for (const chunk of chunks) {
        this.#taken[chunk] = 1;
        this.#addPieces(wanted, chunk);
      }
    }
    return wanted.isEmpty ? undefined : wanted.input(packPath, this.#manifest, root);
  }

  /** A record turned out bad: its chunks are wanted again, from another pack or another copy. */
  giveBack(digest: Digest): void {
    for (const chunk of this.#occurrences.of(digest)) this.#taken[chunk] = 0;
  }

  wants(digest: Digest): boolean {
    return this.#occurrences.of(digest).some((chunk) => this.#taken[chunk] === 0);
  }

  *missing(): Generator<{ readonly chunk: number; readonly digest: Digest; readonly path: EntryPath }> {
    for (let chunk = 0; chunk < this.#taken.length; chunk++) {
      if (this.#taken[chunk] === 1) continue;
      const entry = entryAt(this.#layout, this.#layout.chunkOffsets[chunk]!);
      yield { chunk, digest: chunkDigest(this.#manifest, chunk), path: this.#manifest.files[entry]!.path };
    }
  }

  /** Counts these records as restored: they can be had, and nobody reads them now. */
  credit(records: readonly PackRecord[]): void {
    for (const { digest } of records)
      for (const chunk of this.#occurrences.of(digest)) this.#taken[chunk] = 1;
  }

  /** What is still wanted, by chunk and by file. */
  damage(): Damage {
    const damage = { chunks: 0, files: 0, paths: [] as string[] };
    let last = NONE;
    for (const { chunk } of this.missing()) {
      damage.chunks++;
      for (const entry of this.#entriesOf(chunk)) {
        if (entry === last) continue;
        last = entry;
        if (damage.files++ < DAMAGED_FILES_NAMED_MAX)
          damage.paths.push(showPath(this.#manifest.files[entry]!.path));
      }
    }
    return damage;
  }

  /** Files with bytes in this chunk, ascending as the chunks are. */
  *#entriesOf(chunk: number): Generator<number> {
    const { chunkOffsets, entryOffsets } = this.#layout;
    const end = chunkOffsets[chunk + 1]!;
    let at = chunkOffsets[chunk]!;
    for (let entry = entryAt(this.#layout, at); at < end; entry++) {
      if (entryOffsets[entry + 1]! <= at) continue;
      yield entry;
      at = entryOffsets[entry + 1]!;
    }
  }

  #addPieces(wanted: Wanted, chunk: number): void {
    const { chunkOffsets, entryOffsets } = this.#layout;
    const start = chunkOffsets[chunk]!;
    const end = chunkOffsets[chunk + 1]!;
    let entry = entryAt(this.#layout, start);
    for (let at = start; at < end; entry++) {
      const stop = Math.min(end, entryOffsets[entry + 1]!);
      if (stop > at) wanted.addPiece(entry, at - entryOffsets[entry]!, at - start, stop - at);
      at = Math.max(at, stop);
    }
  }
}

/** Grows the columns of one RestorePackInput. */
class Wanted {
  readonly #records: PackRecord[] = [];
  readonly #starts: number[] = [];
  readonly #files: number[] = [];
  readonly #fileOffsets: number[] = [];
  readonly #recordOffsets: number[] = [];
  readonly #lengths: number[] = [];
  readonly #fileNumbers = new Map<number, number>();

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  add(record: PackRecord): void {
    this.#records.push(record);
    this.#starts.push(this.#files.length);
  }

  addPiece(entry: number, fileOffset: number, recordOffset: number, length: number): void {
    const number = this.#fileNumbers.get(entry) ?? this.#fileNumbers.size;
    this.#fileNumbers.set(entry, number);
    this.#files.push(number);
    this.#fileOffsets.push(fileOffset);
    this.#recordOffsets.push(recordOffset);
    this.#lengths.push(length);
  }

  input(packPath: string, manifest: Manifest, root: string | undefined): RestorePackInput {
    const entries = [...this.#fileNumbers.keys()].map((i) => manifest.files[i]!);
    const digests = new Uint8Array(this.#records.length * DIGEST_BYTES);
    for (const [i, record] of this.#records.entries()) digests.set(record.digest, i * DIGEST_BYTES);
    return {
      packPath,
      ...(root === undefined ? {} : { root }),
      paths: entries.map((entry) => entry.path),
      isSparse: Uint8Array.from(entries, (entry) => (entry.type === 'file' && entry.sparse ? 1 : 0)),
      offsets: Float64Array.from(this.#records, (record) => record.offset),
      lengths: Uint32Array.from(this.#records, (record) => record.length),
      digests,
      pieces: this.#pieces(),
    };
  }

  #pieces(): Pieces {
    return {
      starts: Uint32Array.from([...this.#starts, this.#files.length]),
      files: Uint32Array.from(this.#files),
      fileOffsets: Float64Array.from(this.#fileOffsets),
      recordOffsets: Uint32Array.from(this.#recordOffsets),
      lengths: Uint32Array.from(this.#lengths),
    };
  }
}
