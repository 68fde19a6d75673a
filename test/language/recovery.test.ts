/**
 * One mistake does not hide the rest, and hostile sizes are refused quickly.
 */
import { expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import { memoryModules } from '../../src/language/module-resolver.ts';
import { parse } from '../../src/language/parse.ts';
import { UNITS } from '../../src/language/quantity.ts';
import { attributeNames } from '../../src/language/schema.ts';
import { syntaxErrorsMax } from '../../src/limits.ts';
import { codesOf, front, versioned } from './front.ts';
import { TABLES } from './standard-tables.ts';

const before = 'metric first { observe x target 0 window 30d }';
const after = 'metric last { observe x target 0 window 30 }';

test.each([
  'metric m {',
  'metric m { observe',
  'metric m { observe [a, b',
  'metric m { observe x target 0 window 30d } }',
  'metric m observe x target 0 window 30d }',
  'metric { observe x target 0 window 30d }',
  'metric m { observe "x target 0 window 30d }',
  'metric m { observe = x, target = 0; window: 30d }',
  'metric m { { { observe x target 0 window 30d',
  'metric m { observe rs( target 0 window 30d }',
  'metric m { observe ${x target 0 window 30d }',
  'metric m { observe <x target 0 window 30d }',
  'let x =',
  'let = 5',
  'import "x" as',
  'use',
  '} ] )',
  '] } (',
  '@ % & 5 6 7',
  'metric m [ observe x ]',
])('the blocks around `%s` are still checked', (broken) => {
  const { program, diagnostics } = front(versioned(`${before}\n${broken}\n${after}`));
  const names = program.blocks.map((block) => block.name);
  expect(names).toContain('first');
  expect(names).toContain('last');
  expect(diagnostics.some((each) => each.code === 'KW2004' && each.range.start.line === 4)).toBe(true);
  expect(diagnostics.some((each) => each.code.startsWith('KW10') && each.range.start.line === 3)).toBe(true);
});

test.each([
  [
    'metric m {\n  observe\n  target 0\n  window 30d\n}',
    ['KW1002 expected the value of `observe`, got the next attribute'],
  ],
  [
    'metric m other { observe x target 0 window 30d }',
    ['KW1002 expected `{` after the name of the block, got `other`'],
  ],
  [
    'replicate r { factor 3 anti_affinity [] repair { delay 5 m bandwidth 25 gbps lazy false } }',
    [
      'KW1018 expected `5m` in one word, got `5 m` with a space',
      'KW1018 expected `25gbps` in one word, got `25 gbps` with a space',
    ],
  ],
  [
    'server s {\n ports 7400 … }',
    ['KW2014 `ports` has no value of its own: expected `{` and its attributes'],
  ],
  [
    'policy p { … grants { spiffe://kwam/*/seed { caps [replicate] signed_by "a" } } }',
    ['KW2006 `grants` expects a SPIFFE pattern in quotes, got spiffe://kwam/*/seed'],
  ],
])('one slip is one diagnostic: %s', (text, expected) => {
  const { diagnostics } = front(versioned(text));
  const told = diagnostics.filter(({ code }) => code !== 'KW1901');
  expect(told.map(({ code, message }) => `${code} ${message}`)).toEqual(expected);
});

test('a value on the next line is the value', () => {
  for (const text of [
    'metric m {\n  observe\n  silent_corruption_count\n  target\n  0 window 30d\n}',
    'metric m {\n  observe\n  corruption_detected_count target\n  0\n window 30d\n}',
    'let window = 1\nmetric m {\n  observe worker_restarts\n  target\n  window window 30d\n}',
  ])
    expect(codesOf(front(versioned(text)))).toEqual([]);
});

test('no attribute is called like a unit, so a unit after a space is one', () => {
  expect(attributeNames()).toContain('mttr_restore');
  expect([...attributeNames()].filter((name) => UNITS.has(name))).toEqual([]);
});

test('a damaged block is not said to lack what the damage may have hidden', () => {
  expect(codesOf(front(versioned('metric m { observe x ; }')))).not.toContain('KW2010');
});

test.each([
  ['deep lists', `let x = ${'['.repeat(50_000)}`, 'KW1009'],
  ['blocks in blocks', 'profile b { '.repeat(20_000), 'KW1003'],
  ['deep bodies', `a b { ${'c { '.repeat(50_000)}`, 'KW1009'],
  ['deep calls', `let x = ${'a('.repeat(50_000)}`, 'KW1009'],
  ['a huge number', `let x = ${'9'.repeat(1_000_000)}`, 'KW1011'],
  ['a huge string', `let x = "${'s'.repeat(1_000_000)}"`, 'KW1011'],
  ['a huge file', ' '.repeat(100_000_000), 'KW1010'],
  ['too many tokens', '= '.repeat(300_000), 'KW1010'],
  ['items without commas', `let x = [${'b '.repeat(20_000)}]`, 'KW1019'],
  ['lists without commas', `let x = [${'[b b] '.repeat(8_000)}]`, 'KW1019'],
  ['errors that the parser recovers from', 'mtbf { node 5y } [a, use x.y\n'.repeat(5000), 'KW1002'],
  ['many errors', '= ; '.repeat(60_000), 'KW1006'],
])('%s: a clear error', (_, text, code) => {
  expect(codesOf(front(versioned(text)))).toContain(code);
});

test('after the last syntax error that is shown, nothing is said of what was not read', () => {
  const text = versioned(`${'metric m { 5 }\n'.repeat(200)}server s { … trust late }\npolicy late { … }`);
  const { diagnostics, isRefused } = compile('f', text, {
    modules: memoryModules({}),
    context: { tables: TABLES },
  });
  expect([...new Set(diagnostics.map(({ code }) => code))]).toEqual(['KW1002']);
  expect([diagnostics.length, isRefused]).toEqual([syntaxErrorsMax, true]);
});

test('lets that double a text end at the bound, also when the text is empty', () => {
  const doubling = (first: string) =>
    Array.from({ length: 60 }, (_, at) => `let a${at + 1} = "\${a${at}}\${a${at}}"`)
      .join('\n')
      .replace(/^/, `let a0 = "${first}"\n`);
  expect(codesOf(front(versioned(doubling('x'))))).toEqual(['KW1011']);
  expect(codesOf(front(versioned(doubling(''))))).toEqual([]);
});

test('a long chain of lets needs no stack', () => {
  const chain = Array.from({ length: 20_000 }, (_, at) => `let a${at} = \${a${at + 1}}`).join('\n');
  expect(
    codesOf(front(versioned(`${chain}\nlet a20000 = 10m\nmetric m { observe x target 0 window \${a0} }`))),
  ).toEqual([]);
});

test('positions are 1-based, in UTF-16 units, whatever ends the lines', () => {
  const { diagnostics } = parse('f', 'let a = 1\r\nlet 😀b = 1\rlet c = ;\n');
  expect(
    diagnostics.map(({ code, range }) => [code, range.start.line, range.start.column, range.end.column]),
  ).toEqual([
    ['KW1001', 2, 5, 7],
    ['KW1002', 3, 1, 8],
    ['KW1001', 3, 9, 10],
  ]);
});
