/**
 * Replays a trace of outages tick by tick, through the belief filter and the reconstruction rules, beside a fixed timer.
 * In: nodes, absences, packs of `copies` copies on nodes of different zones, a seed for noise. Out: for each policy how many rebuilds were
 * started for nodes that came back, and how long after a real loss its rebuild began.
 * Counts pairs of pack and absence. The timer rebuilds whatever has been away for 600 s, as Ceph and HDFS do by default.
 */
import { HealthBelief } from '../../src/health/belief.ts';
import type { Evidence } from '../../src/health/evidence.ts';
import { beliefTickMs } from '../../src/health/model.ts';
import { domainIsDown } from '../../src/health/watch.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import { judge, type Patience } from '../../src/repair/reconstruction.ts';
import type { Absence, TraceNode } from './outage-traces.ts';

export const TIMER_MS = 600_000;
export const PATIENCE: Patience = {
  delayMs: TIMER_MS,
  urgentMs: 60_000,
  domainWaitMs: 8 * 3_600_000,
  freshMs: 20_000,
};
/** A lost node is replaced by an empty one so much later. */
const REPLACED_MS = 2 * 3_600_000;
/** Beliefs settle for so long after the last absence before time may jump. */
const SETTLE_MS = 10 * 60_000;

export interface Outcome {
  /** Rebuilds begun for a node that came back with its data, by this many spare losses. */
  readonly falseStarts: number[];
  /** From each loss to the beginning of its rebuild, in ms, by spare losses at the beginning. */
  readonly lossDelaysMs: number[][];
}

export interface Replayed {
  readonly orchestrator: Outcome;
  readonly timer: Outcome;
  readonly ticks: number;
  /** Absences of one node, overlapping ones merged. */
  readonly runs: number;
}

/** One stretch of time in which a node's data is out of reach. */
interface Run {
  readonly node: number;
  readonly startMs: number;
  endMs: number;
  lostAtMs: number;
  /** Until when its domain was believed to be down. */
  explainedUntilMs: number;
  readonly absences: Absence[];
}

function runsOf(nodes: readonly TraceNode[], absences: readonly Absence[]): Run[] {
  const index = new Map(nodes.map((node, i) => [node.name, i]));
  const open = new Map<number, Run>();
  const runs: Run[] = [];
  for (const absence of absences) {
    const node = index.get(absence.node)!;
    const endMs = Math.min(
      absence.endMs,
      absence.startMs + REPLACED_MS * (absence.kind === 'loss' ? 1 : 1e6),
    );
    const lostAtMs = absence.kind === 'loss' ? absence.startMs : Infinity;
    const run = open.get(node);
    if (run !== undefined && absence.startMs <= run.endMs) {
      run.endMs = Math.max(run.endMs, endMs);
      run.lostAtMs = Math.min(run.lostAtMs, lostAtMs);
      run.absences.push(absence);
      continue;
    }
    const fresh = {
      node,
      startMs: absence.startMs,
      endMs,
      lostAtMs,
      explainedUntilMs: 0,
      absences: [absence],
    };
    open.set(node, fresh);
    runs.push(fresh);
  }
  return runs;
}

/** Packs with one copy in each of `copies` zones. */
export function packsOf(
  nodes: readonly TraceNode[],
  copies: number,
  count: number,
  random: Random,
): number[][] {
  const zones = [...new Set(nodes.map((node) => node.labels.az))].slice(0, copies);
  const inside = zones.map((zone) => [...nodes.keys()].filter((i) => nodes[i]!.labels.az === zone));
  return Array.from({ length: count }, () => inside.map((of) => of[random.below(of.length)]!));
}

function evidenceOf(run: Run, atMs: number, random: Random): Evidence {
  const device = (): Evidence['device'] => {
    const isReported = run.absences.some((one) => one.isReported && one.startMs <= atMs);
    return isReported && random.below(2) === 0 ? 'lost' : 'quiet';
  };
  const active = run.absences.filter((one) => one.startMs <= atMs && atMs < one.startMs + REPLACED_MS * 1e6);
  const isAlive = active.every((one) => one.isReported);
  const refuses = active.every((one) => atMs >= one.refusesFromMs);
  const leaving = active.some((one) => one.kind === 'announced' && atMs - one.startMs < beliefTickMs);
  return { heartbeat: isAlive ? 'seen' : refuses ? 'refused' : 'silent', device: device(), leaving };
}

/** Messages are lost now and then, and devices warn before some losses. */
function addNoise(
  evidence: Map<string, Evidence>,
  nodes: readonly TraceNode[],
  warning: readonly Run[],
  random: Random,
): void {
  for (const { node } of warning) {
    const device = random.below(10) === 0 ? 'failing' : random.below(3) === 0 ? 'warning' : 'quiet';
    evidence.set(nodes[node]!.name, { heartbeat: 'seen', device, leaving: false });
  }
  if (random.below(3) > 0) return;
  const { name } = nodes[random.below(nodes.length)]!;
  if (!evidence.has(name)) evidence.set(name, { heartbeat: 'silent', device: 'quiet', leaving: false });
}

const emptyOutcome = (copies: number): Outcome => ({
  falseStarts: Array.from({ length: copies }, () => 0),
  lossDelaysMs: Array.from({ length: copies }, () => []),
});

function record(outcome: Outcome, run: Run, spare: number, atMs: number): void {
  const at = Math.max(0, spare);
  if (run.lostAtMs === Infinity) outcome.falseStarts[at]!++;
  else outcome.lossDelaysMs[at]!.push(Math.max(0, atMs - run.lostAtMs));
}

export interface ReplayOptions {
  readonly nodes: readonly TraceNode[];
  readonly absences: readonly Absence[];
  readonly copies: number;
  readonly packs: number;
  readonly seed: number;
}

export function replay(options: ReplayOptions): Replayed {
  return new Replay(options).run();
}

const firstSignMs = (run: Run): number =>
  Math.min(run.startMs, ...run.absences.map((one) => one.warnsFromMs));

class Replay {
  readonly #nodes: readonly TraceNode[];
  readonly #copies: number;
  readonly #random: Random;
  readonly #packs: readonly (readonly number[])[];
  readonly #packsOn: readonly (readonly number[])[];
  readonly #belief: HealthBelief;
  readonly #upcoming: Run[];
  readonly #orchestrator: Outcome;
  readonly #timer: Outcome;
  /** `policy pack node start`: each rebuild begins once. */
  readonly #begun = new Set<string>();
  #active: Run[] = [];

  constructor({ nodes, absences, copies, packs, seed }: ReplayOptions) {
    this.#nodes = nodes;
    this.#copies = copies;
    this.#random = seededRandom(seed);
    this.#packs = packsOf(nodes, copies, packs, this.#random);
    this.#packsOn = nodes.map((_, node) =>
      [...this.#packs.keys()].filter((pack) => this.#packs[pack]!.includes(node)),
    );
    this.#belief = new HealthBelief(nodes);
    this.#upcoming = runsOf(nodes, absences).sort((a, b) => firstSignMs(b) - firstSignMs(a));
    this.#orchestrator = emptyOutcome(copies);
    this.#timer = emptyOutcome(copies);
  }

  run(): Replayed {
    const runs = this.#upcoming.length;
    let ticks = 0;
    let quietSinceMs = 0;
    for (let atMs = 0; this.#upcoming.length + this.#active.length > 0; atMs += beliefTickMs) {
      if (this.#active.length === 0 && atMs - quietSinceMs > SETTLE_MS) {
        const nextMs = firstSignMs(this.#upcoming.at(-1)!);
        atMs = Math.max(atMs, Math.floor(nextMs / beliefTickMs) * beliefTickMs);
      }
      while (this.#upcoming.length > 0 && firstSignMs(this.#upcoming.at(-1)!) <= atMs) {
        this.#active.push(this.#upcoming.pop()!);
      }
      this.#active = this.#active.filter((run) => run.endMs > atMs);
      if (this.#active.length > 0) quietSinceMs = atMs;
      this.#tick(atMs);
      ticks++;
    }
    return { orchestrator: this.#orchestrator, timer: this.#timer, ticks, runs };
  }

  #tick(atMs: number): void {
    const away = this.#active.filter((run) => run.startMs <= atMs);
    const warning = this.#active.filter((run) => run.startMs > atMs);
    const evidence = new Map(
      away.map((run) => [this.#nodes[run.node]!.name, evidenceOf(run, atMs, this.#random)]),
    );
    addNoise(evidence, this.#nodes, warning, this.#random);
    this.#belief.observe(evidence);
    const isAway = new Set(away.map((run) => run.node));
    for (const run of away) this.#decide(run, isAway, atMs);
  }

  #decide(run: Run, isAway: ReadonlySet<number>, atMs: number): void {
    const node = this.#nodes[run.node]!.name;
    const belief = this.#belief.node(node);
    if (belief.domainDown >= domainIsDown) run.explainedUntilMs = atMs;
    const absentMs = atMs - run.startMs;
    const aloneMs = atMs - Math.max(run.startMs, run.explainedUntilMs);
    const rebuilds = Array.from(
      { length: this.#copies },
      (_, spare) => judge(spare, { node, absentMs, aloneMs, belief }, PATIENCE).rebuilds,
    );
    for (const pack of this.#packsOn[run.node]!) {
      const spare = this.#packs[pack]!.filter((holder) => !isAway.has(holder)).length - 1;
      const key = `${pack} ${run.node} ${run.startMs}`;
      if (rebuilds[Math.max(0, spare)]! && this.#isFirst(`orchestrator ${key}`)) {
        record(this.#orchestrator, run, spare, atMs);
      }
      if (absentMs >= TIMER_MS && this.#isFirst(`timer ${key}`)) record(this.#timer, run, spare, atMs);
    }
  }

  #isFirst(key: string): boolean {
    const isFirst = !this.#begun.has(key);
    this.#begun.add(key);
    return isFirst;
  }
}
