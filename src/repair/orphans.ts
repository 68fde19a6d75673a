/**
 * Removes packs from this node that the cluster's catalog does not list: what a killed put or a refused compaction left behind,
 * and what was retired while the node was away.
 * In: pack ids, or nothing (all that are old enough). Out: what was retired, for good.
 * Holds: nothing that an acknowledged object relies on is removed. A put counts on packs between the moment it takes the pack
 * epoch and its publication, so: (1) from here on nobody in this process takes an epoch or says what is held here (`settled`);
 * (2) the epoch is raised, which refuses every put that asked before; (3) the catalog is read anew, then asked whether it is whole and the
 * one that may say so; (4) what it still does not list is removed. A put that asks after this finds the packs gone.
 * Does not trust a peer's word: a pack that is listed stays, whoever asks. Removes nothing on the word of a catalog that is not the one
 * that knew the packs here (INTEGRITY, replication/lineage.ts).
 */
import type { Clock } from '../clock.ts';
import { type DigestHex, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { Catalog, PackRecordEntry } from '../replication/catalog.ts';
import { giveUp } from '../replication/give-up.ts';
import type { Lineage } from '../replication/lineage.ts';
import type { PackInfo } from '../store/index-tables.ts';
import type { Store } from '../store/store.ts';

export interface OrphansOptions {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly lineage: Pick<Lineage, 'require'>;
  readonly clock: Clock;
  /**
   * Younger packs are left alone. Longer than any put: one that lasts longer is still safe, but has to send again what was removed.
   */
  readonly graceMs: number;
  /** Other nodes may be fetching it from here: it was not forgotten, it is on its way. */
  readonly isMoving: (pack: DigestHex) => boolean;
}

export interface OrphansResult {
  readonly packsRetired: number;
  readonly bytesFreed: number;
}

const PAGE = 256;

export class Orphans {
  readonly #options: OrphansOptions;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  /** Resolves when no removal is under way: what the store says then is what a put may count on. */
  async settled(): Promise<void> {
    for (let seen: unknown; seen !== this.#running; ) {
      seen = this.#running;
      await this.#running.catch(() => undefined); // whoever asked for the removal gets its error
    }
  }

  /** Retires those of the given packs that are not listed, however young they are. */
  retire(packs: readonly DigestHex[]): Promise<OrphansResult> {
    const { store } = this.#options;
    return this.exclusively(() => this.#retire(packs.flatMap((id) => store.packInfo(id) ?? [])));
  }

  /** Retires every pack that is not listed and older than the grace time. */
  async sweep(): Promise<OrphansResult> {
    const candidates: PackInfo[] = [];
    const { store } = this.#options;
    for (let after: DigestHex | undefined; ; ) {
      const page = store.listPacks(after, PAGE);
      for (const info of page) if (await this.#isCandidate(info)) candidates.push(info);
      if (page.length < PAGE) break;
      after = page.at(-1)!.id;
    }
    return this.exclusively(() => this.#retire(candidates));
  }

  /** Knowledge of remote packs takes no space here, and a put that counts on it finds out. */
  async #isCandidate(info: PackInfo): Promise<boolean> {
    if (info.state === 'remote' || this.#options.isMoving(info.id)) return false;
    if (await this.#isListed(info)) return false;
    return info.state !== 'present' || (await this.#isOld(info.id));
  }

  async #isOld(id: DigestHex): Promise<boolean> {
    const { store, clock, graceMs } = this.#options;
    try {
      // The name under packs/ appears by rename, which sets ctime and keeps the mtime of the last byte written.
      return clock.now() - (await store.files.changedAtMs(store.packFile(id))) >= graceMs;
    } catch (error) {
      if (!(error instanceof KwamError) || error.code !== 'NOT_FOUND') throw error;
      return false;
    }
  }

  /** A full copy of a pack that is listed as a stripe is wanted by nobody; the knowledge of it is. */
  async #isListed(info: PackInfo): Promise<boolean> {
    const parent = info.stripe === undefined ? info.id : toHex(info.stripe.pack);
    const entry = await this.#options.catalog.pack(parent);
    return entry !== undefined && isPartOf(entry, info);
  }

  async #retire(packs: readonly PackInfo[]): Promise<OrphansResult> {
    const { store, catalog, lineage } = this.#options;
    if (packs.length > 0) await lineage.require();
    if (packs.some((info) => info.state === 'present')) await catalog.raisePackEpoch();
    const unlisted: DigestHex[] = [];
    for (const { id } of packs) if (await this.#isWaste(id)) unlisted.push(id);
    if (unlisted.length > 0) await lineage.require();
    let packsRetired = 0;
    let bytesFreed = 0;
    for (const id of unlisted) {
      const info = store.packInfo(id);
      if (info === undefined || !(await this.#isWaste(id))) continue;
      await this.#remove(info);
      if (info.state !== 'present') continue;
      packsRetired++;
      bytesFreed += info.bytes;
    }
    return { packsRetired, bytesFreed };
  }

  async #remove({ id, kind, state }: PackInfo): Promise<void> {
    const { store, catalog } = this.#options;
    const isElsewhere = kind === 'chunks' && state === 'present' && (await catalog.pack(id)) !== undefined;
    if (isElsewhere) await giveUp(store, id);
    else await store.retirePack(id);
  }

  async #isWaste(id: DigestHex): Promise<boolean> {
    const info = this.#options.store.packInfo(id);
    return info !== undefined && !this.#options.isMoving(id) && !(await this.#isListed(info));
  }

  /** Runs `act` while this node says nothing about what it holds, receives nothing, and takes no epoch. */
  exclusively<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#running.then(act, act);
    this.#running = result.catch(() => undefined); // the caller gets the error from `result`
    return result;
  }
}

function isPartOf(entry: PackRecordEntry, info: PackInfo): boolean {
  if (info.kind === 'shard') return entry.stripe?.shards.includes(info.id) ?? false;
  return entry.stripe === undefined || info.state !== 'present';
}
