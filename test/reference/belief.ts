/**
 * One tick of the health filter by brute force: every joint state of all domains and nodes, weighted and summed.
 * In: margins before the tick, the tree, the evidence. Out: margins after it. Exponential: for trees of a handful of nodes.
 */
import type { Evidence } from '../../src/health/evidence.ts';
import { beliefFloor, DOMAIN_CHANGE, likelihoodsOf, NODE_CHANGE } from '../../src/health/model.ts';
import type { Domain } from '../../src/plan.ts';

export interface ReferenceDomain {
  readonly kind: Domain;
  /** Index of the domain around it, smaller than its own; -1 for a zone. */
  readonly parent: number;
  /** How many nodes lie in it: one alone is never explained by it. */
  readonly nodeCount: number;
  chances: number[];
}

export interface ReferenceNode {
  readonly rack: number;
  chances: number[];
}

function predicted(chances: readonly number[], matrix: readonly (readonly number[])[]): number[] {
  return chances.map((_, to) => chances.reduce((sum, chance, from) => sum + chance * matrix[from]![to]!, 0));
}

/** Every combination of one index below each size. */
function* combinations(sizes: readonly number[]): Generator<number[]> {
  const at = sizes.map(() => 0);
  for (;;) {
    yield at;
    let i = 0;
    while (i < at.length && at[i] === sizes[i]! - 1) at[i++] = 0;
    if (i === at.length) return;
    at[i]!++;
  }
}

function normalize(weights: readonly number[], floor = 0): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const raised = weights.map((weight) => Math.max(weight / sum, floor));
  const raisedSum = raised.reduce((a, b) => a + b, 0);
  return raised.map((weight) => weight / raisedSum);
}

/** Overwrites the chances; returns, for each node, the chance that its rack is effectively down. */
export function tick(
  domains: ReferenceDomain[],
  nodes: ReferenceNode[],
  evidence: readonly Evidence[],
): number[] {
  const domainPrior = domains.map(({ kind, nodeCount, chances }) =>
    nodeCount > 1 ? predicted(chances, DOMAIN_CHANGE[kind]) : normalize([1, 0, 0], beliefFloor),
  );
  const nodePrior = nodes.map(({ chances }) => predicted(chances, NODE_CHANGE));
  const domainSums = domains.map(() => [0, 0, 0]);
  const nodeSums = nodes.map(({ chances }) => chances.map(() => 0));
  const downSums = nodes.map(() => [0, 0, 0]);
  for (const own of combinations(domains.map(() => 3))) {
    const effective: number[] = [];
    domains.forEach(({ parent }, i) => {
      effective[i] = Math.max(own[i]!, parent < 0 ? 0 : effective[parent]!);
    });
    const domainWeight = own.reduce((product, state, i) => product * domainPrior[i]![state]!, 1);
    for (const states of combinations(nodes.map(({ chances }) => chances.length))) {
      const weight = states.reduce(
        (product, state, i) =>
          product * nodePrior[i]![state]! * likelihoodsOf(evidence[i]!)[effective[nodes[i]!.rack]!]![state]!,
        domainWeight,
      );
      own.forEach((state, i) => {
        domainSums[i]![state]! += weight;
      });
      states.forEach((state, i) => {
        nodeSums[i]![state]! += weight;
        downSums[i]![effective[nodes[i]!.rack]!]! += weight;
      });
    }
  }
  domains.forEach((domain, i) => {
    domain.chances = normalize(domainSums[i]!, beliefFloor);
  });
  nodes.forEach((node, i) => {
    node.chances = normalize(nodeSums[i]!, beliefFloor);
  });
  return downSums.map((sums) => normalize(sums)[2]!);
}
