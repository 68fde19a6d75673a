/** Chains on drawn clusters: whose shards, in which order, and that the sum along the chain is the lost shard. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { multiply } from '../../src/erasure/galois.ts';
import { groupOf, localGroupsOf } from '../../src/erasure/scheme.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { type Chain, type ChainRequest, chainFor } from '../../src/repair/chain.ts';
import { encodeSlowly, isDecodable } from '../reference/linear-code.ts';

const idOf = (shard: number): DigestHex => String(shard).padStart(64, '0') as DigestHex;

interface Drawn extends ChainRequest {
  readonly places: readonly number[];
}

/** Nodes 0 … n − 1 in racks of drawn size, two racks a spine; a shard is where `places` says, or lost (−1). */
const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    k: fc.integer({ min: 1, max: 8 }),
    m: fc.integer({ min: 1, max: 4 }),
    groups: fc.option(fc.integer({ min: 2, max: 3 })),
    nodes: fc.integer({ min: 1, max: 14 }),
    rackNodes: fc.integer({ min: 1, max: 4 }),
    cauchy: fc.boolean(),
    seed: fc.infiniteStream(fc.nat(1000)),
  })
  .map(({ k, m, groups, nodes, rackNodes, cauchy, seed }) => {
    const draw = (below: number): number => (seed.next().value as number) % below;
    const scheme = drawnScheme(k, m, groups, cauchy);
    const count = scheme.dataShards + scheme.parityShards;
    const lost = draw(count);
    const places = Array.from({ length: count }, (_, i) => (i === lost ? -1 : draw(nodes + 1) - 1));
    const members = Array.from({ length: nodes }, (_, i) => {
      const rack = Math.floor(i / rackNodes);
      const labels = { az: 'a', spine: `s${rack >> 1}`, pdu: `p${rack}`, rack: `r${rack}` };
      return { name: `n${i}`, labels };
    });
    const shards = places.map((_, i) => idOf(i));
    const holders = new Map(shards.map((id, i) => [id, places[i]! < 0 ? [] : [`n${places[i]}`]]));
    return { scheme, shards, lost, holders, members, self: `n${draw(nodes)}`, places } as Drawn;
  });

function drawnScheme(k: number, m: number, groups: number | null, cauchy: boolean): ErasureScheme {
  if (groups === null) return { dataShards: k, parityShards: m, matrix: cauchy ? 'cauchy1' : 'vandermonde' };
  return { dataShards: groups * (k + 1), parityShards: groups + m, matrix: 'lrc', localGroups: groups };
}

/** How many shards the lost one has to be made of: k, or the others of its group; undefined when it cannot be made. */
function needed({ scheme, places, lost }: Drawn): number | undefined {
  const group = groupOf(scheme, lost);
  const groups = localGroupsOf(scheme);
  const here = [...places.keys()].filter((shard) => places[shard]! >= 0);
  const inGroup = here.filter((shard) => group !== undefined && groupOf(scheme, shard) === group).length;
  if (groups !== undefined && inGroup === groups.dataShards) return groups.dataShards;
  return isDecodable(scheme, here) ? scheme.dataShards : undefined;
}

/** How often the sum leaves one domain for another on its way to the rebuilder. */
function borders(request: Drawn, chain: Chain, domain: 'rack' | 'spine'): string[] {
  const labelOf = (node: string): string => request.members.find(({ name }) => name === node)!.labels[domain];
  const path = [request.self, ...chain.helpers.map(({ node }) => node)].map(labelOf);
  return path.filter((label, i) => i === 0 || label !== path[i - 1]);
}

test('k shards, each node once, each rack and each spine entered once; too few is said', () => {
  fc.assert(
    fc.property(drawn, (request) => {
      const chain = chainFor(request);
      const count = needed(request);
      // A chain can be where the data cannot be made from what is there.
      if (count !== undefined || request.scheme.matrix !== 'lrc')
        expect(chain === undefined).toBe(count === undefined);
      if (chain === undefined) return;
      const terms = [chain.own, ...chain.helpers.map((helper) => helper.terms)].flat();
      expect(new Set(terms.map(([shard]) => shard)).size).toBe(terms.length);
      if (request.scheme.matrix !== 'lrc') expect(terms.length).toBe(count);
      else if (count !== undefined) expect(terms.length).toBeLessThanOrEqual(count);
      const nodes = [request.self, ...chain.helpers.map(({ node }) => node)];
      expect(new Set(nodes).size).toBe(nodes.length);
      for (const domain of ['rack', 'spine'] as const) {
        const entered = borders(request, chain, domain);
        expect(new Set(entered).size).toBe(entered.length);
      }
      if (request.scheme.matrix === 'lrc') return;
      const ours = request.places.filter((place) => `n${place}` === request.self).length;
      expect(chain.own.length).toBe(Math.min(ours, request.scheme.dataShards));
    }),
    { numRuns: 400 },
  );
});

test('the terms add up to the lost shard', () => {
  fc.assert(
    fc.property(drawn, fc.infiniteStream(fc.nat(255)), (request, bytes) => {
      const chain = chainFor(request);
      if (chain === undefined) return;
      const { dataShards } = request.scheme;
      const data = Array.from({ length: dataShards }, () => Uint8Array.of(bytes.next().value as number));
      const shards = encodeSlowly(data, request.scheme);
      const terms = [chain.own, ...chain.helpers.map((helper) => helper.terms)].flat();
      const sum = terms.reduce(
        (so, [shard, coefficient]) => so ^ multiply(coefficient, shards[Number(shard)]![0]!),
        0,
      );
      expect(sum).toBe(shards[request.lost]![0]);
    }),
    { numRuns: 200 },
  );
});
