/**
 * Brings the names of objects back into a catalog that was lost, from what the packs say themselves.
 * In: the nodes that should exist. Out: objects and the entries of their packs, added; and everything that could not be brought back.
 *   survey (which packs) → contents (which chunks and manifests in them) → manifests (signed, with every chunk in reach) → publish
 * Holds: a name is added only under a manifest that its producer signed and whose chunks and packs were all found; of several versions the
 * newest such one. Nothing that the catalog lists is changed. Object and packs appear in one transaction, so that no compaction comes between.
 * A removed object whose bytes are still there comes back too: that it was removed was known to the catalog alone. So nothing is done
 * while no node doubts its catalog (replication/lineage.ts).
 * Costs one read of every pack's index; of a stripe, whose index lies in its shards, of every data shard.
 * Chunks are found by 8 bytes of their digest (dedup/dedup-index.ts: a wrong hit in 6e10 at 300 million chunks); `verify` proves each.
 */
import type { Peers } from '../cluster/peers.ts';
import { ABSENT, type DedupIndex } from '../dedup/dedup-index.ts';
import { DIGEST_BYTES, type DigestHex, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { recognizePart } from '../manifest/manifest-parts.ts';
import { verifySignedManifest } from '../manifest/signed-manifest.ts';
import { checkObjectName } from '../replication/catalog.ts';
import type { Lineage } from '../replication/lineage.ts';
import { PackAccess, type PackAccessOptions } from '../replication/pack-access.ts';
import { type PackSurvey, surveyPacks } from '../replication/pack-survey.ts';
import { type PackRecord, RECORD_TYPE } from '../store/pack-format.ts';
import { objectOf } from './object-record.ts';
import {
  type Incomplete,
  type Kept,
  Publisher,
  type PublisherServices,
  type Version,
} from './recover-publish.ts';
import { type EnvelopePlace, readEnvelope } from './restore.ts';

export interface RecoverServices extends PublisherServices {
  readonly peers: Peers;
  readonly lineage: Pick<Lineage, 'doubt'>;
  /** Of the plan: each of them must be heard before anything counts as all there is. */
  readonly nodes: readonly string[];
  /** How many of a pack that is not a stripe the plan asks for. */
  readonly copies: number;
  /** An empty index: where each chunk is. */
  readonly createIndex: () => DedupIndex;
}

export interface RecoverRequest {
  readonly signal: AbortSignal;
  readonly onProgress: (packsDone: number, packsTotal: number) => void;
}

export interface RecoverResult {
  /** False when every node knows its catalog: then nothing was looked at. */
  readonly isNeeded: boolean;
  /** True when nothing that was found stays behind: the nodes may adopt this catalog. */
  readonly isComplete: boolean;
  readonly added: readonly string[];
  readonly packsAdded: number;
  /** Removed, a name comes back as it was found. */
  readonly kept: readonly Kept[];
  /** The newest versions of names of which something is missing. An older whole one was added where there is one. */
  readonly incomplete: readonly Incomplete[];
  /** Manifests that cannot be read or that nobody of this cluster signed; by the digest of a part. */
  readonly refused: readonly Refused[];
  /** Packs that too few shards or no good copy are left of. */
  readonly unreadable: readonly { readonly pack: DigestHex; readonly reason: string }[];
  /** Nodes of the plan that gave no answer. */
  readonly silent: readonly string[];
}

interface Refused {
  readonly part: DigestHex;
  readonly reason: string;
}

export async function recoverCatalog(
  services: RecoverServices,
  request: RecoverRequest,
): Promise<RecoverResult> {
  const members = (await services.peers.members()).map(({ name }) => name);
  const nodes = [...new Set([...services.nodes, ...members])].sort();
  const survey = await surveyPacks(services, nodes);
  if (!survey.isInDoubt) return { ...NOTHING, silent: survey.silent };
  return new Recovery(services, request, survey).run();
}

const NOTHING: RecoverResult = {
  isNeeded: false,
  isComplete: false,
  added: [],
  packsAdded: 0,
  kept: [],
  incomplete: [],
  refused: [],
  unreadable: [],
  silent: [],
};

class Recovery {
  readonly #services: RecoverServices;
  /** Readers ask the catalog how a pack is striped: here the survey knows. */
  readonly #reading: PackAccessOptions;
  readonly #request: RecoverRequest;
  readonly #survey: PackSurvey;
  /** Digest → place in #packs. */
  readonly #index: DedupIndex;
  readonly #packs: DigestHex[] = [];
  readonly #recordCounts = new Map<DigestHex, number>();
  /** Records of manifests → a pack that has each. */
  readonly #parts = new Map<DigestHex, DigestHex>();
  readonly #pieces = new Set<DigestHex>();
  readonly #versions: Version[] = [];
  readonly #refused: Refused[] = [];
  readonly #unreadable: { pack: DigestHex; reason: string }[] = [];

  constructor(services: RecoverServices, request: RecoverRequest, survey: PackSurvey) {
    this.#request = request;
    this.#survey = survey;
    this.#index = services.createIndex();
    const entryOf = async (id: DigestHex) => {
      const found = survey.packs.get(id)?.entry;
      return found && { ...found, records: 0 };
    };
    this.#services = services;
    this.#reading = { ...services, catalog: { pack: entryOf } };
  }

  async run(): Promise<RecoverResult> {
    await this.#readContents();
    await this.#readManifests();
    const publisher = new Publisher(this.#services, this.#reading, this.#survey, this.#recordCounts);
    for (const versions of this.#byName()) await publisher.publishNewest(versions);
    const { added, kept, incomplete, packsAdded } = publisher;
    const refused = [...this.#refused, ...this.#strayPieces()];
    const unreadable = this.#unreadable;
    const { silent } = this.#survey;
    const outdated = kept.filter(({ listed, found }) => found > listed);
    const isComplete = [incomplete, outdated, refused, unreadable, silent].every((list) => list.length === 0);
    return { isNeeded: true, isComplete, added, packsAdded, kept, incomplete, refused, unreadable, silent };
  }

  /** What the catalog lists already comes last, so that a chunk which two packs have is found there. */
  async #readContents(): Promise<void> {
    const listed = new Set<DigestHex>();
    for await (const { id } of this.#services.catalog.packs()) listed.add(id);
    const ids = [...this.#survey.packs.keys()].sort();
    const ordered = [...ids.filter((id) => !listed.has(id)), ...ids.filter((id) => listed.has(id))];
    for (const [done, id] of ordered.entries()) {
      this.#request.signal.throwIfAborted();
      this.#request.onProgress(done, ordered.length);
      await this.#readContent(id);
    }
  }

  async #readContent(id: DigestHex): Promise<void> {
    try {
      if (this.#survey.packs.get(id)!.state === 'lost') throw tooFewShards(id);
      await this.#with([id], async (access) => this.#takeUp(id, await access.records(id)));
    } catch (error) {
      if (!(error instanceof KwamError) || error.code === 'INDEX_FULL') throw error;
      this.#unreadable.push({ pack: id, reason: error.message });
    }
  }

  #takeUp(id: DigestHex, records: readonly PackRecord[]): void {
    const digests = new Uint8Array(records.length * DIGEST_BYTES);
    for (const [i, { digest, type }] of records.entries()) {
      digests.set(digest, i * DIGEST_BYTES);
      if (type === RECORD_TYPE.manifestPart) this.#parts.set(toHex(digest), id);
    }
    this.#index.insert(digests, new Uint32Array(records.length).fill(this.#packs.push(id) - 1));
    this.#recordCounts.set(id, records.length);
  }

  async #readManifests(): Promise<void> {
    for (const part of this.#parts.keys()) {
      this.#request.signal.throwIfAborted();
      try {
        await this.#readManifest(part);
      } catch (error) {
        if (!(error instanceof KwamError)) throw error;
        this.#refused.push({ part, reason: error.message });
      }
    }
  }

  async #readManifest(part: DigestHex): Promise<void> {
    const record = await this.#read([part]);
    const what = recognizePart(record);
    if (what.kind === 'piece') this.#pieces.add(part);
    else if (what.kind === 'envelope') await this.#addVersion(record, [part], undefined);
    else await this.#addVersion(await this.#read(what.list.parts), what.list.parts, part);
  }

  #read(parts: readonly DigestHex[]): Promise<Uint8Array> {
    const place: EnvelopePlace = { name: `of parts ${parts.join(', ')}`, parts, packs: this.#packsOf(parts) };
    return this.#with(place.packs, (access) => readEnvelope(this.#services, access, place));
  }

  #packsOf(parts: readonly DigestHex[]): DigestHex[] {
    return [...new Set(parts.flatMap((part) => this.#parts.get(part) ?? []))];
  }

  async #addVersion(
    envelope: Uint8Array,
    parts: readonly DigestHex[],
    partList: DigestHex | undefined,
  ): Promise<void> {
    const { manifest, digest } = await verifySignedManifest(envelope, { trust: this.#services.trust });
    checkObjectName(manifest.name);
    const places = this.#index.lookup(manifest.chunks.digests);
    const used = new Set(places);
    used.delete(ABSENT);
    const all = partList === undefined ? parts : [...parts, partList];
    const packs = [...new Set([...[...used].map((place) => this.#packs[place]!), ...this.#packsOf(all)])];
    this.#versions.push({
      object: objectOf(manifest, { digest: toHex(digest), parts, partList, packs }),
      chunksMissing: places.reduce((sum, place) => sum + Number(place === ABSENT), 0),
    });
  }

  /** The versions of each name, the newest first. */
  #byName(): Version[][] {
    const order = ({ object }: Version): string => `${object.createdAt} ${object.manifest}`;
    const sorted = this.#versions.toSorted((a, b) => (order(a) < order(b) ? 1 : -1));
    return [...Map.groupBy(sorted, ({ object }) => object.name).values()];
  }

  #strayPieces(): Refused[] {
    const listed = new Set(this.#versions.flatMap(({ object }) => object.parts));
    const strays = [...this.#pieces].filter((part) => !listed.has(part));
    return strays.map((part) => ({ part, reason: 'a part of a manifest that no list of parts names' }));
  }

  async #with<T>(packs: readonly DigestHex[], act: (access: PackAccess) => Promise<T>): Promise<T> {
    const access = await PackAccess.create(this.#reading, packs);
    try {
      return await act(access);
    } finally {
      await access.close();
    }
  }
}

function tooFewShards(pack: DigestHex): KwamError {
  return new KwamError(
    'STRIPE_TOO_FEW_SHARDS',
    `expected enough shards of pack ${pack}, found fewer; start the nodes that have them`,
  );
}
