/**
 * No diagnostic without a page: every code that a source file of the language names is in the catalogue, and the other way round.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CODES } from '../../src/language/codes.ts';

const folder = new URL('../../src/language/', import.meta.url);
const sources = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.startsWith('codes'));

test('codes in use and codes with a page are the same', () => {
  const used = new Set(
    sources.flatMap((name) => readFileSync(new URL(name, folder), 'utf8').match(/'KW[0-9]{4}'/g) ?? []),
  );
  const pages = new Set([...CODES.keys()].map((code) => `'${code}'`));
  expect([...used].filter((code) => !pages.has(code)).sort()).toEqual([]);
  expect([...pages].filter((code) => !used.has(code)).sort()).toEqual([]);
});
