/**
 * What a node does when it is asked: the table of its calls, and the pulls it serves.
 * In: method and request as they came over the wire, from a peer that the transport has authenticated. Out: progress
 * messages, then one result. Fields are checked before use. Who may call what: cluster/access.ts, whose table has a row for each method here.
 */
import type { Access, MethodName } from './cluster/access.ts';
import { beginDrain, endDrain } from './cluster/drains.ts';
import { checkNotIntoOwn, checkNotOwn, type OwnFiles } from './cluster/own-files.ts';
import type { ControlStore } from './control/control-store.ts';
import type { DigestHex } from './digest.ts';
import { KwamError } from './errors.ts';
import type { OutageRecord } from './health/outage-record.ts';
import type { HealthWatch } from './health/watch.ts';
import { drainReasonCharactersMax } from './limits.ts';
import { type CompactServices, compact } from './pipeline/compact.ts';
import { type IngestServices, ingest } from './pipeline/ingest.ts';
import { objectDamage } from './pipeline/object-damage.ts';
import { type RecoverServices, recoverCatalog } from './pipeline/recover-catalog.ts';
import { type RestoreServices, restore } from './pipeline/restore.ts';
import { explain } from './repair/explain.ts';
import type { Orchestrator } from './repair/orchestrator.ts';
import type { Orphans } from './repair/orphans.ts';
import { type RebuildServices, rebuildShard } from './repair/rebuild-shard.ts';
import { type RepairResult, type RepairServices, repair, SHARD_REBUILD } from './repair/repair.ts';
import { type ScrubServices, scrub, scrubDoubted, scrubOne } from './repair/scrub.ts';
import { type StorageGuard, tooFewWithout } from './repair/storage-guard.ts';
import { type SurplusResult, type SurplusServices, trimSurplus } from './repair/surplus.ts';
import type { Catalog, ObjectRecord, PackRecordEntry } from './replication/catalog.ts';
import { surveyHolders } from './replication/holders.ts';
import type { Lineage } from './replication/lineage.ts';
import { servePull } from './replication/pack-source.ts';
import { listPacks } from './replication/pack-survey.ts';
import type { PartialSums } from './replication/partial-sum.ts';
import {
  digestOf,
  fieldsOf,
  PACK_HAVE,
  PACK_LIST,
  PACK_RECEIVE,
  PACK_RETIRE,
  PACK_SUSPECT,
  PACK_VERIFY,
  type PackPull,
  parsePacks,
  parsePull,
  parseReceive,
  textOf,
} from './replication/protocol.ts';
import type { Receiver } from './replication/receiver.ts';
import { missingOf, storedIdsOf } from './replication/redundancy.ts';
import type { ConsentDesk } from './rollout/consent-desk.ts';
import type { Store } from './store/store.ts';
import type { CallContext, Handler, JsonValue } from './transport/transport.ts';
import type { Demand } from './workers/demand.ts';

export type ObjectSummary = Omit<ObjectRecord, 'schema' | 'parts' | 'packs'>;

export interface ObjectPage {
  readonly objects: readonly ObjectSummary[];
  /** Give it as `after` to continue; absent on the last page. */
  readonly next?: string;
}

/** What `node.repair` says. */
export type RepairAnswer = RepairResult & SurplusResult;

export interface ServiceParts {
  readonly access: Access;
  readonly consent: ConsentDesk;
  readonly ownFiles: OwnFiles;
  readonly store: Store;
  readonly receiver: Receiver;
  readonly sums: PartialSums;
  readonly catalog: Catalog;
  readonly ingest: IngestServices;
  readonly restore: RestoreServices;
  readonly scrub: ScrubServices;
  readonly repair: RepairServices;
  readonly rebuild: RebuildServices;
  readonly surplus: SurplusServices;
  readonly watch: HealthWatch;
  readonly outages: OutageRecord;
  readonly orchestrator: Orchestrator;
  readonly guard: StorageGuard;
  readonly control: ControlStore;
  readonly compact: CompactServices;
  readonly recover: RecoverServices;
  readonly lineage: Lineage;
  readonly orphans: Orphans;
  readonly demand: Demand;
  /** What `node.status` says beside the store's statistics. */
  readonly describe: () => { readonly [name: string]: JsonValue };
  /** What the metrics port shows. */
  readonly exposition: () => Promise<string>;
  /** The seconds that reading for a pull took. */
  readonly onRead: (seconds: number) => void;
  /** Space may have become free: an object was removed or replaced. */
  readonly onGarbage: () => void;
}

type Report = (what: string, bytesDone: number, bytesTotal: number) => void;
type Method = (request: JsonValue, report: Report, context: CallContext) => Promise<unknown>;
type Methods<Prefix extends string> = Record<Extract<MethodName, `${Prefix}.${string}`>, Method>;

export function createHandler(parts: ServiceParts): Handler {
  const methods: Readonly<Record<MethodName, Method>> = {
    ...packMethods(parts),
    ...objectMethods(parts),
    ...nodeMethods(parts),
    ...consentMethods(parts),
  };
  return {
    call(method, request, context) {
      const name = parts.access.admit(method, context);
      const answers = withProgress((report) => methods[name](request, report, context), isQuiet(method));
      return SERVED.has(name) ? parts.demand.during(answers) : answers;
    },
    pull(request: JsonValue, context: CallContext) {
      parts.access.admitPull(context);
      const pull = parsePull(request);
      const frames =
        pull.what === 'partial' ? parts.sums.serve(pull, context.signal) : serveAndDoubt(parts, pull);
      return parts.demand.during(frames);
    },
  };
}

/** Somebody waits for these, and for pulls. */
const SERVED: ReadonlySet<MethodName> = new Set(['object.put', 'object.get', 'object.verify', PACK_RECEIVE]);

/** A pack that cannot be opened for a peer is not offered to the next one. */
async function* serveAndDoubt(parts: ServiceParts, request: PackPull): AsyncGenerator<Uint8Array> {
  try {
    yield* servePull(parts.store, request, parts.onRead);
  } catch (error) {
    const isDamage = error instanceof KwamError && ['PACK_INVALID', 'IO'].includes(error.code);
    if (isDamage || !parts.store.fileSystem.exists(parts.store.packFile(request.pack)))
      await scrubOne(parts.scrub, request.pack);
    throw error;
  }
}

/** Calls between nodes answer with the bare result; calls from people report progress first. */
function isQuiet(method: string): boolean {
  return method.startsWith('pack.') || method.startsWith('shard.');
}

function packMethods(parts: ServiceParts): Methods<'pack' | 'shard'> {
  const { store, receiver, orphans, lineage } = parts;
  const { distributor } = parts.ingest;
  return {
    [PACK_RECEIVE]: async (request, _report, { signal }) => {
      const { pack, from, isRepair } = parseReceive(request);
      await orphans.settled();
      return { bytes: await receiver.receive(pack, from, signal, isRepair ? 'repair' : 'receive') };
    },
    [PACK_HAVE]: async (request) => {
      await orphans.settled();
      const stays = (pack: DigestHex): boolean => store.hasPack(pack) && !distributor.isLeaving(pack);
      return { have: parsePacks(request).filter(stays) };
    },
    [PACK_SUSPECT]: async (request) => {
      let isGood = true;
      for (const pack of parsePacks(request)) isGood = (await scrubDoubted(parts.scrub, pack)) && isGood;
      return { isGood };
    },
    [PACK_VERIFY]: async (request) => {
      await orphans.settled();
      let isGood = true;
      for (const pack of parsePacks(request))
        isGood = !distributor.isLeaving(pack) && (await scrubOne(parts.scrub, pack)) && isGood;
      return { isGood };
    },
    [PACK_RETIRE]: async (request) => {
      await orphans.retire(parsePacks(request));
      return {};
    },
    [PACK_LIST]: async (request) => {
      const { after } = fieldsOf(request, PACK_LIST);
      await orphans.settled();
      return listPacks(store, lineage, after === undefined ? undefined : digestOf(after));
    },
    [SHARD_REBUILD]: async (request, _report, { signal }) => {
      const fields = fieldsOf(request, SHARD_REBUILD);
      const pack = textOf(fields, 'pack') as DigestHex;
      return rebuildShard(parts.rebuild, pack, Number(fields['shardIndex']), signal);
    },
  };
}

function objectMethods(parts: ServiceParts): Methods<'object'> {
  const { catalog } = parts;
  return {
    'object.put': async (request, report, { signal }) => {
      const fields = fieldsOf(request, 'object.put');
      const name = textOf(fields, 'name');
      const isReplaced = await catalog.hasObject(name);
      const path = textOf(fields, 'path');
      checkNotOwn(parts.ownFiles, path);
      const result = await ingest(parts.ingest, {
        path,
        name,
        signal,
        onProgress: (done, total) => report('put', done, total),
      });
      if (isReplaced) parts.onGarbage();
      return result;
    },
    'object.get': async (request, report, { signal }) => {
      const fields = fieldsOf(request, 'object.get');
      const destination = textOf(fields, 'destination');
      checkNotIntoOwn(parts.ownFiles, destination);
      return restore(parts.restore, {
        name: textOf(fields, 'name'),
        destination,
        signal,
        onProgress: (done, total) => report('get', done, total),
      });
    },
    'object.verify': async (request, report, { signal }) =>
      restore(parts.restore, {
        name: textOf(fieldsOf(request, 'object.verify'), 'name'),
        signal,
        onProgress: (done, total) => report('verify', done, total),
      }),
    'object.damage': async (request) =>
      objectDamage(parts.restore, textOf(fieldsOf(request, 'object.damage'), 'name')),
    'object.list': async (request) => {
      const { after } = fieldsOf(request, 'object.list');
      const { objects, next } = await catalog.objectPage(
        typeof after === 'string' ? after : undefined,
        LIST_PAGE,
      );
      return { objects: objects.map(summaryOf), ...(next === undefined ? {} : { next }) };
    },
    'object.remove': async (request) => {
      const { name, manifest } = await catalog.removeObject(
        textOf(fieldsOf(request, 'object.remove'), 'name'),
      );
      parts.onGarbage();
      return { name, manifest };
    },
  };
}

/** With names of 512 bytes and the longest SPIFFE IDs, still below one message of answers. */
const LIST_PAGE = 250;

/** What people ask about; which packs and records hold it is the cluster's affair. */
function summaryOf({
  name,
  manifest,
  producer,
  files,
  bytes,
  chunks,
  createdAt,
}: ObjectRecord): ObjectSummary {
  return { name, manifest, producer, files, bytes, chunks, createdAt };
}

function nodeMethods(parts: ServiceParts): Methods<'node' | 'cluster'> {
  return {
    'node.status': async () => ({ ...parts.describe(), ...parts.store.statistics() }),
    'node.metrics': async () => ({ text: await parts.exposition() }),
    'node.scrub': async (request, report, { signal }) => {
      const full = fieldsOf(request, 'node.scrub')['full'] === true;
      return scrub(parts.scrub, { full, signal, onProgress: (done, total) => report('scrub', done, total) });
    },
    'node.repair': async (_request, report, { signal }): Promise<RepairAnswer> => {
      const onProgress = (done: number, total: number): void => report('repair', done, total);
      const restored = await repair(parts.repair, { signal, onProgress });
      return { ...restored, ...(await trimSurplus(parts.surplus, signal)) };
    },
    'node.explain': async (request) => {
      const { pack } = fieldsOf(request, 'node.explain');
      const only = typeof pack === 'string' ? (pack as DigestHex) : undefined;
      return { packs: await explain(parts.repair, parts.orchestrator, only) };
    },
    'node.compact': async (_request, _report, { signal }) => compact(parts.compact, signal),
    'node.orphans': async () => parts.orphans.sweep(),
    'node.outages': async () => parts.outages.outages,
    'node.drain': async (request, _report, { peer }) => drain(parts, fieldsOf(request, 'node.drain'), peer),
    'node.undrain': async (request) => {
      const node = textOf(fieldsOf(request, 'node.undrain'), 'node');
      const { clock } = parts.scrub;
      return { node, wasDrained: await endDrain(parts.control, node, new Date(clock.now()).toISOString()) };
    },
    'node.names': async (_request, report, { signal }) =>
      recoverCatalog(parts.recover, {
        signal,
        onProgress: (done, total) => report('names', done, total),
      }),
    'node.adopt': async () => {
      await parts.lineage.adopt();
      return {};
    },
    'cluster.status': async () => clusterStatus(parts),
  };
}

/** An operator's; the rule about storage has its own way (repair/storage-guard.ts). */
async function drain(
  { control, repair, scrub }: ServiceParts,
  fields: Readonly<Record<string, JsonValue>>,
  peer: string,
): Promise<{ readonly node: string }> {
  const node = textOf(fields, 'node');
  const reason = textOf(fields, 'reason').slice(0, drainReasonCharactersMax);
  const members = await repair.peers.members();
  if (!members.some(({ name }) => name === node)) {
    const names = members.map(({ name }) => name).join(', ');
    throw new KwamError(
      'NOT_FOUND',
      `expected a node of this cluster (${names}), got ${JSON.stringify(node)}`,
    );
  }
  const objection = tooFewWithout(node, members, repair.replicate);
  if (objection !== undefined) {
    throw new KwamError(
      'REFUSED',
      `${node} cannot be drained: ${objection}; start more nodes, or run a program with fewer copies`,
    );
  }
  const since = new Date(scrub.clock.now()).toISOString();
  await beginDrain(control, { node, by: peer, reason, since });
  return { node };
}

function consentMethods({ consent }: ServiceParts): Methods<'consent'> {
  return {
    'consent.redeem': (request, _report, { peer }) => consent.redeem(request, peer),
    'consent.resume': (request, _report, { peer }) => consent.resume(request, peer),
  };
}

async function clusterStatus(parts: ServiceParts): Promise<unknown> {
  const { catalog, store } = parts;
  const entries: PackRecordEntry[] = [];
  for await (const entry of catalog.packs()) entries.push(entry);
  let objects = 0;
  for await (const _ of catalog.objects()) objects++;
  const { lasting } = await surveyHolders(parts.repair.peers, store, entries.flatMap(storedIdsOf));
  const underReplicated = entries.filter((entry) => missingOf(entry, lasting) > 0).length;
  return { objects, packs: entries.length, underReplicated };
}

/** Turns a function that reports into a stream: the newest report each time the stream is read, then the result. */
async function* withProgress(
  act: (report: Report) => Promise<unknown>,
  isQuiet: boolean,
): AsyncGenerator<JsonValue> {
  let latest: JsonValue | undefined;
  let wake: () => void = () => undefined;
  let isDone = false;
  const outcome = act((what, bytesDone, bytesTotal) => {
    latest = { progress: { what, bytesDone, bytesTotal } };
    wake();
  }).finally(() => {
    isDone = true;
    wake();
  });
  // Awaited below in every case; this only keeps a failure before that from counting as unhandled.
  outcome.catch(() => undefined);
  while (!isDone) {
    if (latest === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    const message = latest;
    latest = undefined;
    if (!isQuiet) yield message;
  }
  const result = (await outcome) as JsonValue;
  yield isQuiet ? result : { result };
}
