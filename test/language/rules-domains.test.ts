/** The tree of fault domains: circles are said once, and contradicting labels name the two nodes. */
import { expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import type { Inventory, InventoryNode } from '../../src/language/inventory.ts';
import { faultdomains, versioned } from './front.ts';
import { TABLES } from './standard-tables.ts';

function messages(text: string, inventory?: Inventory): readonly string[] {
  const context = { tables: TABLES, ...(inventory && { inventory }) };
  const { diagnostics } = compile('x.kwam', versioned(text), { modules: faultdomains(), context });
  return diagnostics.map(({ code, message }) => `${code} ${message}`);
}

const set = (rows: string): string => `module "acme/domains"\nexport domains site { ${rows} }`;

test('a circle is said once, with its way round; a domain that only leads into it is not part of it', () => {
  expect(
    messages(set('room { within rack } rack { within pdu } pdu { within az } az { within rack }')),
  ).toEqual([
    'KW4017 expected domains within each other, got a circle: `rack` within `pdu` within `az` within `rack`',
  ]);
  expect(messages(set('rack { within rack }'))).toEqual([
    'KW4017 expected domains within each other, got a circle: `rack` within `rack`',
  ]);
  expect(messages(set('rack { within spine } pdu { within spine } spine { within az } az { }'))).toEqual([]);
});

const node = (
  name: string,
  [rack, pdu, spine, az]: readonly [string, string, string, string],
): InventoryNode => ({
  name,
  spiffe: `spiffe://kwam/${name}/node`,
  address: `${name}:7400`,
  labels: { rack, pdu, spine, az },
  weight: 1,
});
const inventoryOf = (...nodes: readonly InventoryNode[]): Inventory => ({
  schema: 'kwam.inventory/v1',
  pools: new Map([['fleet', nodes]]),
});
const PROGRAM = `import "std/faultdomains" as fd digest "sha256:${'0'.repeat(64)}"
use fd.h100
replicate data { factor 2 anti_affinity [rack] }`;

test('a power unit under two spines is an error with the two nodes, once for each unit', () => {
  const fleet = inventoryOf(
    node('n1', ['r1', 'p1', 's1', 'a1']),
    node('n2', ['r2', 'p1', 's2', 'a1']),
    node('n3', ['r3', 'p1', 's3', 'a1']),
    node('n4', ['r4', 'p2', 's2', 'a1']),
  );
  expect(messages(PROGRAM, fleet)).toEqual([
    'KW4018 expected pdu `p1` within one spine, got `s1` at node `n1` and `s2` at node `n2`',
  ]);
});

test('labels that nest are right, and without a set in scope nothing says how they should', () => {
  const nested = [node('n1', ['r1', 'p1', 's1', 'a1']), node('n2', ['r1', 'p1', 's1', 'a1'])] as const;
  expect(messages(PROGRAM, inventoryOf(...nested))).toEqual([]);
  const crossed = inventoryOf(nested[0], node('n2', ['r1', 'p2', 's2', 'a2']));
  expect(messages('replicate data { factor 2 anti_affinity [] }', crossed)).toEqual([]);
  expect(messages(PROGRAM, crossed)).toHaveLength(1);
});

test('one cause is said once: no set at all, a domain of none, a signal of no hook', () => {
  const rows = ['node', 'rack', 'az'].map(
    (name) => `${name} 50y { source "log" audited_by "Ada" audited_on "2026-09-30" }`,
  );
  const guarded = (domains: string): string => `replicate data { factor 2 anti_affinity [${domains}] }
guard g { durability 1nines mttr_restore 30m recovery_time 12h integrity sha256 on_violation quarantine mtbf { ${rows.join(' ')} } }`;
  expect(messages(guarded('rack, az'))).toEqual([
    'KW4001 expected a domain of a set in scope, got `rack` and no set',
  ]);
  const scoped = `import "std/faultdomains" as fd digest "sha256:${'0'.repeat(64)}"\nuse fd.h100\n`;
  expect(messages(`${scoped}${guarded('rack, az, zone')}`)).toEqual([
    'KW4001 expected a fault domain, got `zone`',
  ]);
  const signals = 'profile p { … health [dcgm] } client c { … health [foo.bar] }';
  expect(messages(signals).filter((each) => !each.startsWith('KW1901'))).toEqual([
    'KW6006 expected a health signal, got `foo.bar`',
  ]);
});
