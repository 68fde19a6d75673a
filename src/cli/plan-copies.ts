/**
 * Where copies would go: what placement does with this plan's nodes.
 * In: a plan. Out: for each fault domain how many nodes it has and how many copies (or shards) of a pack it gets, on average and at most,
 * over sample packs whose ids are hashes of a counter: the same figures on every machine.
 */
import { createHash } from 'node:crypto';
import { shardCountOf } from '../erasure/scheme.ts';
import { place } from '../placement/placement.ts';
import { Topology } from '../placement/topology.ts';
import type { Domain, Plan, PlanNode } from '../plan.ts';

export interface DomainCopies {
  readonly name: string;
  /** Nodes that store data. */
  readonly nodes: number;
  readonly copiesMean: number;
  readonly copiesMost: number;
}

export interface Copies {
  /** Copies or shards of each pack. */
  readonly count: number;
  readonly packs: number;
  /** Listed domains that cannot be kept apart for so many. */
  readonly relaxed: readonly (Domain | 'node')[];
  readonly domains: Readonly<Record<Domain, readonly DomainCopies[]>>;
}

/** One in a thousand shows; on fleets fewer packs, so that it takes about a second. */
const PACKS_MAX = 1000;
const SCORES_MAX = 2_000_000;

export function copiesOf({ nodes, replicate }: Plan): Copies {
  const storing = nodes.filter(({ weight }) => weight > 0);
  const { erasure, factor, antiAffinity } = replicate;
  const count = erasure === undefined ? factor : shardCountOf(erasure);
  const packs = Math.max(1, Math.min(PACKS_MAX, Math.floor(SCORES_MAX / Math.max(1, storing.length))));
  const topology = new Topology(storing);
  const placements = Array.from({ length: packs }, (_, index) =>
    place(samplePack(index), topology, count, antiAffinity, { allowRepeat: true }),
  );
  const held = placements.map(({ nodes: names }) => names);
  const of = (domain: Domain): readonly DomainCopies[] => tallied(domain, storing, held);
  return {
    count,
    packs,
    relaxed: placements[0]!.relaxed,
    domains: { az: of('az'), spine: of('spine'), pdu: of('pdu'), rack: of('rack') },
  };
}

/** @param held  for each pack the names of the nodes that hold it */
function tallied(
  domain: Domain,
  nodes: readonly PlanNode[],
  held: readonly (readonly string[])[],
): readonly DomainCopies[] {
  const labelOf = new Map(nodes.map(({ name, labels }) => [name, labels[domain]]));
  const tallies = new Map(nodes.map(({ labels }) => [labels[domain], { nodes: 0, copies: 0, most: 0 }]));
  for (const { labels } of nodes) tallies.get(labels[domain])!.nodes++;
  for (const names of held) {
    for (const [value, here] of Map.groupBy(names, (name) => labelOf.get(name)!)) {
      const tally = tallies.get(value)!;
      tally.copies += here.length;
      tally.most = Math.max(tally.most, here.length);
    }
  }
  const rows = [...tallies].map(([name, tally]) => ({
    name,
    nodes: tally.nodes,
    copiesMean: tally.copies / held.length,
    copiesMost: tally.most,
  }));
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function samplePack(index: number): Uint8Array {
  return createHash('sha256').update(`kwam.dev/sample-pack/${index}`).digest();
}
