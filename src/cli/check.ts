/**
 * check: does a program hold what it promises?
 * In: a program, its modules, perhaps an inventory. Out: diagnostics in frames, as JSON (kwam.check/v1) or SARIF, and what the
 * mathematics says of each guard. Exit 0 when there is no error and no hole that is not allowed, 1 otherwise.
 */
import { relative, resolve } from 'node:path';
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { EXIT } from '../errors.ts';
import { judge, type ResolvedText, resolveText } from '../language/compile.ts';
import { type GuardVerdict, guardEntries, guardVerdicts } from '../language/guard-verdict.ts';
import { checkJson } from '../language/render-json.ts';
import { renderPretty } from '../language/render-pretty.ts';
import { renderSarif } from '../language/render-sarif.ts';
import { printSimulation, type SimulationEntry, simulateGuards } from './check-simulation.ts';
import { readInventory } from './inventory-file.ts';
import { modulesOf } from './module-loading.ts';
import { programText } from './program-file.ts';
import { counted, parseCount } from './quantity.ts';
import type { Shell } from './shell.ts';
import { isColoured, printLine, printTable } from './terminal.ts';
import { Timings } from './timings.ts';

interface CheckOptions {
  readonly inventory?: string;
  readonly allowHoles?: boolean;
  readonly token?: string;
  readonly timings?: boolean;
  readonly json?: boolean;
  readonly sarif?: boolean;
  readonly from?: string[];
  readonly simulate?: boolean;
  readonly seed: string;
  readonly years?: string;
}

/** Nobody reads more at a time, and the first ones are often the cause of the others. */
const SHOWN_MAX = 100;

export function define(command: Command, shell: Shell): void {
  command
    .argument('<program>', 'a .kwam file')
    .option(
      '--inventory <file>',
      'the nodes that exist (kwam.inventory/v1): sizes and spread are checked against them',
    )
    .option(
      '--token <file>',
      'a consent request or token: the scope of its deploy must lie within what it covers',
    )
    .option('--allow-holes', 'holes are notes, not errors')
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option('--simulate', 'simulate each guard too, beside the closed form')
    .option('--seed <number>', 'chance of the simulation: the same seed, the same losses', '1')
    .option('--years <number>', 'how long to simulate; default: until the losses make an interval')
    .option('--timings', 'say on stderr how long each stage took, from the start of the process')
    .option('--json', 'print one JSON document (kwam.check/v1)')
    .option('--sarif', 'print SARIF 2.1.0')
    .addHelpText(
      'after',
      `
Each diagnostic has a code; \`kwam-dp explain CODE\` says why it is refused and how it is done right.

Examples:
  kwam-dp check examples/h100.kwam
  kwam-dp check examples/tour.kwam --allow-holes
  kwam-dp check examples/h100.kwam --simulate --seed 7
  kwam-dp check cluster.kwam --inventory fleet.json --json`,
    )
    .action((program: string, options: CheckOptions) => check(shell, program, options));
}

async function check(shell: Shell, file: string, options: CheckOptions): Promise<void> {
  const timings = new Timings();
  await checked(shell, file, options, timings.mark);
  timings.mark('render');
  if (options.timings === true) shell.note(timings.line);
}

async function checked(
  shell: Shell,
  file: string,
  options: CheckOptions,
  mark: (stage: string) => void,
): Promise<void> {
  const text = programText(file);
  const places = { environment: shell.environment, sources: options.from ?? [] };
  const { modules, tables } = await modulesOf(file, text, places);
  const inventory = options.inventory === undefined ? undefined : readInventory(options.inventory);
  mark('verify modules');
  const resolved = resolveText(file, text, { modules, mark, allowHoles: options.allowHoles === true });
  const consentResource = options.token === undefined ? undefined : await scopeOf(options.token, resolved);
  const context = { tables, ...(inventory && { inventory }), ...(consentResource && { consentResource }) };
  const compiled = judge(resolved, { context, mark });
  const verdicts = guardVerdicts(compiled.program, context);
  shell.exitCode = compiled.ok ? EXIT.success : EXIT.no;
  if (options.sarif) {
    const placed = compiled.diagnostics.map((each) => ({ ...each, file: scanned(each.file) }));
    return printLine(shell.output, JSON.stringify(renderSarif(placed, packageJson.version), undefined, 2));
  }
  const simulations = options.simulate === true ? await simulated(shell, verdicts, options) : undefined;
  if (simulations?.some(({ outcome }) => outcome === 'disagrees')) shell.exitCode = EXIT.no;
  if (options.json) {
    const document = checkJson(compiled.diagnostics, compiled.program.holes, guardEntries(verdicts));
    const more = simulations === undefined ? {} : { simulations };
    return printLine(shell.output, JSON.stringify({ ...document, ...more }, undefined, 2));
  }
  const colour = isColoured(shell.output, shell.environment);
  const frames = renderPretty(compiled.diagnostics.slice(0, SHOWN_MAX), [compiled.source], { colour });
  if (frames !== '') printLine(shell.output, frames);
  const left = compiled.diagnostics.length - SHOWN_MAX;
  if (left > 0) printLine(shell.output, `… and ${counted(left, 'diagnostic')} more; --json lists them all\n`);
  for (const verdict of verdicts) printVerdict(shell, verdict);
  for (const entry of simulations ?? []) printSimulation(shell, entry);
  const errors = compiled.diagnostics.filter((each) => each.severity === 'error').length;
  const holes = compiled.program.holes.length;
  printLine(
    shell.output,
    `${file}: ${errors === 0 ? 'no errors' : counted(errors, 'error')}, ${counted(holes, 'hole')}`,
  );
}

/** Loaded when there is a token: a check without one does not pay for signatures. */
async function scopeOf(token: string, { program }: ResolvedText) {
  const { tokenScope } = await import('./token-scope.ts');
  return tokenScope(token, program);
}

/** Code scanning looks for files under the directory in which the tool was started. */
function scanned(file: string): string {
  const inside = relative(process.cwd(), file);
  return inside.startsWith('..') ? resolve(file) : inside;
}

function simulated(
  shell: Shell,
  verdicts: readonly GuardVerdict[],
  { seed, years }: CheckOptions,
): Promise<readonly SimulationEntry[]> {
  return simulateGuards(shell, verdicts, {
    seed: parseCount(seed),
    years: years === undefined ? undefined : parseCount(years),
  });
}

/** Which term costs how many nines, and what would gain the most. */
function printVerdict({ output }: Shell, verdict: GuardVerdict): void {
  const { guard, declared, accepted, result, assumption, gains } = verdict;
  if (result === undefined) return;
  const said = accepted ? 'accepted' : 'refused';
  printLine(
    output,
    `guard ${guard.name}: ${declared.written} ${said}; the mathematics supports ${result.worst.nines} nines`,
  );
  printLine(output, `  ${assumption}`);
  const rows = result.schemes.flatMap((each) =>
    each.terms.map((term) => [
      `  ${each.scheme.name}`,
      term.name,
      term.lossPerYear.toExponential(2),
      `${(100 * term.share).toFixed(1)} %`,
      term.ninesCost === undefined ? '' : `costs ${term.ninesCost.toFixed(2)} nines`,
    ]),
  );
  printTable(output, [['  scheme', 'loses by', 'a year', 'share', ''], ...rows]);
  for (const gain of gains.slice(0, 3))
    printLine(output, `  would help: ${gain.change}, to ${gain.nines} nines`);
  printLine(output, '');
}
