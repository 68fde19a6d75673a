/**
 * Nodes of one cluster inside this process: real stores in a temporary directory, real worker threads (one pool for all), the
 * real services; control store and network are the memory twins. Everything that services report is collected in `seen`.
 */
import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import type { Member } from '../../src/cluster/membership.ts';
import { Peers } from '../../src/cluster/peers.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { DedupIndex } from '../../src/dedup/dedup-index.ts';
import type { DigestHex } from '../../src/digest.ts';
import { KwamError } from '../../src/errors.ts';
import { MIB } from '../../src/limits.ts';
import type { Signer, TrustedKey } from '../../src/manifest/dsse.ts';
import { importPublicKey } from '../../src/manifest/public-key.ts';
import { type IngestServices, ingest, type PutResult } from '../../src/pipeline/ingest.ts';
import { KnownChunks } from '../../src/pipeline/known-chunks.ts';
import { type RestoreResult, type RestoreServices, restore } from '../../src/pipeline/restore.ts';
import type { ChunkerSizes, ErasureScheme, Plan } from '../../src/plan.ts';
import type { RebuildServices, RebuildWay } from '../../src/repair/rebuild-shard.ts';
import { Catalog } from '../../src/replication/catalog.ts';
import { Distributor } from '../../src/replication/distribute.ts';
import { servePull } from '../../src/replication/pack-source.ts';
import { verifyPack } from '../../src/replication/pack-tasks.ts';
import { PartialSums } from '../../src/replication/partial-sum.ts';
import {
  PACK_HAVE,
  PACK_RECEIVE,
  PACK_SUSPECT,
  PACK_VERIFY,
  parsePacks,
  parsePull,
  parseReceive,
} from '../../src/replication/protocol.ts';
import { Receiver } from '../../src/replication/receiver.ts';
import { Store } from '../../src/store/store.ts';
import { type MemoryFaults, type MemoryNetwork, memoryNetwork } from '../../src/transport/memory.ts';
import type { Handler, JsonValue, PeerId, Transport } from '../../src/transport/transport.ts';
import { loadKernels, readCodecId } from '../../src/wasm/load.ts';
import { ByteBudget } from '../../src/workers/byte-budget.ts';
import { createPool, type WorkerOptions, type WorkerPool } from '../../src/workers/pool.ts';

export const WORKER_ENTRY = new URL('../../src/worker.ts', import.meta.url);
export const SIZES: ChunkerSizes = {
  chunkBytesMin: 16 * 1024,
  chunkBytesTarget: 64 * 1024,
  chunkBytesMax: 256 * 1024,
};

export interface ClusterOptions {
  readonly nodes?: number;
  readonly factor?: number;
  readonly erasure?: ErasureScheme;
  readonly packBytesTarget?: number;
  readonly threads?: number;
  readonly heapBytes?: number;
  readonly worker?: Partial<WorkerOptions>;
  readonly faults?: MemoryFaults;
  /** In memory unless given; whoever gives it closes it. */
  readonly control?: ControlStore;
  /** Where the nodes' directories are made; a temporary directory unless given. */
  readonly directory?: string;
}

/** What the services of one node reported. */
export interface Seen {
  corruptReceived: number;
  suspected: DigestHex[];
  ownCorrupt: DigestHex[];
  foreignCorrupt: DigestHex[];
  /** Bytes that arrived from other nodes in pulls and calls, and that left to them. */
  bytesIn: number;
  bytesOut: number;
  /** How shards were rebuilt here. */
  rebuilt: RebuildWay[];
}

export interface TestNode {
  readonly name: string;
  readonly address: string;
  readonly store: Store;
  readonly peers: Peers;
  readonly receiver: Receiver;
  readonly services: IngestServices;
  readonly restore: RestoreServices;
  readonly rebuild: RebuildServices;
  readonly seen: Seen;
  put(path: string, name: string, signal?: AbortSignal): Promise<PutResult>;
  get(name: string, destination?: string): Promise<RestoreResult>;
}

export interface Cluster {
  readonly directory: string;
  readonly pool: WorkerPool;
  readonly catalog: Catalog;
  readonly network: MemoryNetwork;
  readonly nodes: readonly TestNode[];
  /** Why workers were replaced. */
  readonly replaced: string[];
  /** The node answers nobody any more; the others know it as down. */
  kill(index: number): void;
  /** What the others know of it: that it is not up, though it runs; that it is being drained. */
  know(index: number, what: Partial<Member>): void;
  close(): Promise<void>;
}

/** A cell that makes as many workers crash, or fail their self-test, as it holds. */
export function faultCell(count: number): SharedArrayBuffer {
  const cell = new SharedArrayBuffer(4);
  new Int32Array(cell)[0] = count;
  return cell;
}

export function testPool(
  options: Pick<ClusterOptions, 'threads' | 'worker' | 'heapBytes'> = {},
  replaced: string[] = [],
): WorkerPool {
  return createPool(WORKER_ENTRY, {
    threadCount: options.threads ?? 2,
    bytesInFlightMax: 64 * MIB,
    heapBytesMax: options.heapBytes ?? 64 * MIB,
    worker: { engine: 'native', kernelBuild: 'release', ...options.worker },
    observer: { taskDone: () => undefined, workerReplaced: (reason) => replaced.push(reason) },
  });
}

/** The same pool, with something happening before or after each task on this side. */
export function meddling(
  pool: WorkerPool,
  acts: { readonly before?: (task: string) => void; readonly after?: (task: string) => void },
): WorkerPool {
  return {
    threadCount: pool.threadCount,
    close: () => pool.close(),
    async run(task, input, options) {
      acts.before?.(task.name);
      const result = await pool.run(task, input, options);
      acts.after?.(task.name);
      return result;
    },
  };
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'kwam-cluster-'));
  const replaced: string[] = [];
  const pool = testPool(options, replaced);
  const network = memoryNetwork(options.faults);
  const catalog = new Catalog(options.control ?? new MemoryControlStore({ clock: systemClock }));
  const { signer, publicKey } = await createSigner();
  const members: Member[] = [];
  const nodes: TestNode[] = [];
  const transports: Transport[] = [];
  for (let index = 0; index < (options.nodes ?? 1); index++) {
    const shared = { directory, pool, network, catalog, members, signer, publicKey, transports };
    nodes.push(await startNode(index, options, shared));
  }
  return {
    directory,
    pool,
    catalog,
    network,
    nodes,
    replaced,
    kill(index) {
      network.kill(nodes[index]!.address);
      members[index] = { ...members[index]!, state: 'down' };
    },
    know(index, what) {
      members[index] = { ...members[index]!, ...what };
    },
    async close() {
      for (const node of nodes) await node.peers.close();
      for (const transport of transports) await transport.close();
      await pool.close();
      for (const node of nodes) await node.store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** As an identity signs: part after part, without a copy of the whole. */
async function createSigner(): Promise<{ readonly signer: Signer; readonly publicKey: CryptoKey }> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const sign: Signer['sign'] = async (parts) => {
    const signing = createSign('sha256');
    for (const part of parts) signing.update(part);
    return signing.sign({ key: pair.privateKey, dsaEncoding: 'ieee-p1363' });
  };
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
  return { signer: { keyid: 'test', sign }, publicKey: await importPublicKey(spki) };
}

interface Shared {
  readonly directory: string;
  readonly pool: WorkerPool;
  readonly network: MemoryNetwork;
  readonly catalog: Catalog;
  readonly members: Member[];
  readonly signer: IngestServices['signer'];
  readonly publicKey: CryptoKey;
  readonly transports: Transport[];
}

function replicateOf(options: ClusterOptions): Plan['replicate'] {
  return {
    factor: options.factor ?? 1,
    antiAffinity: ['rack'],
    repair: { delayMs: 0, lazy: false },
    chunker: SIZES,
    packBytesTarget: options.packBytesTarget ?? 4 * MIB,
    ...(options.erasure === undefined ? {} : { erasure: options.erasure }),
  };
}

async function startNode(index: number, options: ClusterOptions, shared: Shared): Promise<TestNode> {
  const { pool, catalog, members } = shared;
  const name = `n${index}`;
  const spiffe = `spiffe://kwam.test/node/${name}`;
  const seen: Seen = {
    corruptReceived: 0,
    suspected: [],
    ownCorrupt: [],
    foreignCorrupt: [],
    bytesIn: 0,
    bytesOut: 0,
    rebuilt: [],
  };
  const store = await Store.open({ directory: join(shared.directory, name) });
  const transport = shared.network.transport(spiffe as PeerId, {
    sent: (_peer, bytes) => {
      seen.bytesOut += bytes;
    },
    waitedForCredit: () => undefined,
    received: (_peer, bytes) => {
      seen.bytesIn += bytes;
    },
  });
  shared.transports.push(transport);
  const peers = new Peers(name, transport, { members: async () => members });
  const known = new KnownChunks(new DedupIndex(loadKernels(), { entriesMax: 1_000_000 }), store);
  const setAside = async (pack: DigestHex, reason: string): Promise<void> => {
    seen.ownCorrupt.push(pack);
    if (store.hasPack(pack)) await store.quarantine(pack, reason);
  };
  const budget = new ByteBudget(64 * MIB);
  const receiver = new Receiver({
    store,
    peers,
    pool,
    budget,
    observer: {
      corruptReceived: (_pack, _from, records) => {
        seen.corruptReceived += records;
      },
      verified: () => undefined,
      timeSpent: () => undefined,
    },
    onCommitted: (sealed) => known.addPack(sealed),
  });
  const replicate = replicateOf(options);
  const codecId = readCodecId();
  const distributor = new Distributor({
    store,
    peers,
    pool,
    replicate,
    codecId,
    onRelaxed: () => undefined,
  });
  const sums = new PartialSums({
    store,
    peers,
    pool,
    budget,
    onOwnBad: (shard) => setAside(shard, 'partial sum'),
    onVerified: () => undefined,
  });
  const listener = await transport.listen('127.0.0.1:0', handlerOf(store, receiver, sums, pool, seen));
  const rack = `rack${index}`;
  members.push({
    name,
    spiffe,
    address: listener.address,
    metricsAddress: '127.0.0.1:1',
    labels: { rack, pdu: rack, spine: 's', az: 'a' },
    weight: 1,
    pid: process.pid,
    state: 'up',
  } as Member);
  const services: IngestServices = {
    replicate,
    store,
    pool,
    known,
    catalog,
    distributor,
    codecId,
    producer: spiffe,
    signer: shared.signer,
    clock: systemClock,
    onLooked: () => undefined,
  };
  const trusted: TrustedKey = { key: shared.publicKey };
  const restoreServices: RestoreServices = {
    store,
    peers,
    pool,
    catalog,
    receiver,
    clock: systemClock,
    trust: async () => [trusted],
    onOwnCorrupt: (pack) => setAside(pack, 'read'),
    onOwnUnreadable: async (pack, error) => {
      if (error.code === 'NOT_FOUND') store.markMissing(pack);
      else await setAside(pack, error.message);
    },
    onForeignCorrupt: (pack) => {
      seen.foreignCorrupt.push(pack);
    },
    onForeignUnreadable: (pack) => {
      seen.foreignCorrupt.push(pack);
    },
    onVerified: () => undefined,
  };
  const rebuild: RebuildServices = {
    ...restoreServices,
    sums,
    onRebuilt: (_shard, way) => seen.rebuilt.push(way),
  };
  const quiet = { onProgress: () => undefined };
  return {
    name,
    address: listener.address,
    store,
    peers,
    receiver,
    services,
    restore: restoreServices,
    rebuild,
    seen,
    put: (path, object, signal) =>
      ingest(services, { path, name: object, ...quiet, ...(signal === undefined ? {} : { signal }) }),
    get: (object, destination) =>
      restore(restoreServices, {
        name: object,
        ...quiet,
        ...(destination === undefined ? {} : { destination }),
      }),
  };
}

/** What the data plane asks of other nodes; as in src/service.ts, without the calls of people. */
function handlerOf(
  store: Store,
  receiver: Receiver,
  sums: PartialSums,
  pool: WorkerPool,
  seen: Seen,
): Handler {
  return {
    async *call(method, request, context): AsyncGenerator<JsonValue> {
      if (method === PACK_RECEIVE) {
        const { pack, from } = parseReceive(request);
        yield { bytes: await receiver.receive(pack, from, context.signal) };
      } else if (method === PACK_HAVE)
        yield { have: parsePacks(request).filter((pack) => store.hasPack(pack)) };
      else if (method === PACK_SUSPECT) {
        seen.suspected.push(...parsePacks(request));
        yield {};
      } else if (method === PACK_VERIFY) {
        yield { isGood: await areGood(store, pool, parsePacks(request)) };
      } else throw new KwamError('PROTOCOL', `no method ${method}`);
    },
    pull(request, { signal }) {
      const pull = parsePull(request);
      return pull.what === 'partial' ? sums.serve(pull, signal) : servePull(store, pull);
    },
  };
}

async function areGood(store: Store, pool: WorkerPool, packs: readonly DigestHex[]): Promise<boolean> {
  for (const id of packs) {
    if (!store.hasPack(id)) return false;
    if (!(await pool.run(verifyPack, { path: store.packFile(id), id })).ok) return false;
  }
  return true;
}
