/**
 * Adds recovered objects to the catalog, each with the entries of the packs that it needs and that are not listed.
 * In: the versions of one name, the newest first. Out: the newest whole one, published; what was kept, and what could not be.
 * A stripe of which shards are missing is made anew before, so that its entry can name every shard.
 */
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { ObjectRecord, PackRecordEntry } from '../replication/catalog.ts';
import type { Distributor } from '../replication/distribute.ts';
import { findHolders } from '../replication/holders.ts';
import type { PackAccessOptions } from '../replication/pack-access.ts';
import type { PackSurvey } from '../replication/pack-survey.ts';
import { spareOf, storedIdsOf } from '../replication/redundancy.ts';
import type { StripedEntry } from '../replication/stripe-identity.ts';
import { makeWhole } from '../replication/whole-pack.ts';
import type { KnownChunks } from './known-chunks.ts';
import type { RestoreServices } from './restore.ts';

export interface PublisherServices extends RestoreServices {
  readonly distributor: Distributor;
  readonly known: KnownChunks;
}

/** One manifest of a name, with all that is known of it. */
export interface Version {
  readonly object: ObjectRecord;
  readonly chunksMissing: number;
}

export interface Incomplete {
  readonly name: string;
  readonly createdAt: string;
  readonly reason: string;
}

/** A name that the catalog lists under another manifest than the newest that was found, and goes on listing so. */
export interface Kept {
  readonly name: string;
  /** When the two were made. */
  readonly listed: string;
  readonly found: string;
}

/** Each lost race means that somebody else publishes or retires at the same time. */
const TRIES_MAX = 16;

export class Publisher {
  readonly added: string[] = [];
  readonly kept: Kept[] = [];
  readonly incomplete: Incomplete[] = [];
  packsAdded = 0;
  readonly #services: PublisherServices;
  readonly #reading: PackAccessOptions;
  readonly #survey: PackSurvey;
  readonly #recordCounts: ReadonlyMap<DigestHex, number>;
  readonly #mended = new Map<DigestHex, PackRecordEntry>();

  /** @param reading  the same services, for reading packs that no catalog lists. */
  constructor(
    services: PublisherServices,
    reading: PackAccessOptions,
    survey: PackSurvey,
    recordCounts: ReadonlyMap<DigestHex, number>,
  ) {
    this.#services = services;
    this.#reading = reading;
    this.#survey = survey;
    this.#recordCounts = recordCounts;
  }

  /** Versions that are newer than the one that is added, and the newest when none can be, are reported. */
  async publishNewest(versions: readonly Version[]): Promise<void> {
    for (const { object, chunksMissing } of versions) {
      const { name, createdAt } = object;
      const problem = chunksMissing > 0 ? missing(chunksMissing, object) : await this.#tryPublish(object);
      if (problem === undefined) return;
      this.incomplete.push({ name, createdAt, reason: problem });
    }
  }

  /** @returns why it could not be. */
  async #tryPublish(object: ObjectRecord): Promise<string | undefined> {
    try {
      await this.#publish(object);
      return undefined;
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      return error.message;
    }
  }

  async #publish(object: ObjectRecord): Promise<void> {
    const { catalog } = this.#services;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const epoch = await catalog.packEpoch();
      if (await catalog.hasObject(object.name)) return this.#keep(object);
      const entries = await this.#missingEntries(object.packs);
      if (!(await catalog.publishMissing(object, entries, epoch))) continue;
      this.added.push(object.name);
      this.packsAdded += entries.length;
      return;
    }
    throw new KwamError('UNAVAILABLE', `the catalog kept changing, ${TRIES_MAX} times; run it again`, {
      retryable: true,
    });
  }

  async #keep({ name, manifest, createdAt }: ObjectRecord): Promise<void> {
    const listed = await this.#services.catalog.object(name);
    if (listed.manifest !== manifest) this.kept.push({ name, listed: listed.createdAt, found: createdAt });
  }

  /** Asked after the epoch was taken, as at a put: what is there then is there at the publication, or refuses it. */
  async #missingEntries(packs: readonly DigestHex[]): Promise<PackRecordEntry[]> {
    const { catalog, peers, store } = this.#services;
    const entries: PackRecordEntry[] = [];
    for (const id of packs) if ((await catalog.pack(id)) === undefined) entries.push(await this.#entryOf(id));
    const holders = await findHolders(peers, store, entries.flatMap(storedIdsOf));
    const gone = entries.find((entry) => spareOf(entry, holders) < 0);
    if (gone === undefined) return entries;
    throw new KwamError('UNAVAILABLE', `pack ${gone.id} was there and is not any more; run it again`);
  }

  async #entryOf(id: DigestHex): Promise<PackRecordEntry> {
    const mended = this.#mended.get(id);
    if (mended !== undefined) return mended;
    const pack = this.#survey.packs.get(id)!;
    const entry = { ...pack.entry, records: this.#recordCounts.get(id)! };
    if (pack.state === 'whole') return entry;
    // From k shards the pack, and from the pack its redundancy as of a new one: of the same bytes the shards have the same ids.
    const { known, distributor } = this.#services;
    await makeWhole({ ...this.#reading, known }, entry as StripedEntry);
    const made = await distributor.distribute(id);
    this.#mended.set(id, made);
    return made;
  }
}

function missing(chunks: number, { chunks: all }: ObjectRecord): string {
  return `${chunks} of its ${all} chunks are in no pack that can be read`;
}
