/**
 * The renderers: colour only when asked for, nothing of the program reaches the terminal raw, JSON and SARIF in their forms.
 */
import { expect, test } from 'vitest';
import { checkJson } from '../../src/language/render-json.ts';
import { renderPretty } from '../../src/language/render-pretty.ts';
import { front, versioned } from './front.ts';

const broken = front(versioned('metric m {\n  observe "\u001b[31mred" target 8x window …\n}'));

test('without colour there is no escape, whatever the program holds', () => {
  const text = renderPretty(broken.diagnostics, [broken.source], { colour: false });
  expect(text).not.toContain('\u001b');
  expect(text).toContain('error KW2006');
});

test('with colour the sentence is the same', () => {
  const plain = renderPretty(broken.diagnostics, [broken.source], { colour: false });
  const coloured = renderPretty(broken.diagnostics, [broken.source], { colour: true });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours themselves
  expect(coloured.replace(/\u001b\[[0-9;]*m/g, '')).toBe(plain);
});

test('a table in a note stays one, under the gutter', () => {
  const [first] = broken.diagnostics;
  const text = renderPretty([{ ...first!, note: 'two:\n  a  1\n  b  2' }], [broken.source], {
    colour: false,
  });
  expect(text).toContain('  = note: two:\n            a  1\n            b  2\n');
});

test('a very long line is cut around the place', () => {
  const long = front(versioned(`let x = [${'1, '.repeat(500)}10q${', 1'.repeat(500)}]`));
  const frame = renderPretty(long.diagnostics, [long.source], { colour: false }).split('\n');
  const [code, marks] = frame.slice(2, 4);
  expect(code!.length).toBeLessThan(220);
  expect(code!.slice(marks!.indexOf('^'), marks!.lastIndexOf('^') + 1)).toBe('10q');
});

test('signs outside of the basic plane are underlined as one', () => {
  const { diagnostics, source } = front(versioned('let x = "😀😀" let y = ;'));
  const [code, marks] = renderPretty(diagnostics.slice(-1), [source], { colour: false })
    .split('\n')
    .slice(2, 4);
  expect([...code!][marks!.indexOf('^')]).toBe(';');
});

test('the JSON document', () => {
  const document = checkJson(broken.diagnostics, broken.program.holes, []);
  expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  expect(document).toMatchObject({ schema: 'kwam.check/v1', ok: false, guards: [] });
  expect(document.holes).toEqual([
    {
      path: 'metric.m.window',
      expected: 'a duration such as 10m',
      range: { start: { line: 3, column: 39 }, end: { line: 3, column: 40 } },
    },
  ]);
});
