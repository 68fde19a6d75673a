/**
 * Gives readers the records of any pack of the cluster as a local file.
 * In: a pack id. Out: its record list, and a file that has the wanted records at their offsets: the pack itself where it is
 * present, else a temporary file filled from a copy, or made again from the shards of its stripe.
 * Holds: lists are proven by the pack's id. Bytes are not: whoever reads the file hashes each record.
 */
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
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
import { identityOf, type StripedEntry, type StripeIdentity, strangerError } from './stripe-identity.ts';
import { reconstructPack, type ShardFile } from './stripe-tasks.ts';

export interface PackAccessOptions {
  readonly store: Store;
  readonly peers: Peers;
  readonly pool: WorkerPool;
  readonly catalog: Pick<Catalog, 'pack'>;
  readonly receiver: Receiver;
  /** A pack that this node should have cannot be opened: it must not be served any more. */
  readonly onOwnUnreadable: (pack: DigestHex, error: KwamError) => Promise<void>;
  /** A shard that a node gave does not verify, and that node is told; or it is not of the stripe that lists it (STRIPE_MIXED). */
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
    const identity = identityOf(entry as StripedEntry);
    await withShards(this.#options, entry as StripedEntry, dataOf(identity.scheme), async (sources) => {
      await this.#options.receiver.discard(path);
      const input = { ...identity, sources, path };
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
 * @throws KwamError STRIPE_TOO_FEW_SHARDS  there are not enough good ones within reach; STRIPE_MIXED  and one within reach is of another stripe.
 */
export async function withShards<T>(
  options: PackAccessOptions,
  entry: StripedEntry,
  wanted: readonly number[],
  act: (shards: readonly ShardFile[]) => Promise<T>,
): Promise<T> {
  const { stripe } = entry;
  const holders = await findHolders(options.peers, options.store, stripe.shards);
  const bad = new Set<string>();
  const nodesOf = (shardIndex: number): readonly string[] => {
    const id = stripe.shards[shardIndex]!;
    if (bad.has(strangerKey(id, shardIndex))) return [];
    return (holders.get(id) ?? []).filter((node) => !bad.has(`${id} ${node}`));
  };
  let stranger: KwamError | undefined;
  let gathered: GatheredShard[] = [];
  try {
    for (;;) {
      try {
        await gather(options, stripe, wanted, nodesOf, gathered);
        return await act(gathered);
      } catch (error) {
        if (!(error instanceof KwamError) || error.code !== 'STRIPE_TOO_FEW_SHARDS') throw error;
        const found = await badOnes(options, identityOf(entry), gathered);
        if (found.length === 0) throw stranger ?? error;
        stranger ??= found.find(({ problem }) => problem.code === 'STRIPE_MIXED')?.problem;
        for (const one of found) bad.add(keyOf(one));
        const shards = found.map(({ shard }) => shard);
        await discardForeign(options, shards);
        gathered = gathered.filter((shard) => !shards.includes(shard));
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
  nodesOf: (shardIndex: number) => readonly string[],
  gathered: GatheredShard[],
): Promise<void> {
  const { shards: ids } = stripe;
  const scheme = schemeOf(stripe);
  const within = new Set([...ids.keys()].filter((shard) => nodesOf(shard).length > 0));
  const toRead = (): readonly number[] => {
    const needed = shardsToRead(scheme, [...within], wanted);
    if (needed === undefined) throw tooFewShards(scheme, [...within]);
    return needed;
  };
  for (let needed = toRead(); ; ) {
    const next = needed.find((shard) => gathered.every(({ shardIndex }) => shardIndex !== shard));
    if (next === undefined) return;
    const shard = await bringShard(options, ids[next]!, nodesOf(next));
    if (shard !== undefined) {
      gathered.push({ ...shard, shardIndex: next });
      continue;
    }
    within.delete(next);
    needed = toRead();
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

interface BadShard {
  readonly shard: GatheredShard;
  readonly problem: KwamError;
}

/** What is damaged is so at one node, what is of another stripe is so wherever it is. */
function keyOf({ shard: { id, node, shardIndex }, problem }: BadShard): string {
  return problem.code === 'STRIPE_MIXED' ? strangerKey(id, shardIndex) : `${id} ${node}`;
}

const strangerKey = (id: DigestHex, shardIndex: number): string => `${id} in place ${shardIndex}`;

async function badOnes(
  options: PackAccessOptions,
  identity: StripeIdentity,
  gathered: readonly GatheredShard[],
): Promise<BadShard[]> {
  const bad: BadShard[] = [];
  for (const shard of gathered) {
    const problem = await problemOf(options, identity, shard);
    if (problem === undefined) continue;
    bad.push({ shard, problem });
    await report(options, { shard, problem });
  }
  return bad;
}

/** Who has a shard of another stripe has it rightly, and nothing of it is damaged: it only has no place in this one. */
async function report(options: PackAccessOptions, { shard, problem }: BadShard): Promise<void> {
  const { id, node } = shard;
  const isStranger = problem.code === 'STRIPE_MIXED';
  if (node === options.peers.self && !isStranger) return options.onOwnUnreadable(id, problem);
  options.onForeignUnreadable(id, node, problem);
  if (!isStranger) await suspect(options.peers, node, id);
}

async function problemOf(
  { pool, store }: PackAccessOptions,
  identity: StripeIdentity,
  shard: ShardFile,
): Promise<KwamError | undefined> {
  const { path, id } = shard;
  try {
    const { ok, problem } = await pool.run(verifyPack, { path, id });
    if (!ok) return new KwamError('PACK_INVALID', problem ?? 'damaged');
    return strangerError(identity, shard, openPack(store.fileSystem, path, id).headerBytes);
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
