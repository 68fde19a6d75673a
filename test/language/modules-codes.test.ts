/** The pages KW31xx against modules that have each fault: exactly the one that the page is about. */
import { expect, it } from 'vitest';
import { MODULE_PAGES } from '../../src/language/codes-modules.ts';
import { MODULE_CODES } from '../../src/language/modules-problem.ts';
import { parse } from '../../src/language/parse.ts';
import { resolve } from '../../src/language/resolve.ts';
import { exampleModules } from './modules-examples.ts';

const codesOf = (text: string): string[] => {
  const pinned = text.replaceAll('sha256:DIGEST', `sha256:${'0'.repeat(64)}`);
  return resolve(parse('example.kwam', pinned), exampleModules).diagnostics.map((each) => each.code);
};

it.each(Object.entries(MODULE_PAGES))('%s', (code, { failing, passing }) => {
  expect(codesOf(failing)).toEqual([code]);
  expect(codesOf(passing)).toEqual([]);
});

it('every fault has a page', () => {
  expect(Object.keys(MODULE_PAGES).sort()).toEqual(Object.values(MODULE_CODES).sort());
});
