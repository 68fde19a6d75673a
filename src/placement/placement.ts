/**
 * Which nodes hold a pack: weighted rendezvous hashing, kept apart in the listed domains as far as the topology allows.
 * In: pack id, topology (az → spine → pdu → rack labels and weights), count, anti-affinity. Out: nodes, best first.
 * Source: score.ts (rendezvous, straw2) and spread.ts (anti-affinity).
 * Holds: a pure function of its arguments, equal on every machine and for every order of nodes; a node that comes or goes
 *   moves about its own share of the data and little else. Does not know which nodes are alive or hold the pack now.
 */
import type { DigestHex } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import type { Domain } from '../plan.ts';
import type { PackWords } from './score.ts';
import { choose } from './spread.ts';
import { type PlacementNode, type Spread, Topology } from './topology.ts';

export interface Placement {
  /** Most preferred first; distinct unless `relaxed` has 'node'. */
  readonly nodes: readonly string[];
  /** Rules that this topology cannot keep for so many nodes, widest first; the caller logs and counts them. */
  readonly relaxed: readonly (Domain | 'node')[];
  /** How many of `count` have no node at all. */
  readonly missing: number;
  readonly epoch: number;
}

export interface PlaceOptions {
  /** When there are fewer nodes than `count`: use nodes again, evenly, and report 'node' as relaxed. For stripes. */
  readonly allowRepeat?: boolean;
}

/** A pack whose own preferences need more steps takes the topology's witness instead; only labels that are no tree do. */
const PACK_STEPS_MAX = 1000;

/**
 * @param topology  nodes, or better one Topology kept for all packs of an epoch.
 * The positions say preference, not identity: after a change compare placements as sets, and leave shards where they are.
 */
export function place(
  packId: DigestHex | Uint8Array,
  topology: Topology | readonly PlacementNode[],
  count: number,
  antiAffinity: readonly Domain[],
  options: PlaceOptions = {},
): Placement {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new KwamError('USAGE', `expected a whole number of nodes to place on, got ${count}`);
  }
  const { epoch, ...map } = prepared(topology, packId);
  const total = map.topology.names.length;
  if (count > total && total > 0 && options.allowRepeat === true) {
    return { ...repeated(map, count, antiAffinity), epoch };
  }
  const spread = map.topology.spread(Math.min(count, total), antiAffinity);
  const nodes = pick(spread, map.scores, Math.min(count, total)).map((node) => map.topology.names[node]!);
  return { nodes, relaxed: spread.relaxed, missing: count - nodes.length, epoch };
}

/** All nodes of weight > 0, most preferred first: the order in which repair looks for a new home. */
export function candidates(
  packId: DigestHex | Uint8Array,
  topology: Topology | readonly PlacementNode[],
): string[] {
  const map = prepared(topology, packId);
  return map.topology.names
    .map((_, node) => node)
    .sort(byScore(map.scores))
    .map((node) => map.topology.names[node]!);
}

interface Prepared {
  readonly topology: Topology;
  readonly scores: Float64Array;
}

function prepared(
  nodes: Topology | readonly PlacementNode[],
  packId: DigestHex | Uint8Array,
): Prepared & { epoch: number } {
  const topology = nodes instanceof Topology ? nodes : new Topology(nodes);
  return { topology, scores: topology.scores(wordsOf(packId)), epoch: topology.epoch };
}

function repeated(
  { topology, scores }: Prepared,
  count: number,
  antiAffinity: readonly Domain[],
): Omit<Placement, 'epoch'> {
  const total = topology.names.length;
  const everyNode = topology.names.map((_, node) => node).sort(byScore(scores));
  const rest = pick(topology.spread(count % total, antiAffinity), scores, count % total);
  const rounds = Array.from({ length: Math.floor(count / total) }, () => everyNode);
  const nodes = [...rounds.flat(), ...rest].map((node) => topology.names[node]!);
  const listed = topology.spread(total, antiAffinity).relaxed;
  return { nodes, relaxed: [...listed, 'node'], missing: 0 };
}

function pick(spread: Spread, scores: Float64Array, count: number): number[] {
  const better = byScore(scores);
  const nextOf = spread.members.map((members) => lazyOrder(members, better));
  const preference = (index: number, taken: number): number => scores[nextOf[index]!(taken)]!;
  const classes = choose(spread.classes, spread.caps, count, preference, PACK_STEPS_MAX) ?? spread.witness;
  const taken = spread.members.map(() => 0);
  return classes.map((index) => nextOf[index]!(taken[index]!++)).sort(better);
}

/** The n-th best member; sorting waits until a second one is asked for, which is rare. */
function lazyOrder(
  members: readonly number[],
  better: (a: number, b: number) => number,
): (n: number) => number {
  let best = members[0]!;
  for (const node of members) if (better(node, best) < 0) best = node;
  let sorted: number[] | undefined;
  return (n) => {
    if (n === 0) return best;
    sorted ??= [...members].sort(better);
    const node = sorted[n];
    assert(node !== undefined, 'a class is not asked for more nodes than it has');
    return node;
  };
}

/** Equal scores fall back to name order. */
function byScore(scores: Float64Array): (a: number, b: number) => number {
  return (a, b) => scores[a]! - scores[b]! || a - b;
}

function wordsOf(packId: DigestHex | Uint8Array): PackWords {
  if (packId.length !== (typeof packId === 'string' ? 64 : 32)) {
    throw new KwamError(
      'USAGE',
      `expected a pack id of 32 bytes or 64 hexadecimal digits, got ${packId.length}`,
    );
  }
  if (typeof packId === 'string') {
    const word = (i: number): number => Number.parseInt(packId.substring(8 * i, 8 * i + 8), 16) | 0;
    return { a: word(0), b: word(1), c: word(2) };
  }
  const view = new DataView(packId.buffer, packId.byteOffset, packId.byteLength);
  return { a: view.getInt32(0), b: view.getInt32(4), c: view.getInt32(8) };
}
