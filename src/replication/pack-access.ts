/**
 * Gives readers the records of any pack of the cluster as a local file.
 * In: a pack id. Out: its record list, and a file that has the wanted records at their offsets: the pack itself where it is
 * present, else a temporary file filled from a copy, or made again from the shards of its stripe.
 * Holds: lists are proven by the pack's id. Bytes are not: whoever reads the file hashes each record.
 */
import type { Peers } from '../cluster/peers.ts';
import { type Digest, type DigestHex, fromHex } from '../digest.ts';
import { shardsToRead } from '../erasure/recipe.ts';
import { dataOf, schemeOf, tooFewShards } from '../erasure/scheme.ts';
import { KwamError } from '../errors.ts';
import type { PackRecord } from '../store/pack-format.ts';
import { openPack } from '../store/pack-reader.ts';
import type { Store } from '../store/store.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { Catalog, PackRecordEntry } from './catalog.ts';
import { findHolders, type HolderSurvey, surveyHolders } from './holders.ts';
import { verifyPack } from './pack-tasks.ts';
import { PACK_SUSPECT } from './protocol.ts';
import type { PackFrame, Receiver } from './receiver.ts';
import { reconstructPack, type ShardFile } from './stripe-tasks.ts';

export interface PackAccessOptions {
  readonly store: Store;
  readonly peers: Peers;
  readonly pool: WorkerPool;
  readonly catalog: Pick<Catalog, 'pack'>;
  readonly receiver: Receiver;
  readonly codecId: Digest;
  /** A pack that this node should have cannot be opened: it must not be served any more. */
  readonly onOwnUnreadable: (pack: DigestHex, error: KwamError) => Promise<void>;
  /** A whole pack or shard that came from another node does not verify; that node is told. */
  readonly onForeignUnreadable: (pack: DigestHex, node: string, error: KwamError) => void;
}

export interface OpenedPack {
  readonly path: string;
  /** True when `path` is this node's own pack, so that damage found in it is this store's. */
  readonly isOwn: boolean;
  release(): Promise<void>;
  /** Its bytes were bad: the node that sent them is told to look at its copy, and is asked last from now on. */
  distrust(): Promise<void>;
}

const trusted = async (): Promise<void> => undefined;

/** The packs that one reader needs; forget it when the reader is done. */
export class PackAccess {
  readonly #options: PackAccessOptions;
  #survey: HolderSurvey;
  readonly #frames = new Map<DigestHex, PackFrame>();
  readonly #whole = new Map<DigestHex, { path: string; records: readonly PackRecord[] }>();
  /** Pack and node, where the node sent bad bytes of that pack. */
  readonly #suspects = new Set<string>();

  private constructor(options: PackAccessOptions, survey: HolderSurvey) {
    this.#options = options;
    this.#survey = survey;
  }

  static async create(options: PackAccessOptions, packs: readonly DigestHex[]): Promise<PackAccess> {
    return new PackAccess(options, await surveyHolders(options.peers, options.store, packs));
  }

  /** Asks anew who holds what: nodes come and go, and an object's packs change when they are compacted. */
  async refresh(packs: readonly DigestHex[]): Promise<void> {
    this.#survey = await surveyHolders(this.#options.peers, this.#options.store, packs);
  }

  /** Known nodes that gave no answer at the last look: they may have what was not found. */
  get silent(): readonly string[] {
    return this.#survey.silent;
  }

  async records(pack: DigestHex): Promise<readonly PackRecord[]> {
    const { receiver } = this.#options;
    const own = await this.#ownRecords(pack);
    if (own !== undefined) return own;
    const known = this.#frames.get(pack)?.records ?? this.#whole.get(pack)?.records;
    if (known !== undefined) return known;
    const others = this.#others(pack);
    if (others.length === 0) return (await this.#fromStripe(pack)).records;
    const frame = await receiver.frame(pack, others);
    this.#frames.set(pack, frame);
    return frame.records;
  }

  async #ownRecords(pack: DigestHex): Promise<readonly PackRecord[] | undefined> {
    const { store, onOwnUnreadable } = this.#options;
    if (!store.hasPack(pack)) return undefined;
    try {
      return store.recordsOf(pack);
    } catch (error) {
      if (!(error instanceof KwamError) || !isLost(error)) throw error;
      await onOwnUnreadable(pack, error);
      return undefined;
    }
  }

  #others(pack: DigestHex): string[] {
    const others = (this.#survey.holders.get(pack) ?? []).filter((node) => node !== this.#options.peers.self);
    const isSuspect = (node: string): number => Number(this.#suspects.has(`${pack} ${node}`));
    return others.toSorted((a, b) => isSuspect(a) - isSuspect(b));
  }

  async #distrust(pack: DigestHex, node: string): Promise<void> {
    this.#suspects.add(`${pack} ${node}`);
    await suspect(this.#options.peers, node, pack);
  }

  /** @param wanted  indexes into `records(pack)`; other records of the file may be missing. */
  async open(pack: DigestHex, wanted: readonly number[], signal?: AbortSignal): Promise<OpenedPack> {
    const { store, receiver } = this.#options;
    if (store.hasPack(pack))
      return { path: store.packFile(pack), isOwn: true, release: async () => undefined, distrust: trusted };
    await this.records(pack);
    // The copies that the list came from may be gone since: a pack becomes a stripe, and nodes go.
    if (this.#others(pack).length === 0 && !this.#whole.has(pack)) await this.#fromStripe(pack);
    const whole = this.#whole.get(pack);
    if (whole !== undefined) {
      const release = (): Promise<void> => this.#drop(pack, whole.path);
      return { path: whole.path, isOwn: false, release, distrust: trusted };
    }
    const path = this.#options.store.readingPath(pack);
    const frame = this.#frames.get(pack) ?? (await receiver.frame(pack, this.#others(pack), signal));
    const node = await this.#fetch(frame, wanted, path, signal);
    const release = (): Promise<void> => receiver.discard(path);
    return { path, isOwn: false, release, distrust: () => this.#distrust(pack, node) };
  }

  /** @returns the node that all the records came from. */
  async #fetch(
    frame: PackFrame,
    wanted: readonly number[],
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { receiver } = this.#options;
    let last: unknown;
    for (const node of this.#others(frame.id)) {
      try {
        await receiver.fetchRecords(frame, wanted, [node], path, signal);
        return node;
      } catch (error) {
        if (!(error instanceof KwamError) || error.code !== 'UNAVAILABLE') {
          await receiver.discard(path);
          throw error;
        }
        last = error;
      }
    }
    await receiver.discard(path);
    throw last ?? noCopy(frame.id);
  }

  async #drop(pack: DigestHex, path: string): Promise<void> {
    this.#whole.delete(pack);
    await this.#options.receiver.discard(path);
  }

  /** Removes temporary files that were made for their record list and never opened. */
  async close(): Promise<void> {
    for (const [pack, { path }] of this.#whole) await this.#drop(pack, path);
  }

  async #fromStripe(pack: DigestHex): Promise<{ path: string; records: readonly PackRecord[] }> {
    const entry = await this.#options.catalog.pack(pack);
    if (entry?.stripe === undefined) throw noCopy(pack);
    const path = this.#options.store.readingPath(pack);
    const scheme = schemeOf(entry.stripe);
    await withShards(this.#options, entry, dataOf(scheme), async (sources) => {
      await this.#options.receiver.discard(path);
      const input = {
        pack: fromHex(pack),
        packBytes: entry.bytes,
        scheme,
        codecId: this.#options.codecId,
        sources,
        path,
      };
      await this.#options.pool.run(reconstructPack, input, { bytes: entry.bytes });
    });
    try {
      const made = { path, records: openPack(this.#options.store.fileSystem, path, pack).records };
      this.#whole.set(pack, made);
      return made;
    } catch (error) {
      await this.#options.receiver.discard(path);
      throw error;
    }
  }
}

/** The pack is damaged or its file gone. Not so when this process merely could not open it (EMFILE and the like). */
export function isLost(error: KwamError): boolean {
  return ['PACK_INVALID', 'NOT_FOUND'].includes(error.code) || error.context['errno'] === 'EIO';
}

function noCopy(pack: DigestHex): KwamError {
  return new KwamError(
    'UNAVAILABLE',
    `expected some node to hold pack ${pack}, none that is up does; start the missing nodes and try again`,
    { context: { pack }, retryable: true },
  );
}

interface GatheredShard extends ShardFile {
  /** Whose bytes these are. */
  readonly node: string;
}

/**
 * Runs `act` on shards from which the wanted ones can be made, as few as do, brought here where others hold them; own ones first. Shards
 * that turn out bad are reported to their holder and replaced by others, the good ones stay, and `act` runs again.
 * @throws KwamError STRIPE_TOO_FEW_SHARDS  there are not enough good ones within reach.
 */
export async function withShards<T>(
  options: PackAccessOptions,
  entry: PackRecordEntry,
  wanted: readonly number[],
  act: (shards: readonly ShardFile[]) => Promise<T>,
): Promise<T> {
  const stripe = entry.stripe!;
  const holders = await findHolders(options.peers, options.store, stripe.shards);
  const bad = new Set<string>();
  const nodesOf = (id: DigestHex): readonly string[] =>
    (holders.get(id) ?? []).filter((node) => !bad.has(`${id} ${node}`));
  let gathered: GatheredShard[] = [];
  try {
    for (;;) {
      await gather(options, stripe, wanted, nodesOf, gathered);
      try {
        return await act(gathered);
      } catch (error) {
        if (!(error instanceof KwamError) || error.code !== 'STRIPE_TOO_FEW_SHARDS') throw error;
        const found = await badOnes(options, gathered);
        if (found.length === 0) throw error;
        for (const { id, node } of found) bad.add(`${id} ${node}`);
        await discardForeign(options, found);
        gathered = gathered.filter((shard) => !found.includes(shard));
      }
    }
  } finally {
    await discardForeign(options, gathered);
  }
}

/** Brings what is wanted to be read. What cannot be brought now is replaced, as long as something else will do. */
async function gather(
  options: PackAccessOptions,
  stripe: NonNullable<PackRecordEntry['stripe']>,
  wanted: readonly number[],
  nodesOf: (id: DigestHex) => readonly string[],
  gathered: GatheredShard[],
): Promise<void> {
  const { shards: ids } = stripe;
  const scheme = schemeOf(stripe);
  const within = new Set([...ids.keys()].filter((shard) => nodesOf(ids[shard]!).length > 0));
  for (;;) {
    const needed = shardsToRead(scheme, [...within], wanted);
    if (needed === undefined) throw tooFewShards(scheme, [...within]);
    const next = needed.find((shard) => gathered.every(({ shardIndex }) => shardIndex !== shard));
    if (next === undefined) return;
    const shard = await bringShard(options, ids[next]!, nodesOf(ids[next]!));
    if (shard === undefined) within.delete(next);
    else gathered.push({ ...shard, shardIndex: next });
  }
}

async function discardForeign(
  { peers, receiver }: PackAccessOptions,
  shards: readonly GatheredShard[],
): Promise<void> {
  for (const { node, path } of shards) if (node !== peers.self) await receiver.discard(path);
}

/** Undefined when no holder can give it now; another shard of the stripe is as good. */
async function bringShard(
  { store, receiver, peers }: PackAccessOptions,
  id: DigestHex,
  nodes: readonly string[],
): Promise<Omit<GatheredShard, 'shardIndex'> | undefined> {
  for (const node of nodes) {
    if (node === peers.self) {
      if (store.hasPack(id)) return { id, node, path: store.packFile(id) };
      continue;
    }
    const path = store.readingPath(id);
    try {
      await receiver.fetchWhole(id, [node], path);
      return { id, node, path };
    } catch (error) {
      await receiver.discard(path);
      if (!(error instanceof KwamError) || error.code !== 'UNAVAILABLE') throw error;
    }
  }
  return undefined;
}

async function badOnes(
  options: PackAccessOptions,
  gathered: readonly GatheredShard[],
): Promise<GatheredShard[]> {
  const bad: GatheredShard[] = [];
  for (const shard of gathered) {
    const problem = await problemOf(options, shard);
    if (problem === undefined) continue;
    bad.push(shard);
    if (shard.node === options.peers.self) {
      await options.onOwnUnreadable(shard.id, problem);
      continue;
    }
    options.onForeignUnreadable(shard.id, shard.node, problem);
    await suspect(options.peers, shard.node, shard.id);
  }
  return bad;
}

async function problemOf(options: PackAccessOptions, shard: ShardFile): Promise<KwamError | undefined> {
  try {
    const { ok, problem } = await options.pool.run(verifyPack, { path: shard.path, id: shard.id });
    return ok ? undefined : new KwamError('PACK_INVALID', problem ?? 'damaged');
  } catch (error) {
    if (error instanceof KwamError && error.code === 'NOT_FOUND') return error;
    throw error;
  }
}

/** A holder that cannot be told finds the damage in its own scrub; what matters here is that another one is asked next. */
async function suspect(peers: Peers, node: string, pack: DigestHex): Promise<void> {
  try {
    await peers.ask(node, PACK_SUSPECT, { packs: [pack] });
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
  }
}
