/**
 * The data plane of one node: its parts connected, its calls served, its name taken in the cluster, its chores started.
 * In: what the node owns (store, workers, identity) and the world it lives in (transport, control store, clock, chance). Out: a node
 * that others can reach; each thing that was started says through `onClose` how it is stopped, in the order of starting.
 * node.ts gives it the real world, the simulator of test/simulation a made-up one: this is where both are the same program.
 */
import {
  GarbageTimer,
  guardStorage,
  keepGauges,
  keepWitness,
  type RedundancyTimes,
  recodeRegularly,
  scrubRegularly,
  sweepOrphans,
  tendRedundancy,
} from './background.ts';
import type { Clock } from './clock.ts';
import type { Access } from './cluster/access.ts';
import { Membership, type MembershipOptions } from './cluster/membership.ts';
import type { OwnFiles } from './cluster/own-files.ts';
import { Peers } from './cluster/peers.ts';
import type { ControlStore } from './control/control-store.ts';
import type { DedupIndex } from './dedup/dedup-index.ts';
import type { Digest } from './digest.ts';
import { KwamError } from './errors.ts';
import { OutageRecord } from './health/outage-record.ts';
import { StorageRecord } from './health/storage-record.ts';
import { HealthWatch } from './health/watch.ts';
import { drainLookMs } from './limits.ts';
import type { Signer, TrustFunction } from './manifest/dsse.ts';
import {
  type Observing,
  observeAccess,
  observeIngest,
  observeLineage,
  observePlacement,
  observeRebuild,
  observeReceiver,
  observeRecode,
  observeRecords,
  observeRepair,
  observeRounds,
  observeScrub,
  observeStorage,
} from './observers.ts';
import type { KnownChunks } from './pipeline/known-chunks.ts';
import type { Plan, PlanNode } from './plan.ts';
import type { Random } from './random.ts';
import { Orchestrator, patienceOf } from './repair/orchestrator.ts';
import { Orphans } from './repair/orphans.ts';
import type { RecodeServices } from './repair/recode.ts';
import type { Patience } from './repair/reconstruction.ts';
import { ScrubRounds } from './repair/scrub-rounds.ts';
import { StorageGuard } from './repair/storage-guard.ts';
import { Catalog } from './replication/catalog.ts';
import { Distributor } from './replication/distribute.ts';
import { Lineage } from './replication/lineage.ts';
import { PartialSums } from './replication/partial-sum.ts';
import { Receiver } from './replication/receiver.ts';
import type { ConsentDesk } from './rollout/consent-desk.ts';
import { createHandler, type ServiceParts } from './service.ts';
import type { Store } from './store/store.ts';
import type { ProbeAnswer } from './transport/probe.ts';
import type { Transport } from './transport/transport.ts';
import { ByteBudget } from './workers/byte-budget.ts';
import { Demand } from './workers/demand.ts';
import type { WorkerPool } from './workers/pool.ts';

export interface DataPlaneOptions extends Observing {
  readonly plan: Pick<Plan, 'replicate' | 'scrub' | 'guard' | 'nodes'>;
  readonly self: PlanNode;
  readonly metricsAddress: string;
  readonly codecId: Digest;
  readonly store: Store;
  readonly pool: WorkerPool;
  readonly known: KnownChunks;
  readonly createIndex: () => DedupIndex;
  /** What transfers from other nodes may hold in memory. */
  readonly streamBytes: number;
  readonly access: Access;
  readonly consent: ConsentDesk;
  readonly ownFiles: OwnFiles;
  readonly trust: TrustFunction;
  /** Asked once a manifest. */
  readonly signer: () => Signer;
  readonly transport: Transport;
  readonly control: ControlStore;
  readonly probe: (address: string) => Promise<ProbeAnswer>;
  readonly clock: Clock;
  readonly random: Random;
  /** What `node.status` says of where it keeps things. */
  readonly place: { readonly directory: string; readonly control: string };
  /** How long packs may lie here that no object lists, and how often that is looked at. */
  readonly orphans?: { readonly graceMs: number; readonly intervalMs: number };
  /** Other times for looking after redundancy and for waiting. */
  readonly redundancy?: RedundancyTimes & { readonly patience?: Partial<Patience> };
  readonly membership?: MembershipOptions;
  /** How often the own storage is judged; for tests. */
  readonly storageLookMs?: number;
}

export type OnClose = (act: () => Promise<unknown>) => void;

export interface DataPlane {
  readonly address: string;
  readonly parts: ServiceParts;
  readonly membership: Membership;
}

/** A day: longer than any put lasts that does not hang (ORPHANS.graceMs of repair/orphans.ts says why). */
const ORPHANS = { graceMs: 24 * 3_600_000, intervalMs: 3_600_000 };

export async function runDataPlane(options: DataPlaneOptions, onClose: OnClose): Promise<DataPlane> {
  const { self, control, transport, clock, random, metrics, log, metricsAddress } = options;
  // Whoever calls before this node has joined waits: a node that knows nobody yet must not say that nobody has a pack.
  const joining = Promise.withResolvers<Membership>();
  joining.promise.catch(() => undefined); // whoever starts the node gets the error
  const directory = { members: async () => (await joining.promise).members() };
  const peers = new Peers(self.name, transport, directory, clock);
  onClose(() => peers.close());

  const addresses = { address: '', metricsAddress };
  const { parts, garbage, recoding } = assemble(options, peers, addresses);
  onClose(() => garbage.stop());

  await witnessFirst(options, parts.lineage);
  onClose(keepWitness(parts.lineage, clock, log));
  const { address } = await transport.listen(self.listen, createHandler(parts));
  addresses.address = address;
  const { name, spiffe, labels, weight } = self;
  const record = { name, spiffe, labels, weight, ...addresses };
  joining.resolve(Membership.join(control, record, clock, options.membership));
  const membership = await joining.promise;
  onClose(() => membership.leave());

  onClose(keepGauges(metrics, parts, log));
  onClose(tendRedundancy(parts, metrics, options.redundancy ?? {}, log));
  onClose(guardStorage(parts.guard, clock, options.storageLookMs ?? drainLookMs, log));
  onClose(recodeRegularly(recoding, options.redundancy ?? {}, log));
  onClose(scrubRegularly(parts.scrub, random, log));
  onClose(sweepOrphans(parts.orphans, (options.orphans ?? ORPHANS).intervalMs, clock, log));
  return { address, parts, membership };
}

/**
 * Before anybody can bring packs: a node without any takes the catalog that it finds. Where there are packs there is a note too, if an
 * older one: a disk that takes no more must not keep it from serving them.
 */
async function witnessFirst({ store, log }: DataPlaneOptions, lineage: Lineage): Promise<void> {
  try {
    await lineage.witness();
  } catch (error) {
    const isOfDisk = error instanceof KwamError && (error.code === 'DISK_FULL' || error.code === 'IO');
    if (!isOfDisk || store.presence().packs === 0) throw error;
    log.warn({ error: String(error) }, 'the catalog got no new witness of this node; it is tried again');
  }
}

/** Connects the parts: who replicates through whom, who reports to whom. */
function assemble(
  options: DataPlaneOptions,
  peers: Peers,
  addresses: { readonly address: string; readonly metricsAddress: string },
): { readonly parts: ServiceParts; readonly garbage: GarbageTimer; readonly recoding: RecodeServices } {
  const { plan, self, store, pool, known, codecId, clock, log } = options;
  const { replicate } = plan;
  const onRelaxed = observePlacement(options);
  const distributor = new Distributor({ store, peers, pool, replicate, codecId, onRelaxed });
  let orphans: Orphans | undefined;
  const { control, random } = options;
  const catalog = new Catalog(control, async () => orphans?.settled());
  const lineage = new Lineage({ control, store, random, node: self.name, onJudged: observeLineage(options) });
  orphans = new Orphans({
    store,
    catalog,
    lineage,
    clock,
    graceMs: (options.orphans ?? ORPHANS).graceMs,
    isMoving: (pack) => distributor.isMoving(pack),
  });
  const budget = new ByteBudget(options.streamBytes);
  const receiver = new Receiver({
    store,
    peers,
    pool,
    budget,
    observer: observeReceiver(options),
    onCommitted: (sealed) => known.addPack(sealed),
  });
  const unnoted = observeRecords(options);
  const storage = new StorageRecord(store, clock, unnoted);
  const mending = observeAccess(options, store, 'repair', storage);
  const sums = new PartialSums({
    store,
    peers,
    pool,
    budget,
    onOwnBad: mending.onOwnUnreadable,
    onVerified: (bytes, records) => mending.onVerified(bytes, records, true),
  });
  const watch = new HealthWatch({ clock, members: () => peers.members(), probe: options.probe });
  const { antiAffinity } = replicate;
  const patience = { ...patienceOf(plan), ...options.redundancy?.patience };
  const orchestrator = new Orchestrator({ watch, clock, antiAffinity, patience });
  const guard = new StorageGuard({
    control,
    peers,
    record: storage,
    plan,
    clock,
    onChanged: observeStorage(options),
  });
  const access = { store, peers, pool, catalog, receiver, codecId };
  const restore = {
    ...access,
    clock,
    trust: options.trust,
    ...observeAccess(options, store, 'read', storage),
  };
  const { packBytesTarget } = replicate;
  const { createIndex } = options;
  const compact = { ...restore, lineage, control, distributor, known, packBytesTarget, createIndex };
  const garbage = new GarbageTimer(compact, clock, log);
  const demand = new Demand(clock);
  const parts: ServiceParts = {
    access: options.access,
    consent: options.consent,
    ownFiles: options.ownFiles,
    exposition: () => options.metrics.registry.metrics(),
    store,
    receiver,
    sums,
    catalog,
    lineage,
    orphans,
    restore,
    compact,
    recover: { ...compact, nodes: plan.nodes.map((node) => node.name), copies: replicate.factor },
    ingest: {
      replicate,
      store,
      pool,
      known,
      catalog,
      distributor,
      codecId,
      producer: self.spiffe,
      get signer() {
        return options.signer();
      },
      clock,
      onLooked: observeIngest(options),
    },
    scrub: {
      store,
      pool,
      clock,
      limits: plan.scrub,
      observer: observeScrub(options, store, storage),
      rounds: new ScrubRounds(store, clock, observeRounds(options)),
      demand,
    },
    demand,
    repair: { store, peers, catalog, replicate, clock, onRelaxed, onRepaired: observeRepair(options) },
    surplus: {
      store,
      peers,
      catalog,
      lineage,
      orphans,
      antiAffinity,
      isMoving: (pack) => distributor.isMoving(pack),
      clock,
      bytesPerSecondMax: plan.scrub.bytesPerSecondMax,
    },
    watch,
    outages: new OutageRecord(store, clock, unnoted),
    orchestrator,
    rebuild: {
      ...access,
      ...mending,
      sums,
      onRebuilt: observeRebuild(options),
    },
    guard,
    control,
    describe: () => ({
      name: self.name,
      spiffe: self.spiffe,
      pid: process.pid,
      state: 'up',
      labels: { ...self.labels },
      weight: self.weight,
      ...options.place,
      catalogDoubt: lineage.doubt ?? null,
      storage: { ...guard.state },
      ...addresses,
    }),
    onRead: (seconds) => options.metrics.timeSeconds.add('disk', seconds),
    onGarbage: () => garbage.expect(),
  };
  const { bytesPerSecondMax } = plan.scrub;
  const recoding = {
    ...access,
    ...mending,
    known,
    lineage,
    distributor,
    replicate,
    clock,
    bytesPerSecondMax,
    ...observeRecode(options),
  };
  return { parts, garbage, recoding };
}
