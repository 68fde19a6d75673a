/**
 * One seed: storms in which faults strike while clients work, each followed by a calm in which everything has to become whole again.
 * In: a seed (options.ts says what follows from it). Out: what happened, by number, and every violation with the newest lines before it.
 * Checked at any time: no byte is served that the producer did not put under that name; nothing that is set aside is served; no
 * process fails by a bug; nothing is set aside where the disk keeps its promises. Checked in each calm: every acknowledged object is
 * there, from every node; all packs have all their copies or shards; no pack that is served is damaged. Checked at the very end, after
 * a rest: no node keeps a pack that the catalog does not list, and nothing that it lists went with those.
 * A storm destroys what lies on the disks of at most so many nodes as every stored pack can lose; all others may crash, be cut off, and meet
 * errors, but what they have acknowledged is theirs to keep. Everybody has come back before the next storm.
 */
import { createHash } from 'node:crypto';
import type { DigestHex } from '../../src/digest.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import type { PackRecordEntry } from '../../src/replication/catalog.ts';
import { missingOf, spareOf, storedIdsOf } from '../../src/replication/redundancy.ts';
import { Client } from './client.ts';
import { type ClusterExtras, SimulatedCluster, type SimulatedNode } from './cluster.ts';
import type { FaultCounts } from './faults.ts';
import { optionsOf, type SimulationOptions } from './options.ts';
import { damageIn } from './pack-check.ts';
import { ORPHANS } from './process.ts';

export interface SimulationResult {
  readonly options: SimulationOptions;
  readonly simulatedMs: number;
  readonly events: number;
  readonly acknowledged: number;
  readonly gets: number;
  readonly faults: Readonly<FaultCounts>;
  readonly violations: readonly string[];
  /** SHA-256 over everything that happened. */
  readonly digest: string;
  readonly recent: readonly string[];
}

/** A full round of the scrub, late by its jitter; a power failure forgets when the last one was; a minute each for the chore to notice. */
const SCRUBBED_MS = 9 * 60_000;
const WHOLE_MS_MAX = 25 * 60_000;
const LOOK_EVERY_MS = 15_000;
const CALM_START_MS = 20_000;
/** What the calm itself left behind is past its grace by then too, and was looked at. */
const REST_MS = ORPHANS.graceMs + 2 * ORPHANS.intervalMs;

export async function simulate(seed: number, extras: ClusterExtras = {}): Promise<SimulationResult> {
  const options = optionsOf(seed);
  const cluster = await SimulatedCluster.create(options, extras);
  try {
    const simulation = new Simulation(cluster, options);
    await cluster.clock.until(simulation.run());
    return simulation.result();
  } finally {
    await cluster.close();
  }
}

class Simulation {
  readonly #cluster: SimulatedCluster;
  readonly #options: SimulationOptions;
  readonly #random: Random;
  readonly #clients: Client[];

  constructor(cluster: SimulatedCluster, options: SimulationOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#random = seededRandom(options.seed * 64 + 2);
    this.#clients = Array.from(
      { length: options.clients },
      (_, index) => new Client(cluster, index, options.seed),
    );
  }

  async run(): Promise<void> {
    const { clock, nodes } = this.#cluster;
    await Promise.all(nodes.map((node) => this.#cluster.start(node)));
    await clock.sleep(CALM_START_MS);
    for (const client of this.#clients) await client.put(nodes[0]!);
    for (let episode = 0; episode < this.#options.episodes; episode++) {
      await this.#storm(clock.monotonic() + this.#options.episodeMs);
      await this.#calm();
      if (this.#cluster.violations.length > 0) return;
    }
    await this.#rest();
  }

  async #storm(endMs: number): Promise<void> {
    const victims = await this.#chooseVictims();
    const { journal } = this.#cluster;
    journal.note('storm', `begins; disks that fail: ${victims.map(({ name }) => name).join(' ') || 'none'}`);
    this.#cluster.isStormy = true;
    for (const victim of victims) victim.disk.isFailing = true;
    for (const { disk } of this.#cluster.nodes) disk.isErratic = true;
    await Promise.all([
      ...this.#clients.map((client) => client.workUntil(endMs)),
      this.#strikeUntil(endMs, victims),
      this.#superviseUntil(endMs),
    ]);
    this.#cluster.isStormy = false;
    for (const { disk } of this.#cluster.nodes) {
      disk.isErratic = false;
      disk.isFull = false;
      disk.operationsToPowerLoss = undefined;
    }
    for (const victim of victims) {
      victim.disk.isFailing = false;
      // What an fsync that lied left behind must not be lost in a later storm, in which others fail.
      await this.#changed(victim);
      await this.#cluster.kill(victim, true);
    }
    this.#heal();
    journal.note('storm', 'is over');
  }

  /** Nodes whose disks may all be lost with every pack still there. */
  async #chooseVictims(): Promise<SimulatedNode[]> {
    const entries: PackRecordEntry[] = [];
    for await (const entry of this.#cluster.catalog.packs()) entries.push(entry);
    const { erasure, factor } = this.#options;
    // Where nodes are away, one may get as many shards of a stripe as it can lose: then that one node is all it can lose.
    const most = erasure === undefined ? factor - 1 : 1;
    const shuffled = this.#shuffled(this.#cluster.nodes);
    const victims: SimulatedNode[] = [];
    for (const node of shuffled) {
      if (victims.length === most) break;
      const rest = shuffled.filter((one) => one !== node && !victims.includes(one));
      if (entries.every((entry) => spareOf(entry, holdersIn(rest, entry)) >= 0)) victims.push(node);
    }
    return victims;
  }

  #shuffled<T>(values: readonly T[]): T[] {
    const result = [...values];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      [result[i], result[j]] = [result[j]!, result[i]!];
    }
    return result;
  }

  async #strikeUntil(endMs: number, victims: readonly SimulatedNode[]): Promise<void> {
    const { clock, nodes } = this.#cluster;
    while (clock.monotonic() < endMs) {
      await clock.sleep(this.#random.below(15_000));
      const node = nodes[this.#random.below(nodes.length)]!;
      const victim = victims[this.#random.below(Math.max(1, victims.length))];
      await this.#strike(node, victim, this.#random.below(100));
    }
  }

  async #strike(node: SimulatedNode, victim: SimulatedNode | undefined, draw: number): Promise<void> {
    const { journal } = this.#cluster;
    if (draw < 35) victim?.disk.rot();
    else if (draw < 45) this.#kill(node, false);
    else if (draw < 55) this.#kill(node, true);
    else if (draw < 63) node.disk.operationsToPowerLoss = this.#random.below(200);
    else if (draw < 68) await this.#replaceDisk(victim);
    else if (draw < 75) this.#fill(node);
    else if (draw < 85) this.#separate(node, false);
    else if (draw < 90) this.#separate(node, true);
    else if (draw < 95) this.#cutOff(node);
    else if (node.process?.isAlive && !node.isChanging) {
      journal.fault('stop', node.name);
      await this.#cluster.stop(node);
    }
  }

  #kill(node: SimulatedNode, power: boolean): void {
    if (!node.process?.isAlive || node.isChanging) return;
    this.#cluster.journal.fault(power ? 'power' : 'kill', node.name);
    void this.#cluster.kill(node, power);
  }

  async #replaceDisk(victim: SimulatedNode | undefined): Promise<void> {
    if (victim === undefined || victim.isChanging) return;
    this.#cluster.journal.fault('disk-replaced', victim.name);
    await this.#cluster.kill(victim, true);
    victim.disk.replace();
  }

  #fill(node: SimulatedNode): void {
    node.disk.isFull = true;
    void this.#cluster.clock.sleep(this.#random.below(60_000)).then(() => {
      node.disk.isFull = false;
    });
  }

  #separate(node: SimulatedNode, oneWay: boolean): void {
    const { network, nodes, journal, clock } = this.#cluster;
    const others = this.#shuffled(nodes.filter((other) => other !== node));
    const cut = others.slice(0, 1 + this.#random.below(others.length));
    journal.fault(
      oneWay ? 'partition-one-way' : 'partition',
      node.name,
      cut.map(({ name }) => name).join(' '),
    );
    for (const other of cut) {
      network.block(node.peer, other.peer);
      if (!oneWay) network.block(other.peer, node.peer);
    }
    void clock.sleep(this.#random.below(90_000)).then(() => {
      for (const other of cut) {
        network.unblock(node.peer, other.peer);
        network.unblock(other.peer, node.peer);
      }
    });
  }

  #cutOff(node: SimulatedNode): void {
    node.isCutOff = true;
    this.#cluster.journal.fault('control-cut-off', node.name);
    void this.#cluster.clock.sleep(this.#random.below(30_000)).then(() => {
      node.isCutOff = false;
    });
  }

  /** Starts what has died, after a while. */
  async #superviseUntil(endMs: number): Promise<void> {
    const { clock, nodes } = this.#cluster;
    while (clock.monotonic() < endMs) {
      await clock.sleep(2000);
      for (const node of nodes) {
        if (node.process?.isAlive || node.isChanging || this.#random.below(10) > 0) continue;
        void this.#cluster.start(node);
      }
    }
  }

  #heal(): void {
    const { network, nodes } = this.#cluster;
    for (const a of nodes) {
      a.isCutOff = false;
      for (const b of nodes) network.unblock(a.peer, b.peer);
    }
  }

  async #calm(): Promise<void> {
    const { clock, nodes, journal } = this.#cluster;
    for (const node of nodes) await this.#changed(node);
    await Promise.all(
      nodes.filter(({ process }) => !process?.isAlive).map((node) => this.#cluster.start(node)),
    );
    await clock.sleep(SCRUBBED_MS);
    await this.#adopt();
    const deadline = clock.monotonic() + WHOLE_MS_MAX;
    let lacking = await this.#lacking();
    while (lacking.length > 0 && clock.monotonic() < deadline) {
      await clock.sleep(LOOK_EVERY_MS);
      lacking = await this.#lacking();
    }
    for (const one of lacking) this.#cluster.violation(`redundancy is not restored: ${one}`);
    this.#checkPacks();
    await this.#checkNames(2);
    journal.note('calm', 'is over');
  }

  /** The operator's part: where a disk lost the note of the catalog that knows its packs, it is told that this one does. */
  async #adopt(): Promise<void> {
    for (const node of this.#cluster.nodes) {
      const { doubt } = node.process?.dataPlane?.parts.lineage ?? {};
      if (doubt === undefined) continue;
      if (node.disk.isSound) this.#cluster.violation(`${node.name}, whose disk is sound, doubts: ${doubt}`);
      await this.#cluster.ask(node, 'node.adopt', {});
    }
  }

  /** Nobody changes anything any more. */
  async #rest(): Promise<void> {
    await this.#cluster.clock.sleep(REST_MS);
    await this.#checkOrphans();
    for (const one of await this.#lacking()) this.#cluster.violation(`redundancy is gone again: ${one}`);
    await this.#checkNames(1);
    this.#cluster.journal.note('rest', 'is over');
  }

  /** Every object is what it may be, on so many nodes. */
  async #checkNames(readers: number): Promise<void> {
    for (const client of this.#clients)
      for (const named of client.names)
        for (const node of this.#shuffled(this.#cluster.nodes).slice(0, readers)) {
          if (!(await client.get(node, named)))
            this.#cluster.violation(`${named.name} was acknowledged and cannot be read from ${node.name}`);
        }
  }

  async #checkOrphans(): Promise<void> {
    const listed = new Set<DigestHex>();
    for await (const entry of this.#cluster.catalog.packs())
      for (const id of storedIdsOf(entry)) listed.add(id);
    for (const { name, process } of this.#cluster.nodes)
      for (const { id, state } of process?.store?.listPacks(undefined, Number.MAX_SAFE_INTEGER) ?? [])
        if (state === 'present' && !listed.has(id))
          this.#cluster.violation(`${name} keeps ${id}, which nobody lists`);
  }

  /** Whoever starts or stops has done so. */
  async #changed(node: SimulatedNode): Promise<void> {
    while (node.isChanging) await this.#cluster.clock.sleep(500);
  }

  async #lacking(): Promise<string[]> {
    const lacking: string[] = [];
    for await (const entry of this.#cluster.catalog.packs()) {
      const missing = missingOf(entry, holdersIn(this.#cluster.nodes, entry));
      if (missing > 0) lacking.push(`pack ${entry.id} lacks ${missing}`);
    }
    return lacking;
  }

  /** What would be served is what its name says, byte for byte. */
  #checkPacks(): void {
    for (const { name, disk, process } of this.#cluster.nodes) {
      for (const [file, bytes] of disk.contents('packs')) {
        const id = file.slice(0, 64) as DigestHex;
        const damage = process?.store?.hasPack(id) ? damageIn(bytes, id) : undefined;
        if (damage !== undefined) this.#cluster.violation(`${name} would serve ${id}: ${damage}`);
      }
    }
  }

  result(): SimulationResult {
    const { clock, journal, violations } = this.#cluster;
    const sum = (of: (client: Client) => number): number =>
      this.#clients.reduce((total, client) => total + of(client), 0);
    return {
      options: this.#options,
      simulatedMs: clock.monotonic(),
      events: journal.events,
      acknowledged: sum(({ acknowledged }) => acknowledged),
      gets: sum(({ gets }) => gets),
      faults: journal.faults,
      violations,
      digest: createHash('sha256').update(journal.digest()).digest('hex'),
      recent: journal.recent,
    };
  }
}

function holdersIn(
  nodes: readonly SimulatedNode[],
  entry: PackRecordEntry,
): ReadonlyMap<DigestHex, readonly string[]> {
  const holding = (id: DigestHex): string[] =>
    nodes.filter(({ process }) => process?.isAlive && process.store?.hasPack(id)).map(({ name }) => name);
  return new Map(storedIdsOf(entry).map((id) => [id, holding(id)]));
}
