/**
 * The formatter: idempotent, loses neither token nor comment, keeps its hands off broken programs.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { format } from '../../src/language/format.ts';
import { parse } from '../../src/language/parse.ts';
import { programs } from './generate.ts';

const runs = process.env['KWAM_CAMPAIGN'] === '1' ? 200_000 : 500;

/** Everything but layout: tokens without the optional last comma of a list, and the comments. */
function essence(text: string): { tokens: string; comments: readonly string[] } {
  const { comments } = parse('f', text);
  let bare = text;
  for (const { startOffset, endOffset } of [...comments].reverse()) {
    bare = `${bare.slice(0, startOffset)} ${bare.slice(endOffset)}`;
  }
  const tokens = bare
    .replace(/\$\{\s*(\w+)\s*\}/g, '${$1}')
    .replace(/\s+/g, ' ')
    .replace(/ ?([[\](),{}]) ?/g, '$1')
    .replace(/,\]/g, ']')
    .trim();
  return { tokens, comments: comments.map((each) => each.text).sort() };
}

test('the seed and the example: twice is once, and nothing is lost', () => {
  for (const name of ['tour.kwam', 'h100.kwam']) {
    const text = readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
    const once = format(name, text).text;
    expect(format(name, once).text).toBe(once);
    expect(essence(once)).toEqual(essence(text));
  }
});

test('the example is written in the one style', () => {
  const text = readFileSync(new URL('../../examples/h100.kwam', import.meta.url), 'utf8');
  expect(format('h100.kwam', text).text).toBe(text);
});

test('generated programs: twice is once, and nothing is lost', () => {
  const property = fc.property(programs, (text) => {
    const { text: once, diagnostics } = format('f', text);
    expect(diagnostics).toEqual([]);
    expect(format('f', once).text).toBe(once);
    expect(essence(once)).toEqual(essence(text));
    expect(once).not.toMatch(/[ \t]\n|\n\n\n|^\n/);
  });
  fc.assert(property, { numRuns: runs });
});

test('the style', () => {
  const text = [
    'metric m { observe   x target 0 } # short',
    'profile p {hardware "h100"',
    '',
    '',
    'health [dcgm,nvml,] # hooks',
    'fanout ${ fanout } # how many',
    'ports { control 1',
    'data 2 } }',
    `let long = [${Array.from({ length: 30 }, (_, at) => at).join(',')}]`,
  ].join('\n');
  expect(format('f', text).text.split('\n').slice(0, 14)).toEqual([
    'metric m { observe x target 0 } # short',
    'profile p {',
    '  hardware "h100"',
    '',
    '  health [dcgm, nvml] # hooks',
    '  fanout ${fanout}    # how many',
    '  ports {',
    '    control 1',
    '    data 2',
    '  }',
    '}',
    'let long = [',
    '  0,',
    '  1,',
  ]);
});

test('a program with a syntax error comes back as it is, with the error', () => {
  const text = 'metric m {   observe x';
  const { text: same, diagnostics } = format('f', text);
  expect(same).toBe(text);
  expect(diagnostics.map((each) => each.code)).toEqual(['KW1003']);
});

test('a string that its line does not close is left alone: joined with the next line it would mean something else', () => {
  const text = 'apiVersion "kwam.dev/v0.2"\nimport "std/faultdomains\n  as fd digest "sha256:…"\n';
  const { text: after, diagnostics } = format('open.kwam', text);
  expect(after).toBe(text);
  expect(diagnostics.map(({ code }) => code)).toContain('KW1007');
});
