/**
 * The worked vector of the Plan in ARCHITECTURE.md, "Plan, version 1": the document holds what the compiler makes of it.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/cli/domain-digest.ts';
import { compile } from '../../src/language/compile.ts';
import { parseInventory } from '../../src/language/inventory.ts';
import { memoryModules } from '../../src/language/module-resolver.ts';
import { planDigest } from '../../src/language/plan-digest.ts';
import { programDigest } from '../../src/language/program-digest.ts';
import { toPlan } from '../../src/language/to-plan.ts';
import { canonicalJson } from '../../src/manifest/canonical-json.ts';
import { TABLES } from './standard-tables.ts';

const LABEL_WIDTH = 12;

/** The rows of the vector by label; a row that goes on is indented. */
function vector(): ReadonlyMap<string, readonly string[]> {
  const document = readFileSync(new URL('../../ARCHITECTURE.md', import.meta.url), 'utf8');
  const section = document.slice(document.indexOf('### Plan, version 1'));
  const block = /```\n(.*?)\n```/s.exec(section)![1]!;
  const rows = new Map<string, string[]>();
  let last = '';
  for (const line of block.split('\n')) {
    last = line.slice(0, LABEL_WIDTH).trim() || last;
    rows.set(last, [...(rows.get(last) ?? []), line.slice(LABEL_WIDTH)]);
  }
  return rows;
}

const rows = vector();
const joined = (label: string): string => rows.get(label)!.join('');
const { inventory } = parseInventory(joined('inventory'));
const context = { tables: TABLES, inventory: inventory! };
const text = `${rows.get('program')!.join('\n')}\n`;
const compiled = compile('vector.kwam', text, { modules: memoryModules({}), context });

test('the program means what the document says, by its digest', () => {
  expect(compiled.diagnostics).toEqual([]);
  expect(programDigest(compiled.program, digestOf)).toBe(joined('digest'));
  expect(digestOf('kwam.dev/program/v1', JSON.parse(joined('meaning')))).toBe(joined('digest'));
});

test('the plan is the canonical text of the document, with its digest', () => {
  const { plan } = toPlan(compiled.program, context, joined('digest'));
  expect(canonicalJson(plan)).toBe(joined('plan'));
  expect(planDigest(plan!, digestOf)).toBe(joined('plan digest'));
});

test('a canary: another byte is another digest', () => {
  const other = joined('plan').replace('"factor":1', '"factor":2');
  expect(digestOf('kwam.dev/plan/v1', JSON.parse(other))).not.toBe(joined('plan digest'));
});
