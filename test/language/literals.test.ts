/**
 * Every form of a literal, and every way to write one wrongly.
 */
import { describe, expect, test } from 'vitest';
import { literalOf } from '../../src/language/literals.ts';
import { parse } from '../../src/language/parse.ts';
import { toNumber } from '../../src/language/quantity.ts';
import type { WrittenValue } from '../../src/language/written.ts';

function written(text: string): WrittenValue {
  const { program, diagnostics } = parse('f', `let x = ${text}`);
  expect(diagnostics).toEqual([]);
  const [item] = program.items;
  if (item?.kind !== 'let') throw new Error(`not a let: ${text}`);
  return item.value;
}

function literal(text: string) {
  const value = written(text);
  if (value.kind !== 'atom') throw new Error(`not an atom: ${text}`);
  expect(value.text).toBe(text);
  return literalOf(value);
}

const y = 365 * 86_400_000;
test.each([
  ['8x', 'count', 8],
  ['1b', 'size', 1],
  ['2kb', 'size', 2000],
  ['512mb', 'size', 512e6],
  ['3gb', 'size', 3e9],
  ['1.5tb', 'size', 1.5e12],
  ['16kib', 'size', 16_384],
  ['1mib', 'size', 1_048_576],
  ['1gib', 'size', 2 ** 30],
  ['2tib', 'size', 2 ** 41],
  ['50ms', 'duration', 50],
  ['1.5s', 'duration', 1500],
  ['10m', 'duration', 600_000],
  ['12h', 'duration', 43_200_000],
  ['30d', 'duration', 30 * 86_400_000],
  ['1y', 'duration', y],
  ['6nines', 'nines', 6],
  ['1percent', 'ratio', 0.01],
  ['0.1percent', 'ratio', 0.001],
  ['25gbps', 'bandwidth', 25e9],
])('%s is a %s of %d', (text, dimension, amount) => {
  const made = literal(text);
  expect(made).toMatchObject({ kind: 'quantity', dimension });
  if (made.kind === 'quantity') expect(toNumber(made.exact)).toBe(amount);
});

test.each([
  ['0', 0],
  ['-3', -3],
  ['+3', 3],
  ['2.50', 2.5],
])('%s is the number %d', (text, amount) => {
  const made = literal(text);
  if (made.kind !== 'number') throw new Error(made.kind);
  expect(toNumber(made.exact)).toBe(amount);
});

describe('other forms', () => {
  test.each([
    ['true', { kind: 'boolean', value: true }],
    ['false', { kind: 'boolean', value: false }],
    ['fleet.h100_pool', { kind: 'word', word: 'fleet.h100_pool' }],
    ['fleet.*.rack-**', { kind: 'word', word: 'fleet.*.rack-**' }],
    ['kwam-seed.internal:7400', { kind: 'word', word: 'kwam-seed.internal:7400' }],
    ['10.0.0.1', { kind: 'host', host: '10.0.0.1' }],
    ['10.0.0.1:7400', { kind: 'host', host: '10.0.0.1', port: 7400 }],
    ['10.40.0.0/16', { kind: 'cidr', address: '10.40.0.0', prefixLength: 16 }],
    ['2001:db8::/32', { kind: 'cidr', address: '2001:db8::', prefixLength: 32 }],
    ['fd00::/8', { kind: 'cidr', address: 'fd00::', prefixLength: 8 }],
    ['::/0', { kind: 'cidr', address: '::', prefixLength: 0 }],
    ['2026-05-01', { kind: 'date', date: '2026-05-01' }],
    ['spiffe://kwam/*/**/seed', { kind: 'uri', scheme: 'spiffe', uri: 'spiffe://kwam/*/**/seed' }],
    ['${fanout}', { kind: 'interpolation', path: 'fanout' }],
    ['${ a.b }', { kind: 'interpolation', path: 'a.b' }],
    ['…', { kind: 'hole' }],
    ['...', { kind: 'hole' }],
    ['<signed token, please>', { kind: 'hole' }],
  ])('%s', (text, expected) => {
    expect(literal(text)).toEqual(expected);
  });

  test('a secret, with field and version', () => {
    expect(literal('secret://vault/kwam/mtls-ca#pem?version=3').kind).toBe('secret');
  });

  test('strings: escapes and interpolation', () => {
    const made = literal(String.raw`"a \"b\" \\ \$ \n \u{1F600} $5 ${'${x}'}!"`);
    if (made.kind !== 'text') throw new Error(made.kind);
    expect(made.parts.map((part) => [part.kind, part.text])).toMatchObject([
      ['plain', 'a '],
      ['plain', '"'],
      ['plain', 'b'],
      ['plain', '"'],
      ['plain', ' '],
      ['plain', '\\'],
      ['plain', ' '],
      ['plain', '$'],
      ['plain', ' '],
      ['plain', '\n'],
      ['plain', ' '],
      ['plain', '😀'],
      ['plain', ' '],
      ['plain', '$'],
      ['plain', '5 '],
      ['path', 'x'],
      ['plain', '!'],
    ]);
  });

  test('lists with a comma at the end, and calls', () => {
    expect(written('[1, [2, x], ]')).toMatchObject({
      kind: 'list',
      items: [{ text: '1' }, { kind: 'list' }],
    });
    expect(written('[]')).toMatchObject({ kind: 'list', items: [] });
    expect(written('rs(6, 3)')).toMatchObject({ kind: 'call', name: { text: 'rs' }, items: [{}, {}] });
  });

  test('words with `as` and `digest` in them, and these words themselves', () => {
    expect(literal('assembly').kind).toBe('word');
    expect(literal('digest').kind).toBe('word');
    expect(parse('f', 'a b { as 1 digest 2 digestive 3 letter 4 }').diagnostics).toEqual([]);
  });
});

test.each([
  ['10q', 'KW2003'],
  ['5MB', 'KW2003'],
  ['10.0.0.256', 'KW1008'],
  ['10.0.0.0/33', 'KW1008'],
  ['1::/129', 'KW1008'],
  ['1..2', 'KW1008'],
  ['8_x', 'KW1008'],
  ['fd00::/129', 'KW1008'],
  ['fe80::1', 'KW1008'],
  ['kwam:latest', 'KW1017'],
  ['secret://vault', 'KW1008'],
  ['"secret://vault/kwam/ca"', 'KW3001'],
  ['"Secret://${x}"', 'KW3001'],
  ['"\\q"', 'KW1013'],
  ['"\\u{110000}"', 'KW1013'],
  ['"\\u{d800}"', 'KW1013'],
  ['"${1+1}"', 'KW1008'],
  ['"${a"', 'KW1008'],
  ['${a b}', 'KW1008'],
  [`1${'0'.repeat(40)}`, 'KW1011'],
  [`"${'x'.repeat(65_536)}"`, 'KW1011'],
])('%.20s is refused', (text, code) => {
  expect(literal(text)).toMatchObject({ kind: 'problem', code });
});
