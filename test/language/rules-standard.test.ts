/**
 * The rules with the real, signed standard modules: the example on every hardware; and the tables that other tests use have their names.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { modulesOf } from '../../src/cli/module-loading.ts';
import { compile } from '../../src/language/compile.ts';
import { COUNTERS } from '../../src/language/counters.ts';
import { createMetrics } from '../../src/metrics.ts';
import { TABLES } from './standard-tables.ts';

const FILE = fileURLToPath(new URL('../../examples/h100.kwam', import.meta.url));
const EXAMPLE = readFileSync(FILE, 'utf8');
// Nothing of the machine's own caches or trust takes part.
const environment = { XDG_CACHE_HOME: '/nonexistent', XDG_CONFIG_HOME: '/nonexistent', HOME: '/nonexistent' };

test.each([
  ['h100', []],
  ['h200', []],
  ['tpu', ['KW6003']],
  ['trainium', ['KW6003']],
  ['cpu', ['KW6003']],
])('the example on %s has no errors, and the warnings %j', async (hardware, warnings) => {
  const text = EXAMPLE.replace('hardware "h100"', `hardware "${hardware}"`);
  const { modules, tables } = await modulesOf(FILE, text, { environment });
  const { diagnostics, ok } = compile(FILE, text, { modules, context: { tables } });
  const loud = diagnostics.filter(({ severity }) => severity !== 'note');
  expect(loud.map(({ code }) => code)).toEqual(warnings);
  expect(ok).toBe(true);
});

test('the tables of the other tests name what the standard modules name', async () => {
  const { tables } = await modulesOf(FILE, EXAMPLE, { environment });
  expect(new Set(TABLES.interconnects.keys())).toEqual(new Set(tables.interconnects.keys()));
  expect(TABLES.sandboxes).toEqual(tables.sandboxes);
  for (const [name, { interconnects, signals }] of tables.hardware) {
    const own = TABLES.hardware.get(name);
    expect([...(own?.signals.keys() ?? [])].sort()).toEqual([...signals.keys()].sort());
    expect(own?.interconnects[0]).toBe(interconnects[0]);
  }
  expect(TABLES.hardware.size).toBe(tables.hardware.size);
});

test('each counter that a metric may observe is a series that a node exports from its start', async () => {
  const { registry } = createMetrics({ node: 'n0001' }, { version: '0', codecId: '0' });
  const exported = await registry.metrics();
  for (const series of COUNTERS.values()) expect(exported).toMatch(new RegExp(`^${series}\\{.*\\} 0$`, 'm'));
});
