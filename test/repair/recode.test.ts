/**
 * A cluster whose plan changes while clients work and nodes lose power: two copies, then rs(2, 1), rs(4, 2), three copies, and stripes of what is
 * cold. The product's data plane on the virtual clock of test/simulation, with sound disks and a sound network.
 * Checked at every change of an entry and before every removal of a pack file: every pack can be made from what is left after as many disks are lost
 * as the weaker of the old and the new redundancy survives. Then that the plan is met, and that nothing else lies around.
 */
import { expect, test, vi } from 'vitest';
import type { Operation } from '../../src/control/control-store.ts';
import type { DigestHex } from '../../src/digest.ts';
import { KIB } from '../../src/limits.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import { redundancyWanted } from '../../src/repair/recode.ts';
import type { PackRecordEntry } from '../../src/replication/catalog.ts';
import type { Redundancy } from '../../src/replication/distribute.ts';
import { storedIdsOf } from '../../src/replication/redundancy.ts';
import { Client } from '../simulation/client.ts';
import { SimulatedCluster, type SimulatedNode } from '../simulation/cluster.ts';
import { CAMPAIGN, chosenSeed } from '../store/packs.ts';

vi.setConfig({ testTimeout: CAMPAIGN ? 3_600_000 : 300_000 });
const SEEDS = CAMPAIGN ? 5 : 1;
const NODES = CAMPAIGN ? 9 : 4;
const MINUTE_MS = 60_000;
const COLD_AFTER_MS = 1.5 * MINUTE_MS;
/** How long a plan is rolled out and power fails, while clients work. */
const TROUBLE_MS = (CAMPAIGN ? 2 : 1) * MINUTE_MS;
/** Packs that nobody lists may lie so long, and until the next look for them. */
const ORPHANS = { graceMs: 2 * MINUTE_MS, intervalMs: MINUTE_MS };
const SWEPT_MS = ORPHANS.graceMs + 2 * ORPHANS.intervalMs;

const rs = (dataShards: number, parityShards: number) =>
  ({ dataShards, parityShards, matrix: 'vandermonde' }) as const;

interface Phase extends Redundancy {
  readonly coldAfterMs?: number;
}

const START: Phase = { factor: 2 };
const SHORT: readonly Phase[] = [{ factor: 2, erasure: rs(2, 1), coldAfterMs: COLD_AFTER_MS }, { factor: 3 }];
const LONG: readonly Phase[] = [
  { factor: 2, erasure: rs(2, 1) },
  { factor: 2, erasure: rs(4, 2) },
  { factor: 3 },
  { factor: 3, erasure: rs(3, 2), coldAfterMs: COLD_AFTER_MS },
];
const PHASES = CAMPAIGN ? LONG : SHORT;

/** Disks that may be lost at a time. */
function survivedBy({ factor, erasure, coldAfterMs }: Phase): number {
  if (erasure === undefined) return factor - 1;
  return coldAfterMs === undefined ? erasure.parityShards : Math.min(factor - 1, erasure.parityShards);
}

class Run {
  readonly cluster: SimulatedCluster;
  readonly #random: Random;
  readonly #clients: readonly Client[];
  readonly #entries = new Map<DigestHex, PackRecordEntry>();
  /** The weaker of the last redundancy and the next. */
  #survives = survivedBy(START);

  static async create(seed: number): Promise<Run> {
    let run: Run | undefined;
    const cluster = await SimulatedCluster.create(optionsFor(seed), {
      orphans: ORPHANS,
      onChange: (operations) => run?.changed(operations),
      onRemove: (node, path) => {
        const [, id] = /packs\/([0-9a-f]{64})\.pack$/.exec(path) ?? [];
        if (id !== undefined) run?.check({ node, id });
      },
    });
    run = new Run(cluster, seed);
    return run;
  }

  private constructor(cluster: SimulatedCluster, seed: number) {
    this.cluster = cluster;
    this.#random = seededRandom(seed * 64 + 3);
    this.#clients = [new Client(cluster, 0, seed), new Client(cluster, 1, seed + 1)];
  }

  changed(operations: readonly Operation[]): void {
    for (const operation of operations) note(this.#entries, operation);
    if (operations.some(({ key }) => key.startsWith('packs/'))) this.check();
  }

  check(going?: { readonly node: string; readonly id: string }): void {
    for (const entry of lostWith(this.cluster, this.#entries, this.#survives, going))
      this.cluster.violation(
        `pack ${entry.id} is lost with ${this.#survives} disks, ${JSON.stringify({ going, entry })}`,
      );
  }

  async all(): Promise<void> {
    const { clock, nodes } = this.cluster;
    await Promise.all(nodes.map((node) => this.cluster.start(node)));
    await clock.sleep(20_000);
    for (const client of this.#clients) await client.put(nodes[0]!);
    await this.#working(clock.monotonic() + MINUTE_MS);
    for (const phase of PHASES) {
      await this.#phase(phase);
      if (this.cluster.violations.length > 0) return;
    }
    await clock.sleep(SWEPT_MS);
    this.#checkNothingElse();
    // The canary: one loss more than any of them survives is seen.
    if (lostWith(this.cluster, this.#entries, this.#survives + 1).length === 0)
      this.cluster.violation('the check sees nothing');
  }

  async #phase(phase: Phase): Promise<void> {
    const { clock, nodes, journal } = this.cluster;
    journal.note('plan', JSON.stringify(phase));
    this.cluster.adopt(phase);
    this.#survives = Math.min(this.#survives, survivedBy(phase));
    const endMs = clock.monotonic() + TROUBLE_MS;
    await Promise.all([
      this.#working(endMs),
      this.#restarted(),
      this.#struck(endMs),
      this.#supervised(endMs),
    ]);
    for (const { disk } of nodes) disk.operationsToPowerLoss = undefined;
    for (const node of nodes) while (node.isChanging) await clock.sleep(500);
    for (const node of nodes) if (!node.process?.isAlive) await this.cluster.start(node);
    await this.#untilMet(phase);
    this.#survives = survivedBy(phase);
    this.check();
    for (const client of this.#clients)
      for (const named of client.names)
        if (!(await client.get(nodes[this.#random.below(nodes.length)]!, named)))
          this.cluster.violation(`${named.name} cannot be read`);
  }

  async #working(endMs: number): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.workUntil(endMs)));
  }

  /** One after the other, as a plan is rolled out. */
  async #restarted(): Promise<void> {
    for (const node of this.cluster.nodes) {
      await this.cluster.clock.sleep(this.#random.below(10_000));
      while (node.isChanging || !node.process?.isAlive) await this.cluster.clock.sleep(500);
      await this.cluster.stop(node);
      await this.cluster.start(node);
    }
  }

  /** Power fails in the middle of whatever a node does. */
  async #struck(endMs: number): Promise<void> {
    while (this.cluster.clock.monotonic() < endMs) {
      await this.cluster.clock.sleep(this.#random.below(20_000));
      const node = this.cluster.nodes[this.#random.below(this.cluster.nodes.length)]!;
      node.disk.operationsToPowerLoss = this.#random.below(400);
    }
  }

  async #supervised(endMs: number): Promise<void> {
    while (this.cluster.clock.monotonic() < endMs) {
      await this.cluster.clock.sleep(2000);
      for (const node of this.cluster.nodes)
        if (!node.process?.isAlive && !node.isChanging) void this.cluster.start(node);
    }
  }

  async #untilMet(phase: Phase): Promise<void> {
    const { clock } = this.cluster;
    const deadline = clock.monotonic() + COLD_AFTER_MS + 20 * MINUTE_MS;
    const unmet = (): PackRecordEntry[] =>
      [...this.#entries.values()].filter((entry) => redundancyWanted(phase, entry, true) !== undefined);
    while (unmet().length > 0 && clock.monotonic() < deadline) await clock.sleep(5000);
    for (const { id } of unmet()) this.cluster.violation(`pack ${id} has not the redundancy of the plan`);
  }

  #checkNothingElse(): void {
    const listed = new Set([...this.#entries.values()].flatMap(storedIdsOf));
    for (const { name, disk } of this.cluster.nodes)
      for (const file of disk.names('packs'))
        if (!listed.has(file.slice(0, 64) as DigestHex)) this.cluster.violation(`${file} is left on ${name}`);
  }
}

function optionsFor(seed: number) {
  return {
    seed,
    nodes: NODES,
    factor: START.factor,
    packBytesTarget: 16 * KIB,
    episodes: 0,
    episodeMs: 0,
    clients: 0,
    network: { latencyMsMin: 0, latencyMsMax: 3, resendMsMax: 1000 },
    disk: { writesPerEio: 1, readsPerUnreadable: 1, writesPerMisdirection: 1, syncsPerLie: 1 },
    changesPerLostAnswer: 1,
  };
}

function note(entries: Map<DigestHex, PackRecordEntry>, operation: Operation): void {
  if (!operation.key.startsWith('packs/')) return;
  const id = operation.key.slice('packs/'.length) as DigestHex;
  if (operation.kind === 'delete') entries.delete(id);
  else entries.set(id, JSON.parse(new TextDecoder().decode(operation.value)));
}

/**
 * Packs that could not be made any more from what some `losses` disks leave.
 * @param going  a file that does not count any more.
 */
function lostWith(
  cluster: SimulatedCluster,
  entries: ReadonlyMap<DigestHex, PackRecordEntry>,
  losses: number,
  going?: { readonly node: string; readonly id: string },
): PackRecordEntry[] {
  const held = new Map(cluster.nodes.map((node) => [node.name, idsOn(node)]));
  if (going !== undefined) held.get(going.node)!.delete(going.id as DigestHex);
  return [...entries.values()].filter((entry) => {
    const pieces = cluster.nodes.map(({ name }) =>
      storedIdsOf(entry).filter((id) => held.get(name)!.has(id)),
    );
    return !isLeftAfter(pieces, losses, entry.stripe?.dataShards ?? 1);
  });
}

function idsOn({ disk }: SimulatedNode): Set<DigestHex> {
  return new Set(disk.names('packs').map((file) => file.slice(0, 64) as DigestHex));
}

/** Whether enough different pieces are left whichever of these disks are lost. */
function isLeftAfter(disks: readonly (readonly DigestHex[])[], losses: number, needed: number): boolean {
  if (losses === 0) return new Set(disks.flat()).size >= needed;
  return disks.every((_, i) => isLeftAfter(disks.toSpliced(i, 1), losses - 1, needed));
}

test('a plan that changes never leaves a pack with less than the weaker of both redundancies, and ends with its own', async () => {
  const from = chosenSeed();
  for (let seed = from; seed < from + SEEDS; seed++) {
    const run = await Run.create(seed);
    const { cluster } = run;
    try {
      await cluster.clock.until(run.all());
      expect(cluster.violations, `seed ${seed}\n${cluster.journal.recent.join('\n')}`).toEqual([]);
    } finally {
      await cluster.close();
    }
  }
});

const copies = (count: number): PackRecordEntry => ({
  id: '' as DigestHex,
  bytes: 1,
  records: 1,
  copies: count,
});
const striped = (scheme: ErasureScheme): PackRecordEntry => {
  const stripe = { ...scheme, codecId: '' as DigestHex, shards: [] };
  return { id: '' as DigestHex, bytes: 1, records: 1, stripe };
};
const cauchy = { ...rs(4, 2), matrix: 'cauchy1' } as const;
const groups = { dataShards: 4, parityShards: 3, matrix: 'lrc', localGroups: 2 } as const;

test.each<[Redundancy, PackRecordEntry, isCold: boolean, wanted: Redundancy | undefined]>([
  [{ factor: 2 }, copies(2), true, undefined],
  [{ factor: 3 }, copies(2), false, { factor: 3 }],
  [{ factor: 1 }, copies(2), false, { factor: 1 }],
  [{ factor: 2, erasure: rs(4, 2) }, copies(2), false, undefined],
  [{ factor: 3, erasure: rs(4, 2) }, copies(2), false, { factor: 3 }],
  [{ factor: 2, erasure: rs(4, 2) }, copies(2), true, { factor: 2, erasure: rs(4, 2) }],
  [{ factor: 2, erasure: rs(4, 2) }, striped(rs(4, 2)), false, undefined],
  [{ factor: 2, erasure: rs(4, 2) }, striped(rs(4, 2)), true, undefined],
  [{ factor: 2, erasure: rs(4, 2) }, striped(rs(2, 1)), false, { factor: 2, erasure: rs(4, 2) }],
  [{ factor: 2, erasure: cauchy }, striped(rs(4, 2)), true, { factor: 2, erasure: cauchy }],
  [{ factor: 2, erasure: groups }, striped(rs(4, 3)), true, { factor: 2, erasure: groups }],
  [{ factor: 2 }, striped(rs(4, 2)), true, { factor: 2 }],
])('for the plan %j, of %j that is cold: %j, it wants %j', (plan, entry, isCold, wanted) => {
  expect(redundancyWanted(plan, entry, isCold)).toEqual(wanted);
});
