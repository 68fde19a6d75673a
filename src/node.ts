/**
 * The composition root: builds one node from a Plan and its place in it.
 * In: the plan, the node's name, the cluster's directory. Out: a running node — store recovered, workers tested, transport
 * listening, member of the cluster — and how to stop it. Every part is made here and nowhere else, so this file shows
 * what a node consists of. Starts nothing before the store has recovered and a worker has passed its self-tests.
 */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { systemClock } from './clock.ts';
import { Membership } from './cluster/membership.ts';
import { Peers } from './cluster/peers.ts';
import { LmdbControlStore } from './control/lmdb.ts';
import { DedupIndex } from './dedup/dedup-index.ts';
import { toHex } from './digest.ts';
import { KwamError } from './errors.ts';
import { loadIdentity } from './identity/identity-files.ts';
import { signerOf, trustOf } from './identity/manifest-trust.ts';
import { createMetrics, type Metrics, startMetricsServer } from './metrics.ts';
import { type CompactServices, compact } from './pipeline/compact.ts';
import { type IngestServices, ingest } from './pipeline/ingest.ts';
import { KnownChunks } from './pipeline/known-chunks.ts';
import type { RestoreServices } from './pipeline/restore.ts';
import type { Plan, PlanNode } from './plan.ts';
import { Orphans } from './repair/orphans.ts';
import { Catalog } from './replication/catalog.ts';
import { Distributor } from './replication/distribute.ts';
import { Receiver } from './replication/receiver.ts';
import { createHandler } from './service.ts';
import { Store } from './store/store.ts';
import { grpcTransport } from './transport/grpc.ts';
import type { TransportObserver } from './transport/transport.ts';
import { loadKernels, readCodecId } from './wasm/load.ts';
import { ByteBudget } from './workers/byte-budget.ts';
import { memoryShares } from './workers/memory-shares.ts';
import { createPool, type PoolObserver } from './workers/pool.ts';
import { watch } from './workload/watch.ts';

export interface NodeOptions {
  readonly plan: Plan;
  readonly name: string;
  /** The cluster's directory: the store is in D/<name>, identities in D/identity, the control store in D/control. */
  readonly directory: string;
  readonly memoryBytes?: number;
  /** Put every checkpoint that is complete under this directory. */
  readonly watch?: {
    readonly directory: string;
    readonly quietMs: number;
    readonly bytesPerSecondMax: number;
  };
  /** How long packs may lie here that no object lists, and how often that is looked at. */
  readonly orphans?: { readonly graceMs: number; readonly intervalMs: number };
  readonly log: Logger;
}

export interface RunningNode {
  readonly address: string;
  readonly metricsAddress: string;
  close(): Promise<void>;
}

const VERSION = '0.1.0';

export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    return await compose(options, (act) => closing.push(act), close);
  } catch (error) {
    await close();
    throw error;
  }
}

function nodeOf(plan: Plan, name: string): PlanNode {
  const node = plan.nodes.find((one) => one.name === name);
  if (node !== undefined) return node;
  const names = plan.nodes.map((one) => one.name).join(', ');
  throw new KwamError('USAGE', `expected --node to be one of the plan's nodes (${names}), got ${name}`);
}

async function compose(
  options: NodeOptions,
  onClose: (act: () => Promise<unknown>) => void,
  close: () => Promise<void>,
): Promise<RunningNode> {
  const { plan, name, directory, log } = options;
  const self = nodeOf(plan, name);
  const shares = memoryShares(options.memoryBytes ?? plan.memoryBytes);
  const codecId = readCodecId();
  const metrics = createMetrics({ node: name }, { version: VERSION, codecId: toHex(codecId) });
  metrics.memoryBudgetBytes.set(shares.totalBytes);

  const warn = (message: string): void => log.warn(message);
  const identity = loadIdentity(join(directory, 'identity'), name, systemClock.now(), warn);

  const store = await Store.open({
    directory: join(directory, name),
    onDamage: (site, key) =>
      log.error({ site, key }, 'an index entry did not match its checksum; it is rebuilt'),
  });
  onClose(() => store.close());
  log.info({ recovery: summaryOf(store) }, 'store recovered');

  const control = LmdbControlStore.open({ directory: join(directory, 'control'), clock: systemClock });
  onClose(() => control.close());

  const pool = createPool(new URL('./worker.ts', import.meta.url), {
    threadCount: shares.threadCount,
    bytesInFlightMax: shares.workBytes,
    heapBytesMax: shares.workerHeapBytes,
    worker: { engine: 'auto', kernelBuild: 'release' },
    observer: poolObserver(metrics, log),
  });
  onClose(() => pool.close());

  const entriesMax = Math.floor(shares.indexBytes / 16);
  const known = new KnownChunks(new DedupIndex(loadKernels(), { entriesMax }), store);
  await known.load();

  const transport = grpcTransport({
    credentials: identity,
    observer: transportObserver(metrics),
    refused: (remote, error) => log.warn({ remote, error: error.message }, 'a client was refused'),
  });
  onClose(() => transport.close());

  let orphans: Orphans | undefined;
  const catalog = new Catalog(control, async () => orphans?.settled());
  const { graceMs, intervalMs } = options.orphans ?? ORPHANS;
  orphans = new Orphans({ store, catalog, clock: systemClock, graceMs });
  let membership: Membership | undefined;
  const peers = new Peers(name, transport, {
    members: async () => (membership === undefined ? [] : membership.members()),
  });
  onClose(() => peers.close());

  const receiver = new Receiver({
    store,
    peers,
    pool,
    budget: new ByteBudget(shares.streamBytes),
    observer: {
      corruptReceived(pack, from, records) {
        metrics.corruptionDetected.add('receive', records);
        log.error({ pack, from, records }, 'received bytes did not match their digest');
      },
      verified: (bytes, records) => countVerified(metrics, 'receive', bytes, records),
      networkSeconds: (seconds) => metrics.timeSeconds.add('network', seconds),
    },
    onCommitted: (sealed) => known.addPack(sealed),
  });
  const onRelaxed: ConstructorParameters<typeof Distributor>[0]['onRelaxed'] = (pack, domains) => {
    for (const domain of domains) metrics.placementRelaxations.add(domain);
    log.warn({ pack, domains }, 'copies share a domain because there are too few domains');
  };
  const { replicate } = plan;
  const distributor = new Distributor({ store, peers, pool, replicate, codecId, onRelaxed });
  const restore = restoreServices({ store, peers, pool, catalog, receiver, codecId }, identity, metrics, log);
  const compactServices: CompactServices = {
    ...restore,
    distributor,
    known,
    packBytesTarget: replicate.packBytesTarget,
    createIndex: () => new DedupIndex(loadKernels(), { entriesMax }),
  };
  const garbage = new GarbageTimer(compactServices, log);
  onClose(() => garbage.stop());
  let address = '';
  let metricsAddress = '';
  const ingestServices: IngestServices = {
    replicate,
    store,
    pool,
    known,
    catalog,
    distributor,
    codecId,
    producer: identity.spiffeId,
    signer: signerOf(identity),
    clock: systemClock,
  };
  const handler = createHandler({
    store,
    receiver,
    catalog,
    ingest: ingestServices,
    restore,
    scrub: {
      store,
      pool,
      clock: systemClock,
      limits: plan.scrub,
      observer: {
        verified: (bytes, records) => countVerified(metrics, 'scrub', bytes, records),
        corrupt(pack, records, problem) {
          metrics.corruptionDetected.add('scrub', records);
          noteQuarantine(metrics, store, pack);
          log.error({ pack, records, problem }, 'scrub found damage; the pack is in quarantine');
        },
      },
    },
    repair: {
      store,
      peers,
      catalog,
      replicate,
      onRelaxed,
      onRepaired(pack, bytes) {
        metrics.repairedPacks.add();
        metrics.repairedBytes.add(bytes);
        log.info({ pack, bytes }, 'redundancy restored');
      },
    },
    compact: compactServices,
    orphans,
    describe: () => ({
      name,
      spiffe: self.spiffe,
      pid: process.pid,
      state: 'up',
      labels: { ...self.labels },
      weight: self.weight,
      directory: join(directory, name),
      address,
      metricsAddress,
    }),
    onGarbage: () => garbage.expect(),
  });
  const listener = await transport.listen(self.listen, handler);
  address = listener.address;
  const readiness = (): { ready: boolean; reasons: string[] } => readinessOf(membership);
  const metricsServer = await startMetricsServer(self.metricsListen, metrics, readiness);
  metricsAddress = metricsServer.address;
  onClose(() => metricsServer.close());
  const { spiffe, labels, weight } = self;
  membership = await Membership.join(
    control,
    { name, spiffe, address, metricsAddress, labels, weight },
    systemClock,
  );
  const { leave } = { leave: () => membership?.leave() ?? Promise.resolve() };
  onClose(leave);
  const gauges = setInterval(() => updateGauges(metrics, store), GAUGES_EVERY_MS).unref();
  onClose(async () => clearInterval(gauges));
  onClose(sweepOrphans(orphans, intervalMs, log));
  if (options.watch !== undefined)
    onClose(startWatch(options.watch, ingestServices, () => garbage.expect(), log));
  log.info({ address, metricsAddress }, 'node is ready');
  return { address, metricsAddress, close };
}

const GAUGES_EVERY_MS = 1000;
/** A put of the largest object takes an hour and a half at 100 MB/s; a day leaves room for slow readers. */
const ORPHANS = { graceMs: 24 * 3_600_000, intervalMs: 3_600_000 };
const WATCH_POLL_MS = 500;

/** @returns how to stop it; the put that runs is cancelled, and done anew at the next start. */
function startWatch(
  options: NonNullable<NodeOptions['watch']>,
  services: IngestServices,
  onPut: () => void,
  log: Logger,
): () => Promise<void> {
  const stopping = new AbortController();
  const noteOf = (name: string): string => `watch-${hash('sha256', name).slice(0, 40)}`;
  const { directory, quietMs, bytesPerSecondMax } = options;
  const running = watch(
    {
      directory,
      quietMs,
      pollMs: WATCH_POLL_MS,
      clock: services.clock,
      put: (path, name, signal) =>
        ingest(services, { path, name, signal, bytesPerSecondMax, onProgress: () => undefined }),
      memory: {
        get: (name) => services.store.getNote(noteOf(name)),
        set: (name, version) => services.store.putNote(noteOf(name), version),
      },
      onPut(name, bytes) {
        log.info({ checkpoint: name, bytes }, 'checkpoint stored');
        onPut();
      },
      onFailure: (name, error) =>
        log.error({ checkpoint: name, error: String(error) }, 'checkpoint not stored; it is tried again'),
    },
    stopping.signal,
  );
  running.catch((error: unknown) => log.error({ error: String(error) }, 'watching ended'));
  return async () => {
    stopping.abort();
    await running.catch(() => undefined);
  };
}

/** @returns how to stop it. */
function sweepOrphans(orphans: Orphans, intervalMs: number, log: Logger): () => Promise<void> {
  const sweep = async (): Promise<void> => {
    try {
      const swept = await orphans.sweep();
      if (swept.packsRetired > 0) log.info(swept, 'packs that nobody lists are gone');
    } catch (error) {
      // They only take space; the next round tries again.
      log.warn({ error: String(error) }, 'packs that nobody lists could not be removed');
    }
  };
  let running = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(sweep);
  }, intervalMs).unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}

function updateGauges(metrics: Metrics, store: Store): void {
  const { packs, bytes } = store.statistics();
  metrics.storedPacks.set(packs);
  metrics.storedBytes.set(bytes);
}

function summaryOf(store: Store): object {
  const { index, incomingDropped, packsIndexed, packsMissing, packsQuarantined } = store.recovery;
  return {
    index,
    incomingDropped: incomingDropped.length,
    packsIndexed: packsIndexed.length,
    packsMissing,
    packsQuarantined,
  };
}

function readinessOf(membership: Membership | undefined): { ready: boolean; reasons: string[] } {
  if (membership === undefined) return { ready: false, reasons: ['not a member of the cluster yet'] };
  return { ready: membership.controlReachable, reasons: membership.controlProblems };
}

function countVerified(
  metrics: Metrics,
  site: 'receive' | 'read' | 'scrub',
  bytes: number,
  chunks: number,
): void {
  metrics.verifiedBytes.add(site, bytes);
  metrics.verifiedChunks.add(site, chunks);
}

function noteQuarantine(metrics: Metrics, store: Store, pack: Parameters<Store['packInfo']>[0]): void {
  metrics.quarantinedPacks.add();
  metrics.quarantinedBytes.add(store.packInfo(pack)?.bytes ?? 0);
}

function poolObserver(metrics: Metrics, log: Logger): PoolObserver {
  return {
    taskTime(_task, seconds) {
      for (const kind of ['chunk', 'hash', 'erasure', 'disk'] as const)
        metrics.timeSeconds.add(kind, seconds[kind]);
    },
    workerReplaced(reason) {
      if (reason === 'died') metrics.workerRestarts.add();
      else metrics.workerRetirements.add();
      log.error({ reason }, 'a worker was replaced');
    },
  };
}

function transportObserver(metrics: Metrics): TransportObserver {
  return {
    sent: (_peer, bytes) => metrics.transportBytes.add('out', bytes),
    received: (_peer, bytes) => metrics.transportBytes.add('in', bytes),
    waitedForCredit: (_peer, ms) => metrics.timeSeconds.add('flow_control_wait', ms / 1000),
  };
}

function restoreServices(
  access: Pick<RestoreServices, 'store' | 'peers' | 'pool' | 'catalog' | 'receiver' | 'codecId'>,
  identity: Parameters<typeof trustOf>[0],
  metrics: Metrics,
  log: Logger,
): RestoreServices {
  return {
    ...access,
    trust: trustOf(identity),
    async onOwnCorrupt(pack, bad) {
      metrics.corruptionDetected.add('read', bad.length);
      log.error(
        { pack, records: bad.length },
        'bytes read from the own store were bad; the pack is in quarantine',
      );
      if (!access.store.hasPack(pack)) return;
      await access.store.quarantine(pack, `read: ${bad.length} records did not match their digests`);
      noteQuarantine(metrics, access.store, pack);
    },
    async onOwnUnreadable(pack, error) {
      if (!access.store.hasPack(pack)) return;
      metrics.corruptionDetected.add('read');
      log.error({ pack, error: error.message }, 'a pack of the own store cannot be opened');
      // Its file is gone: there is nothing to keep as evidence.
      if (error.code === 'NOT_FOUND') return access.store.markMissing(pack);
      await access.store.quarantine(pack, `read: ${error.message}`);
      noteQuarantine(metrics, access.store, pack);
    },
    onForeignCorrupt(pack, bad) {
      metrics.corruptionDetected.add('receive', bad.length);
      log.error({ pack, records: bad.length }, 'bytes from another node were bad; another copy is used');
    },
    onVerified: (bytes, records) => countVerified(metrics, 'read', bytes, records),
  };
}

/** Compacts a moment after something became garbage, once for many. */
class GarbageTimer {
  readonly #services: CompactServices;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(services: CompactServices, log: Logger) {
    this.#services = services;
    this.#log = log;
  }

  expect(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#running.then(() => this.#compact());
    }, GARBAGE_DELAY_MS).unref();
  }

  async #compact(): Promise<void> {
    try {
      const result = await compact(this.#services);
      if (result.packsRetired > 0) this.#log.info(result, 'compacted');
    } catch (error) {
      // Nothing is lost but time: the garbage stays until the next object is removed.
      this.#log.warn({ error: String(error) }, 'compaction did not finish');
    }
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running;
  }
}

const GARBAGE_DELAY_MS = 1000;
