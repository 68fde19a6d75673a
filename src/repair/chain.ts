/**
 * Through which nodes the partial sums of a lost shard travel.
 * In: who holds the other shards and where the nodes are. Out: k shards, or those of the local group, grouped by node, the nearest to the rebuilder first. Nodes of one
 * zone, in it of one spine, in it of one rack follow each other, so that a sum crosses a border between racks once and not once a shard.
 * Pure: asks nobody.
 */
import type { Member } from '../cluster/membership.ts';
import type { DigestHex } from '../digest.ts';
import { codingMatrix } from '../erasure/matrix.ts';
import { makeRecipe } from '../erasure/recipe.ts';
import { localFirst } from '../erasure/scheme.ts';
import type { Domain, ErasureScheme } from '../plan.ts';
import type { Holders } from '../replication/holders.ts';
import type { Helper, Term } from '../replication/protocol.ts';

/** From the widest to the narrowest. */
const NESTED: readonly Domain[] = ['az', 'spine', 'rack'];

export interface Chain {
  /** What the rebuilder has itself. */
  readonly own: readonly Term[];
  readonly helpers: readonly Helper[];
}

export interface ChainRequest {
  readonly scheme: ErasureScheme;
  readonly shards: readonly DigestHex[];
  readonly lost: number;
  readonly holders: Holders;
  readonly members: readonly Pick<Member, 'name' | 'labels'>[];
  readonly self: string;
}

/** Undefined when the shards that are held by anyone do not determine it. */
export function chainFor(request: ChainRequest): Chain | undefined {
  const { scheme, shards, lost, self } = request;
  const byNearness = nearestFirst(request);
  const near = byNearness.map(({ shardIndex }) => shardIndex);
  const recipe = makeRecipe(codingMatrix(scheme), localFirst(scheme, near, [lost]), [lost]);
  if (recipe === undefined) return undefined;
  const terms = new Map<string, Term[]>();
  for (const { node, shardIndex } of byNearness) {
    const column = recipe.sources.indexOf(shardIndex);
    if (column < 0) continue;
    const term: Term = [shards[shardIndex]!, recipe.coefficients[column]!];
    terms.set(node, [...(terms.get(node) ?? []), term]);
  }
  const own = terms.get(self) ?? [];
  terms.delete(self);
  return { own, helpers: [...terms].map(([node, its]) => ({ node, terms: its })) };
}

interface Source {
  readonly node: string;
  readonly shardIndex: number;
}

/** Each shard at the nearest of its holders; shards of one node lie side by side. */
function nearestFirst({ shards, lost, holders, members, self }: ChainRequest): Source[] {
  const labels = new Map(members.map((member) => [member.name, member.labels]));
  const here = labels.get(self);
  const compare = (a: string, b: string): number => {
    for (const domain of NESTED) {
      const [ofA, ofB] = [labels.get(a)?.[domain] ?? '', labels.get(b)?.[domain] ?? ''];
      if (ofA !== ofB) return nearer(ofA, ofB, here?.[domain]);
    }
    return nearer(a, b, self);
  };
  const sources = shards.flatMap((shard, shardIndex): Source[] => {
    const [node] = (holders.get(shard) ?? []).toSorted(compare);
    return node === undefined || shardIndex === lost ? [] : [{ node, shardIndex }];
  });
  return sources.sort((a, b) => compare(a.node, b.node) || a.shardIndex - b.shardIndex);
}

/** The rebuilder's own first, then by name: equal ones stay together. */
function nearer(a: string, b: string, own: string | undefined): number {
  if (a === b) return 0;
  if (a === own) return -1;
  if (b === own) return 1;
  return a < b ? -1 : 1;
}
