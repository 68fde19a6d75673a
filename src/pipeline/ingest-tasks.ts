/**
 * The worker's half of ingest: read → chunk → hash → ask which chunks are new → write those, all while the bytes lie in
 * linear memory and without copying them.
 * In: files, or one part of a large file. Out: chunk lengths and digests in content order, and what each file was.
 * A file whose size or times changed while it was read is read again, then given up and named.
 */
import * as fs from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import { asDigest, DIGEST_BYTES } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { type FilePath, readUpTo } from '../filesystem.ts';
import { type EntryPath, showPath } from '../manifest/entry-path.ts';
import type { ChunkerSizes } from '../plan.ts';
import { RECORD_TYPE, type RecordHeader, type RecordType } from '../store/pack-format.ts';
import { writeRecords } from '../store/pack-writer.ts';
import { INPUT_BYTES, REGION } from '../wasm/kernels.ts';
import { defineTask, reviveError, type SerializedError, type WorkerContext } from '../workers/task.ts';
import { type Problem, problemOf } from './walk.ts';

/** Chunks of one task, in content order: `digests` holds lengths.length × 32 bytes. */
export interface ChunkRun {
  readonly lengths: Uint32Array;
  readonly digests: Uint8Array;
}

export type FileOutcome = { readonly ok: true; readonly size: number; readonly mtimeNs: bigint } | Unread;

export interface Unread {
  readonly ok: false;
  readonly problem: Problem;
  /** The file is there and has this size now, other than expected: reading it anew, by itself, may succeed. */
  readonly sizeNow?: number;
}

/** Worker → main: these chunks are at hand, which are new? */
export interface Offer extends ChunkRun {
  readonly kind: 'offer';
}

/** Worker → main: how much of the part is covered by chunks, before they are hashed, so the next part can start. */
export interface Scanned {
  readonly kind: 'scanned';
  readonly bytes: number;
}

export interface StoreOrder {
  readonly packPath: string;
  readonly offset: number;
  /** Which of the offered chunks to write there, back to back. */
  readonly chunkIndexes: Uint32Array;
}

const READ_TRIES = 3;
/** One chunk in this many is hashed by the second engine too. */
const CROSS_CHECK_EVERY = 256;

export interface IngestFilesInput {
  /** The directory that paths are relative to. */
  readonly base: string;
  readonly files: readonly { readonly path: EntryPath; readonly size: number }[];
  /** Number of files of each segment, in order. */
  readonly segmentFileCounts: readonly number[];
  readonly sizes: ChunkerSizes;
}

export interface IngestFilesOutput {
  readonly files: FileOutcome[];
  /** One run a segment. */
  readonly segments: ChunkRun[];
}

export const ingestFiles = defineTask(
  'ingest-files',
  async (context, input: IngestFilesInput, [port]): Promise<IngestFilesOutput> => {
    const outcomes: FileOutcome[] = [];
    const runs: number[] = [];
    const chunkCounts: number[] = [];
    let position = 0;
    let next = 0;
    for (const fileCount of input.segmentFileCounts) {
      const start = position;
      for (const file of input.files.slice(next, next + fileCount)) {
        const outcome = context.timed('disk', () => readFile(context, input.base, file, position));
        outcomes.push(outcome);
        if (outcome.ok) position += outcome.size;
      }
      next += fileCount;
      chunkCounts.push(scanInto(context, input.sizes, start, position - start, true, runs));
    }
    const chunks = await hashAndStore(context, Uint32Array.from(runs), RECORD_TYPE.chunk, port!);
    return { files: outcomes, segments: splitRun(chunks, chunkCounts) };
  },
);

export interface IngestPartInput {
  /** The directory that paths are relative to. */
  readonly base: string;
  readonly path: EntryPath;
  readonly start: number;
  readonly length: number;
  readonly isLast: boolean;
  readonly sizes: ChunkerSizes;
}

export interface IngestPartOutput extends ChunkRun {
  readonly ok: true;
  /** Identity of the file's content at this read; equal for all parts of an unchanged file. */
  readonly version: string;
  readonly size: number;
  readonly mtimeNs: bigint;
}

export type PartOutcome = IngestPartOutput | Unread;

export const ingestPart = defineTask(
  'ingest-part',
  async (context, input: IngestPartInput, [port]): Promise<PartOutcome> => {
    const stat = readPart(context, input);
    if ('problem' in stat) {
      port!.close();
      return stat;
    }
    const runs: number[] = [];
    scanInto(context, input.sizes, 0, input.length, input.isLast, runs);
    const bytes = runs.reduce((sum, value, i) => (i % 2 === 1 ? sum + value : sum), 0);
    port!.postMessage({ kind: 'scanned', bytes } satisfies Scanned);
    const chunks = await hashAndStore(context, Uint32Array.from(runs), RECORD_TYPE.chunk, port!);
    const { size, mtimeNs } = stat;
    return { ok: true, ...chunks, version: versionOf(stat), size: Number(size), mtimeNs };
  },
);

function readPart(context: WorkerContext, input: IngestPartInput): fs.BigIntStats | Unread {
  const target = context.input().subarray(0, input.length);
  return context.timed('disk', () =>
    withRegularFile(input.base, input.path, (file, before): fs.BigIntStats | Unread => {
      const count = readUpTo(file, target, input.start);
      const after = fs.fstatSync(file, { bigint: true });
      if (count === target.length && isSameVersion(before, after)) return after;
      const detail = `changed while bytes ${input.start} to ${input.start + target.length} were read`;
      return unread(input.path, 'changed', detail, Number(after.size));
    }),
  );
}

/** Stores given payloads as they are, one record each; the manifest travels this way. */
export const ingestRecords = defineTask(
  'ingest-records',
  (context, input: { payloads: readonly Uint8Array[]; type: RecordType }, [port]): Promise<ChunkRun> => {
    const runs: number[] = [];
    let position = 0;
    for (const payload of input.payloads) {
      context.input().set(payload, position);
      runs.push(REGION.input + position, payload.length);
      position += payload.length;
    }
    return hashAndStore(context, Uint32Array.from(runs), input.type, port!);
  },
);

function fullPath(base: string, path: EntryPath): FilePath {
  return typeof path === 'string' ? `${base}/${path}` : Buffer.concat([Buffer.from(`${base}/`), path]);
}

/**
 * What was a regular file when it was listed may be anything by now: a link is not followed out of the tree, and a FIFO
 * without a writer does not block the worker.
 */
const OPEN_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

function withRegularFile<T>(
  base: string,
  path: EntryPath,
  read: (file: number, before: fs.BigIntStats) => T,
): T | Unread {
  try {
    const file = fs.openSync(fullPath(base, path), OPEN_FLAGS);
    try {
      const before = fs.fstatSync(file, { bigint: true });
      if (before.isFile()) return read(file, before);
      return unread(path, 'changed', 'is not a regular file any more');
    } finally {
      fs.closeSync(file);
    }
  } catch (cause) {
    return { ok: false, problem: problemOf(path, cause) };
  }
}

function unread(path: EntryPath, reason: Problem['reason'], detail: string, sizeNow?: number): Unread {
  const problem = { path: showPath(path), reason, detail };
  return sizeNow === undefined ? { ok: false, problem } : { ok: false, problem, sizeNow };
}

function readFile(
  context: WorkerContext,
  base: string,
  entry: { path: EntryPath; size: number },
  position: number,
): FileOutcome {
  return withRegularFile(base, entry.path, (file, before) =>
    readStable(context, file, before, entry, position),
  );
}

/** Reads a file that must not change meanwhile: its stat before and after must agree. */
function readStable(
  context: WorkerContext,
  file: number,
  before: fs.BigIntStats,
  entry: { path: EntryPath },
  position: number,
): FileOutcome {
  for (let tries = 1; tries <= READ_TRIES; tries++) {
    const size = Number(before.size);
    if (position + size > INPUT_BYTES)
      return unread(entry.path, 'changed', `grew to ${size} bytes since it was listed`, size);
    const count = readUpTo(file, context.input().subarray(position, position + size), 0);
    const after = fs.fstatSync(file, { bigint: true });
    if (count === size && isSameVersion(before, after)) {
      return { ok: true, size, mtimeNs: after.mtimeNs };
    }
    before = after;
  }
  return unread(entry.path, 'changed', `changed while it was read, ${READ_TRIES} times`);
}

function isSameVersion(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.size === b.size && a.ino === b.ino;
}

function versionOf(stat: fs.BigIntStats): string {
  return `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
}

/** Appends (offset, length) pairs of the chunks found in INPUT[start, start+length); returns how many. */
function scanInto(
  context: WorkerContext,
  sizes: ChunkerSizes,
  start: number,
  length: number,
  isFinal: boolean,
  runs: number[],
): number {
  if (length === 0) return 0;
  return context.timed('chunk', () => {
    const cuts = context.chunker(sizes).scan(start, length, isFinal);
    let from = 0;
    for (const end of cuts) {
      runs.push(REGION.input + start + from, end - from);
      from = end;
    }
    return cuts.length;
  });
}

async function hashAndStore(
  context: WorkerContext,
  runs: Uint32Array,
  type: RecordType,
  port: MessagePort,
): Promise<ChunkRun> {
  const digests = context.timed('hash', () => {
    const result = context.hash.hashRuns(runs).slice();
    context.crossCheck(runs, result, CROSS_CHECK_EVERY);
    return result;
  });
  const lengths = runs.filter((_, i) => i % 2 === 1);
  const orders = lengths.length === 0 ? [] : await askWhichAreNew(port, { kind: 'offer', lengths, digests });
  for (const order of orders) writeOrder(context, order, runs, digests, type);
  port.close();
  return { lengths, digests };
}

/** Main → worker: the orders, or why there can be none (the disk is full). */
export type Reply = { readonly orders: StoreOrder[] } | { readonly error: SerializedError };

function askWhichAreNew(port: MessagePort, offer: Offer): Promise<StoreOrder[]> {
  return new Promise((resolve, reject) => {
    port.once('close', () => reject(new KwamError('CANCELLED', 'nobody waits for these chunks any more')));
    port.once('message', (reply: Reply) => {
      if ('orders' in reply) resolve(reply.orders);
      else reject(reviveError(reply.error));
    });
    port.postMessage(offer);
  });
}

function writeOrder(
  context: WorkerContext,
  order: StoreOrder,
  runs: Uint32Array,
  digests: Uint8Array,
  type: RecordType,
): void {
  const memory = context.kernels.bytes();
  const records: RecordHeader[] = [];
  const payloads: Uint8Array[] = [];
  for (const i of order.chunkIndexes) {
    const [at, length] = [runs[i * 2]!, runs[i * 2 + 1]!];
    records.push({
      type,
      length,
      digest: asDigest(digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)),
    });
    payloads.push(memory.subarray(at, at + length));
  }
  const file = context.fileSystem.open(order.packPath, 'update');
  try {
    writeRecords(context.fileSystem, file, order.offset, records, payloads);
  } finally {
    context.fileSystem.close(file);
  }
}

function splitRun(run: ChunkRun, counts: readonly number[]): ChunkRun[] {
  let first = 0;
  return counts.map((count) => {
    const part = {
      lengths: run.lengths.subarray(first, first + count),
      digests: run.digests.subarray(first * DIGEST_BYTES, (first + count) * DIGEST_BYTES),
    };
    first += count;
    return part;
  });
}
