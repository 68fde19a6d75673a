/**
 * What people read: every program in golden/ with its diagnostics in golden/*.txt. UPDATE_GOLDEN=1 writes them anew.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderPretty } from '../../src/language/render-pretty.ts';
import { front } from './front.ts';

const folder = new URL('golden/', import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith('.kwam'));

test.each(names)('%s', (name) => {
  const { diagnostics, source } = front(readFileSync(new URL(name, folder), 'utf8'), undefined, name);
  const made = renderPretty(diagnostics, [source], { colour: false });
  const golden = new URL(name.replace(/\.kwam$/, '.txt'), folder);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, made);
  expect(made).toBe(readFileSync(golden, 'utf8'));
});
