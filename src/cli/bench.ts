/**
 * bench [kernels|ingest|transport|control|trust|language|all]: measures beside the peers and prints figures.
 * In: which group. Out: a table or kwam.bench/v1; the digest covers what the benchmarks computed, so that none can skip
 * its work. The benchmarks themselves are bench/<stem>.bench.ts, which are part of the repository, not of the package.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { KwamError } from '../errors.ts';
import { packageRoot } from './package-root.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, printTable } from './terminal.ts';

/** As bench/figure.ts has it. */
interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly spread: number;
  readonly peer: { readonly name: string; readonly value: number };
  readonly ratio: number;
  readonly digest: string;
}

interface BenchModule {
  readonly bench: (options: { smoke: boolean }) => Promise<Figure[]>;
}

interface BenchOptions {
  readonly json?: boolean;
  readonly smoke?: boolean;
}

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  kernels: ['chunker', 'sha256', 'reed-solomon', 'dedup-index'],
  ingest: ['ingest'],
  transport: ['transport'],
  control: ['control'],
  trust: ['trust'],
  language: ['language', 'editor'],
};

export function define(command: Command, shell: Shell): void {
  command
    .argument('[group]', `${Object.keys(GROUPS).join(', ')} or all`, 'kernels')
    .option('--smoke', 'run each for a moment only: shows that it works, measures nothing')
    .option('--json', 'print one JSON document (kwam.bench/v1)')
    .addHelpText(
      'after',
      `
Each figure is measured beside its peer in the same run; the ratio is what counts,
since absolute values depend on the machine. Leave the machine alone meanwhile.

Examples:
  kwam-dp bench kernels
  kwam-dp bench all --json > figures.json`,
    )
    .action((group: string, options: BenchOptions) => run(shell, group, options));
}

async function run(shell: Shell, group: string, options: BenchOptions): Promise<void> {
  const stems = stemsOf(group);
  const directory = join(packageRoot(), 'bench');
  if (!fs.existsSync(directory)) {
    throw new KwamError(
      'ENVIRONMENT',
      `expected the benchmarks in ${directory}, found none: the installed package has none; run this in a clone of the repository`,
    );
  }
  const figures: Figure[] = [];
  const skipped: { readonly bench: string; readonly missing: string }[] = [];
  for (const stem of stems) {
    shell.note(`bench ${stem} …`);
    const loaded = await load(join(directory, `${stem}.bench.ts`));
    if (typeof loaded === 'string') {
      skipped.push({ bench: stem, missing: loaded });
      shell.note(`kwam-dp: bench ${stem} is left out: ${loaded}`);
    } else figures.push(...(await loaded.bench({ smoke: options.smoke === true })));
  }
  if (figures.length === 0) {
    throw new KwamError('ENVIRONMENT', `nothing was measured: ${skipped[0]?.missing}`);
  }
  show(shell, options, figures, skipped);
}

function stemsOf(group: string): readonly string[] {
  if (group === 'all') return Object.values(GROUPS).flat();
  const stems = GROUPS[group];
  if (stems !== undefined) return stems;
  throw new KwamError(
    'USAGE',
    `expected ${Object.keys(GROUPS).join(', ')} or all, got ${JSON.stringify(group)}; see kwam-dp bench --help`,
  );
}

const MISSING_PACKAGE = /Cannot find package '([^']+)'/;

/** The module, or what it lacks. Peers are development dependencies, which an installation may have left out. */
async function load(path: string): Promise<BenchModule | string> {
  if (!fs.existsSync(path)) return `there is no ${path}`;
  try {
    return (await import(pathToFileURL(path).href)) as BenchModule;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === 'ERR_MODULE_NOT_FOUND' ? MISSING_PACKAGE.exec(message)?.[1] : undefined;
    if (missing === undefined) throw error;
    return `the package ${missing} is not installed; install the development dependencies`;
  }
}

function show(
  shell: Shell,
  options: BenchOptions,
  figures: readonly Figure[],
  skipped: readonly object[],
): void {
  const digest = createHash('sha256');
  for (const figure of figures) digest.update(`${figure.name}=${figure.digest}\n`);
  if (options.json) {
    printJson(shell.output, 'kwam.bench/v1', { figures, digest: digest.digest('hex'), skipped });
    return;
  }
  const rows = figures.map(({ name, value, unit, spread, peer, ratio }) => [
    name,
    showFigure(value),
    unit,
    `±${(100 * spread).toFixed(0)} %`,
    `${peer.name} ${showFigure(peer.value)}`,
    `${ratio.toFixed(2)}x`,
  ]);
  printTable(shell.output, [['figure', 'value', 'unit', 'spread', 'peer', 'ratio'], ...rows]);
  printLine(shell.output, `digest of the work ${digest.digest('hex')}`);
}

/** Three significant digits, without an exponent. */
function showFigure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
