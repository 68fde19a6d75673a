/**
 * The first of the two sentences of the system: a tree is chunked, hashed, deduplicated, packed, placed, copied or encoded,
 * described by a signed manifest, and only then acknowledged under its name.
 * In: a path and a name. Out: what a put reports. Every line of `ingest` calls one stage; the stages are elsewhere.
 */

import { CHUNKER_RULE } from '../chunking/chunker.ts';
import type { Clock } from '../clock.ts';
import { DIGEST_BYTES, type Digest, type DigestHex, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { Signer } from '../manifest/dsse.ts';
import type { Manifest, ManifestEntry } from '../manifest/manifest.ts';
import { encodePartList } from '../manifest/manifest-parts.ts';
import { signManifest } from '../manifest/signed-manifest.ts';
import type { Plan } from '../plan.ts';
import { type Catalog, checkObjectName, type PackRecordEntry } from '../replication/catalog.ts';
import type { Distributor } from '../replication/distribute.ts';
import { sealPack } from '../replication/pack-tasks.ts';
import type { Store } from '../store/store.ts';
import { cancelled } from '../workers/byte-budget.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { ChunkRun } from './ingest-tasks.ts';
import type { KnownChunks } from './known-chunks.ts';
import { countFiles, objectOf } from './object-record.ts';
import { type Footing, PackSession } from './pack-session.ts';
import { inParallel, type Reader, readWork, storeRecords, type WorkResult } from './read-tree.ts';
import { divide, type Work } from './segments.ts';
import { type Problem, splitOrphanLinks, type Walk, walk } from './walk.ts';

export interface IngestServices {
  readonly replicate: Plan['replicate'];
  readonly store: Store;
  readonly pool: WorkerPool;
  readonly known: KnownChunks;
  readonly catalog: Catalog;
  readonly distributor: Distributor;
  readonly codecId: Digest;
  readonly producer: string;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly onLooked: (hits: number, misses: number) => void;
}

export interface IngestRequest {
  readonly path: string;
  readonly name: string;
  readonly signal?: AbortSignal;
  /** Reads no faster than this on average, so that whoever else uses the disk keeps a share. */
  readonly bytesPerSecondMax?: number;
  readonly onProgress: (bytesDone: number, bytesTotal: number) => void;
}

export interface PutResult {
  readonly name: string;
  readonly manifest: DigestHex;
  readonly files: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly newChunks: number;
  readonly newBytes: number;
  readonly seconds: number;
  /** Files that are not in the object, and why. */
  readonly problems: readonly Problem[];
}

/** A put that loses its footing this often meets a disk or a cluster that does not hold still. */
const TRIES_MAX = 4;
/** Each refusal means that packs were retired somewhere meanwhile: as many in a row only while a whole fleet compacts. */
const REFUSALS_MAX = 256;

export async function ingest(services: IngestServices, request: IngestRequest): Promise<PutResult> {
  checkObjectName(request.name);
  const started = services.clock.monotonic();
  const signal = request.signal === undefined ? {} : { signal: request.signal };
  const put = new Put(services, request, await walk(services.pool, request.path, signal));
  try {
    await put.readTree();
    const manifest = await put.storeManifest();
    await put.publish(manifest);
    return { ...put.result(manifest), seconds: (services.clock.monotonic() - started) / 1000 };
  } finally {
    await put.close();
  }
}

interface StoredManifest {
  readonly manifest: Manifest;
  /** Hard links without their file. */
  readonly orphans: readonly Problem[];
  readonly digest: DigestHex;
  readonly parts: readonly DigestHex[];
  readonly partList: DigestHex | undefined;
  readonly footings: readonly Footing[];
}

class Put {
  readonly #services: IngestServices;
  readonly #request: IngestRequest;
  readonly #walk: Walk;
  readonly #session: PackSession;
  readonly #reader: Reader;
  readonly #work: readonly Work[];
  readonly #entries = new Map<DigestHex, PackRecordEntry>();
  #results: WorkResult[] = [];
  #bytesRead = 0;

  constructor(services: IngestServices, request: IngestRequest, walk: Walk) {
    this.#services = services;
    this.#request = request;
    this.#walk = walk;
    this.#session = new PackSession({
      store: services.store,
      known: services.known,
      codecId: services.codecId,
      packBytesTarget: services.replicate.packBytesTarget,
      seal: (seal) => services.pool.run(sealPack, seal),
      onLooked: services.onLooked,
      onCommitted: async (pack) => {
        this.#entries.set(pack.id, await services.distributor.distribute(pack.id));
      },
    });
    this.#work = [...divide(walk.entries.filter((entry) => entry.type === 'file'))];
    this.#reader = this.#createReader();
  }

  #createReader(): Reader {
    const { pool, replicate } = this.#services;
    const { signal, onProgress } = this.#request;
    const bytesTotal = this.#work.reduce((sum, work) => sum + work.bytes, 0);
    return {
      pool,
      session: this.#session,
      base: this.#walk.base,
      sizes: replicate.chunker,
      ...(signal === undefined ? {} : { signal }),
      onBytes: (bytes) => {
        this.#bytesRead += bytes;
        onProgress(this.#bytesRead, bytesTotal);
      },
    };
  }

  /** chunk → hash → dedup → pack; packs that are full are placed and copied meanwhile. */
  async readTree(): Promise<void> {
    this.#bytesRead = 0;
    this.#results = await this.#readAll(this.#work);
  }

  #readAll(work: readonly Work[]): Promise<WorkResult[]> {
    const started = this.#services.clock.monotonic();
    let bytesTaken = 0;
    return inParallel(work, this.#services.pool.threadCount * 2, async (one) => {
      await this.#pace(bytesTaken, started);
      bytesTaken += one.bytes;
      this.#session.throwFailure();
      while (this.#session.settlingCount > SETTLING_MAX) await this.#session.settleOne();
      return readWork(this.#reader, one);
    });
  }

  async #pace(bytesTaken: number, started: number): Promise<void> {
    const { clock } = this.#services;
    const { bytesPerSecondMax, signal } = this.#request;
    if (bytesPerSecondMax === undefined) return;
    const aheadMs = (bytesTaken / bytesPerSecondMax) * 1000 - (clock.monotonic() - started);
    if (aheadMs <= 0) return;
    try {
      await clock.sleep(aheadMs, signal);
    } catch (error) {
      throw signal?.aborted ? cancelled(signal) : error;
    }
  }

  async storeManifest(): Promise<StoredManifest> {
    const { manifest, orphans } = this.#manifest();
    const signed = await signManifest(manifest, [this.#services.signer]);
    const footings: Footing[] = [];
    const parts: DigestHex[] = [];
    const store = async (record: Uint8Array): Promise<DigestHex> => {
      const { run, footing } = await storeRecords(this.#reader, [record]);
      footings.push(footing);
      return toHex(run.digests);
    };
    for (const part of signed.parts()) parts.push(await store(part));
    const digest = toHex(signed.digest);
    const list = parts.length > 1 ? encodePartList({ manifest: digest, parts }) : undefined;
    const partList = list && (await store(list));
    return { manifest, orphans, digest, parts, partList, footings };
  }

  #manifest(): Pick<StoredManifest, 'manifest' | 'orphans'> {
    const { producer, codecId, clock, replicate } = this.#services;
    const { name, path } = this.#request;
    const others = this.#walk.entries.filter((entry) => entry.type !== 'file');
    const files: ManifestEntry[] = [...others, ...this.#results.flatMap((result) => result.files)];
    const { kept, orphans } = splitOrphanLinks(files);
    if (kept.length === 0) throw nothingRead(path, this.#problems());
    const chunks = joinRuns(this.#results.flatMap((result) => result.chunks));
    const manifest: Manifest = {
      name,
      producer,
      codecId: toHex(codecId),
      createdAt: new Date(clock.now()).toISOString(),
      chunker: { rule: CHUNKER_RULE, ...replicate.chunker },
      bytes: chunks.lengths.reduce((sum, length) => sum + length, 0),
      chunks,
      files: kept,
    };
    return { manifest, orphans };
  }

  #problems(): Problem[] {
    return [...this.#walk.problems, ...this.#results.flatMap((result) => result.problems)];
  }

  /** Waits until everything is durable as often as the plan says, then acknowledges. */
  async publish(stored: StoredManifest): Promise<void> {
    for (let tries = 1, refusals = 0; tries <= TRIES_MAX && refusals <= REFUSALS_MAX; refusals++) {
      if (this.#request.signal?.aborted) throw cancelled(this.#request.signal);
      const epoch = await this.#services.catalog.packEpoch();
      await this.#session.settleAll();
      await this.#forgetIncomplete();
      const packs = await this.#securePacks(stored);
      if (packs === undefined) {
        tries++;
        stored = await this.#again();
        continue;
      }
      const object = objectOf(stored.manifest, { ...stored, packs });
      if (await this.#services.catalog.publish(object, [...this.#entries.values()], epoch)) return;
    }
    throw new KwamError(
      'UNAVAILABLE',
      `put of ${this.#request.name} lost its packs ${TRIES_MAX} times; try again`,
      {
        retryable: true,
      },
    );
  }

  /**
   * Asked after the epoch was taken, so that the answers hold until the publication or refuse it: nodes may have been lost, or
   * have removed packs that nobody listed yet, since these were distributed.
   */
  async #forgetIncomplete(): Promise<void> {
    const incomplete = await this.#services.distributor.incomplete([...this.#entries.values()]);
    for (const id of incomplete) this.#entries.delete(id);
  }

  /**
   * Every pack that the object relies on is in the catalog or gets there with it. Undefined when one is gone: it was retired
   * while we counted on it, or could not be sealed.
   */
  async #securePacks(stored: StoredManifest): Promise<DigestHex[] | undefined> {
    const { store, catalog, distributor } = this.#services;
    const footings = [...this.#results.flatMap((result) => result.footings), ...stored.footings];
    if (footings.some((footing) => this.#session.isLost(footing))) return undefined;
    const packs = new Set(footings.flatMap((footing) => this.#session.packsOf(footing)));
    let isComplete = true;
    for (const id of packs) {
      if (this.#entries.has(id) || (await catalog.pack(id)) !== undefined) continue;
      if (store.hasPack(id)) {
        this.#entries.set(id, await distributor.distribute(id));
        continue;
      }
      await store.retirePack(id);
      isComplete = false;
    }
    return isComplete ? [...packs] : undefined;
  }

  /** Reads again what relied on packs that are gone; what is still there deduplicates against itself. */
  async #again(): Promise<StoredManifest> {
    await this.readTree();
    return this.storeManifest();
  }

  result(stored: StoredManifest): Omit<PutResult, 'seconds'> {
    const { manifest } = stored;
    return {
      name: manifest.name,
      manifest: stored.digest,
      files: countFiles(manifest),
      bytes: manifest.bytes,
      chunks: manifest.chunks.lengths.length,
      newChunks: this.#session.newChunks,
      newBytes: this.#session.newBytes,
      problems: [...this.#problems(), ...stored.orphans],
    };
  }

  close(): Promise<void> {
    return this.#session.abandon();
  }
}

/** Packs on their way to other nodes before reading waits: bounds the disk that staged copies take. */
const SETTLING_MAX = 4;

/** A single file that could not be read: a name that stands for nothing would look like a stored file. */
function nothingRead(path: string, problems: readonly Problem[]): KwamError {
  const why = problems.map(({ reason, detail }) => `${reason}: ${detail}`).join('; ');
  return new KwamError('IO', `expected to read ${path}, got nothing of it (${why}); try again`, {
    context: { path },
    retryable: true,
  });
}

function joinRuns(runs: readonly ChunkRun[]): ChunkRun {
  const count = runs.reduce((sum, run) => sum + run.lengths.length, 0);
  const lengths = new Uint32Array(count);
  const digests = new Uint8Array(count * DIGEST_BYTES);
  let at = 0;
  for (const run of runs) {
    lengths.set(run.lengths, at);
    digests.set(run.digests, at * DIGEST_BYTES);
    at += run.lengths.length;
  }
  return { lengths, digests };
}
