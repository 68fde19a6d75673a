/**
 * Brings redundancy back to what the plan promises.
 * In: the catalog, the nodes that are up and what each holds. Out: what was restored, what waits for a node that gave no answer,
 * and what is lost. The node that is responsible for a pack asks others to pull a copy from a good holder or to rebuild a lost
 * shard. What arrives is verified against the producer's digests before it counts.
 * Holds: a pack is called unrepairable only when every node that was ever a member has answered and too few can serve it. A
 * node that is silent may be starting: for a while (limits.ts, silenceMsMax), packs without a source are looked at again.
 */
import type { Clock } from '../clock.ts';
import type { Member } from '../cluster/membership.ts';
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { silenceLookMs, silenceMsMax } from '../limits.ts';
import type { Domain, Plan } from '../plan.ts';
import type { Catalog, PackRecordEntry } from '../replication/catalog.ts';
import { type Holders, surveyHolders } from '../replication/holders.ts';
import { PACK_RECEIVE, type ReceiveAnswer } from '../replication/protocol.ts';
import { holdersOf, missingOf, spareOf, storedIdsOf } from '../replication/redundancy.ts';
import type { Store } from '../store/store.ts';
import type { JsonValue } from '../transport/transport.ts';
import { chooseHomes, type HomeRules, homeForShard } from './homes.ts';
import type { Orchestrator } from './orchestrator.ts';
import { reachable, responsibleFor } from './responsibility.ts';

/** Asks a node to rebuild one shard of a stripe from k others, and to keep it. */
export const SHARD_REBUILD = 'shard.rebuild';

export interface RepairServices {
  readonly store: Store;
  readonly peers: Peers;
  readonly catalog: Catalog;
  readonly replicate: Plan['replicate'];
  readonly clock: Clock;
  readonly onRepaired: (pack: DigestHex, bytes: number) => void;
  readonly onRelaxed: (pack: DigestHex, domains: readonly (Domain | 'node')[]) => void;
}

export interface RepairRequest {
  readonly signal?: AbortSignal;
  /** Waits for nodes that are believed to come back; without it, everything that is missing is restored. */
  readonly orchestrator?: Orchestrator;
  readonly onProgress: (done: number, total: number) => void;
}

export interface Unrepairable {
  readonly pack: DigestHex;
  /** Names of the objects that rely on it. */
  readonly objects: readonly string[];
}

export interface Waiting extends Unrepairable {
  /** Known nodes that gave no answer: one of them may have what is missing. */
  readonly nodes: readonly string[];
}

export interface RepairResult {
  /** Copies and shards restored. */
  readonly repaired: number;
  readonly bytes: number;
  /** Copies and shards that are still missing. */
  readonly remaining: number;
  /** Left for later: a lazy plan leaves a single shard until its stripe has lost another one; a node may be believed to come back. */
  readonly postponed: number;
  /** Packs without a sufficient source, though every known node has answered. */
  readonly unrepairable: readonly Unrepairable[];
  /** Packs without a sufficient source among the nodes that answer. */
  readonly waiting: readonly Waiting[];
}

/** A pack that still lacks something after one look at it, and what may change that. */
interface Unfinished {
  readonly entry: PackRecordEntry;
  readonly missing: number;
  readonly why: 'no source' | 'failed' | 'no home' | 'waits';
}

/** Repairs every pack that this node is responsible for. */
export async function repair(services: RepairServices, request: RepairRequest): Promise<RepairResult> {
  const { peers, catalog, clock } = services;
  const work = new Repair(services, request);
  await work.pass(await responsibleFor(catalog, peers.self, await reachable(peers)));
  const deadline = clock.monotonic() + silenceMsMax;
  for (;;) {
    const open = clock.monotonic() > deadline ? [] : work.worthRetrying();
    const entries = [...work.restored, ...open];
    if (entries.length === 0 || request.signal?.aborted) return work.result();
    if (open.length > 0) await clock.sleep(silenceLookMs);
    await work.pass(entries);
  }
}

class Repair {
  readonly #services: RepairServices;
  readonly #request: RepairRequest;
  readonly #rules: HomeRules;
  /** Node and pack, where it could not be given there: asked last from then on. */
  readonly #failures = new Set<string>();
  readonly #unfinished = new Map<DigestHex, Unfinished>();
  /** In the last pass. They are looked at once more: a source that turned out bad meanwhile is missing now. */
  restored: PackRecordEntry[] = [];
  #members: readonly Member[] = [];
  #up: readonly Member[] = [];
  /** Who can give it, and who of them will keep it. */
  #holders: Holders = new Map();
  #lasting: Holders = new Map();
  #silent: readonly string[] = [];
  #repaired = 0;
  #bytes = 0;
  readonly #started: number;

  constructor(services: RepairServices, request: RepairRequest) {
    this.#services = services;
    this.#request = request;
    this.#rules = { antiAffinity: services.replicate.antiAffinity, onRelaxed: services.onRelaxed };
    this.#started = services.clock.monotonic();
  }

  /** Looks at the packs once, the most endangered ones first. */
  async pass(entries: readonly PackRecordEntry[]): Promise<void> {
    const { peers, store } = this.#services;
    this.#members = await peers.members();
    this.#up = await reachable(peers);
    this.#request.orchestrator?.answered(this.#members, this.#up);
    const survey = await surveyHolders(peers, store, entries.flatMap(storedIdsOf));
    this.#holders = survey.holders;
    this.#lasting = survey.lasting;
    this.#silent = survey.silent;
    this.restored = [];
    const ordered = entries.toSorted((a, b) => spareOf(a, this.#holders) - spareOf(b, this.#holders));
    for (const [done, entry] of ordered.entries()) {
      if (this.#request.signal?.aborted) break;
      this.#unfinished.delete(entry.id);
      const unfinished = await this.#restore(entry);
      if (unfinished !== undefined) this.#unfinished.set(entry.id, { entry, ...unfinished });
      else if (missingOf(entry, this.#lasting) > 0) this.restored.push(entry);
      this.#request.onProgress(done + 1, ordered.length);
    }
  }

  worthRetrying(): PackRecordEntry[] {
    const isOpen = ({ why }: Unfinished): boolean =>
      why === 'failed' || (why === 'no source' && this.#silent.length > 0);
    return [...this.#unfinished.values()].filter(isOpen).map(({ entry }) => entry);
  }

  async #restore(entry: PackRecordEntry): Promise<Omit<Unfinished, 'entry'> | undefined> {
    const missing = missingOf(entry, this.#lasting);
    if (missing === 0) {
      this.#request.orchestrator?.settled(entry.id);
      return undefined;
    }
    const spare = spareOf(entry, this.#holders);
    if (spare < 0) return { missing, why: 'no source' };
    const waits = Math.max(this.#lazily(entry, missing, spare), this.#believed(entry, missing, spare));
    if (waits === missing) return { missing, why: 'waits' };
    const restore = entry.stripe === undefined ? this.#restoreCopies : this.#restoreShards;
    const unfinished = await restore.call(this, entry, missing - waits);
    if (unfinished !== undefined) return { ...unfinished, missing: unfinished.missing + waits };
    return waits === 0 ? undefined : { missing: waits, why: 'waits' };
  }

  /** One shard may stay lost where the plan is lazy, as long as the stripe survives another loss. */
  #lazily(entry: PackRecordEntry, missing: number, spare: number): number {
    const { lazy } = this.#services.replicate.repair;
    // A node that is being emptied has to get rid of the last one, too.
    const isLost = missing === 1 && missingOf(entry, this.#holders) === 1;
    return lazy && entry.stripe !== undefined && isLost && spare > 0 ? 1 : 0;
  }

  #believed(entry: PackRecordEntry, missing: number, spare: number): number {
    const holders = holdersOf(entry, this.#holders);
    return this.#request.orchestrator?.judge({ entry, missing, spare, holders }, this.#members).waits ?? 0;
  }

  async #restoreCopies(
    entry: PackRecordEntry,
    missing: number,
  ): Promise<Omit<Unfinished, 'entry'> | undefined> {
    const lasting = this.#lasting.get(entry.id)!;
    const homes = chooseHomes(this.#rules, this.#willing(entry.id), entry.id, lasting, missing);
    let left = missing;
    for (const node of homes) if (await this.#copyTo(node, entry.id)) left--;
    if (left === 0) return undefined;
    return { missing: left, why: missing - left < homes.length ? 'failed' : 'no home' };
  }

  async #restoreShards(
    entry: PackRecordEntry,
    missing: number,
  ): Promise<Omit<Unfinished, 'entry'> | undefined> {
    const { shards } = entry.stripe!;
    const homes = shards.map((shard) => this.#lasting.get(shard)?.[0]);
    let left = missing;
    for (const [shardIndex, shard] of shards.entries()) {
      if (left === 0) break;
      if (homes[shardIndex] !== undefined) continue;
      const node = homeForShard(this.#rules, this.#willing(shard), entry.id, homes);
      if (node === undefined) return { missing: left, why: 'no home' };
      const isThere =
        (await this.#copyTo(node, shard)) ||
        (await this.#ask(node, SHARD_REBUILD, { pack: entry.id, shardIndex }, shard));
      if (!isThere) continue;
      homes[shardIndex] = node;
      left--;
    }
    return left === 0 ? undefined : { missing: left, why: 'failed' };
  }

  /** From whoever has it; false when that is nobody, or it did not succeed. */
  async #copyTo(node: string, pack: DigestHex): Promise<boolean> {
    const from = this.#holders.get(pack) ?? [];
    if (from.length === 0) return false;
    return this.#ask(node, PACK_RECEIVE, { pack, from: [...from], isRepair: true }, pack);
  }

  /** Without nodes that could not take this pack before, unless there are no others. */
  #willing(pack: DigestHex): readonly Member[] {
    const willing = this.#up.filter(({ name }) => !this.#failures.has(`${name} ${pack}`));
    return willing.length > 0 ? willing : this.#up;
  }

  /** False when that node could not. */
  async #ask(node: string, method: string, request: JsonValue, pack: DigestHex): Promise<boolean> {
    try {
      const { bytes } = await this.#services.peers.ask<ReceiveAnswer>(node, method, request);
      this.#repaired++;
      this.#bytes += bytes;
      this.#services.onRepaired(pack, bytes);
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      this.#failures.add(`${node} ${pack}`);
      return false;
    }
    await this.#keepPace();
    return true;
  }

  /** What this node has restored elsewhere stays below the bandwidth that the plan gives repair, on average. */
  async #keepPace(): Promise<void> {
    const { clock, replicate } = this.#services;
    const { bitsPerSecondMax } = replicate.repair;
    if (bitsPerSecondMax === undefined) return;
    const dueMs = ((8 * this.#bytes) / bitsPerSecondMax) * 1000;
    const aheadMs = dueMs - (clock.monotonic() - this.#started);
    if (aheadMs > 0) await clock.sleep(aheadMs, this.#request.signal);
  }

  async result(): Promise<RepairResult> {
    const all = [...this.#unfinished.values()];
    const unfinished = all.filter(({ why }) => why !== 'waits');
    const unsourced = unfinished.filter(({ why }) => why === 'no source').map(({ entry }) => entry.id);
    const packs = await withObjects(this.#services.catalog, unsourced);
    const nodes = this.#silent;
    return {
      repaired: this.#repaired,
      bytes: this.#bytes,
      remaining: missingIn(unfinished),
      postponed: missingIn(all) - missingIn(unfinished),
      unrepairable: nodes.length === 0 ? packs : [],
      waiting: nodes.length === 0 ? [] : packs.map((one) => ({ ...one, nodes })),
    };
  }
}

function missingIn(unfinished: readonly Unfinished[]): number {
  return unfinished.reduce((sum, { missing }) => sum + missing, 0);
}

async function withObjects(catalog: Catalog, packs: readonly DigestHex[]): Promise<Unrepairable[]> {
  if (packs.length === 0) return [];
  const names = new Map<DigestHex, string[]>(packs.map((pack) => [pack, []]));
  for await (const object of catalog.objects()) {
    for (const pack of object.packs) names.get(pack)?.push(object.name);
  }
  return [...names].map(([pack, objects]) => ({ pack, objects }));
}
