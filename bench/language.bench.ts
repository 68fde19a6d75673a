/**
 * The language: how fast a program of 10,000 lines is parsed, resolved and put into the IR.
 *   language-compile  lines/s of parse and resolve, beside the same text through Langium's bare parser, which the first is built on:
 *                     the ratio is what our own half leaves of its speed.
 * Both sides take turns; value: median of the rounds; spread: interquartile range divided by the median. Digest: of the IR's names,
 * kinds and places.
 */
import { createHash } from 'node:crypto';
import { assert } from '../src/errors.ts';
import { memoryModules } from '../src/language/module-resolver.ts';
import { parse } from '../src/language/parse.ts';
import { parseText } from '../src/language/parser.ts';
import { resolve } from '../src/language/resolve.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const LINES_A_BLOCK = 10;

function programOf(lines: number): string {
  const block = (at: number) =>
    `let window_${at} = 30d # how long\n\nmetric metric_${at} {\n  observe silent_corruption_count # the counter\n  target 0\n  window \${window_${at}}\n}\n\n# the next one\n\n`;
  return Array.from({ length: lines / LINES_A_BLOCK }, (_, at) => block(at)).join('');
}

function compileOnce(text: string): string {
  const parsed = parse('bench.kwam', text);
  const { program, diagnostics } = resolve(parsed, memoryModules({}));
  assert(parsed.diagnostics.length + diagnostics.length === 0, 'the program of the benchmark is right');
  const hash = createHash('sha256');
  for (const { kind, name, range } of program.blocks) hash.update(`${kind} ${name} ${range.end.offset}\n`);
  return hash.digest('hex');
}

function millisecondsOf(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const lines = options.smoke ? 500 : 10_000;
  const rounds = options.smoke ? 3 : 9;
  const text = programOf(lines);
  const digest = compileOnce(text);
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push((lines * 1000) / millisecondsOf(() => compileOnce(text)));
    bare.push((lines * 1000) / millisecondsOf(() => parseText(text)));
  }
  const value = quantile(ours, 0.5);
  const peer = quantile(bare, 0.5);
  const spread = (quantile(ours, 0.75) - quantile(ours, 0.25)) / value;
  return [
    {
      name: 'language-compile',
      value,
      unit: 'lines/s',
      spread,
      peer: { name: 'langium parser alone', value: peer },
      ratio: value / peer,
      digest,
    },
  ];
}
