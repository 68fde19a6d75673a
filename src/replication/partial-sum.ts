/**
 * Partial sums of shards, passed from node to node: how a lost shard is rebuilt with one shard over each link.
 * In: this node's terms and the helpers after it. Out: Σ coefficient · shard over all of them, a slice at a time. Each node pulls the
 * sum of those after it, adds its own and passes it on (ARCHITECTURE.md, "Partial sums").
 * Source: Li et al., Repair Pipelining for Erasure-Coded Storage, USENIX ATC 2017.
 * Holds: a slice of this node's has a part only if it matches its digest; memory is bounded by the credit and two slices a stream.
 * A sum itself cannot be verified: who asked for it compares the whole result with the id that the producer recorded.
 */
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { partialCreditBytes, shardSliceBytes } from '../limits.ts';
import { type PackRecord, RECORD_HEADER_BYTES } from '../store/pack-format.ts';
import { openPack } from '../store/pack-reader.ts';
import type { Store } from '../store/store.ts';
import type { JsonValue } from '../transport/transport.ts';
import type { ByteBudget, Grant } from '../workers/byte-budget.ts';
import type { WorkerPool } from '../workers/pool.ts';
import { isLost } from './pack-access.ts';
import { addSlice, type SliceTerm } from './partial-sum-tasks.ts';
import type { PartialPull, Term } from './protocol.ts';
import { stripeIdIn } from './stripe-identity.ts';

export interface PartialSumOptions {
  readonly store: Store;
  readonly peers: Pick<Peers, 'pull'>;
  readonly pool: WorkerPool;
  readonly budget: ByteBudget;
  /** A shard of this node's is damaged or gone. */
  readonly onOwnBad: (shard: DigestHex, error: KwamError) => Promise<void>;
  readonly onVerified: (bytes: number, records: number) => void;
}

/** What to sum: this node's own terms, and those of the nodes after it. */
export type SumRequest = Omit<PartialPull, 'what'>;

/** What a stream holds at a node: its credit, the slice that came and the one that goes. */
const STREAM_BYTES = partialCreditBytes + 2 * shardSliceBytes;

interface OwnShard {
  readonly term: Term;
  readonly path: string;
  readonly records: readonly PackRecord[];
}

export class PartialSums {
  readonly #options: PartialSumOptions;

  constructor(options: PartialSumOptions) {
    this.#options = options;
  }

  /**
   * For another node. Refuses instead of waiting when memory is short: two chains that wait for each other's nodes would wait for ever.
   * @throws KwamError UNAVAILABLE  retryable; or PACK_INVALID when one of the shards is damaged.
   */
  async *serve(request: SumRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const grant = this.#options.budget.tryTake(STREAM_BYTES);
    if (grant === undefined) {
      throw new KwamError('UNAVAILABLE', 'this node has no memory for a partial sum now; try again', {
        retryable: true,
      });
    }
    yield* this.#holding(grant, request, signal);
  }

  /** For this node itself, which waits for memory while it holds none elsewhere. `terms` may be empty. */
  async *sum(request: SumRequest, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const grant = await this.#options.budget.take(STREAM_BYTES, signal);
    yield* this.#holding(grant, request, signal);
  }

  async *#holding(
    grant: Grant,
    request: SumRequest,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    try {
      if (request.terms.length === 0) yield* this.#pull(request, signal);
      else yield* this.#added(await this.#own(request), request, signal);
    } finally {
      grant.release();
    }
  }

  /** The sum of the helpers; pieces end where they end. */
  async *#pull(
    { stripe, next: [first, ...next] }: SumRequest,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const request: PartialPull = { what: 'partial', stripe, terms: first!.terms, next };
    const options = { creditBytes: partialCreditBytes, ...(signal === undefined ? {} : { signal }) };
    yield* this.#options.peers.pull(first!.node, request as unknown as JsonValue, options);
  }

  async *#added(
    shards: readonly OwnShard[],
    request: SumRequest,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const lengths = shards[0]!.records.map(({ length }) => length);
    const sums = request.next.length === 0 ? undefined : inPieces(this.#pull(request, signal), lengths);
    try {
      for (const [i, bytes] of lengths.entries()) {
        const sum = sums === undefined ? {} : { sum: (await sums.next()).value! };
        yield await this.#addSlice(shards, i, bytes, sum);
        this.#options.onVerified(bytes * shards.length, shards.length);
      }
      await sums?.next();
    } finally {
      await sums?.return(undefined);
    }
  }

  async #addSlice(
    shards: readonly OwnShard[],
    slice: number,
    bytes: number,
    sum: { readonly sum?: Uint8Array },
  ): Promise<Uint8Array> {
    const terms = shards.map(({ term: [shard, coefficient], path, records }): SliceTerm => {
      const { offset, digest } = records[slice]!;
      return { shard, path, position: offset + RECORD_HEADER_BYTES, digest, coefficient };
    });
    try {
      return await this.#options.pool.run(addSlice, { terms, bytes, ...sum }, { bytes: 2 * bytes });
    } catch (error) {
      const bad = shards.find(
        ({ term: [shard] }) => error instanceof KwamError && error.context['pack'] === shard,
      );
      if (bad !== undefined) await this.#setAside(bad.term, error);
      throw error;
    }
  }

  async #own({ stripe, terms }: SumRequest): Promise<OwnShard[]> {
    const shards: OwnShard[] = [];
    for (const term of terms) {
      try {
        shards.push(this.#open(term, stripe));
      } catch (error) {
        await this.#setAside(term, error);
        throw error;
      }
    }
    const [first, ...others] = shards.map(({ records }) => records.map(({ length }) => length).join());
    if (others.every((lengths) => lengths === first)) return shards;
    throw new KwamError('PROTOCOL', 'expected shards of one stripe, got shards of different lengths');
  }

  #open(term: Term, stripe: DigestHex): OwnShard {
    const { store } = this.#options;
    const [shard] = term;
    const isPresent = store.hasPack(shard);
    const path = store.packFile(shard);
    const opened = isPresent ? openPack(store.fileSystem, path, shard) : undefined;
    if (opened?.header.kind === 'shard') {
      requireStripe(shard, stripe, stripeIdIn(opened.header));
      return { term, path, records: opened.records };
    }
    const actual = isPresent ? 'a pack of chunks' : (store.packInfo(shard)?.state ?? 'unknown');
    throw new KwamError('UNAVAILABLE', `expected to hold shard ${shard}, it is ${actual} here; ask others`, {
      context: { pack: shard },
    });
  }

  /** What is damaged or gone is not served any more before anyone is told, so that nobody is sent here for it again. */
  async #setAside([shard]: Term, error: unknown): Promise<void> {
    if (error instanceof KwamError && isLost(error)) await this.#options.onOwnBad(shard, error);
  }
}

function requireStripe(shard: DigestHex, expected: DigestHex, actual: DigestHex | undefined): void {
  if (actual === expected) return;
  throw new KwamError(
    'STRIPE_MIXED',
    `expected shard ${shard} to be of stripe ${expected}, it is of ${actual}; it has no part in the sum`,
    { context: { shard, expected, actual } },
  );
}

/**
 * A stream of bytes in pieces of the given lengths.
 * @throws KwamError PROTOCOL  the stream is shorter or longer; the latter is noticed when the piece after the last is asked for.
 */
export async function* inPieces(
  stream: AsyncIterable<Uint8Array>,
  lengths: readonly number[],
): AsyncGenerator<Uint8Array, undefined> {
  let piece = 0;
  let filled = 0;
  let buffer = new Uint8Array(lengths[0] ?? 0);
  for await (const bytes of stream) {
    for (let at = 0; at < bytes.length; ) {
      if (piece === lengths.length) throw wrongLength(lengths, 'more');
      const part = bytes.subarray(at, at + buffer.length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < buffer.length) continue;
      yield buffer;
      filled = 0;
      buffer = new Uint8Array(lengths[++piece] ?? 0);
    }
  }
  if (piece < lengths.length) throw wrongLength(lengths, 'less');
}

function wrongLength(lengths: readonly number[], actual: string): KwamError {
  const bytes = lengths.reduce((sum, length) => sum + length, 0);
  return new KwamError(
    'PROTOCOL',
    `expected a partial sum of ${bytes} bytes, got ${actual}; is the helper sound?`,
  );
}
