/**
 * The composition root: builds one node from a Plan and its place in it.
 * In: the plan, the node's name, the cluster's directory. Out: a running node — store recovered, workers tested, transport
 * listening, member of the cluster — and how to stop it. What it owns and what meets the outside world is made here; what is made of
 * that is in data-plane.ts. Starts nothing before the store has recovered and a worker has passed its self-tests.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import packageJson from '../package.json' with { type: 'json' };
import { AuditLog } from './audit/audit-log.ts';
import { anchorAudit, keepAudit, type WatchRequest, watchCheckpoints } from './background.ts';
import { systemClock } from './clock.ts';
import { Access } from './cluster/access.ts';
import { noteGap } from './cluster/audit-anchor.ts';
import type { Membership } from './cluster/membership.ts';
import type { OwnFiles } from './cluster/own-files.ts';
import { type OpenedControl, openControl } from './control/open-control.ts';
import { type DataPlaneOptions, type OnClose, runDataPlane } from './data-plane.ts';
import { DedupIndex } from './dedup/dedup-index.ts';
import { toHex } from './digest.ts';
import { KwamError } from './errors.ts';
import { compileGrants, type Grant } from './identity/grants.ts';
import { loadIdentity, loadRetired } from './identity/identity-files.ts';
import type { IdentitySource, IdentityWatcher } from './identity/identity-source.ts';
import { signerOf, trustOf } from './identity/manifest-trust.ts';
import { pollIdentity } from './identity/polled-identity.ts';
import type { RegistryOptions } from './images/registry.ts';
import { identityPollMs } from './limits.ts';
import { createMetrics } from './metrics.ts';
import { startMetricsServer } from './metrics-server.ts';
import {
  type Observing,
  observePool,
  observeQuarantine,
  observeTransport,
  rememberSilent,
} from './observers.ts';
import { KnownChunks } from './pipeline/known-chunks.ts';
import type { Plan, PlanNode } from './plan.ts';
import { systemRandom } from './random.ts';
import { ConsentDesk } from './rollout/consent-desk.ts';
import { openImagesIn } from './rollout/image-place.ts';
import { openKeysIn } from './rollout/public-keys.ts';
import { usedTokensIn } from './rollout/used-tokens.ts';
import { Store } from './store/store.ts';
import { grpcTransport } from './transport/grpc.ts';
import { probe } from './transport/probe.ts';
import { loadKernels, readCodecId } from './wasm/load.ts';
import { type MemoryShares, memoryShares } from './workers/memory-shares.ts';
import { createPool, type WorkerPool } from './workers/pool.ts';
import { warmUp } from './workers/task.ts';

export interface NodeOptions {
  readonly plan: Plan;
  readonly name: string;
  /** The cluster's directory: the store is in D/<name>, identities in D/identity, the control store in D/control. */
  readonly directory: string;
  /** Where the control store is, if not in D/control (control/open-control.ts). */
  readonly control?: string;
  /** What the paths of public keys in the plan are relative to; left out, D/trust. */
  readonly keysBase?: string;
  /** How the registries of images are asked. */
  readonly registry?: RegistryOptions;
  /** Where the SVID comes from, if not from D/identity/<name>.pem and .key. */
  readonly identity?: OpenIdentity;
  readonly memoryBytes?: number;
  /** Put every checkpoint that is complete under this directory. */
  readonly watch?: WatchRequest;
  readonly orphans?: NonNullable<DataPlaneOptions['orphans']>;
  /** For tests. */
  readonly redundancy?: NonNullable<DataPlaneOptions['redundancy']>;
  readonly storageLookMs?: number;
  readonly log: Logger;
}

export type OpenIdentity = (watcher: IdentityWatcher) => Promise<IdentitySource>;

export interface RunningNode {
  readonly address: string;
  readonly metricsAddress: string;
  close(): Promise<void>;
}

export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    const parts = await open(options, (act) => closing.push(act));
    return { ...(await serve(options, parts, (act) => closing.push(act))), close };
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

/** What a node owns before anyone can reach it. */
interface Owned extends Observing {
  readonly self: PlanNode;
  readonly identity: IdentitySource;
  readonly shares: MemoryShares;
  readonly codecId: ReturnType<typeof readCodecId>;
  readonly store: Store;
  readonly control: OpenedControl;
  readonly grants: readonly Grant[];
  readonly audit: AuditLog;
  readonly pool: WorkerPool;
  readonly known: KnownChunks;
  readonly createIndex: () => DedupIndex;
}

/** A host on the same network that does not even refuse within it is not up. */
const PROBE_MS = 1000;
/** 16 bytes are what an entry of the dedup index takes at most. */
const INDEX_ENTRY_BYTES_MAX = 16;

async function open(options: NodeOptions, onClose: OnClose): Promise<Owned> {
  const { plan, name, directory, log } = options;
  const self = nodeOf(plan, name);
  const grants = grantsOf(plan);
  const shares = memoryShares(options.memoryBytes ?? plan.memoryBytes);
  const codecId = readCodecId();
  const metrics = createMetrics({ node: name }, { version: packageJson.version, codecId: toHex(codecId) });
  metrics.memoryBudgetBytes.set(shares.totalBytes);
  const identity = await openIdentity(options, self);
  onClose(() => identity.close());

  const store = await Store.open({
    directory: join(directory, name),
    onDamage: (site, key) =>
      log.error({ site, key }, 'an index entry did not match its checksum; it is rebuilt'),
    onQuarantined: observeQuarantine({ metrics, log }),
  });
  onClose(() => store.close());
  rememberSilent({ metrics, log }, store);
  log.info({ recovery: summaryOf(store) }, 'store recovered');

  const control = await openControl({
    directory: join(directory, 'control'),
    url: options.control,
    clock: systemClock,
  });
  onClose(() => control.store.close());
  log.info({ control: control.name }, 'control store chosen');

  const audit = openAudit(options);
  onClose(keepAudit(audit, log));

  const pool = createPool(workerEntry(), {
    threadCount: shares.threadCount,
    bytesInFlightMax: shares.workBytes,
    heapBytesMax: shares.workerHeapBytes,
    worker: { engine: 'auto', kernelBuild: 'release' },
    observer: observePool({ metrics, log }),
  });
  onClose(() => pool.close());
  await Promise.all(Array.from({ length: pool.threadCount }, () => pool.run(warmUp, null)));

  const indexOf = (bytes: number): DedupIndex =>
    new DedupIndex(loadKernels(), { entriesMax: Math.max(1, Math.floor(bytes / INDEX_ENTRY_BYTES_MAX)) });
  const createIndex = (): DedupIndex => indexOf(shares.indexBytes);
  const cacheBytes = Math.min(shares.indexBytes, plan.profile?.cacheBytes ?? shares.indexBytes);
  const onFull = (entries: number): void =>
    log.warn({ entries, cacheBytes }, 'the dedup index is full: chunks it does not know are stored again');
  const known = new KnownChunks(indexOf(cacheBytes), store, onFull);
  await known.load();
  return {
    self,
    grants,
    identity,
    shares,
    codecId,
    store,
    control,
    audit,
    pool,
    known,
    createIndex,
    metrics,
    log,
  };
}

/** The first record of this process says what the node runs from. */
function openAudit({ plan, name, directory }: NodeOptions): AuditLog {
  const audit = AuditLog.open({ directory: join(directory, name, 'audit'), clock: systemClock });
  audit.append({ kind: 'start', node: name, program: plan.program.digest, pid: process.pid });
  return audit;
}

function grantsOf({ policy }: Plan): readonly Grant[] {
  if (policy !== undefined) return compileGrants(policy.grants);
  throw new KwamError(
    'REFUSED',
    'expected a program with a `policy`, got one without: nobody may do anything then; add one with grants for nodes and people',
  );
}

/** The cluster's directory has other people's files beside these. */
function ownFiles({ plan, directory }: NodeOptions): OwnFiles {
  const names = ['identity', 'trust', 'images', 'control', ...plan.nodes.map((node) => node.name)];
  return names.map((name) => join(directory, name));
}

function consentDesk(
  { plan, name, directory, log, registry = {}, keysBase = join(directory, 'trust') }: NodeOptions,
  { identity, control, audit }: Owned,
): ConsentDesk {
  const used = usedTokensIn(join(directory, name, 'redeemed'));
  const ledger = { control: control.store, clock: systemClock, random: systemRandom, used };
  const warn = (message: string): void => log.warn(message);
  const openKey = openKeysIn(keysBase, { environment: process.env, warn });
  const openImage = openImagesIn(join(directory, 'images'), registry);
  return new ConsentDesk({ plan, self: identity.current.spiffeId, ledger, openKey, openImage, audit });
}

/** @throws KwamError SVID_INVALID  the SVID of somebody else than the plan's node: its peers would refuse it later. */
async function openIdentity(
  { directory, name, log, identity }: NodeOptions,
  { spiffe }: PlanNode,
): Promise<IdentitySource> {
  const place = join(directory, 'identity');
  const warn = (message: string): void => log.warn(message);
  const open: OpenIdentity =
    identity ??
    ((watcher) =>
      pollIdentity({
        origin: place,
        load: () => loadIdentity(place, name, systemClock.now(), warn),
        everyMs: identityPollMs,
        clock: systemClock,
        watcher,
      }));
  const source = await open({
    renewed: ({ expiresAtMs }) =>
      log.info({ expiresAt: new Date(expiresAtMs).toISOString() }, 'SVID renewed'),
    failed: (error) =>
      log.warn({ error: error.message }, 'the SVID could not be renewed; the last one stays'),
  });
  const { spiffeId, expiresAtMs } = source.current;
  log.info(
    { spiffeId, origin: source.origin, expiresAt: new Date(expiresAtMs).toISOString() },
    'SVID loaded',
  );
  if (spiffeId === spiffe) return source;
  await source.close();
  throw new KwamError(
    'SVID_INVALID',
    `identity: expected an SVID of ${spiffe}, which the plan names ${name}, got one of ${spiffeId} from ${source.origin}; issue or register that one`,
    { context: { rule: 'node-id', expected: spiffe, actual: spiffeId } },
  );
}

/** TypeScript in a clone, JavaScript in the package: tsc rewrites imports, not URLs. */
function workerEntry(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
}

async function serve(
  options: NodeOptions,
  owned: Owned,
  onClose: OnClose,
): Promise<Pick<RunningNode, 'address' | 'metricsAddress'>> {
  const { plan, name, directory, log } = options;
  const { self, control, audit, identity, metrics, shares } = owned;
  const refused = (remote: string, error: Error): void =>
    log.warn({ remote, error: error.message }, 'a client was refused');
  const transport = grpcTransport({ credentials: identity, observer: observeTransport(owned), refused });
  onClose(() => transport.close());
  const retired = () => loadRetired(join(directory, 'identity'));
  // Read when a manifest needs it; now only to refuse an archive that could not be read then.
  retired();
  let membership: Membership | undefined;
  const access = new Access({ grants: owned.grants, audit });
  const server = await startMetricsServer({
    address: self.metricsListen,
    metrics,
    readiness: () => readinessOf(membership),
    door: { credentials: identity, clock: systemClock, refused },
    admit: (asker) => access.admitMetrics(asker),
  });
  onClose(() => server.close());
  const metricsAddress = server.address;
  const dataPlane = await runDataPlane(
    {
      ...owned,
      plan,
      control: control.store,
      transport,
      metricsAddress,
      access,
      consent: consentDesk(options, owned),
      ownFiles: ownFiles(options),
      trust: trustOf(identity, retired),
      // One SVID a manifest: its key and its certificates must be of the same pair.
      signer: () => signerOf(identity.current),
      probe: (address) => probe(address, PROBE_MS),
      streamBytes: shares.streamBytes,
      clock: systemClock,
      random: systemRandom,
      place: { directory: join(directory, name), control: control.name },
      ...(options.orphans && { orphans: options.orphans }),
      ...(options.redundancy && { redundancy: options.redundancy }),
      ...(options.storageLookMs && { storageLookMs: options.storageLookMs }),
    },
    onClose,
  );
  membership = dataPlane.membership;
  if (await noteGap(control.store, name, audit)) {
    log.error(
      'the audit log is not what it was: records are missing at its end, or others are in their place',
    );
  }
  onClose(anchorAudit(audit, control.store, name, log));
  if (options.watch !== undefined) {
    onClose(watchCheckpoints(options.watch, dataPlane.parts.ingest, dataPlane.parts.onGarbage, log));
  }
  const addresses = { address: dataPlane.address, metricsAddress };
  log.info(addresses, 'node is ready');
  return addresses;
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
