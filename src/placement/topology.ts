/**
 * The nodes of one epoch, prepared for placing many packs: checked, in name order, grouped by their labels.
 * Pure and independent of the order in which nodes are given. Nodes of weight 0 hold nothing and are left out.
 * What is possible in a topology (its Spread) does not depend on the pack, so it is found once and kept.
 */
import { KwamError } from '../errors.ts';
import { DOMAINS, type Domain, type Labels } from '../plan.ts';
import { type NodeSeed, negativeLn, type PackWords, seedOf, uniformOf } from './score.ts';
import { type Classes, choose } from './spread.ts';

export interface PlacementNode {
  readonly name: string;
  /** Share of the data relative to other nodes; 0 stores nothing. */
  readonly weight: number;
  readonly labels: Labels;
}

/** The widest of the listed domains, nodes where none is listed, and how many of them store data. */
export function widestDomain(
  nodes: readonly PlacementNode[],
  listed: readonly string[],
): { readonly domain: Domain | 'node'; readonly count: number } {
  const domain = DOMAINS.find((each) => listed.includes(each)) ?? 'node';
  const storing = nodes.filter(({ weight }) => weight > 0);
  const names = storing.map(({ name, labels }) => (domain === 'node' ? name : labels[domain]));
  return { domain, count: new Set(names).size };
}

/** How far `count` nodes can be kept apart in the listed domains. */
export interface Spread {
  readonly classes: Classes;
  /** Nodes of each class, by index in name order. */
  readonly members: readonly (readonly number[])[];
  /** The most nodes that may share one value of a listed domain, widest domain first; 1 where the rule holds. */
  readonly caps: readonly number[];
  readonly relaxed: readonly Domain[];
  /** One choice of classes within the caps: proof that there is one. */
  readonly witness: readonly number[];
}

/** Steps to prove a spread possible or not; a topology whose labels follow a tree needs none (see Topology.spread). */
const PROOF_STEPS_MAX = 20_000;

export class Topology {
  readonly epoch: number;
  readonly names: readonly string[];
  readonly #labels: readonly Labels[];
  readonly #weights: readonly number[];
  readonly #seeds: readonly NodeSeed[];
  readonly #spreads = new Map<string, Spread>();

  constructor(nodes: readonly PlacementNode[], epoch = 0) {
    for (const node of nodes) checkWeight(node);
    const used = nodes.filter((node) => node.weight > 0).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (let i = 1; i < used.length; i++) checkDistinct(used[i - 1]!, used[i]!);
    this.epoch = epoch;
    this.names = used.map((node) => node.name);
    this.#labels = used.map((node) => node.labels);
    this.#weights = used.map((node) => node.weight);
    this.#seeds = used.map((node) => seedOf(node.name));
  }

  /** One score a node, in name order; the lowest is preferred. */
  scores(pack: PackWords): Float64Array {
    const scores = new Float64Array(this.names.length);
    for (let i = 0; i < scores.length; i++) {
      scores[i] = negativeLn(uniformOf(pack, this.#seeds[i]!)) / this.#weights[i]!;
    }
    return scores;
  }

  /**
   * The widest spread of `count` ≤ names.length nodes. Rules are given up from the widest domain to the narrowest (sharing an
   * az before sharing a spine, … a rack last), no more of them than needed, and then to the smallest cap that works,
   * again for the widest first. Labels are compared as they are, so they need not form a tree; if they do, the first
   * attempt decides. Otherwise a rule counts as impossible when 20,000 steps found no way to keep it.
   */
  spread(count: number, antiAffinity: readonly Domain[]): Spread {
    const listed = DOMAINS.filter((domain) => antiAffinity.includes(domain));
    const key = `${count} ${listed.join()}`;
    const known = this.#spreads.get(key);
    if (known !== undefined) return known;
    const spread = this.#findSpread(count, listed);
    this.#spreads.set(key, spread);
    return spread;
  }

  #findSpread(count: number, listed: readonly Domain[]): Spread {
    const { classes, members } = this.#group(listed);
    const within = (caps: readonly number[]): number[] | undefined =>
      choose(classes, caps, count, (index) => index, PROOF_STEPS_MAX);
    let caps: number[] = [];
    let witness: number[] | undefined;
    for (let given = 0; witness === undefined; given++) {
      caps = listed.map((_, d) => (d < given ? Math.max(1, count) : 1));
      witness = within(caps);
    }
    for (let d = 0; d < listed.length; d++) {
      for (let cap = Math.max(1, Math.ceil(count / classes.valueCounts[d]!)); cap < caps[d]!; cap++) {
        const tighter = caps.with(d, cap);
        const choice = within(tighter);
        if (choice !== undefined) [caps, witness] = [tighter, choice];
      }
    }
    return { classes, members, caps, relaxed: listed.filter((_, d) => caps[d]! > 1), witness };
  }

  #group(listed: readonly Domain[]): { classes: Classes; members: number[][] } {
    const ids = listed.map(() => new Map<string, number>());
    const byLabels = new Map<string, { values: number[]; members: number[] }>();
    this.#labels.forEach((labels, node) => {
      const values = listed.map((domain, d) => idOf(ids[d]!, labels[domain]));
      const group = byLabels.get(values.join()) ?? { values, members: [] };
      group.members.push(node);
      byLabels.set(values.join(), group);
    });
    const groups = [...byLabels.values()];
    const classes = {
      values: groups.map((group) => group.values),
      sizes: groups.map((group) => group.members.length),
      valueCounts: ids.map((map) => map.size),
    };
    return { classes, members: groups.map((group) => group.members) };
  }
}

function idOf(ids: Map<string, number>, label: string): number {
  const id = ids.get(label) ?? ids.size;
  ids.set(label, id);
  return id;
}

function checkWeight({ name, weight }: PlacementNode): void {
  if (Number.isFinite(weight) && weight >= 0) return;
  throw new KwamError(
    'USAGE',
    `expected the weight of node ${name} to be 0 or more, got ${weight}; correct the plan`,
    {
      context: { node: name, weight },
    },
  );
}

function checkDistinct(a: PlacementNode, b: PlacementNode): void {
  if (a.name !== b.name) return;
  throw new KwamError(
    'USAGE',
    `expected distinct node names, got ${a.name} twice; rename one node in the plan`,
    {
      context: { node: a.name },
    },
  );
}
