/**
 * Traces of what happens to the nodes of a cluster over years: restarts, drains, losses, and outages of whole racks, power
 * units and spines. Seeded.
 * In: a topology, years, a seed. Out: absences, each with the time from when to when nobody hears the node, and whether its data came back.
 * Source of the parameters (rates a year):
 *   rack 0.6 for 1–6 h, power unit 0.35 for 6 h, spine 0.75 for 1 h and 3 reloads of some minutes: J. Dean, a cluster's first year (2008), for
 *     1,800 servers in some 33 racks, 3 power units, 4 spines;
 *   restart of one node 0.56 (1000 machine failures, same source), 5 min on average in three stages, one in twelve an hour:
 *     about one in ten lasts more than 15 min (Ford et al., "Availability in Globally Distributed Storage Systems", OSDI 2010);
 *   announced absence of one node 0.3, an hour: 47 planned interruptions of 2,048 hosts in 54 days (Llama-3 training, 2024), as many drains;
 *   loss of one node 0.046: 14 host failures among 419 interruptions there. A quarter are failed disks of a host that goes on (3 SSDs
 *     of 14), which say so; of the rest a third shows failing devices before (ours; B200 logs: 2 of 10 before their XID).
 *   A domain that is destroyed for good is not among them: no filter can tell it from one that is down, the operator does.
 * The model under test has the same sources; the dwell times here are drawn otherwise (uniform, exponential), and noise is added.
 */
import type { Labels } from '../../src/plan.ts';
import { type Random, seededRandom } from '../../src/random.ts';

export interface TraceNode {
  readonly name: string;
  readonly labels: Labels;
}

export interface Absence {
  readonly node: string;
  readonly kind: 'restart' | 'announced' | 'loss' | 'rack' | 'pdu' | 'spine';
  readonly startMs: number;
  /** Infinity for a loss: then the node is replaced by an empty one after `replacedMs`. */
  readonly endMs: number;
  /** From here on until the end the host refuses connections: it is up, the sidecar is not. */
  readonly refusesFromMs: number;
  /** The disk fails and the host says so. */
  readonly isReported: boolean;
  /** Devices warn from here on. */
  readonly warnsFromMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
export const YEAR = 365 * 24 * HOUR;

/** 3 zones, each of 2 spines × 2 power units × 2 racks, 16 nodes a rack. */
export const NODES = 384;

export function topology(): TraceNode[] {
  return Array.from({ length: NODES }, (_, i) => ({
    name: `n${i}`,
    labels: { az: `${i >> 7}`, spine: `${i >> 6}`, pdu: `${i >> 5}`, rack: `${i >> 4}` },
  }));
}

function uniform(random: Random): number {
  return (random.below(2 ** 31) + 0.5) / 2 ** 31;
}

function exponential(random: Random, mean: number): number {
  return -mean * Math.log(uniform(random));
}

/** Times at which something of this yearly rate happens. */
function times(random: Random, perYear: number, durationMs: number): number[] {
  const found: number[] = [];
  for (let at = 0; ; ) {
    at += exponential(random, YEAR / perYear);
    if (at >= durationMs) return found;
    found.push(at);
  }
}

const PLAIN = { refusesFromMs: Infinity, isReported: false, warnsFromMs: Infinity };

function restart(random: Random, node: string, startMs: number): Absence {
  const bootMs = exponential(random, 100_000) + exponential(random, 100_000);
  const hangsMs = random.below(12) === 0 ? exponential(random, HOUR) : 0;
  const refusesFromMs = startMs + bootMs + hangsMs;
  const endMs = refusesFromMs + exponential(random, 100_000);
  return { ...PLAIN, node, kind: 'restart', startMs, endMs, refusesFromMs };
}

function loss(random: Random, node: string, startMs: number): Absence {
  const isReported = random.below(4) === 0;
  const warns = !isReported && random.below(3) === 0;
  const warnsFromMs = warns ? startMs - uniform(random) * 2 * HOUR : Infinity;
  return { ...PLAIN, node, kind: 'loss', startMs, endMs: Infinity, isReported, warnsFromMs };
}

function ofNode(random: Random, node: string, durationMs: number, lossesPerYear: number): Absence[] {
  const restarts = times(random, 0.56, durationMs).map((at) => restart(random, node, at));
  const announced = times(random, 0.3, durationMs).map((startMs): Absence => {
    const endMs = startMs + exponential(random, HOUR);
    return { ...PLAIN, node, kind: 'announced', startMs, endMs };
  });
  const losses = times(random, lossesPerYear, durationMs).map((at) => loss(random, node, at));
  return [...restarts, ...announced, ...losses];
}

const DOMAIN_OUTAGES = [
  { kind: 'rack', perYear: 0.6, lastsMs: (random: Random) => HOUR * (1 + 5 * uniform(random)) },
  { kind: 'pdu', perYear: 0.35, lastsMs: (random: Random) => HOUR * (4 + 4 * uniform(random)) },
  { kind: 'spine', perYear: 0.75, lastsMs: (random: Random) => HOUR * (0.5 + uniform(random)) },
  { kind: 'spine', perYear: 3, lastsMs: (random: Random) => MINUTE * (1 + 5 * uniform(random)) },
] as const;

function ofDomains(random: Random, nodes: readonly TraceNode[], durationMs: number): Absence[] {
  const absences: Absence[] = [];
  for (const { kind, perYear, lastsMs } of DOMAIN_OUTAGES) {
    for (const label of new Set(nodes.map((node) => node.labels[kind]))) {
      const inside = nodes.filter((node) => node.labels[kind] === label);
      for (const startMs of times(random, perYear, durationMs)) {
        const endMs = startMs + lastsMs(random);
        // Power comes back at once, nodes boot one by one.
        const boot = (): number => (kind === 'spine' ? 0 : exponential(random, MINUTE));
        for (const { name } of inside) {
          absences.push({ ...PLAIN, node: name, kind, startMs, endMs: endMs + boot() });
        }
      }
    }
  }
  return absences;
}

/** What the sources say; a short trace needs more to have any. */
export const LOSSES_PER_YEAR = 0.046;

export function outages(
  nodes: readonly TraceNode[],
  years: number,
  seed: number,
  lossesPerYear = LOSSES_PER_YEAR,
): Absence[] {
  const random = seededRandom(seed);
  const durationMs = years * YEAR;
  const alone = nodes.flatMap((node) => ofNode(random, node.name, durationMs, lossesPerYear));
  const together = ofDomains(random, nodes, durationMs);
  return [...alone, ...together].sort((a, b) => a.startMs - b.startMs);
}
