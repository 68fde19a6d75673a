/**
 * plan: what a program would place and run, and what that changes.
 * In: a program and the nodes that exist. Out: its Plan as a readable summary with the difference to what runs now, or as one canonical JSON document
 * (kwam.plan-document/v1) with the digest that people compare and consent to. Changes nothing. Exit 1 when the program is refused.
 */
import * as fs from 'node:fs';
import type { Command } from 'commander';
import { localGroupsOf } from '../erasure/scheme.ts';
import { EXIT, KwamError } from '../errors.ts';
import { guardEntries, guardVerdicts } from '../language/guard-verdict.ts';
import type { Inventory } from '../language/inventory.ts';
import { planDigest } from '../language/plan-digest.ts';
import { checkJson } from '../language/render-json.ts';
import { canonicalJson } from '../manifest/canonical-json.ts';
import { DOMAINS, type Plan } from '../plan.ts';
import { durationText } from '../slo/objective.ts';
import { clusterDirectory, inventoryPath, planPath } from './cluster-directory.ts';
import { digestOf } from './domain-digest.ts';
import { inventoryFor, readInventory } from './inventory-file.ts';
import { type Change, changeLine, changesBetween } from './plan-changes.ts';
import { type Copies, copiesOf, type DomainCopies } from './plan-copies.ts';
import { PLAN_DOCUMENT, readPlan } from './plan-file.ts';
import { framesOf, type Planned, planOf, type ReadProgram, readProgram } from './program-plan.ts';
import { counted } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printLine, printTable } from './terminal.ts';

interface PlanOptions {
  readonly inventory?: string;
  readonly dir?: string;
  readonly json?: boolean;
  readonly from?: string[];
}

export function define(command: Command, shell: Shell): void {
  command
    .argument('<program>', 'a .kwam file')
    .option(
      '--inventory <file>',
      'the nodes that exist, kwam.inventory/v1 (default: those of the cluster in DIRECTORY)',
    )
    .option('--dir <directory>', 'directory of the cluster that runs now (default: $KWAM_DIR or ./.kwam)')
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option('--json', `print one canonical JSON document (${PLAN_DOCUMENT}), which serve takes`)
    .addHelpText(
      'after',
      `
Shows where copies would go, which native source answers each health signal, and what
would change in the cluster in DIRECTORY; all is new where none is. Changes nothing: dev
up and serve run a program. A program with errors or holes is refused as by check, with
exit code 1.

The files that a policy names (ca, trusted_keys) are not in the document: serve looks for
them in the directory trust/ beside it, by the paths that the program gives them.

Examples:
  kwam-dp plan examples/h100.kwam --inventory examples/inventory.json
  kwam-dp plan cluster.kwam --dir ./cluster
  kwam-dp plan cluster.kwam --inventory fleet.json --json >plan.json`,
    )
    .action((program: string, options: PlanOptions) => plan(shell, program, options));
}

async function plan(shell: Shell, file: string, options: PlanOptions): Promise<void> {
  const directory = clusterDirectory(shell, options.dir);
  const read = await readProgram(shell, file, options.from);
  const inventory = inventoryOf(read, options, directory);
  const planned = planOf(read, inventory);
  if (planned.plan === undefined) return refuse(shell, read, inventory, planned, options);
  const running = fs.existsSync(planPath(directory)) ? readPlan(planPath(directory)) : undefined;
  const shown: Shown = {
    plan: planned.plan,
    digest: planDigest(planned.plan, digestOf),
    running: running && { directory, digest: planDigest(running, digestOf) },
    changes: changesBetween(running, planned.plan),
    copies: copiesOf(planned.plan),
  };
  if (options.json) printDocument(shell, shown);
  else printPlan(shell, read, planned, shown, directory);
}

interface Shown {
  readonly plan: Plan;
  readonly digest: string;
  readonly running: { readonly directory: string; readonly digest: string } | undefined;
  readonly changes: readonly Change[];
  readonly copies: Copies;
}

function inventoryOf({ file, program }: ReadProgram, options: PlanOptions, directory: string): Inventory {
  const kept = inventoryPath(directory);
  const path = options.inventory ?? (fs.existsSync(kept) ? kept : undefined);
  const inventory = inventoryFor(program, path === undefined ? undefined : readInventory(path));
  if (inventory !== undefined) return inventory;
  throw new KwamError(
    'USAGE',
    `expected --inventory FILE with the nodes that ${file} is planned onto, got none and no cluster in ${directory}`,
  );
}

function refuse(
  shell: Shell,
  read: ReadProgram,
  inventory: Inventory,
  { diagnostics }: Planned,
  { json }: PlanOptions,
): void {
  shell.exitCode = EXIT.no;
  const { program, tables, file } = read;
  if (json) {
    const guards = guardEntries(guardVerdicts(program, { tables, inventory }));
    printLine(shell.output, JSON.stringify(checkJson(diagnostics, program.holes, guards), undefined, 2));
    return;
  }
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  printLine(shell.output, framesOf(shell, read, errors));
  printLine(shell.output, `${file}: no plan, ${counted(errors.length, 'error')}`);
}

function printDocument(shell: Shell, { plan, digest, running, changes, copies }: Shown): void {
  const document = { schema: PLAN_DOCUMENT, digest, plan, running: running ?? null, changes, copies };
  printLine(shell.output, canonicalJson(document));
}

function printPlan(
  shell: Shell,
  read: ReadProgram,
  { diagnostics }: Planned,
  { plan, digest, running, changes, copies }: Shown,
  directory: string,
): void {
  const { output } = shell;
  const warnings = diagnostics.filter(({ severity }) => severity === 'warning');
  if (warnings.length > 0) printLine(output, framesOf(shell, read, warnings));
  printTable(output, [
    ['program', `${read.file}, ${plan.program.digest}`],
    ['plan', digest],
    ...plan.pools.map(({ name, nodes }) => ['pool', `${name}: ${counted(nodes.length, 'node')}`]),
    ['redundancy', redundancyText(plan)],
    ...(plan.guard === undefined ? [] : [['guard', guardText(plan.guard)]]),
    ...plan.deploys.map((deploy) => ['deploy', deployText(deploy)]),
  ]);
  printCopies(shell, plan, copies);
  printTelemetry(shell, plan);
  printLine(output, `\n${changesTitle(running, changes, directory)}`);
  for (const change of changes) printLine(output, `  ${changeLine(change)}`);
}

function redundancyText({ replicate: { factor, erasure, coldAfterMs, antiAffinity } }: Plan): string {
  const apart = antiAffinity.length === 0 ? 'on nodes apart' : `apart by ${antiAffinity.join(', ')}`;
  const copies = counted(factor, 'copy', 'copies');
  if (erasure === undefined) return `${copies}, ${apart}`;
  const groups = localGroupsOf(erasure);
  const data =
    groups === undefined
      ? `${erasure.dataShards} data`
      : `${erasure.dataShards} data shards in ${groups.count} groups`;
  const first = coldAfterMs === undefined ? '' : `${copies}; when cold for ${durationText(coldAfterMs)} `;
  return `${first}${data} and ${erasure.parityShards} parity shards, ${apart}`;
}

function guardText({ name, declaredNines, supportedNines }: NonNullable<Plan['guard']>): string {
  return `${name}: ${declaredNines} nines declared, the mathematics supports ${supportedNines}`;
}

function deployText({ name, client, pool, waves, onFailure }: Plan['deploys'][number]): string {
  return `${name}: ${client} to ${pool} in ${counted(waves.length, 'wave')}, ${onFailure} on failure`;
}

/** Each zone a row; of narrower domains, which are many, a row for all. */
function printCopies({ output }: Shell, { replicate }: Plan, { count, domains, relaxed }: Copies): void {
  const what = replicate.erasure === undefined ? 'copies' : 'shards';
  printLine(output, `\nwhere the ${count} ${what} of a pack would go`);
  const rows = DOMAINS.flatMap((domain) =>
    domain === 'az'
      ? domains.az.map((each) => rowOf(`az ${each.name}`, [each]))
      : [rowOf(`${domains[domain].length} × ${domain}`, domains[domain])],
  );
  printTable(output, [['  domain', 'nodes in it', `${what} of a pack in it`, 'at most'], ...rows]);
  if (relaxed.length > 0) {
    printLine(output, `  not kept apart, because there are too few: ${relaxed.join(', ')}`);
  }
}

function rowOf(name: string, domains: readonly DomainCopies[]): string[] {
  const range = (of: (each: DomainCopies) => number, digits: number): string => {
    const values = domains.map(of);
    const [least, most] = [Math.min(...values).toFixed(digits), Math.max(...values).toFixed(digits)];
    return least === most ? least : `${least} to ${most}`;
  };
  const most = Math.max(...domains.map(({ copiesMost }) => copiesMost));
  return [
    `  ${name}`,
    range(({ nodes }) => nodes, 0),
    range(({ copiesMean }) => copiesMean, 2),
    String(most),
  ];
}

function printTelemetry({ output }: Shell, { profile }: Plan): void {
  const signals = Object.entries(profile?.signals ?? {});
  if (profile === undefined || signals.length === 0) return;
  printLine(output, `\nhealth signals on ${profile.hardware}`);
  printTable(
    output,
    signals.map(([signal, source]) => [
      `  ${signal}`,
      source ?? 'no source: stays unknown, and passes no gate',
    ]),
  );
}

function changesTitle(running: Shown['running'], changes: readonly Change[], directory: string): string {
  if (running === undefined) return `no cluster in ${directory}: all is new`;
  if (changes.length === 0) return `nothing changes in ${directory}`;
  return `${counted(changes.length, 'change')} in ${directory}, whose plan is ${running.digest}`;
}
