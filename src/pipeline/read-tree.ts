/**
 * Turns the files of a walk into chunks, in parallel and in order.
 * In: manifest entries. Out: for each piece of work its file entries as they were read, its chunks, and the footing that
 * says which packs they rely on. Batches of files and parts of large files go to the pool; the parts of one file follow
 * each other as soon as the one before has been scanned, so their cuts are those of one uninterrupted scan, whatever
 * the number of workers.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { showPath } from '../manifest/entry-path.ts';
import type { FileEntry } from '../manifest/manifest.ts';
import type { ChunkerSizes } from '../plan.ts';
import { RECORD_TYPE, type RecordType } from '../store/pack-format.ts';
import type { WorkerPool } from '../workers/pool.ts';
import { serializeError, type Task } from '../workers/task.ts';
import {
  type ChunkRun,
  type IngestPartOutput,
  ingestFiles,
  ingestPart,
  ingestRecords,
  type Offer,
  type PartOutcome,
  type Reply,
  type Scanned,
  type Unread,
} from './ingest-tasks.ts';
import type { Footing, PackSession } from './pack-session.ts';
import { BATCH_BYTES_MAX, type FileBatch, type LargeFile, type Work } from './segments.ts';
import type { Problem } from './walk.ts';

export interface WorkResult {
  readonly files: readonly FileEntry[];
  readonly problems: readonly Problem[];
  readonly chunks: readonly ChunkRun[];
  readonly footings: readonly Footing[];
}

export interface Reader {
  readonly pool: WorkerPool;
  readonly session: PackSession;
  readonly base: string;
  readonly sizes: ChunkerSizes;
  readonly signal?: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/** A file that changes faster than it can be read is given up after this many tries. */
const READ_TRIES = 3;

/** `limit` at a time, results in order. After a failure nothing new is started, and what runs is awaited. */
export async function inParallel<In, Out>(
  inputs: readonly In[],
  limit: number,
  act: (input: In, index: number) => Promise<Out>,
): Promise<Out[]> {
  const results: Out[] = [];
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (next < inputs.length && failure === undefined) {
      const index = next++;
      try {
        results[index] = await act(inputs[index]!, index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, inputs.length) }, lane));
  if (failure !== undefined) throw failure.error;
  return results;
}

export function readWork(reader: Reader, work: Work): Promise<WorkResult> {
  return work.kind === 'files' ? readBatch(reader, work) : readLarge(reader, work);
}

async function readBatch(reader: Reader, batch: FileBatch): Promise<WorkResult> {
  const files = batch.segments.flat();
  const input = {
    base: reader.base,
    files: files.map(({ path, size }) => ({ path, size })),
    segmentFileCounts: batch.segments.map((segment) => segment.length),
    sizes: reader.sizes,
  };
  const { value, footing } = await offering(reader, ingestFiles, input, batch.bytes, RECORD_TYPE.chunk);
  reader.onBytes(batch.bytes);
  const read: FileEntry[] = [];
  const problems: Problem[] = [];
  const outgrown: FileEntry[] = [];
  for (const [i, outcome] of value.files.entries()) {
    if (outcome.ok) read.push(asRead(files[i]!, outcome));
    else if (outcome.sizeNow === undefined) problems.push(outcome.problem);
    else outgrown.push({ ...files[i]!, size: outcome.sizeNow });
  }
  const results: WorkResult[] = [{ files: read, problems, chunks: value.segments, footings: [footing] }];
  for (const file of outgrown)
    results.push(await readLarge(reader, { kind: 'large', file, bytes: file.size }));
  return {
    files: results.flatMap((result) => result.files),
    problems: results.flatMap((result) => result.problems),
    chunks: results.flatMap((result) => result.chunks),
    footings: results.flatMap((result) => result.footings),
  };
}

async function readLarge(reader: Reader, { file, bytes }: LargeFile): Promise<WorkResult> {
  let size = bytes;
  let problem: Problem | undefined;
  for (let tries = 1; tries <= READ_TRIES; tries++) {
    const read = await readParts(reader, file, size);
    if ('problem' in read) {
      problem = read.problem;
      if (read.sizeNow === undefined) break;
      size = read.sizeNow;
      continue;
    }
    const first = read.parts[0]!;
    if (isOneVersion(read.parts, size)) {
      reader.onBytes(size);
      return { files: [asRead(file, first)], problems: [], chunks: read.parts, footings: read.footings };
    }
    size = read.parts.at(-1)!.size;
  }
  const detail = `changed while it was read, ${READ_TRIES} times`;
  problem ??= { path: showPath(file.path), reason: 'changed', detail };
  return { files: [], problems: [problem], chunks: [], footings: [] };
}

/** The very entry of the walk where nothing changed: of 200,000 files a second copy would take 30 MB of the heap. */
function asRead(file: FileEntry, { size, mtimeNs }: Pick<FileEntry, 'size' | 'mtimeNs'>): FileEntry {
  return file.size === size && file.mtimeNs === mtimeNs ? file : { ...file, size, mtimeNs };
}

/** Parts of one state of the file, without a gap or an overlap. */
function isOneVersion(parts: readonly IngestPartOutput[], size: number): boolean {
  const covered = parts.reduce((sum, part) => sum + bytesOf(part), 0);
  return covered === size && parts.every((part) => part.size === size && part.version === parts[0]!.version);
}

function bytesOf(run: ChunkRun): number {
  return run.lengths.reduce((sum, length) => sum + length, 0);
}

interface Parts {
  readonly parts: readonly IngestPartOutput[];
  readonly footings: readonly Footing[];
}

async function readParts(reader: Reader, file: FileEntry, size: number): Promise<Parts | Unread> {
  const running: Promise<Offered<PartOutcome>>[] = [];
  // Once at least: an empty file has a version and a time too.
  let start = 0;
  do {
    let report: (bytes: number) => void = () => undefined;
    const scanned = new Promise<number>((resolve) => {
      report = resolve;
    });
    const part = readPart(reader, file, start, Math.min(BATCH_BYTES_MAX, size - start), size, report);
    running.push(part);
    // A part that fails before it is scanned ends the loop; its error comes out below.
    const covered = await Promise.race([
      scanned,
      part.then(
        () => 0,
        () => 0,
      ),
    ]);
    if (covered === 0) break;
    start += covered;
  } while (start < size);
  const settled = await Promise.allSettled(running);
  const footings: Footing[] = [];
  const parts: IngestPartOutput[] = [];
  for (const one of settled) {
    if (one.status === 'rejected') throw one.reason;
    footings.push(one.value.footing);
    if (!one.value.value.ok) return one.value.value;
    parts.push(one.value.value);
  }
  return { parts, footings };
}

function readPart(
  reader: Reader,
  file: FileEntry,
  start: number,
  length: number,
  size: number,
  onScanned: (bytes: number) => void,
) {
  const input = {
    base: reader.base,
    path: file.path,
    start,
    length,
    isLast: start + length === size,
    sizes: reader.sizes,
  };
  return offering(reader, ingestPart, input, length, RECORD_TYPE.chunk, onScanned);
}

/** Stores bytes that are at hand as records of their own; for manifests. */
export async function storeRecords(
  reader: Reader,
  payloads: readonly Uint8Array[],
): Promise<{ readonly run: ChunkRun; readonly footing: Footing }> {
  const bytes = payloads.reduce((sum, payload) => sum + payload.length, 0);
  const type = RECORD_TYPE.manifestPart;
  const { value, footing } = await offering(reader, ingestRecords, { payloads, type }, bytes, type);
  return { run: value, footing };
}

interface Offered<Out> {
  readonly value: Out;
  readonly footing: Footing;
}

/** Runs a task that offers its chunks to the session; a second try after a dead worker starts from a clean footing. */
async function offering<In, Out>(
  reader: Reader,
  task: Task<In, Out>,
  input: In,
  bytes: number,
  type: RecordType,
  onScanned: (bytes: number) => void = () => undefined,
): Promise<Offered<Out>> {
  const { session, pool, signal } = reader;
  let footing = session.begin();
  let port: MessagePort | undefined;
  const ports = (): MessagePort[] => {
    if (port !== undefined) {
      port.close();
      session.failed(footing);
      footing = session.begin();
    }
    const channel = new MessageChannel();
    port = channel.port1;
    port.on('message', (message: Offer | Scanned) => {
      if (message.kind === 'scanned') onScanned(message.bytes);
      else channel.port1.postMessage(answer(session, footing, message, type));
    });
    return [channel.port2];
  };
  try {
    const value = await pool.run(task, input, { bytes, ports, ...(signal === undefined ? {} : { signal }) });
    session.completed(footing);
    return { value, footing };
  } catch (error) {
    session.failed(footing);
    throw error;
  } finally {
    port?.close();
  }
}

function answer(session: PackSession, footing: Footing, offer: Offer, type: RecordType): Reply {
  try {
    return { orders: session.offer(footing, offer, type) };
  } catch (error) {
    return { error: serializeError(error) };
  }
}
