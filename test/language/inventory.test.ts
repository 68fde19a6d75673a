/**
 * Inventories: a good one round trips, each slip is named with its path.
 */
import { describe, expect, test } from 'vitest';
import { parseInventory } from '../../src/language/inventory.ts';

const labels = { rack: 'r1', pdu: 'p1', spine: 's1', az: 'az1' };
const node = {
  name: 'n1',
  spiffe: 'spiffe://kwam/acme/n1/node',
  address: '10.40.0.1:7400',
  labels,
  weight: 2,
};
const other = { name: 'n2', spiffe: 'spiffe://kwam/acme/n2/node', address: '[fd00::2]:7400', labels };

const written = (nodes: unknown, rest: object = {}): string =>
  JSON.stringify({ schema: 'kwam.inventory/v1', pools: { h100_pool: { nodes } }, ...rest });

test('a good one is read; weight is 1 when it is left out', () => {
  const { inventory, problems } = parseInventory(written([node, other]));
  expect(problems).toEqual([]);
  expect(inventory?.pools.get('h100_pool')).toEqual([node, { ...other, weight: 1 }]);
});

test('free ports may repeat: each node takes one of its own', () => {
  const free = (one: object) => ({ ...one, address: '127.0.0.1:0' });
  expect(parseInventory(written([free(node), free(other)])).problems).toEqual([]);
});

test('a name from the prototype is a pool like any other', () => {
  const text = `{"schema":"kwam.inventory/v1","pools":{"__proto__":{"nodes":[${JSON.stringify(node)}]}}}`;
  expect(parseInventory(text).inventory?.pools.get('__proto__')).toEqual([node]);
});

describe('a slip is named with its path', () => {
  test.each<[string, string, string]>([
    ['no JSON', '{', '$'],
    ['not an object', '[]', '$'],
    ['no schema', '{"pools":{}}', '$.schema'],
    ['another schema', '{"schema":"kwam.inventory/v2","pools":{}}', '$.schema'],
    ['no pools', '{"schema":"kwam.inventory/v1"}', '$.pools'],
    ['an unknown key', written([], { extra: 1 }), '$.extra'],
    ['a pool that is a list', '{"schema":"kwam.inventory/v1","pools":{"p":[]}}', '$.pools.p'],
    ['a pool name with a dash', '{"schema":"kwam.inventory/v1","pools":{"a-b":{"nodes":[]}}}', '$.pools.a-b'],
    ['nodes that are no list', written({}), '$.pools.h100_pool.nodes'],
    ['a node that is text', written(['n1']), '$.pools.h100_pool.nodes[0]'],
    ['an unknown attribute', written([{ ...node, rack: 'r1' }]), '$.pools.h100_pool.nodes[0].rack'],
    [
      'a missing label',
      written([{ ...node, labels: { ...labels, az: undefined } }]),
      '$.pools.h100_pool.nodes[0].labels.az',
    ],
    [
      'an empty label',
      written([{ ...node, labels: { ...labels, pdu: '' } }]),
      '$.pools.h100_pool.nodes[0].labels.pdu',
    ],
    ['a bad ID', written([{ ...node, spiffe: 'spiffe://kwam/*/node' }]), '$.pools.h100_pool.nodes[0].spiffe'],
    [
      'an address without a port',
      written([{ ...node, address: '10.40.0.1' }]),
      '$.pools.h100_pool.nodes[0].address',
    ],
    [
      'a port that does not exist',
      written([{ ...node, address: 'n1:70000' }]),
      '$.pools.h100_pool.nodes[0].address',
    ],
    ['a negative weight', written([{ ...node, weight: -1 }]), '$.pools.h100_pool.nodes[0].weight'],
    ['a name twice', written([node, { ...other, name: 'n1' }]), '$.pools.h100_pool.nodes[1].name'],
    [
      'an identity twice',
      written([node, { ...other, spiffe: node.spiffe }]),
      '$.pools.h100_pool.nodes[1].spiffe',
    ],
    [
      'an address twice',
      written([node, { ...other, address: node.address }]),
      '$.pools.h100_pool.nodes[1].address',
    ],
  ])('%s', (_, text, path) => {
    const { inventory, problems } = parseInventory(text);
    expect(inventory).toBeUndefined();
    expect(problems.map((each) => each.path)).toEqual([path]);
    expect(problems[0]!.message).toMatch(/^expected .*, got|^expected JSON;/);
  });
});

test('many problems are cut off, and the answer stays a refusal', () => {
  const { inventory, problems } = parseInventory(written(new Array(500).fill({ ...node, weight: -1 })));
  expect(inventory).toBeUndefined();
  expect(problems).toHaveLength(100);
});
