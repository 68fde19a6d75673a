/**
 * The nodes of a development cluster: the inventory that `dev up` makes up, since one machine has none.
 * In: how many nodes, and the pools that a program deploys to. Out: an Inventory of loopback nodes over three availability zones, each node with a
 * rack and a PDU of its own, so that three copies never share a domain and 4 + 2 shards put at most two in one zone.
 * A pool that selects by pattern gets nodes that match it: each wildcard of the pattern becomes the name of the node.
 */
import { KwamError } from '../errors.ts';
import type { Inventory, InventoryNode } from '../language/inventory.ts';

const ZONES = 3;
const NODES_MAX = 64;

export interface DevInventoryOptions {
  readonly nodes: number;
  readonly trustDomain: string;
  /** Nodes go to these in turn. */
  readonly pools: readonly DevPool[];
}

export interface DevPool {
  readonly name: string;
  /** SPIFFE pattern that its nodes match. */
  readonly select?: string | undefined;
}

export function devInventory({ nodes, trustDomain, pools }: DevInventoryOptions): Inventory {
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > NODES_MAX) {
    throw new KwamError('USAGE', `expected --nodes from 1 to ${NODES_MAX}, got ${nodes}`);
  }
  const all = Array.from({ length: nodes }, (_, index) => devNode(index, trustDomain));
  const ofPool = ({ select }: DevPool, at: number): InventoryNode[] =>
    all.filter((_, index) => index % pools.length === at).map((node) => selected(node, select));
  return {
    schema: 'kwam.inventory/v1',
    pools: new Map(pools.map((pool, at) => [pool.name, ofPool(pool, at)])),
  };
}

/** `*` alone is a segment, inside one a run; `**` is any number of segments, here one: the name fits in each place. */
function selected(node: InventoryNode, select: string | undefined): InventoryNode {
  return select === undefined ? node : { ...node, spiffe: select.replaceAll(/\*+/g, node.name) };
}

/** One more node for the pool of `sibling`, whose SPIFFE ID it takes with another name in it. */
export function devNodeBeside(
  sibling: InventoryNode | undefined,
  index: number,
  trustDomain: string,
): InventoryNode {
  const node = devNode(index, trustDomain);
  if (sibling === undefined) return node;
  const [scheme, empty, domain, ...path] = sibling.spiffe.split('/');
  if (isDevPath(path)) return node;
  const renamed = path.map((segment) => segment.replaceAll(sibling.name, node.name));
  const spiffe = [scheme, empty, domain, ...renamed].join('/');
  return spiffe === sibling.spiffe ? node : { ...node, spiffe };
}

function isDevPath([first, second]: readonly string[]): boolean {
  return first === 'dev' && second === 'local';
}

/** Node `index` counts from 0; names count from 1. Port 0: the node takes a free one. */
function devNode(index: number, trustDomain: string): InventoryNode {
  const name = `n${String(index + 1).padStart(4, '0')}`;
  const az = `az${(index % ZONES) + 1}`;
  const unit = Math.floor(index / ZONES) + 1;
  return {
    name,
    spiffe: `spiffe://${trustDomain}/dev/local/${az}/pod${unit}/${name}/node`,
    address: '127.0.0.1:0',
    labels: { az, spine: `${az}-spine1`, pdu: `${az}-pdu${unit}`, rack: `${az}-rack${unit}` },
    weight: 1,
  };
}
