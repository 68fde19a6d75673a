/**
 * Brings packs from other nodes.
 * In: a pack id and nodes that hold it. Out: the pack, durable and committed here; or a file with just the records that a
 * reader wants. Only records that this node has nowhere travel; a transfer that was cut off goes on where it stopped.
 * Holds: nothing is committed before every record matches the digest that the pack's id commits to. A holder that sends
 * bad bytes is told, and the rest comes from the next one.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Peers } from '../cluster/peers.ts';
import { type DigestHex, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { AsyncFile, AsyncFiles } from '../filesystem.ts';
import { packBytesMax, recordsPerPackMax, streamCreditBytes } from '../limits.ts';
import { receivingPath } from '../store/layout.ts';
import {
  endOf,
  PACK_HEADER_BYTES,
  type PackHeader,
  type PackRecord,
  packIdOf,
  parseIndex,
  parsePackHeader,
  RECORD_HEADER_BYTES,
} from '../store/pack-format.ts';
import type { SealedPack } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';
import type { JsonValue } from '../transport/transport.ts';
import type { ByteBudget } from '../workers/byte-budget.ts';
import type { WorkerPool } from '../workers/pool.ts';
import { installPack, type LocalSource, preparePack } from './pack-tasks.ts';
import { PACK_SUSPECT, type PullRequest } from './protocol.ts';

/** What a pack consists of, without payloads; proven by the id. */
export interface PackFrame {
  readonly id: DigestHex;
  readonly header: PackHeader;
  readonly headerBytes: Uint8Array;
  readonly index: Uint8Array;
  readonly records: readonly PackRecord[];
}

/** What a pack is brought for. */
export type ReceiveSite = 'receive' | 'repair';

export interface ReceiverObserver {
  /** A record that arrived, or was taken from a local file, did not match its digest. */
  corruptReceived(pack: DigestHex, from: string, records: number, site: ReceiveSite): void;
  verified(bytes: number, records: number, site: ReceiveSite): void;
  /** Of pulls: waiting for bytes, writing them, and waiting for memory to take them in. */
  timeSpent(kind: 'network' | 'disk' | 'flow_control_wait', seconds: number): void;
}

export interface ReceiverOptions {
  readonly store: Store;
  readonly peers: Peers;
  readonly pool: WorkerPool;
  readonly budget: ByteBudget;
  readonly observer: ReceiverObserver;
  readonly onCommitted: (sealed: SealedPack) => Promise<void> | void;
}

/** Twice 24 bytes of JSON at most each, so that a request stays well below the size of a message. */
const RANGES_PER_PULL_MAX = 16_384;

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #running = new Map<DigestHex, Promise<number>>();

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** Makes the pack present here. @returns bytes that travelled. */
  async receive(
    pack: DigestHex,
    from: readonly string[],
    signal?: AbortSignal,
    site: ReceiveSite = 'receive',
  ): Promise<number> {
    for (;;) {
      const running = this.#running.get(pack);
      if (running === undefined) return this.#start(pack, from, signal, site);
      try {
        return await running;
      } catch (error) {
        // Whoever started it has left; that is no reason for us to.
        const isTheirs = error instanceof KwamError && error.code === 'CANCELLED' && !signal?.aborted;
        if (!isTheirs) throw error;
      }
    }
  }

  #start(
    pack: DigestHex,
    from: readonly string[],
    signal: AbortSignal | undefined,
    site: ReceiveSite,
  ): Promise<number> {
    const running = this.#receive(pack, from, signal, site).finally(() => this.#running.delete(pack));
    this.#running.set(pack, running);
    return running;
  }

  async #receive(
    pack: DigestHex,
    from: readonly string[],
    signal: AbortSignal | undefined,
    site: ReceiveSite,
  ): Promise<number> {
    const { store, pool, observer } = this.#options;
    if (store.hasPack(pack)) return 0;
    const path = receivingPath(store.layout.incoming, pack);
    const frame = await this.frame(pack, from, signal, site);
    const sources = await this.#localSources(frame);
    let travelled = 0;
    for (const [tries, node] of from.entries()) {
      const prepare = {
        path,
        header: frame.headerBytes,
        index: frame.index,
        sources: tries === 0 ? sources : [],
      };
      const missing = await pool.run(preparePack, prepare, { bytes: frameBytes(frame) });
      try {
        travelled += await this.#pullRecords(frame, missing, node, path, signal);
      } catch (error) {
        if (tries === from.length - 1 || !isPeerFault(error)) throw error;
        continue;
      }
      const installed = await pool.run(installPack, { path, packs: store.layout.packs, id: pack });
      if (installed.ok) {
        observer.verified(installed.sealed.bytes, frame.records.length, site);
        await store.commitPack(installed.sealed);
        await this.#options.onCommitted(installed.sealed);
        return travelled;
      }
      await this.#reportSuspect(pack, node, installed.verification.bad.length, site);
    }
    throw new KwamError(
      'INTEGRITY',
      `expected an intact copy of pack ${pack} from ${from.join(', ')}, got none`,
      {
        context: { pack },
        retryable: true,
      },
    );
  }

  /** Counts what was bad, at least one, and tells the node that sent it. */
  async #reportSuspect(pack: DigestHex, node: string, records: number, site: ReceiveSite): Promise<void> {
    this.#options.observer.corruptReceived(pack, node, Math.max(1, records), site);
    try {
      await this.#options.peers.ask(node, PACK_SUSPECT, { packs: [pack] });
    } catch (error) {
      // The holder will find it in its own scrub; what matters here is that we go on to another one.
      if (!(error instanceof KwamError)) throw error;
    }
  }

  /** Header and index of a pack, from the first node that gives ones that hash to the id. */
  async frame(
    pack: DigestHex,
    from: readonly string[],
    signal?: AbortSignal,
    site: ReceiveSite = 'receive',
  ): Promise<PackFrame> {
    let last: unknown;
    for (const node of from) {
      try {
        return parseFrame(pack, await this.#pullAll(node, { what: 'frame', pack }, signal));
      } catch (error) {
        if (!isPeerFault(error)) throw error;
        if (error.code === 'PACK_INVALID') await this.#reportSuspect(pack, node, 1, site);
        last = error;
      }
    }
    throw new KwamError(
      'UNAVAILABLE',
      `expected pack ${pack} on ${from.join(', ') || 'some node'}, got it from none`,
      {
        cause: last,
        context: { pack },
        retryable: true,
      },
    );
  }

  /** Writes the given records at their offsets into a file of the caller's; whoever reads it verifies them. */
  async fetchRecords(
    frame: PackFrame,
    wanted: readonly number[],
    from: readonly string[],
    path: string,
    signal?: AbortSignal,
  ): Promise<void> {
    let last: unknown;
    for (const node of from) {
      try {
        await this.#pullRecords(frame, wanted, node, path, signal);
        return;
      } catch (error) {
        if (!isPeerFault(error)) throw error;
        last = error;
      }
    }
    throw new KwamError('UNAVAILABLE', `no node of ${from.join(', ')} could serve pack ${frame.id}`, {
      cause: last,
      retryable: true,
    });
  }

  /** Writes a whole pack file, frame and records, to a file of the caller's; whoever reads it verifies it. */
  async fetchWhole(
    pack: DigestHex,
    from: readonly string[],
    path: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const frame = await this.frame(pack, from, signal);
    const prepare = { path, header: frame.headerBytes, index: frame.index, sources: [] };
    const missing = await this.#options.pool.run(preparePack, prepare, { bytes: frameBytes(frame) });
    await this.fetchRecords(frame, missing, from, path, signal);
  }

  async #pullRecords(
    frame: PackFrame,
    wanted: readonly number[],
    node: string,
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (wanted.length === 0) return 0;
    const ranges = rangesOf(frame.records, wanted);
    const grant = await this.#timed('flow_control_wait', () =>
      this.#options.budget.take(streamCreditBytes, signal),
    );
    try {
      return await withTarget(this.#options.store.files, path, async (file) => {
        let bytes = 0;
        for (let at = 0; at < ranges.length; at += RANGES_PER_PULL_MAX) {
          const some = ranges.slice(at, at + RANGES_PER_PULL_MAX);
          bytes += await this.#pullInto(file, node, { what: 'ranges', pack: frame.id, ranges: some }, signal);
        }
        return bytes;
      });
    } finally {
      grant.release();
    }
  }

  async #pullInto(
    file: AsyncFile,
    node: string,
    request: PullRequest & { readonly what: 'ranges' },
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const cursor = new RangeCursor(request.ranges);
    for await (const bytes of this.#pull(node, request, signal)) {
      for (const [position, part] of cursor.place(bytes))
        await this.#timed('disk', () => written(file.write(part, position)));
    }
    cursor.expectEnd(node);
    return cursor.bytesDone;
  }

  async *#pull(
    node: string,
    request: PullRequest,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const options = { creditBytes: streamCreditBytes, ...(signal === undefined ? {} : { signal }) };
    const stream = this.#options.peers.pull(node, request as unknown as JsonValue, options);
    try {
      for (;;) {
        const { done, value } = await this.#timed('network', () => stream.next());
        if (done) return;
        yield value;
      }
    } finally {
      await stream.return(undefined);
    }
  }

  async #timed<T>(kind: 'network' | 'disk' | 'flow_control_wait', act: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await act();
    } finally {
      this.#options.observer.timeSpent(kind, (performance.now() - started) / 1000);
    }
  }

  async #pullAll(node: string, request: PullRequest, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of this.#pull(node, request, signal)) {
      bytes += part.length;
      if (bytes > PACK_HEADER_BYTES + recordsPerPackMax * RECORD_HEADER_BYTES) {
        throw new KwamError('PROTOCOL', `node ${node} sent more than an index can have`);
      }
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  /** Records of the pack that lie in other files here: the same chunks in another pack, or the damaged file itself. */
  async #localSources(frame: PackFrame): Promise<LocalSource[]> {
    const { store } = this.#options;
    const sources: LocalSource[] = [];
    const evidence = store.latestEvidence(frame.id);
    if (evidence !== undefined) {
      sources.push({ path: evidence, records: frame.records, targets: frame.records.map((_, i) => i) });
    }
    if (frame.header.kind === 'shard') return sources;
    const byPack = new Map<DigestHex, { records: PackRecord[]; targets: number[] }>();
    for (const [i, record] of frame.records.entries()) {
      if (i % 1024 === 1023) await yieldToEvents();
      const location = store.locate(record.digest);
      if (location === undefined || location.state !== 'present') continue;
      const source = byPack.get(location.packId) ?? { records: [], targets: [] };
      byPack.set(location.packId, source);
      source.records.push(location);
      source.targets.push(i);
    }
    for (const [pack, source] of byPack) sources.push({ path: store.packFile(pack), ...source });
    return sources;
  }

  async discard(path: string): Promise<void> {
    await this.#options.store.files.remove(path);
  }
}

function parseFrame(id: DigestHex, bytes: Uint8Array): PackFrame {
  const headerBytes = bytes.slice(0, PACK_HEADER_BYTES);
  const index = bytes.slice(PACK_HEADER_BYTES);
  const header = parsePackHeader(headerBytes);
  const records = parseIndex(index, header.kind);
  const actual = toHex(packIdOf(headerBytes, index));
  if (actual === id) return { id, header, headerBytes, index, records };
  throw new KwamError('PACK_INVALID', `expected the frame of pack ${id}, got that of ${actual}`, {
    context: { pack: id },
  });
}

function frameBytes(frame: PackFrame): number {
  return Math.min(packBytesMax, endOf(frame.records.at(-1)!));
}

/** Neighbouring records travel as one range, headers included. */
function rangesOf(records: readonly PackRecord[], wanted: readonly number[]): (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const i of wanted) {
    const record = records[i]!;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === record.offset) last[1] = endOf(record);
    else ranges.push([record.offset, endOf(record)]);
  }
  return ranges;
}

/** Maps a stream of bytes back to the places that its ranges name. */
class RangeCursor {
  readonly #ranges: readonly (readonly [number, number])[];
  #range = 0;
  #position: number;
  bytesDone = 0;

  constructor(ranges: readonly (readonly [number, number])[]) {
    this.#ranges = ranges;
    this.#position = ranges[0]![0];
  }

  *place(bytes: Uint8Array): Generator<[position: number, part: Uint8Array]> {
    for (let at = 0; at < bytes.length; ) {
      const range = this.#ranges[this.#range];
      if (range === undefined)
        throw new KwamError('PROTOCOL', 'expected the end of the ranges, got more bytes');
      const part = bytes.subarray(at, at + range[1] - this.#position);
      yield [this.#position, part];
      at += part.length;
      this.bytesDone += part.length;
      this.#position += part.length;
      if (this.#position === range[1]) this.#position = this.#ranges[++this.#range]?.[0] ?? 0;
    }
  }

  expectEnd(node: string): void {
    if (this.#range === this.#ranges.length) return;
    throw new KwamError('UNAVAILABLE', `node ${node} ended a transfer early`, { retryable: true });
  }
}

async function withTarget<T>(
  files: AsyncFiles,
  path: string,
  act: (file: AsyncFile) => Promise<T>,
): Promise<T> {
  const file = await written(files.open(path, 'write'));
  try {
    return await act(file);
  } finally {
    await file.close();
  }
}

/** Code ENVIRONMENT, not IO: the fault is here, and another node's copy would meet it too. */
async function written<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (!(cause instanceof KwamError)) throw cause;
    const isFull = cause.code === 'DISK_FULL';
    const remedy = isFull ? 'free space and try again' : 'look at the disk';
    throw new KwamError(
      isFull ? 'DISK_FULL' : 'ENVIRONMENT',
      `expected to write a received pack, got ${cause.context['errno'] ?? 'unknown'}; ${remedy}`,
      { cause, retryable: isFull },
    );
  }
}

/** Another holder may do better: this one is away, has not got it, or sends nonsense. */
function isPeerFault(error: unknown): error is KwamError {
  const codes = ['UNAVAILABLE', 'NOT_FOUND', 'PACK_INVALID', 'IO', 'PROTOCOL'];
  return error instanceof KwamError && codes.includes(error.code);
}
