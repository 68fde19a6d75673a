/**
 * Gives a new pack its redundancy.
 * In: a pack that is committed on this node. Out: its catalog entry, once `factor` copies, or every shard of its stripe, are
 * durable on nodes chosen by placement. A node that fails is replaced by the next choice; too few nodes is an error, and the
 * pack stays here. Afterwards a node that is not among the chosen keeps only the knowledge of the pack.
 */
import { join } from 'node:path';
import type { Member } from '../cluster/membership.ts';
import type { Peers } from '../cluster/peers.ts';
import { type Digest, type DigestHex, fromHex, toHex } from '../digest.ts';
import { lossesSurvived } from '../erasure/survival.ts';
import { KwamError } from '../errors.ts';
import { candidates, place } from '../placement/placement.ts';
import type { Domain, ErasureScheme, Plan } from '../plan.ts';
import type { Store } from '../store/store.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { PackRecordEntry } from './catalog.ts';
import { giveUp } from './give-up.ts';
import { findHolders } from './holders.ts';
import { PACK_RECEIVE } from './protocol.ts';
import { missingOf, storedIdsOf } from './redundancy.ts';
import { encodeStripe } from './stripe-tasks.ts';

export interface DistributorOptions {
  readonly store: Store;
  readonly peers: Peers;
  readonly pool: WorkerPool;
  readonly replicate: Plan['replicate'];
  readonly codecId: Digest;
  /** A domain rule could not be kept for this pack. */
  readonly onRelaxed: (pack: DigestHex, domains: readonly (Domain | 'node')[]) => void;
}

/** Stripes where there is an erasure scheme, else full copies. */
export type Redundancy = Pick<Plan['replicate'], 'factor' | 'erasure'>;

/** A node that has a copy or a shard, durable and verified. */
export interface Home {
  readonly id: DigestHex;
  readonly node: string;
}

export interface SpreadPack {
  readonly entry: PackRecordEntry;
  readonly homes: readonly Home[];
}

/** A pack is striped from the start, unless the plan says after how long it is cold. */
function redundancyOfNew({ factor, erasure, coldAfterMs }: Plan['replicate']): Redundancy {
  return erasure === undefined || coldAfterMs !== undefined ? { factor } : { factor, erasure };
}

/** Where the shards of one stripe may go; `load` counts those that a node has or is being given. */
interface ShardHomes {
  /** Shard by shard. */
  readonly first: readonly string[];
  /** By preference. */
  readonly order: readonly string[];
  readonly load: Map<string, number>;
  readonly perNodeMax: number;
}

export class Distributor {
  readonly #options: DistributorOptions;
  /** Each pack once at a time, though two puts may rely on it. */
  readonly #running = new Map<DigestHex, Promise<PackRecordEntry>>();
  readonly #spreading = new Set<DigestHex>();

  constructor(options: DistributorOptions) {
    this.#options = options;
  }

  /** A shard that was made here for others: nobody may count on this node for it. */
  isLeaving(shard: DigestHex): boolean {
    return this.#spreading.has(shard);
  }

  /** True while others may be fetching the pack or shard from this node, though no object lists it yet. */
  isMoving(pack: DigestHex): boolean {
    return this.#running.has(pack) || this.#spreading.has(pack);
  }

  distribute(pack: DigestHex): Promise<PackRecordEntry> {
    const running = this.#running.get(pack) ?? this.#distribute(pack);
    if (!this.#running.has(pack)) this.#keepRunning(pack, running);
    return running;
  }

  #keepRunning(pack: DigestHex, running: Promise<PackRecordEntry>): void {
    this.#running.set(pack, running);
    const done = (): boolean => this.#running.delete(pack);
    running.then(done, done);
  }

  async #distribute(pack: DigestHex): Promise<PackRecordEntry> {
    const { peers, store, replicate } = this.#options;
    const { entry, homes } = await this.#spread(pack, redundancyOfNew(replicate));
    const isHome = homes.some(({ id, node }) => id === pack && node === peers.self);
    if (!isHome && store.hasPack(pack)) await giveUp(store, pack);
    return entry;
  }

  /**
   * Gives a pack that is listed another redundancy beside the one that it has: the whole pack, which has to be here, stays here.
   * Does not list it so.
   */
  async spread(pack: DigestHex, redundancy: Redundancy): Promise<SpreadPack> {
    for (let running = this.#running.get(pack); running !== undefined; running = this.#running.get(pack))
      await running.catch(() => undefined); // whoever began that gets its error
    const spreading = this.#spread(pack, redundancy);
    this.#keepRunning(
      pack,
      spreading.then(({ entry }) => entry),
    );
    return spreading;
  }

  async #spread(pack: DigestHex, { erasure, factor }: Redundancy): Promise<SpreadPack> {
    const { store, codecId } = this.#options;
    const records = store.recordsOf(pack).length;
    const entry = { id: pack, bytes: store.packInfo(pack)!.bytes, records };
    if (erasure === undefined) {
      const nodes = await this.#copy(pack, factor);
      return { entry: { ...entry, copies: factor }, homes: nodes.map((node) => ({ id: pack, node })) };
    }
    const homes = await this.#stripe(pack, entry.bytes, erasure);
    const shards = homes.map(({ id }) => id);
    return { entry: { ...entry, stripe: { ...erasure, codecId: toHex(codecId), shards } }, homes };
  }

  /** Of packs that were distributed some time ago, those that have fewer copies or shards by now. */
  async incomplete(entries: readonly PackRecordEntry[]): Promise<DigestHex[]> {
    const { peers, store } = this.#options;
    const holders = await findHolders(peers, store, entries.flatMap(storedIdsOf));
    return entries.filter((entry) => missingOf(entry, holders) > 0).map((entry) => entry.id);
  }

  /** @returns the nodes that have it. */
  async #copy(pack: DigestHex, factor: number): Promise<readonly string[]> {
    const { peers, replicate } = this.#options;
    const failed = new Map<string, unknown>();
    for (;;) {
      const nodes = (await peers.up()).filter((member) => member.weight > 0 && !failed.has(member.name));
      const placement = place(pack, nodes, factor, replicate.antiAffinity);
      if (placement.missing > 0) throw tooFewNodes(factor, placement.nodes.length, nodes, failed);
      const done = await Promise.all(placement.nodes.map((node) => this.#give(pack, node, failed)));
      if (!done.every(Boolean)) continue;
      if (placement.relaxed.length > 0) this.#options.onRelaxed(pack, placement.relaxed);
      return placement.nodes;
    }
  }

  /** True when `node` holds the pack durably; else the failure is noted. */
  async #give(pack: DigestHex, node: string, failed: Map<string, unknown>): Promise<boolean> {
    const { peers } = this.#options;
    if (node === peers.self) return true;
    try {
      await peers.ask(node, PACK_RECEIVE, { pack, from: [peers.self] });
      return true;
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      failed.set(node, error);
      return false;
    }
  }

  /** @returns which node has which shard, in their order. */
  async #stripe(pack: DigestHex, packBytes: number, scheme: ErasureScheme): Promise<Home[]> {
    const { store, pool, codecId } = this.#options;
    const count = scheme.dataShards + scheme.parityShards;
    const homes = await this.#homesFor(pack, count, lossesSurvived(scheme));
    const sealed = await pool.run(
      encodeStripe,
      {
        pack: fromHex(pack),
        packBytes,
        scheme,
        codecId,
        packPath: store.packFile(pack),
        paths: Array.from({ length: count }, (_, i) => join(store.layout.incoming, `${pack}.${i}.part`)),
        packs: store.layout.packs,
      },
      { bytes: packBytes },
    );
    const shards = sealed.map((shard) => shard.id);
    for (const shard of shards) this.#spreading.add(shard);
    try {
      for (const shard of sealed) await store.commitPack(shard);
      return await Promise.all(sealed.map(({ id }, i) => this.#giveShard(id, homes.first[i]!, homes)));
    } finally {
      for (const shard of shards) this.#spreading.delete(shard);
    }
  }

  /** @param perNodeMax  the losses that the stripe survives: no node may hold more, or losing it alone would lose the pack. */
  async #homesFor(pack: DigestHex, count: number, perNodeMax: number): Promise<ShardHomes> {
    const { peers, replicate } = this.#options;
    const nodes = (await peers.up()).filter((member) => member.weight > 0);
    const placement = place(pack, nodes, count, replicate.antiAffinity, { allowRepeat: true });
    const load = new Map<string, number>();
    for (const node of placement.nodes) load.set(node, (load.get(node) ?? 0) + 1);
    if (placement.missing > 0 || [...load.values()].some((shards) => shards > perNodeMax))
      throw tooFewNodes(Math.ceil(count / perNodeMax), nodes.length, nodes, new Map());
    if (placement.relaxed.length > 0) this.#options.onRelaxed(pack, placement.relaxed);
    return { first: placement.nodes, order: candidates(pack, nodes), load, perNodeMax };
  }

  /** To its first choice, else to the node with the fewest shards of the stripe, best first among equals. */
  async #giveShard(id: DigestHex, first: string, { order, load, perNodeMax }: ShardHomes): Promise<Home> {
    const { peers, store } = this.#options;
    const failed = new Map<string, unknown>();
    const loadOf = (node: string): number => load.get(node) ?? 0;
    for (let node: string | undefined = first; node !== undefined; ) {
      if (await this.#give(id, node, failed)) {
        if (node !== peers.self) await store.retirePack(id);
        return { id, node };
      }
      load.set(node, loadOf(node) - 1);
      const open = order.filter((one) => !failed.has(one) && loadOf(one) < perNodeMax);
      node = open.toSorted((a, b) => loadOf(a) - loadOf(b))[0];
      if (node !== undefined) load.set(node, loadOf(node) + 1);
    }
    throw tooFewNodes(1, 0, [], failed);
  }
}

function tooFewNodes(
  needed: number,
  got: number,
  nodes: readonly Member[],
  failed: ReadonlyMap<string, unknown>,
): KwamError {
  const failures = [...failed].map(
    ([node, error]) => `${node}: ${error instanceof Error ? error.message : error}`,
  );
  const names = nodes.map((node) => node.name).join(', ') || 'none';
  return new KwamError(
    'UNAVAILABLE',
    `expected ${needed} nodes to hold durable copies, got ${got} (usable: ${names}${failures.length > 0 ? `; failed: ${failures.join('; ')}` : ''}); start more nodes or lower the factor`,
    { context: { needed, got }, retryable: true },
  );
}
