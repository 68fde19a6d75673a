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
import type { SealedPack } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { PackRecordEntry } from './catalog.ts';
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

/** Where the shards of one stripe may go; `load` counts those that a node has or is being given. */
interface ShardHomes {
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

  /** True while others may be fetching the pack or shard from this node, though no object lists it yet. */
  isMoving(pack: DigestHex): boolean {
    return this.#running.has(pack) || this.#spreading.has(pack);
  }

  distribute(pack: DigestHex): Promise<PackRecordEntry> {
    const running = this.#running.get(pack) ?? this.#distribute(pack);
    if (!this.#running.has(pack)) {
      this.#running.set(pack, running);
      const done = (): boolean => this.#running.delete(pack);
      running.then(done, done);
    }
    return running;
  }

  async #distribute(pack: DigestHex): Promise<PackRecordEntry> {
    const { store, replicate } = this.#options;
    const records = store.recordsOf(pack);
    const entry = { id: pack, bytes: store.packInfo(pack)!.bytes, records: records.length };
    if (replicate.erasure === undefined) {
      await this.#copy(pack, replicate.factor);
      return { ...entry, copies: replicate.factor };
    }
    const shards = await this.#stripe(pack, entry.bytes, replicate.erasure);
    const codecId = toHex(this.#options.codecId);
    return { ...entry, stripe: { ...replicate.erasure, codecId, shards } };
  }

  /** Of packs that were distributed some time ago, those that have fewer copies or shards by now. */
  async incomplete(entries: readonly PackRecordEntry[]): Promise<DigestHex[]> {
    const { peers, store } = this.#options;
    const holders = await findHolders(peers, store, entries.flatMap(storedIdsOf));
    return entries.filter((entry) => missingOf(entry, holders) > 0).map((entry) => entry.id);
  }

  async #copy(pack: DigestHex, factor: number): Promise<void> {
    const { peers, replicate } = this.#options;
    const failed = new Map<string, unknown>();
    for (;;) {
      const nodes = (await peers.up()).filter((member) => member.weight > 0 && !failed.has(member.name));
      const placement = place(pack, nodes, factor, replicate.antiAffinity);
      if (placement.missing > 0) throw tooFewNodes(factor, placement.nodes.length, nodes, failed);
      const done = await Promise.all(placement.nodes.map((node) => this.#give(pack, node, failed)));
      if (!done.every(Boolean)) continue;
      if (placement.relaxed.length > 0) this.#options.onRelaxed(pack, placement.relaxed);
      if (!placement.nodes.includes(peers.self)) await this.#keepKnowledge(pack);
      return;
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

  async #stripe(pack: DigestHex, packBytes: number, scheme: ErasureScheme): Promise<DigestHex[]> {
    const { store, pool, codecId } = this.#options;
    const count = scheme.dataShards + scheme.parityShards;
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
      await this.#spread(pack, sealed, lossesSurvived(scheme));
    } finally {
      for (const shard of shards) this.#spreading.delete(shard);
    }
    await this.#keepKnowledge(pack);
    return shards;
  }

  /** @param perNodeMax  the losses that the stripe survives: no node may hold more, or losing it alone would lose the pack. */
  async #spread(pack: DigestHex, shards: readonly SealedPack[], perNodeMax: number): Promise<void> {
    const { peers, store, replicate } = this.#options;
    const nodes = (await peers.up()).filter((member) => member.weight > 0);
    const placement = place(pack, nodes, shards.length, replicate.antiAffinity, { allowRepeat: true });
    const load = new Map<string, number>();
    for (const node of placement.nodes) load.set(node, (load.get(node) ?? 0) + 1);
    if (placement.missing > 0 || [...load.values()].some((count) => count > perNodeMax))
      throw tooFewNodes(Math.ceil(shards.length / perNodeMax), nodes.length, nodes, new Map());
    if (placement.relaxed.length > 0) this.#options.onRelaxed(pack, placement.relaxed);
    const homes = { order: candidates(pack, nodes), load, perNodeMax };
    await Promise.all(
      shards.map(async (shard, i) => {
        const holder = await this.#giveShard(shard.id, placement.nodes[i]!, homes);
        if (holder !== peers.self) await store.retirePack(shard.id);
      }),
    );
  }

  /** To its first choice, else to the node with the fewest shards of the stripe, best first among equals. */
  async #giveShard(
    shard: DigestHex,
    first: string,
    { order, load, perNodeMax }: ShardHomes,
  ): Promise<string> {
    const failed = new Map<string, unknown>();
    const loadOf = (node: string): number => load.get(node) ?? 0;
    for (let node: string | undefined = first; node !== undefined; ) {
      if (await this.#give(shard, node, failed)) return node;
      load.set(node, loadOf(node) - 1);
      const open = order.filter((one) => !failed.has(one) && loadOf(one) < perNodeMax);
      node = open.toSorted((a, b) => loadOf(a) - loadOf(b))[0];
      if (node !== undefined) load.set(node, loadOf(node) + 1);
    }
    throw tooFewNodes(1, 0, [], failed);
  }

  async #keepKnowledge(pack: DigestHex): Promise<void> {
    const { store } = this.#options;
    const info = store.packInfo(pack);
    if (info === undefined || info.state !== 'present') return;
    const records = store.recordsOf(pack);
    await store.retirePack(pack);
    await store.learnRemotePack(pack, info, info.bytes, records);
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
