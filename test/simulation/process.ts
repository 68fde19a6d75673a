/**
 * One life of a simulated node: the product's data plane over the machine's disk, the made-up network and the virtual clock.
 * In: the machine it runs on and the world around it. Out: a running process, which stops in good order, or is dead from one moment
 * to the next: then its clock wakes nobody, its disk refuses, its tasks never end and its connections are gone.
 */
import type { Logger } from 'pino';
import { Access } from '../../src/cluster/access.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { type DataPlane, runDataPlane } from '../../src/data-plane.ts';
import { DedupIndex } from '../../src/dedup/dedup-index.ts';
import type { DigestHex } from '../../src/digest.ts';
import { KwamError } from '../../src/errors.ts';
import type { FileSystem } from '../../src/filesystem.ts';
import { nativeEngine } from '../../src/hashing/native-engine.ts';
import { portableEngine } from '../../src/hashing/portable-engine.ts';
import { wasmEngine } from '../../src/hashing/wasm-engine.ts';
import { compileGrants } from '../../src/identity/grants.ts';
import { MIB } from '../../src/limits.ts';
import type { Signer, TrustedKey } from '../../src/manifest/dsse.ts';
import { createMetrics } from '../../src/metrics.ts';
import { observePool, observeQuarantine, observeTransport } from '../../src/observers.ts';
import { KnownChunks } from '../../src/pipeline/known-chunks.ts';
import type { Plan, PlanNode } from '../../src/plan.ts';
import type { Random } from '../../src/random.ts';
import { parsePull } from '../../src/replication/protocol.ts';
import { ConsentDesk } from '../../src/rollout/consent-desk.ts';
import { Store } from '../../src/store/store.ts';
import type { MemoryNetwork } from '../../src/transport/memory.ts';
import type { ProbeAnswer } from '../../src/transport/probe.ts';
import type { Handler, PeerId, Transport } from '../../src/transport/transport.ts';
import { instantiateKernels, type Kernels } from '../../src/wasm/kernels.ts';
import { readCodecId, readKernelBytes } from '../../src/wasm/load.ts';
import { createContext, emptyReport, type Reporting, type WorkerContext } from '../../src/workers/task.ts';
import type { Planted } from './bugs.ts';
import type { Disk } from './disk.ts';
import { counted, turns } from './host.ts';
import { InlinePool } from './inline-pool.ts';
import type { Journal } from './journal.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What tasks run on: one for each machine, for all its lives; kernels take long to load. */
export interface Bench {
  readonly kernels: Kernels;
  readonly engines: Parameters<typeof createContext>[1];
}

/** Compiled once a process. */
const MODULE = new WebAssembly.Module(new Uint8Array(readKernelBytes()));

export async function createBench(): Promise<Bench> {
  const kernels = instantiateKernels(MODULE);
  const referee = await portableEngine(kernels);
  return { kernels, engines: { hash: nativeEngine(kernels), other: wasmEngine(kernels), referee } };
}

/**
 * Instances under dedup indexes, each used again once its index has been collected as garbage: to make and unmake them was a third of
 * what a seed cost. An index clears its instance when it takes it, so that nobody can tell a used one.
 */
const instances: { readonly kernels: Kernels; owner: WeakRef<DedupIndex> }[] = [];

function createIndex(): DedupIndex {
  const options = { entriesMax: LEAST_MEMORY.indexEntriesMax };
  const free = instances.find(({ owner }) => owner.deref() === undefined);
  const kernels = free?.kernels ?? instantiateKernels(MODULE);
  const index = new DedupIndex(kernels, options);
  const owner = new WeakRef(index);
  if (free === undefined) instances.push({ kernels, owner });
  else free.owner = owner;
  return index;
}

export const CODEC_ID = readCodecId();

export interface World {
  plan: Plan;
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly journal: Journal;
  readonly signer: Signer;
  readonly trusted: TrustedKey;
  /** Bugs that are planted, to see that they are found. */
  readonly plant: Planted;
  readonly violation: (what: string) => void;
  readonly onRemove: (node: string, path: string) => void;
  readonly orphans: { readonly graceMs: number; readonly intervalMs: number };
}

export interface Machine {
  readonly self: PlanNode;
  /** Where its real `index/` lies, and its other files would. */
  readonly directory: string;
  readonly disk: Disk;
  readonly bench: Bench;
  readonly random: Random;
  readonly controlOf: (isAlive: () => boolean) => ControlStore;
  readonly probe: (address: string) => Promise<ProbeAnswer>;
}

/** No process of the real machine has such a number (Linux: at most 2^22): who had a name is never taken to be alive still. */
const PID_FIRST = 1 << 23;
/** Rarer than the product's, in the same proportion: heartbeats would be most of what happens in a quiet hour. */
const MEMBERSHIP = { leaseMs: 9000, heartbeatMs: 3000 };
const LEAST_MEMORY = { streamBytes: 16 * MIB, indexEntriesMax: 100_000 };

export class SimulatedProcess {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #closing: (() => Promise<unknown>)[] = [];
  readonly #died = Promise.withResolvers<void>();
  #isAlive = true;
  #store: Store | undefined;
  #transport: Transport | undefined;
  #dataPlane: DataPlane | undefined;

  constructor(world: World, machine: Machine) {
    this.#world = world;
    this.#machine = machine;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Resolves when it is dead, if ever. */
  get death(): Promise<void> {
    return this.#died.promise;
  }

  get dataPlane(): DataPlane | undefined {
    return this.#dataPlane;
  }

  get store(): Store | undefined {
    return this.#store;
  }

  async start(): Promise<void> {
    const { clock: time, journal, plan, plant } = this.#world;
    const { self, directory, disk, random } = this.#machine;
    const isAlive = (): boolean => this.#isAlive;
    const clock = time.forProcess(isAlive);
    const trace = (operation: string, path: string): void => {
      journal.note(self.name, `${operation} ${path.slice(directory.length)}`, true);
      if (operation === 'remove') this.#world.onRemove(self.name, path);
    };
    const mounted = disk.mount(isAlive, () => this.die(), trace);
    const log = logTo(this.#world, self.name);
    const metrics = createMetrics({ node: self.name }, { version: 'simulated', codecId: '' });
    const observing = { metrics, log };
    const observeOne = observeQuarantine(observing);
    const onQuarantined = (pack: DigestHex, bytes: number): void => {
      observeOne(pack, bytes);
      if (disk.isSound) this.#world.violation(`${self.name}, whose disk is sound, sets ${pack} aside`);
    };
    const onDamage = (site: string, key: string): void => journal.note(self.name, `damaged ${site} ${key}`);
    const store = await counted(
      Store.open({
        directory,
        fileSystem: mounted,
        files: mounted.files,
        clock,
        random,
        onDamage,
        onQuarantined,
      }),
    );
    plant.store?.(store);
    this.#store = store;
    this.#closing.push(() => counted(store.close()));
    journal.note(self.name, `recovered ${JSON.stringify(summaryOf(store))}`);
    const sound = this.#pool(mounted, observing);
    const pool = plant.pool?.(sound) ?? sound;
    const known = new KnownChunks(createIndex(), store);
    await known.load();
    const transport = this.#world.network.transport(self.spiffe as PeerId, observeTransport(observing));
    this.#transport = transport;
    const control = this.#machine.controlOf(isAlive);
    const audit = { append: () => undefined, sync: async () => undefined };
    this.#closing.push(() => transport.close());
    this.#dataPlane = await runDataPlane(
      {
        ...observing,
        plan,
        self,
        metricsAddress: '127.0.0.1:1',
        codecId: CODEC_ID,
        store,
        pool,
        known,
        createIndex,
        streamBytes: LEAST_MEMORY.streamBytes,
        access: new Access({ grants: compileGrants(plan.policy!.grants), audit }),
        ownFiles: [],
        consent: new ConsentDesk({
          plan,
          self: self.spiffe,
          ledger: { control, clock, random, used: new Set<string>() },
          openKey,
          openImage: openKey,
          audit,
        }),
        trust: async () => [this.#world.trusted],
        signer: () => this.#world.signer,
        transport: this.#watched(transport, store),
        control,
        probe: this.#machine.probe,
        clock,
        random,
        place: { directory, control: 'simulated' },
        orphans: this.#world.orphans,
        redundancy: plant.redundancy ?? {},
        membership: { ...MEMBERSHIP, pid: PID_FIRST + random.below(1 << 20) },
      },
      (act) => this.#closing.push(act),
    );
    journal.note(self.name, `ready at ${this.#dataPlane.address}`);
  }

  /** What is set aside is never served: no byte of a pack leaves that does not lie under packs/ when it is asked for. */
  #watched(transport: Transport, store: Store): Transport {
    const { world, machine } = { world: this.#world, machine: this.#machine };
    const isServable = (pack: DigestHex): boolean =>
      machine.disk.has(store.packFile(pack)) && store.packInfo(pack)?.state === 'present';
    const pull: Handler['pull'] = async function* (this: Handler, request, context) {
      const wanted = parsePull(request);
      const packs = wanted.what === 'partial' ? wanted.terms.map(([shard]) => shard) : [wanted.pack];
      const absent = packs.filter((pack) => !isServable(pack));
      for await (const bytes of this.pull(request, context)) {
        for (const pack of absent)
          world.violation(`${machine.self.name} served ${pack}, which is not there to be served`);
        yield bytes;
      }
    };
    return {
      name: transport.name,
      connect: (address, expected) => transport.connect(address, expected),
      close: () => transport.close(),
      listen: (address, handler) =>
        transport.listen(address, {
          call: (method, request, context) => handler.call(method, request, context),
          pull: (request, context) => pull.call(handler, request, context),
        }),
    };
  }

  #pool(fileSystem: FileSystem, observing: Parameters<typeof observePool>[0]): InlinePool {
    const { kernels, engines } = this.#machine.bench;
    const reporting: Reporting = { report: emptyReport() };
    const context: WorkerContext = createContext(kernels, engines, fileSystem, reporting);
    return new InlinePool({
      context,
      reporting,
      observer: observePool(observing),
      isAlive: () => this.#isAlive,
      onPorts: () => {
        this.#world.clock.usedPort = true;
      },
    });
  }

  /** From now on it does nothing. Call `bury` before the next life begins. */
  die(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#world.journal.note(this.#machine.self.name, 'dead');
    if (this.#dataPlane !== undefined) this.#world.network.kill(this.#dataPlane.address);
    void this.#transport?.close();
    this.#died.resolve();
  }

  /** Gives back what the dead process has of this one. Its index stays unsealed, as after kill -9. */
  async bury(): Promise<void> {
    await counted(this.#decay());
  }

  async #decay(): Promise<void> {
    await turns();
    await this.#store?.close().catch(() => undefined);
  }

  async stop(): Promise<void> {
    for (const one of this.#closing.splice(0).reverse()) await one();
  }
}

/** Longer than any put of the simulation lasts. */
export const ORPHANS = { graceMs: 10 * 60_000, intervalMs: 2 * 60_000 };

function openKey(): never {
  throw new KwamError('NOT_FOUND', 'no key is kept in a simulation');
}

function summaryOf({ recovery }: Store): object {
  const { index, packsIndexed, packsMissing, packsQuarantined } = recovery;
  return { index, indexed: packsIndexed.length, missing: packsMissing.length, bad: packsQuarantined.length };
}

function logTo({ journal, violation }: World, who: string): Logger {
  const write = (level: string) => (facts: unknown, message?: string) =>
    journal.note(who, `${level} ${message ?? ''} ${JSON.stringify(facts)}`);
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    fatal: (facts: unknown, message?: string) =>
      violation(`${who}: ${message ?? ''} ${JSON.stringify(facts)}`),
  } as unknown as Logger;
}
