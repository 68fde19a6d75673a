/** The nodes that a development cluster makes up, and one more beside them. */
import { expect, test } from 'vitest';
import { devInventory, devNodeBeside } from '../../src/cluster/dev-inventory.ts';
import { parseSpiffePattern, spiffePatternMatches } from '../../src/language/spiffe-pattern.ts';

const PATTERNS = [
  'spiffe://kwam/*/node',
  'spiffe://kwam/**',
  'spiffe://kwam/a/pod*x/**/*-seed',
  'spiffe://kwam/*',
];

test.each(PATTERNS)(
  'nodes of a pool that selects %s match it and differ, the one that is added too',
  (select) => {
    const pools = [{ name: 'selected', select }, { name: 'other' }];
    const inventory = devInventory({ nodes: 4, trustDomain: 'kwam', pools });
    const nodes = inventory.pools.get('selected')!;
    const ids = [...nodes, devNodeBeside(nodes[0], 4, 'kwam')].map(({ spiffe }) => spiffe);
    const pattern = parseSpiffePattern(select);
    if (typeof pattern === 'string') throw new Error(pattern);
    expect(ids.map((id) => spiffePatternMatches(pattern, id))).toEqual([true, true, true]);
    expect(new Set(ids).size).toBe(3);
    expect(inventory.pools.get('other')!.map(({ spiffe }) => spiffe)).toEqual([
      'spiffe://kwam/dev/local/az2/pod1/n0002/node',
      'spiffe://kwam/dev/local/az1/pod2/n0004/node',
    ]);
  },
);

test('a node beside one that no pattern made stands in its own zone and pod', () => {
  const [first] = devInventory({ nodes: 1, trustDomain: 'kwam', pools: [{ name: 'local' }] }).pools.get(
    'local',
  )!;
  expect(devNodeBeside(first, 1, 'kwam').spiffe).toBe('spiffe://kwam/dev/local/az2/pod1/n0002/node');
  const stranger = { ...first!, name: 'gpu-7', spiffe: 'spiffe://kwam/hosts/seven' };
  expect(devNodeBeside(stranger, 1, 'kwam').spiffe).toBe('spiffe://kwam/dev/local/az2/pod1/n0002/node');
});
