/**
 * Gives the space of chunks back that no object needs any more, while puts and gets go on.
 * In: the catalog. Out: packs that are gone, and the bytes they took. A pack without live chunks is retired; one that is
 * mostly dead has its live chunks copied, verified, into a new pack that is replicated first.
 * Holds: at every moment each live chunk is in a catalogued pack. The change of the catalog is one transaction, refused when an
 * object was published or another compaction ran meanwhile; a put that counted on a retired pack finds that out when it
 * publishes, and reads those files again. A catalog that is damaged or in doubt is left as it is (INTEGRITY, replication/lineage.ts): an object
 * that was not found in it may be needed.
 */
import type { ControlStore } from '../control/control-store.ts';
import { inTurn, type Turn } from '../control/turn.ts';
import { ABSENT, type DedupIndex } from '../dedup/dedup-index.ts';
import { DIGEST_BYTES, type Digest, type DigestHex, fromHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { announceRetired } from '../replication/announce-retired.ts';
import type { ObjectRecord, PackRecordEntry } from '../replication/catalog.ts';
import type { Distributor } from '../replication/distribute.ts';
import type { Lineage } from '../replication/lineage.ts';
import { type OpenedPack, PackAccess } from '../replication/pack-access.ts';
import { copyInto, sealPack } from '../replication/pack-tasks.ts';
import type { PackRecord } from '../store/pack-format.ts';
import { type PackBuilder, recordsOfSealed } from '../store/pack-writer.ts';
import type { KnownChunks } from './known-chunks.ts';
import { type RestoreServices, readManifest, reportBad } from './restore.ts';

export interface CompactServices extends RestoreServices {
  readonly lineage: Pick<Lineage, 'require'>;
  readonly control: ControlStore;
  readonly distributor: Distributor;
  readonly codecId: Digest;
  readonly known: KnownChunks;
  readonly packBytesTarget: number;
  /** An empty index to collect the live digests in. */
  readonly createIndex: () => DedupIndex;
}

export interface CompactResult {
  readonly packsRetired: number;
  readonly packsWritten: number;
  readonly bytesFreed: number;
}

/** Below this share of live bytes a pack is written anew: at most as many bytes are copied as are freed. */
const LIVE_RATIO_MIN = 0.5;
const TRIES_MAX = 3;

interface Candidate {
  readonly entry: PackRecordEntry;
  readonly records: readonly PackRecord[];
  /** Indexes of the live records. */
  readonly live: readonly number[];
}

/** Waits until no other node compacts: each would only change the catalog under the feet of the others. */
export async function compact(services: CompactServices, signal: AbortSignal): Promise<CompactResult> {
  await services.lineage.require();
  const { control, clock, peers } = services;
  const options = { control, clock, work: 'compaction', holder: peers.self, signal };
  return inTurn(options, (turn) => compactInTurn(services, turn));
}

async function compactInTurn(services: CompactServices, turn: Turn): Promise<CompactResult> {
  for (let tries = 1; tries <= TRIES_MAX && !turn.isLost; tries++) {
    const result = await tryCompact(services, turn);
    if (result !== undefined) return result;
  }
  if (turn.isLost) {
    throw new KwamError('UNAVAILABLE', 'the control store was out of reach: this node lost its turn', {
      retryable: true,
    });
  }
  throw new KwamError(
    'UNAVAILABLE',
    `objects kept changing while compaction looked at them, ${TRIES_MAX} times`,
    {
      retryable: true,
    },
  );
}

async function tryCompact(services: CompactServices, turn: Turn): Promise<CompactResult | undefined> {
  const { catalog } = services;
  const epochs = { packs: await catalog.packEpoch(), objects: await catalog.objectEpoch() };
  const objects: ObjectRecord[] = [];
  for await (const object of catalog.objects()) objects.push(object);
  const live = await collectLive(services, objects);
  const candidates = await findCandidates(services, live);
  if (candidates.length === 0) return { packsRetired: 0, packsWritten: 0, bytesFreed: 0 };
  const { added, movedTo } = await rewrite(services, candidates);
  const retired = candidates.map(({ entry }) => entry.id);
  const changed = objects.flatMap((object) => withNewPacks(object, movedTo) ?? []);
  await services.lineage.require();
  const committed = await catalog.replacePacks({ retired, added, objects: changed }, epochs, turn.fence);
  // The copies that a refused change had made are in no catalogue: the nodes drop them as orphans.
  if (!committed) return undefined;
  await announceRetired(
    services.peers,
    candidates.flatMap(({ entry }) => [entry.id, ...(entry.stripe?.shards ?? [])]),
  );
  const freed = candidates.reduce((sum, { entry }) => sum + entry.bytes, 0);
  const written = added.reduce((sum, entry) => sum + entry.bytes, 0);
  return { packsRetired: retired.length, packsWritten: added.length, bytesFreed: freed - written };
}

/** A false hit of the truncated keys keeps a dead chunk, which is harmless. */
async function collectLive(services: CompactServices, objects: readonly ObjectRecord[]): Promise<DedupIndex> {
  const live = services.createIndex();
  for (const object of objects) {
    const access = await PackAccess.create(services, object.packs);
    try {
      const { chunks } = await readManifest(services, access, object);
      live.insert(chunks.digests, new Uint32Array(chunks.lengths.length).fill(1));
    } finally {
      await access.close();
    }
    if (object.partList !== undefined) live.insert(fromHex(object.partList), Uint32Array.of(1));
    for (const part of object.parts) live.insert(fromHex(part), Uint32Array.of(1));
  }
  return live;
}

async function findCandidates(services: CompactServices, live: DedupIndex): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for await (const entry of services.catalog.packs()) {
    const access = await PackAccess.create(services, [entry.id]);
    try {
      const records = await access.records(entry.id);
      const candidate = { entry, records, live: liveIndexes(live, records) };
      const liveBytes = candidate.live.reduce((sum, i) => sum + records[i]!.length, 0);
      if (liveBytes < entry.bytes * LIVE_RATIO_MIN && !isSmallAndLive(candidate)) candidates.push(candidate);
    } catch (error) {
      // Out of reach now: a later compaction will see it.
      if (!(error instanceof KwamError)) throw error;
    } finally {
      await access.close();
    }
  }
  return candidates;
}

/** A pack of few, all live records can be mostly framing; rewriting it would gain nothing. */
function isSmallAndLive({ records, live }: Candidate): boolean {
  return live.length === records.length;
}

function liveIndexes(live: DedupIndex, records: readonly PackRecord[]): number[] {
  const digests = new Uint8Array(records.length * DIGEST_BYTES);
  for (const [i, record] of records.entries()) digests.set(record.digest, i * DIGEST_BYTES);
  const found = live.lookup(digests);
  return [...records.keys()].filter((i) => found[i] !== ABSENT);
}

type MovedTo = ReadonlyMap<DigestHex, ReadonlySet<DigestHex>>;

async function rewrite(
  services: CompactServices,
  candidates: readonly Candidate[],
): Promise<{ added: PackRecordEntry[]; movedTo: MovedTo }> {
  const added: PackRecordEntry[] = [];
  const movedTo = new Map<DigestHex, Set<DigestHex>>(candidates.map(({ entry }) => [entry.id, new Set()]));
  let builder: PackBuilder | undefined;
  let sources: DigestHex[] = [];
  const flush = async (): Promise<void> => {
    if (builder === undefined) return;
    const entry = await sealAndDistribute(services, builder);
    added.push(entry);
    for (const source of sources) movedTo.get(source)!.add(entry.id);
    builder = undefined;
    sources = [];
  };
  try {
    for (const candidate of candidates.filter(({ live }) => live.length > 0)) {
      builder ??= services.store.createPack({ kind: 'chunks', codecId: services.codecId });
      sources.push(candidate.entry.id);
      await copyLive(services, candidate, builder);
      if (builder.bytes >= services.packBytesTarget) await flush();
    }
    await flush();
  } catch (error) {
    builder?.abandon();
    throw error;
  }
  return { added, movedTo };
}

async function copyLive(
  services: CompactServices,
  candidate: Candidate,
  builder: PackBuilder,
): Promise<void> {
  const access = await PackAccess.create(services, [candidate.entry.id]);
  let opened: OpenedPack | undefined;
  try {
    opened = await access.open(candidate.entry.id, candidate.live);
    const records = candidate.live.map((i) => candidate.records[i]!);
    const { path, offset } = builder.allocate(records);
    const { bad } = await services.pool.run(
      copyInto,
      { source: opened.path, records, target: path, targetOffset: offset },
      { bytes: candidate.entry.bytes },
    );
    if (bad.length === 0) {
      services.onVerified(
        records.reduce((sum, { length }) => sum + length, 0),
        records.length,
        opened.isOwn,
      );
      return;
    }
    await reportBad(services, opened, candidate.entry.id, bad);
    throw new KwamError(
      'INTEGRITY',
      `compaction found ${bad.length} bad records in pack ${candidate.entry.id}; repair first`,
      {
        retryable: true,
      },
    );
  } finally {
    await opened?.release();
    await access.close();
  }
}

async function sealAndDistribute(services: CompactServices, builder: PackBuilder): Promise<PackRecordEntry> {
  const sealed = await builder.seal((request) => services.pool.run(sealPack, request));
  const info = await services.store.commitPack(sealed);
  services.known.add(recordsOfSealed(sealed), info.sequence);
  return services.distributor.distribute(sealed.id);
}

/** Undefined when the object does not rely on any retired pack. */
function withNewPacks(object: ObjectRecord, movedTo: MovedTo): ObjectRecord | undefined {
  if (!object.packs.some((pack) => movedTo.has(pack))) return undefined;
  const packs = new Set(
    object.packs.flatMap((pack) => (movedTo.has(pack) ? [...movedTo.get(pack)!] : [pack])),
  );
  return { ...object, packs: [...packs] };
}
