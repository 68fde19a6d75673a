/**
 * What an editor waits for, in milliseconds.
 *   language-keystroke  one character more in examples/h100.kwam: the change applied, the whole program compiled and checked anew, as the
 *                       language server does it; beside Langium's bare parser on the same text.
 *   language-check-10k  the same with a program of 10,000 lines.
 * Both sides take turns; value: median of the rounds; spread: interquartile range divided by the median; ratio: value / peer, which is what
 * names, types, rules and mathematics cost on top of parsing. Digest: of the diagnostics' codes and places.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type Analysis, Workspace } from '../src/cli/lsp-workspace.ts';
import { assert } from '../src/errors.ts';
import { parseText } from '../src/language/parser.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const EXAMPLE = new URL('../examples/h100.kwam', import.meta.url);
const WHOLE_LINES = 10_000;
const SMOKE_LINES = 500;

/** The example, and blocks after it until there are so many lines. */
function longProgram(text: string, lines: number): string {
  const block = (at: number) =>
    `let window_${at} = 30d # how long\n\nmetric metric_${at} {\n  observe silent_corruption_count # the counter\n  target 0\n  window \${window_${at}}\n}\n\n# the next one\n\n`;
  const missing = Math.ceil((lines - text.split('\n').length) / (block(0).split('\n').length - 1));
  return text + Array.from({ length: missing }, (_, at) => block(at)).join('');
}

/** A space typed at the end of the first line, a comment, each time anew. */
async function keystroke(workspace: Workspace, uri: string, version: number): Promise<Analysis> {
  const end = { line: 0, character: 10_000 };
  workspace.change(uri, version, [{ range: { start: end, end }, text: ' ' }]);
  const analysis = await workspace.analysis(uri);
  assert(analysis?.version === version, 'the analysis is of the last keystroke');
  return analysis;
}

function digestOf({ compiled }: Analysis): string {
  const hash = createHash('sha256');
  for (const { code, range } of compiled.diagnostics)
    hash.update(`${code} ${range.start.line} ${range.start.column}\n`);
  return hash.digest('hex');
}

async function figure(name: string, text: string, rounds: number): Promise<Figure> {
  const workspace = new Workspace({ environment: process.env });
  const uri = pathToFileURL(`${EXAMPLE.pathname}.bench`).href;
  workspace.open(uri, 0, text);
  await workspace.analysis(uri);
  const [ours, bare]: [number[], number[]] = [[], []];
  let digest = '';
  for (let round = 1; round <= rounds; round++) {
    const started = performance.now();
    const analysis = await keystroke(workspace, uri, round);
    const between = performance.now();
    parseText(analysis.compiled.source.text);
    bare.push(performance.now() - between);
    ours.push(between - started);
    digest = digestOf(analysis);
  }
  const value = quantile(ours, 0.5);
  const peer = quantile(bare, 0.5);
  const spread = (quantile(ours, 0.75) - quantile(ours, 0.25)) / value;
  return {
    name,
    value,
    unit: 'ms',
    spread,
    peer: { name: 'langium parser alone', value: peer },
    ratio: value / peer,
    digest,
  };
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const text = readFileSync(EXAMPLE, 'utf8');
  const long = longProgram(text, options.smoke ? SMOKE_LINES : WHOLE_LINES);
  return [
    await figure('language-keystroke', text, options.smoke ? 3 : 101),
    await figure('language-check-10k', long, options.smoke ? 2 : 9),
  ];
}
