/** Topologies and packs for the placement tests. */
import type { PlacementNode } from '../../src/placement/topology.ts';
import { seededRandom } from '../../src/random.ts';

/** A tree of `azs` zones with the given branching below; weights by node number. */
export function tree(
  azs: number,
  spines: number,
  pdus: number,
  racks: number,
  nodes: number,
  weightOf: (i: number) => number = () => 1,
): PlacementNode[] {
  return Array.from({ length: azs * spines * pdus * racks * nodes }, (_, i) => {
    const rack = Math.floor(i / nodes);
    const pdu = Math.floor(rack / racks);
    const spine = Math.floor(pdu / pdus);
    const labels = {
      rack: `r${rack}`,
      pdu: `p${pdu}`,
      spine: `s${spine}`,
      az: `z${Math.floor(spine / spines)}`,
    };
    return { name: `n${String(i).padStart(4, '0')}`, weight: weightOf(i), labels };
  });
}

export function packs(count: number, seed = 4): Uint8Array[] {
  const bytes = seededRandom(seed).fill(new Uint8Array(count * 32));
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));
}
