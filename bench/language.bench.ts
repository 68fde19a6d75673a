/**
 * The language: what people wait for.
 *   language-check      ms from a cold process to the end of `check examples/h100.kwam`, beside a process that does nothing (`node -e 0`).
 *   language-recompile  ms to compile the example anew, as an editor does at each keystroke, beside Langium's bare parser on it.
 *   language-compile    lines/s of a program of 10,000 lines through parse, resolve and check, beside the bare parser.
 * Both sides take turns; value: median of the rounds; spread: interquartile range divided by the median. Digest: of the IR's names,
 * kinds and places, or of what `check` printed. The split of a cold check goes to stderr.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { modulesOf } from '../src/cli/module-loading.ts';
import { assert } from '../src/errors.ts';
import { type CompileOptions, compile } from '../src/language/compile.ts';
import { parseText } from '../src/language/parser.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const LINES_A_BLOCK = 10;
const here = (path: string): string => new URL(path, import.meta.url).pathname;
const EXAMPLE = here('../examples/h100.kwam');

function programOf(lines: number): string {
  const block = (at: number) =>
    `let window_${at} = 30d # how long\n\nmetric metric_${at} {\n  observe silent_corruption_count # the counter\n  target 1\n  window \${window_${at}}\n}\n\n# the next one\n\n`;
  const blocks = Array.from({ length: lines / LINES_A_BLOCK }, (_, at) => block(at));
  return `apiVersion "kwam.dev/v0.2"\n${blocks.join('')}`;
}

function compileOnce(text: string, options: CompileOptions): string {
  const { program, ok } = compile('bench.kwam', text, options);
  assert(ok, 'the program of the benchmark is right');
  const hash = createHash('sha256');
  for (const { kind, name, range } of program.blocks) hash.update(`${kind} ${name} ${range.end.offset}\n`);
  return hash.digest('hex');
}

function millisecondsOf(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

interface Contest {
  readonly name: string;
  readonly rounds: number;
  readonly ours: () => unknown;
  readonly peer: string;
  readonly theirs: () => unknown;
  readonly digest: string;
}

/** Milliseconds of both, in turns. */
function contest({ name, rounds, ours, peer, theirs, digest }: Contest): Figure {
  const [own, others]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    own.push(millisecondsOf(ours));
    others.push(millisecondsOf(theirs));
  }
  const [value, other] = [quantile(own, 0.5), quantile(others, 0.5)];
  const spread = (quantile(own, 0.75) - quantile(own, 0.25)) / value;
  return {
    name,
    value,
    unit: 'ms',
    spread,
    peer: { name: peer, value: other },
    ratio: value / other,
    digest,
  };
}

function node(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert(status === 0, `node ${args.join(' ')} ends well, not with ${stderr}`);
  return stdout;
}

function coldCheck(rounds: number): Figure {
  const check = () => node(here('../bin/kwam-dp.mjs'), 'check', EXAMPLE);
  // The first run fills the compile cache, as the first run on a machine does.
  const digest = createHash('sha256').update(check()).digest('hex');
  const split = Array.from({ length: rounds }, () => node(here('./language-split.ts'), EXAMPLE));
  const stages = split.map((line) => JSON.parse(line) as Record<string, number>);
  const medians = Object.keys(stages[0]!).map((stage) => {
    const values = stages.map((each) => each[stage]!);
    return `${stage} ${quantile(values, 0.5).toFixed(1)} ms`;
  });
  process.stderr.write(`a cold check: ${medians.join(', ')}\n`);
  return contest({
    name: 'language-check',
    rounds,
    ours: check,
    peer: 'node -e 0',
    theirs: () => node('-e', '0'),
    digest,
  });
}

function perSecond({ value, peer, ...figure }: Figure, lines: number): Figure {
  const rate = (ms: number) => (lines * 1000) / ms;
  const other = { name: peer.name, value: rate(peer.value) };
  return { ...figure, value: rate(value), unit: 'lines/s', peer: other, ratio: peer.value / value };
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const lines = options.smoke ? 500 : 10_000;
  const example = readFileSync(EXAMPLE, 'utf8');
  const { modules, tables } = await modulesOf(EXAMPLE, example, { environment: process.env });
  const compiling: CompileOptions = { modules, context: { tables } };
  const against = (name: string, text: string, rounds: number): Figure =>
    contest({
      name,
      rounds,
      ours: () => compileOnce(text, compiling),
      peer: 'langium parser alone',
      theirs: () => parseText(text),
      digest: compileOnce(text, compiling),
    });
  const recompile = against('language-recompile', example, options.smoke ? 3 : 101);
  const compiled = against('language-compile', programOf(lines), options.smoke ? 3 : 9);
  return [coldCheck(options.smoke ? 1 : 11), recompile, perSecond(compiled, lines)];
}
