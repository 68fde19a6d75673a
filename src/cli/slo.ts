/**
 * slo: how much of each objective's error budget is left, and what Prometheus, Grafana and OpenSLO need to watch it.
 * In: the plan of a running cluster, or a program. Out: a table, one JSON document (kwam.slo/v1), or, with --emit, a file's text.
 * Numbers come from a Prometheus that has recorded the rules, or else from the nodes themselves, which count from their start. Exit 1 when
 * a budget is exhausted or nothing is known of it: no data is not health. With --gate exit 5 when no rollout may begin.
 */
import { type Command, Option } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import { blocksOf } from '../language/access.ts';
import { check } from '../language/check.ts';
import { hasErrors } from '../language/diagnostic.ts';
import { metricPlan } from '../language/plan-blocks.ts';
import type { MetricPlan, Plan } from '../plan.ts';
import { type Budget, budgetOf } from '../slo/budget.ts';
import { grafanaDashboard } from '../slo/grafana.ts';
import { durationText, type Objective, objectiveOf } from '../slo/objective.ts';
import { openSlo } from '../slo/openslo.ts';
import { ruleFile } from '../slo/prometheus-rules.ts';
import { type GateVerdict, rolloutGate } from '../slo/rollout-gate.ts';
import { addClusterOptions, type ClusterOptions } from './cluster-client.ts';
import { clusterDirectory, planPath } from './cluster-directory.ts';
import { readPlan } from './plan-file.ts';
import { readProgram, refuseErrors } from './program-plan.ts';
import type { Shell } from './shell.ts';
import { guardRows, isUnkept, readGuard } from './slo-guard.ts';
import { readNodes, readPrometheus } from './slo-readings.ts';
import { printJson, printLine, printTable } from './terminal.ts';

interface SloOptions extends ClusterOptions {
  readonly emit?: Format;
  readonly prometheus?: string;
  readonly json?: boolean;
  readonly from?: string[];
  readonly gate?: true;
}

const FORMATS = ['prometheus', 'grafana', 'openslo'] as const;
type Format = (typeof FORMATS)[number];

export function define(command: Command, shell: Shell): void {
  addClusterOptions(command)
    .argument('[program]', 'a .kwam file (default: the plan that the cluster runs)')
    .addOption(new Option('--emit <format>', 'print what this tool needs, and ask nobody').choices(FORMATS))
    .option('--prometheus <url>', 'a Prometheus that has loaded the rules: knows the whole window')
    .option('--gate', 'say whether a rollout may begin; exit code 5 and the reasons when not')
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option('--json', 'print one JSON document (kwam.slo/v1)')
    .addHelpText(
      'after',
      `
Without --prometheus the nodes are asked, which count from their start. Exit code 1 when
a budget is exhausted or nothing is known of it.

Of a running cluster the guard is shown, too: what it declares beside what the nodes have
seen of lost nodes, restores and domains that were down, and the nines that follow. What
was not seen yet is "no data", and stands as declared. Exit code 1 when it is not kept.

Examples:
  kwam-dp slo
  kwam-dp slo --gate || echo not now
  kwam-dp slo examples/h100.kwam --emit prometheus >rules.yml
  kwam-dp slo --prometheus http://127.0.0.1:9090 --json`,
    )
    .action((program: string | undefined, options: SloOptions) => slo(shell, program, options));
}

async function slo(shell: Shell, program: string | undefined, options: SloOptions): Promise<void> {
  const { emit, prometheus, json } = options;
  const plan = program === undefined ? planThatRuns(shell, options) : undefined;
  const metrics = plan?.metrics ?? (await metricsOf(shell, program!, options));
  if (metrics.length === 0)
    throw new KwamError('USAGE', 'expected a program with a `metric` block, got none');
  const objectives = metrics.map(objectiveOf);
  if (emit !== undefined) {
    shell.output.stdout.write(await textFor(emit, objectives));
    return;
  }
  const observed = await (prometheus === undefined
    ? readNodes(shell, options, objectives)
    : readPrometheus(prometheus, objectives));
  const rows = objectives.map((objective, i) => ({ objective, budget: budgetOf(objective, observed[i]) }));
  const guard = plan === undefined ? null : await readGuard(shell, options, plan);
  if (rows.some(({ budget }) => budget.state !== 'kept') || (guard !== null && isUnkept(guard)))
    shell.exitCode = EXIT.no;
  const rollouts = rolloutGate(objectives, observed);
  if (options.gate && !rollouts.isOpen) shell.exitCode = EXIT.refused;
  if (json) return printJson(shell.output, 'kwam.slo/v1', { objectives: rows.map(jsonOf), guard, rollouts });
  printTable(shell.output, [['objective', 'state', 'events', 'allowed', 'window'], ...rows.map(cellsOf)]);
  if (prometheus === undefined) printLine(shell.output, 'counted since each node started');
  if (guard !== null) printTable(shell.output, [[], ...guardRows(guard)]);
  if (options.gate) for (const line of gateLines(rollouts)) printLine(shell.output, line);
}

function gateLines({ isOpen, objections }: GateVerdict): string[] {
  if (isOpen) return ['', 'rollouts may begin'];
  return ['', 'no rollout may begin:', ...objections.map(({ words }) => `  ${words}`)];
}

interface Row {
  readonly objective: Objective;
  readonly budget: Budget;
}

function cellsOf({ objective: { name, windowMs }, budget: { state, events, allowed } }: Row): string[] {
  return [name, state, String(events ?? ''), String(allowed ?? ''), durationText(windowMs)];
}

function jsonOf({ objective, budget }: Row): object {
  const { name, series, kind, windowMs } = objective;
  const { state, events = null, allowed = null, left = null } = budget;
  return { name, series, kind, windowMs, state, events, allowed, left };
}

function planThatRuns(shell: Shell, { connect, dir }: SloOptions): Plan {
  if (connect !== undefined) {
    throw new KwamError(
      'USAGE',
      'expected a program beside --connect: its metrics are what the node is asked for',
    );
  }
  return readPlan(planPath(clusterDirectory(shell, dir)));
}

async function metricsOf(shell: Shell, file: string, { from = [] }: SloOptions): Promise<MetricPlan[]> {
  const read = await readProgram(shell, file, from);
  const diagnostics = [...read.diagnostics, ...check(read.program, { tables: read.tables })];
  if (hasErrors(diagnostics)) refuseErrors(shell, read, diagnostics);
  return blocksOf(read.program, 'metric').map(metricPlan);
}

/** YAML where people expect it. */
async function textFor(format: Format, objectives: readonly Objective[]): Promise<string> {
  if (format === 'grafana') return `${JSON.stringify(grafanaDashboard(objectives), undefined, 2)}\n`;
  const { stringify } = await import('yaml');
  if (format === 'prometheus') return stringify(ruleFile(objectives), { lineWidth: 0 });
  return openSlo(objectives)
    .map((document) => stringify(document, { lineWidth: 0 }))
    .join('---\n');
}
