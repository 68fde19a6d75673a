/**
 * Every code has a page whose failing example gives that code and whose passing example gives no error.
 */
import { describe, expect, test } from 'vitest';
import { DIGEST_PLACEHOLDER, readable } from '../../src/language/code-page.ts';
import { CODES } from '../../src/language/codes.ts';
import { exampleDiagnostics } from './examples.ts';

describe.each([...CODES])('%s', (code, page) => {
  test('the failing example gives the code', () => {
    expect(exampleDiagnostics(page.failing, false).map((each) => each.code)).toContain(code);
  });

  test('the passing example gives no error', () => {
    const errors = exampleDiagnostics(page.passing, true).filter((each) => each.severity === 'error');
    expect(errors.map((each) => `${each.code} ${each.message}`)).toEqual([]);
  });

  test('the page is written', () => {
    expect(page.title.length).toBeGreaterThan(10);
    expect(page.why.length).toBeGreaterThan(40);
    expect(page.passing).not.toBe(page.failing);
    const { failing, passing } = readable(page);
    expect(Math.max(failing.length, passing.length)).toBeLessThan(2000);
  });
});

test('a canary: the placeholder of digests is used, so that its replacement is tested', () => {
  expect([...CODES.values()].some((page) => page.passing.includes(DIGEST_PLACEHOLDER))).toBe(true);
});
