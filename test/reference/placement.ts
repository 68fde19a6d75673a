/**
 * Brute force for anti-affinity on small topologies: looks at every subset of nodes.
 * In: labels of each node, most preferred node first. Out: the caps that placement promises, and the first subset within them.
 * Does not score nodes. Cost: all subsets, so keep to about ten nodes.
 */
import { DOMAINS, type Domain, type Labels } from '../../src/plan.ts';

export interface ReferenceSpread {
  readonly caps: Partial<Record<Domain, number>>;
  readonly relaxed: readonly Domain[];
  /** Positions of the subset that comes first in order of preference. */
  readonly first: readonly number[];
}

export function bruteForceSpread(
  nodes: readonly Labels[],
  count: number,
  antiAffinity: readonly Domain[],
): ReferenceSpread {
  const listed = DOMAINS.filter((domain) => antiAffinity.includes(domain));
  const all = subsets(nodes.length, count).map((subset) => ({
    subset,
    use: listed.map((domain) => sharing(subset.map((node) => nodes[node]![domain]))),
  }));
  let given = 0;
  const keeps = (use: readonly number[]): boolean => use.every((most, d) => d < given || most <= 1);
  while (!all.some(({ use }) => keeps(use))) given++;
  let left = all.filter(({ use }) => keeps(use));
  const caps: Partial<Record<Domain, number>> = {};
  listed.forEach((domain, d) => {
    const least = Math.max(1, Math.min(...left.map(({ use }) => use[d]!)));
    caps[domain] = least;
    left = left.filter(({ use }) => use[d]! <= least);
  });
  return { caps, relaxed: listed.filter((domain) => caps[domain]! > 1), first: left[0]!.subset };
}

/** The most nodes that share one label. */
export function sharing(labels: readonly string[]): number {
  return Math.max(0, ...labels.map((label) => labels.filter((other) => other === label).length));
}

/** All subsets of size `count` of 0 … total-1, in lexicographic order. */
function subsets(total: number, count: number, from = 0): number[][] {
  if (count === 0) return [[]];
  const found: number[][] = [];
  for (let first = from; first <= total - count; first++) {
    for (const rest of subsets(total, count - 1, first + 1)) found.push([first, ...rest]);
  }
  return found;
}
