/**
 * Omission comments: what is missing at one is a hole; a program that is whole means the same with and without them.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import { faultdomains, front, versioned } from './front.ts';
import { TABLES } from './standard-tables.ts';

const pathsOf = (text: string): readonly string[] =>
  front(versioned(text)).program.holes.map(({ path }) => path);
const codesOf = (text: string): readonly string[] =>
  front(versioned(text)).diagnostics.map(({ code }) => code);

describe('an omission comment', () => {
  test('makes a hole of each required attribute that is missing in its body', () => {
    const text = 'metric m {\n  target 0\n  # … counter and window omitted …\n}';
    expect(pathsOf(text)).toEqual(['metric.m.observe', 'metric.m.window']);
    expect(codesOf(text)).toEqual(['KW1901', 'KW1901']);
  });

  test('says what is due, at its own place', () => {
    const text = versioned('server s {\n  …\n}\nguard g {\n  # ... all omitted ...\n}');
    const { program, source } = front(text);
    const ports = program.holes.find(({ path }) => path === 'guard.g.durability')!;
    expect(source.slice(ports.range)).toBe('# ... all omitted ...');
    expect(ports.expected).toBe('a number of nines such as 6nines');
  });

  test('belongs to the innermost body', () => {
    const text = 'server s {\n  ports {\n    # … numbers omitted …\n  }\n}';
    const { program, diagnostics } = front(versioned(text));
    expect(program.holes.map(({ path }) => path)).toEqual([
      'server.s.ports.control',
      'server.s.ports.data',
      'server.s.ports.metrics',
    ]);
    expect(diagnostics.filter(({ code }) => code === 'KW2010').length).toBe(4);
  });

  test.each([
    ['outside of the body', '# … omitted …\nmetric m { target 0 window 30d }'],
    ['without the second mark', 'metric m {\n  target 0 window 30d # … omitted\n}'],
    ['without the first mark', 'metric m {\n  target 0 window 30d # omitted …\n}'],
    ['of nothing', 'metric m {\n  target 0 window 30d # … …\n}'],
  ])('%s is a comment', (_, text) => {
    expect(codesOf(text)).toEqual(['KW2010']);
  });

  test('silences no rule: a grant that lacks a scope is refused all the same', () => {
    const grant = 'caps [discover] signed_by "acme-prod" # … scope omitted …';
    const text = versioned(
      `policy p {\n  …\n  grants {\n    "spiffe://kwam/acme/**" {\n      ${grant}\n    }\n  }\n}`,
    );
    const { diagnostics } = compile('p.kwam', text, { modules: faultdomains(), context: { tables: TABLES } });
    expect(diagnostics.map(({ code }) => code)).toContain('KW3021');
  });

  test('changes nothing in the example, wherever it is put', () => {
    const text = readFileSync(new URL('../../examples/h100.kwam', import.meta.url), 'utf8');
    const commented = text.replaceAll(/\{\n/g, '{ # … more omitted …\n');
    expect(commented).not.toBe(text);
    const said = (each: string) =>
      compile('h100.kwam', each, { modules: faultdomains(), context: { tables: TABLES } }).diagnostics.map(
        ({ code, message }) => `${code} ${message}`,
      );
    expect(said(commented)).toEqual(said(text));
  });
});
