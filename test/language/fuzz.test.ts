/**
 * Mutated examples and token soup: no exception, no hang, every diagnostic and hole inside the text, equal texts equal answers.
 * A campaign (KWAM_CAMPAIGN=1) runs a million. A case that takes longer than a second fails only there: a busy machine alone
 * can take that long for anything.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sortDiagnostics } from '../../src/language/diagnostic.ts';
import { format } from '../../src/language/format.ts';
import { seededRandom } from '../../src/random.ts';
import { front } from './front.ts';

const campaign = process.env['KWAM_CAMPAIGN'] === '1';
const cases = campaign ? 1_000_000 : 2000;

const SEEDS = ['tour.kwam', 'h100.kwam'].map((name) =>
  readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8'),
);
const PIECES = SEEDS.flatMap(
  (text) => text.match(/#[^\n]*\n|"[^"\n]*"|\$\{\w+\}|[\w.:/*-]+|\s+|[^\w\s]/g) ?? [],
);
const SOUP = [
  ...'{}[](),=#"$<>…\\\n\u0000\uD800\u{1F600}\r\t;:\'+-*/',
  '${',
  '...',
  '://',
  'let ',
  'use ',
  'import ',
  'digest ',
  ' as ',
  'apiVersion ',
  'module ',
  'export ',
  'rs(',
  'secret://',
  '"${a}"',
  'profile p {',
  'let a = ${a}\n',
  '999999999999999999999999999999y',
  '0.0000001b',
  'guard g { mtbf {',
];

const random = seededRandom(20_261_122);
const below = (bound: number): number => random.below(bound);
const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;

function mutate(text: string): string {
  for (let left = 1 + below(6); left > 0; left--) {
    const at = below(text.length + 1);
    const to = at + below(pick([2, 20, 200]));
    const insert = [() => '', () => pick(SOUP), () => pick(PIECES), () => text.slice(at, to)][below(4)]!();
    text = text.slice(0, at) + insert + text.slice(below(2) === 0 ? at : to);
  }
  return text;
}

function soup(): string {
  return Array.from({ length: below(120) }, () => pick(below(3) === 0 ? SOUP : PIECES)).join(
    below(2) === 0 ? '' : ' ',
  );
}

function check(text: string, formats: boolean): void {
  const { diagnostics, program } = front(text);
  for (const { range, message } of [
    ...diagnostics,
    ...program.holes.map((hole) => ({ ...hole, message: hole.path })),
  ]) {
    const inside =
      range.start.offset >= 0 && range.start.offset <= range.end.offset && range.end.offset <= text.length;
    if (!inside || message.length === 0) throw new Error(`outside of the text: ${message}`);
  }
  if (sortDiagnostics(diagnostics).length !== diagnostics.length) throw new Error('not sorted');
  if (!formats) return;
  const formatted = format('program.kwam', text);
  if (formatted.diagnostics.length === 0 && format('program.kwam', formatted.text).text !== formatted.text) {
    throw new Error('formatting is not idempotent');
  }
}

test(`${cases} mutated examples and soups`, { timeout: 24 * 3_600_000 }, () => {
  let slowestMs = 0;
  for (let at = 0; at < cases; at++) {
    const text = below(3) === 0 ? soup() : mutate(pick(SEEDS));
    const started = performance.now();
    try {
      check(text, at % 4 === 0);
    } catch (error) {
      throw new Error(`case ${at}: ${JSON.stringify(text)}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - started);
  }
  if (campaign) expect(slowestMs).toBeLessThan(1000);
});

test('a canary: the check of places fails for a diagnostic outside of the text', () => {
  const { diagnostics } = front('metric');
  expect(diagnostics.some((each) => each.range.end.offset > 'metri'.length)).toBe(true);
});
