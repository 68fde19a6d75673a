/**
 * The nodes of a development cluster: the inventory that `dev up` makes up, since one machine has none.
 * In: how many nodes, and the pools that a program deploys to. Out: an Inventory of loopback nodes over three availability zones, each node with a
 * rack and a PDU of its own, so that three copies never share a domain and 4 + 2 shards put at most two in one zone.
 */
import { KwamError } from '../errors.ts';
import type { Inventory, InventoryNode } from '../language/inventory.ts';

const ZONES = 3;
const NODES_MAX = 64;

export interface DevInventoryOptions {
  readonly nodes: number;
  readonly trustDomain: string;
  /** Nodes go to these in turn. */
  readonly pools: readonly string[];
}

export function devInventory({ nodes, trustDomain, pools }: DevInventoryOptions): Inventory {
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > NODES_MAX) {
    throw new KwamError('USAGE', `expected --nodes from 1 to ${NODES_MAX}, got ${nodes}`);
  }
  const all = Array.from({ length: nodes }, (_, index) => devNode(index, trustDomain));
  const ofPool = (at: number): InventoryNode[] => all.filter((_, index) => index % pools.length === at);
  return { schema: 'kwam.inventory/v1', pools: new Map(pools.map((name, at) => [name, ofPool(at)])) };
}

/** Node `index` counts from 0; names count from 1. Port 0: the node takes a free one. */
export function devNode(index: number, trustDomain: string): InventoryNode {
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
