/**
 * A whole cluster in this process: machines with disks, processes that live and die on them, a network, a control store, a client.
 * In: the options of a seed. Out: what a simulation does to it (start, kill, cut off) and asks of it (calls of the client, what lies on
 * the disks). Every random choice comes from one of a few generators that are made of the seed, one for each part of the world.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Operation } from '../../src/control/control-store.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { KwamError } from '../../src/errors.ts';
import type { Signer } from '../../src/manifest/dsse.ts';
import { importPublicKey } from '../../src/manifest/public-key.ts';
import type { Plan } from '../../src/plan.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import { Catalog } from '../../src/replication/catalog.ts';
import { type MemoryNetwork, memoryNetwork } from '../../src/transport/memory.ts';
import type { ProbeAnswer } from '../../src/transport/probe.ts';
import type { JsonValue, PeerId } from '../../src/transport/transport.ts';
import { smallPlan } from '../faults/small-plan.ts';
import type { Planted } from './bugs.ts';
import { ControlView } from './control-view.ts';
import { Disk } from './disk.ts';
import { counted, installHost } from './host.ts';
import { Journal } from './journal.ts';
import type { SimulationOptions } from './options.ts';
import { type Bench, createBench, type Machine, ORPHANS, SimulatedProcess, type World } from './process.ts';
import { VirtualClock } from './virtual-clock.ts';

const CLIENT = 'spiffe://kwam/client/simulation' as PeerId;
const CHUNKER = { chunkBytesMin: 1024, chunkBytesTarget: 4096, chunkBytesMax: 16_384 };
const SCRUB = { bytesPerSecondMax: 1 << 20, intervalMs: 5 * 60_000 };

export interface SimulatedNode {
  readonly name: string;
  readonly peer: PeerId;
  readonly disk: Disk;
  readonly machine: Machine;
  process: SimulatedProcess | undefined;
  /** The next life is being begun or the last one ended. */
  isChanging: boolean;
  /** Cut off from the control store. */
  isCutOff: boolean;
}

export interface ClusterExtras {
  readonly plant?: Planted;
  readonly onLine?: (line: string) => void;
  /** What nodes have changed in the control store. */
  readonly onChange?: (operations: readonly Operation[]) => void;
  /** A file of a disk is about to go. */
  readonly onRemove?: (node: string, path: string) => void;
  readonly orphans?: World['orphans'];
}

/** Kept from run to run: kernels take long to load. */
const benches: Bench[] = [];

/** Ed25519 signs the same bytes the same way each time, ECDSA does not; and the key is the same in every run. */
const KEY_DER = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]);

export class SimulatedCluster {
  readonly clock = new VirtualClock();
  readonly journal: Journal;
  readonly violations: string[] = [];
  readonly nodes: SimulatedNode[] = [];
  readonly directory: string;
  readonly catalog: Catalog;
  readonly network: MemoryNetwork;
  readonly #control: MemoryControlStore;
  readonly #options: SimulationOptions;
  readonly #world: World;
  readonly #extras: ClusterExtras;
  readonly #client;
  #plan: Plan;
  /** False in the times without faults. */
  isStormy = false;

  static async create(options: SimulationOptions, extras: ClusterExtras = {}): Promise<SimulatedCluster> {
    installHost();
    const { signer, publicKey } = await testKey();
    while (benches.length < options.nodes) benches.push(await createBench());
    return new SimulatedCluster(options, extras, { signer, trusted: { key: publicKey } });
  }

  private constructor(
    options: SimulationOptions,
    extras: ClusterExtras,
    keys: Pick<World, 'signer' | 'trusted'>,
  ) {
    this.#options = options;
    this.#extras = extras;
    const { plant = {}, onLine } = extras;
    this.directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kwam-simulation-'));
    this.journal = new Journal(this.directory, () => this.clock.monotonic(), onLine);
    this.#plan = planOf(options);
    this.network = this.#createNetwork();
    this.#control = new MemoryControlStore({ clock: this.clock, pollMs: 1000 });
    this.catalog = new Catalog(this.#control);
    this.#client = this.network.transport(CLIENT);
    const { clock, journal, network, plan } = this;
    const violation = (what: string): void => this.violation(what);
    const { onRemove = () => undefined, orphans = ORPHANS } = extras;
    this.#world = { plan, clock, network, journal, plant, violation, onRemove, orphans, ...keys };
    for (const index of plan.nodes.keys()) this.nodes.push(this.#createNode(index));
  }

  get plan(): Plan {
    return this.#plan;
  }

  /** For every life that begins from now on. */
  adopt(redundancy: Pick<SimulationOptions, 'factor' | 'erasure' | 'coldAfterMs'>): void {
    const { erasure: _, coldAfterMs: __, ...options } = this.#options;
    this.#plan = planOf({ ...options, ...redundancy });
    this.#world.plan = this.#plan;
  }

  violation(what: string): void {
    this.violations.push(what);
    this.journal.note('checker', `VIOLATION ${what}`);
  }

  /** Faults of messages strike only while it is stormy: their rates are looked up each time. */
  #createNetwork(): MemoryNetwork {
    const { network, seed } = this.#options;
    const isStormy = (): boolean => this.isStormy;
    const stormy = (count: number | undefined): number | undefined => (isStormy() ? count : undefined);
    const faults = {
      ...network,
      seed: seed * 8 + 1,
      get messagesPerBreak() {
        return stormy(network.messagesPerBreak);
      },
      get messagesPerFlip() {
        return stormy(network.messagesPerFlip);
      },
      get messagesPerLoss() {
        return stormy(network.messagesPerLoss);
      },
      get callsPerDuplicate() {
        return stormy(network.callsPerDuplicate);
      },
    };
    return memoryNetwork(faults as never, this.clock, (fault) => {
      if (fault === 'delay' || fault === 'reorder') this.journal.tally(`net-${fault}`);
      else this.journal.fault(`net-${fault}`, 'network');
    });
  }

  #createNode(index: number): SimulatedNode {
    const self = this.plan.nodes[index]!;
    const directory = join(this.directory, self.name);
    const random = seededRandom(this.#options.seed * 64 + 8 + index);
    const { clock } = this;
    const disk = new Disk({
      root: directory,
      random,
      clock,
      rates: this.#options.disk,
      onFault: (fault, path) => this.journal.fault(`disk-${fault}`, self.name, path),
    });
    const machine: Machine = {
      self,
      directory,
      disk,
      bench: benches[index]!,
      random,
      controlOf: (isAlive) =>
        new ControlView(this.#control, {
          clock,
          random,
          isAlive,
          isReachable: () => !node.isCutOff,
          onChange: this.#extras.onChange ?? (() => undefined),
          losesAnswer: () => this.#losesAnswer(random, self.name),
        }),
      probe: (address) => this.#probe(node, address),
    };
    const node: SimulatedNode = {
      name: self.name,
      peer: self.spiffe as PeerId,
      disk,
      machine,
      process: undefined,
      isChanging: false,
      isCutOff: false,
    };
    return node;
  }

  #losesAnswer(random: Random, name: string): boolean {
    if (!this.isStormy || random.below(this.#options.changesPerLostAnswer) !== 0) return false;
    this.journal.fault('control-lost-answer', name);
    return true;
  }

  async #probe(from: SimulatedNode, address: string): Promise<ProbeAnswer> {
    const to = this.nodes.find(({ process }) => process?.dataPlane?.address === address);
    if (to !== undefined && this.isSeparated(from, to)) {
      await this.clock.sleep(1000);
      return 'silent';
    }
    return to?.process?.isAlive ? 'accepts' : 'refuses';
  }

  isSeparated(a: SimulatedNode, b: SimulatedNode): boolean {
    return this.network.isBlocked(a.peer, b.peer) || this.network.isBlocked(b.peer, a.peer);
  }

  get living(): SimulatedNode[] {
    return this.nodes.filter(({ process, isChanging }) => process?.isAlive && !isChanging);
  }

  /** Begins a new life; tries again while the world does not let it, as whoever supervises processes would. */
  async start(node: SimulatedNode): Promise<void> {
    node.isChanging = true;
    try {
      for (let tries = 1; !node.process?.isAlive; tries++) {
        await node.process?.bury();
        const process = new SimulatedProcess(this.#world, node.machine);
        node.process = process;
        await this.#begin(node, process);
        if (tries === START_TRIES) this.violation(`${node.name} did not start ${tries} times`);
      }
    } finally {
      node.isChanging = false;
    }
  }

  async #begin(node: SimulatedNode, process: SimulatedProcess): Promise<void> {
    try {
      await Promise.race([process.start(), process.death]);
    } catch (error) {
      if (process.isAlive && !(error instanceof KwamError)) throw error;
      this.journal.note(node.name, `did not start: ${String(error)}`);
      const packs = process.isAlive ? process.store?.presence().packs : 0;
      if (packs && error instanceof KwamError && error.code === 'DISK_FULL')
        this.violation(`${node.name} has ${packs} packs and does not serve them because its disk is full`);
      process.die();
    }
    if (!process.isAlive) await this.clock.sleep(1000);
  }

  /** kill -9, or the power fails with it. */
  async kill(node: SimulatedNode, power: boolean): Promise<void> {
    node.isChanging = true;
    node.process?.die();
    await node.process?.bury();
    if (power) node.disk.losePower();
    node.isChanging = false;
  }

  async stop(node: SimulatedNode): Promise<void> {
    node.isChanging = true;
    const { process } = node;
    await Promise.race([process!.stop(), process!.death]);
    this.journal.note(node.name, process!.isAlive ? 'stopped' : 'died while it stopped');
    process!.die();
    await process!.bury();
    node.isChanging = false;
  }

  /** One call of the client, with its last answer; a call that takes too long is given up. */
  async ask(
    node: SimulatedNode,
    method: string,
    request: JsonValue,
    patienceMs = 120_000,
  ): Promise<JsonValue> {
    const { dataPlane } = node.process ?? {};
    if (dataPlane === undefined) throw new KwamError('UNAVAILABLE', `${node.name} does not run`);
    const giveUp = new AbortController();
    const done = new AbortController();
    void this.clock.sleep(patienceMs, done.signal).then(
      () => giveUp.abort(),
      () => undefined,
    );
    const connection = await this.#client.connect(dataPlane.address, node.peer);
    try {
      let last: JsonValue = null;
      for await (const answer of connection.call(method, request, { signal: giveUp.signal })) last = answer;
      return last;
    } finally {
      done.abort();
      await connection.close();
    }
  }

  async close(): Promise<void> {
    for (const node of this.nodes) {
      node.process?.die();
      await node.process?.bury();
    }
    await counted(this.#control.close());
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Seconds: longer than any fault lasts. */
const START_TRIES = 300;

function planOf({ nodes, factor, erasure, coldAfterMs, packBytesTarget }: SimulationOptions): Plan {
  const plan = smallPlan({ nodes, factor, ...(erasure && { erasure }) });
  const repair = { delayMs: 60_000, lazy: false };
  const cold = coldAfterMs === undefined ? {} : { coldAfterMs };
  const replicate = { ...plan.replicate, ...cold, chunker: CHUNKER, packBytesTarget, repair };
  return { ...plan, replicate, scrub: SCRUB };
}

async function testKey(): Promise<{ readonly signer: Signer; readonly publicKey: CryptoKey }> {
  const key = createPrivateKey({ key: KEY_DER, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const signer: Signer = {
    keyid: 'simulation',
    sign: async (parts) => sign(null, Buffer.concat(parts), key),
  };
  return { signer, publicKey: await importPublicKey(new Uint8Array(spki)) };
}
