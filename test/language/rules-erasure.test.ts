/**
 * Codes with local groups, from the text of a program to its plan: which there are, over how many domains, and what a guard counts on.
 */
import { expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import type { Inventory, InventoryNode } from '../../src/language/inventory.ts';
import { toPlan } from '../../src/language/to-plan.ts';
import { faultdomains } from './front.ts';
import { TABLES } from './standard-tables.ts';

/** As many nodes, each with a rack of its own, in so many spines. */
function fleet(nodes: number, spines: number): Inventory {
  const all = Array.from({ length: nodes }, (_, i): InventoryNode => {
    const spine = i % spines;
    const labels = { rack: `r${i}`, pdu: `p${i}`, spine: `s${spine}`, az: 'a1' };
    return { name: `n${i}`, spiffe: `spiffe://kwam/n${i}/node`, address: `n${i}:7400`, labels, weight: 1 };
  });
  return { schema: 'kwam.inventory/v1', pools: new Map([['fleet', all]]) };
}

function compiled(code: string, inventory?: Inventory, domains = 'rack') {
  const text = `apiVersion "kwam.dev/v0.2"
import "std/faultdomains" as fd digest "sha256:${'0'.repeat(64)}"
use fd.h100
replicate data { factor 2 anti_affinity [${domains}] erasure ${code} }`;
  const context = { tables: TABLES, ...(inventory && { inventory }) };
  const { program, diagnostics } = compile('p.kwam', text, { modules: faultdomains(), context });
  return { program, said: diagnostics.map(({ code: said, message }) => `${said} ${message}`) };
}

test.each([
  ['lrc(12, 5, 2)', 'KW4023 expected lrc(k, l, m) with 2 to 17 groups'],
  ['lrc(12, 1, 2)', 'KW4023 expected lrc(k, l, m) with 2 to 17 groups'],
  ['lrc(32, 2, 2)', 'of 2 to 15 data shards'],
  ['lrc(12, 2, 5)', 'm from 1 to 4'],
  ['lrc(60, 4, 2)', 'k + l + m ≤ 64, got lrc(60, 4, 2)'],
  ['lrc(12, 2)', 'KW1016 expected rs(k, m) or lrc(k, l, m), got lrc with 2 numbers'],
  ['rs(12, 2, 2)', 'KW1016 expected rs(k, m) or lrc(k, l, m), got rs with 3 numbers'],
  ['toString(12, 2)', 'KW1016 expected rs(k, m) or lrc(k, l, m), got toString with 2 numbers'],
  ['lrc(12, 0, 2)', 'KW2011 expected a number of local groups from 1 to 254, got 0'],
  ['rs(254, 2)', 'KW4011 expected at most 255 shards, k + m, got 256'],
])('%s: %s', (code, message) => {
  expect(compiled(code).said).toEqual([expect.stringContaining(message)]);
});

test('a hole in a code is listed as the number that is missing', () => {
  const { program } = compiled('lrc(12, …, 2)');
  expect(program.holes).toMatchObject([
    { path: 'replicate.data.erasure.l', expected: 'a number of local groups' },
  ]);
});

test('twelve of the widest listed domain, nodes where none is listed', () => {
  expect(compiled('lrc(12, 2, 2)', fleet(16, 1)).said).toEqual([]);
  expect(compiled('lrc(12, 2, 2)', fleet(24, 12), 'rack, spine').said).toEqual([]);
  expect(compiled('lrc(12, 2, 2)', fleet(16, 4), '').said).toEqual([]);
  expect(compiled('lrc(12, 2, 2)').said).toEqual([]);
  expect(compiled('rs(12, 4)', fleet(24, 11), 'rack, spine').said).toEqual([]);
  expect(compiled('lrc(12, 2, 2)', fleet(24, 11), 'rack, spine').said).toEqual([
    'KW4024 `lrc(12, 2, 2)` expects at least 12 of the widest domain in `anti_affinity`, got 11 of `spine` in pool `fleet`',
  ]);
  expect(compiled('lrc(6, 2, 1)', fleet(11, 1), '').said).toEqual([
    expect.stringContaining('got 11 of `node` in pool `fleet`'),
  ]);
});

test('the plan has the groups, and that of other codes is as it was', () => {
  const erasureOf = (code: string): unknown => {
    const inventory = fleet(16, 1);
    const { program } = compiled(code, inventory);
    const { plan } = toPlan(program, { tables: TABLES, inventory }, `sha256:${'0'.repeat(64)}`);
    return plan!.replicate.erasure;
  };
  expect(erasureOf('lrc(12, 2, 2)')).toEqual({
    dataShards: 12,
    parityShards: 4,
    matrix: 'lrc',
    localGroups: 2,
  });
  expect(Object.keys(erasureOf('rs(6, 3)') as object)).toEqual(['dataShards', 'parityShards', 'matrix']);
});
