/** Chains on drawn clusters: whose shards, in which order, and that the sum along the chain is the lost shard. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { multiply } from '../../src/erasure/galois.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { type Chain, type ChainRequest, chainFor } from '../../src/repair/chain.ts';
import { encodeSlowly } from '../reference/reed-solomon.ts';

const idOf = (shard: number): DigestHex => String(shard).padStart(64, '0') as DigestHex;

interface Drawn extends ChainRequest {
  readonly places: readonly number[];
}

/** Nodes 0 … n − 1 in racks of drawn size, two racks a spine; a shard is where `places` says, or lost (−1). */
const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    k: fc.integer({ min: 1, max: 8 }),
    m: fc.integer({ min: 1, max: 4 }),
    nodes: fc.integer({ min: 1, max: 14 }),
    rackNodes: fc.integer({ min: 1, max: 4 }),
    cauchy: fc.boolean(),
    seed: fc.infiniteStream(fc.nat(1000)),
  })
  .map(({ k, m, nodes, rackNodes, cauchy, seed }) => {
    const draw = (below: number): number => (seed.next().value as number) % below;
    const lost = draw(k + m);
    const places = Array.from({ length: k + m }, (_, i) => (i === lost ? -1 : draw(nodes + 1) - 1));
    const members = Array.from({ length: nodes }, (_, i) => {
      const rack = Math.floor(i / rackNodes);
      const labels = { az: 'a', spine: `s${rack >> 1}`, pdu: `p${rack}`, rack: `r${rack}` };
      return { name: `n${i}`, labels };
    });
    const scheme: ErasureScheme = {
      dataShards: k,
      parityShards: m,
      matrix: cauchy ? 'cauchy1' : 'vandermonde',
    };
    const shards = places.map((_, i) => idOf(i));
    const holders = new Map(shards.map((id, i) => [id, places[i]! < 0 ? [] : [`n${places[i]}`]]));
    return { scheme, shards, lost, holders, members, self: `n${draw(nodes)}`, places } as Drawn;
  });

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
      const present = request.places.filter((place) => place >= 0).length;
      expect(chain === undefined).toBe(present < request.scheme.dataShards);
      if (chain === undefined) return;
      const terms = [chain.own, ...chain.helpers.map((helper) => helper.terms)].flat();
      expect(new Set(terms.map(([shard]) => shard)).size).toBe(request.scheme.dataShards);
      const nodes = [request.self, ...chain.helpers.map(({ node }) => node)];
      expect(new Set(nodes).size).toBe(nodes.length);
      for (const domain of ['rack', 'spine'] as const) {
        const entered = borders(request, chain, domain);
        expect(new Set(entered).size).toBe(entered.length);
      }
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
      const { dataShards, parityShards, matrix } = request.scheme;
      const data = Array.from({ length: dataShards }, () => Uint8Array.of(bytes.next().value as number));
      const shards = encodeSlowly(data, parityShards, matrix);
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
