/**
 * repair: every node that is up restores the redundancy it is responsible for. Exit 4 when some cannot be restored.
 */
import type { Command } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import type { Unrepairable, Waiting } from '../repair/repair.ts';
import type { RepairAnswer } from '../service.ts';
import {
  addClusterOptions,
  type Cluster,
  type ClusterOptions,
  REPAIR,
  withCluster,
} from './cluster-client.ts';
import { counted, showBytes } from './quantity.ts';
import { type AdoptOptions, adoptCatalog } from './repair-adopt.ts';
import { type Affected, affectedBy, affectedLines } from './repair-affected.ts';
import { type ExplainOptions, explainRepair } from './repair-explain.ts';
import { type NamesOptions, recoverNames } from './repair-names.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, showName } from './terminal.ts';

interface RepairOptions extends ClusterOptions {
  readonly json?: boolean;
}

export interface RepairReport extends RepairAnswer {
  readonly silent: readonly string[];
  /** Objects that lost data for good. */
  readonly affected: readonly Affected[];
}

export function define(command: Command, shell: Shell): void {
  addClusterOptions(command)
    .option('--explain [pack]', 'restore nothing; say why what is missing is or is not being restored')
    .option('--names', 'the control store was lost: bring the objects back from the packs')
    .option('--adopt', 'restore nothing; the nodes take a control store that was replaced for theirs')
    .option('--json', 'print one JSON document (kwam.repair/v1, -explain/v1, -names/v1, -adopt/v1)')
    .addHelpText(
      'after',
      `
Copies and shards of nodes that are down, and of packs in quarantine, are restored
on other nodes and verified there. Exit code 4 when some could not be; the objects
that rely on a pack without any good source are named, with the files that are hit and
the last checkpoint before them that is whole. Nodes that give no answer are waited for
some seconds: what only they may have is "waiting", not lost.

Nodes restore redundancy by themselves, but wait for a node that is believed to come
back while enough is left; this command waits for none. Copies that are too many, as
after a node returned, are given up once the others are verified.

A node that finds another control store than the one that knew its packs, or an older
state of it, removes nothing and says so (kwam-dp status). Point it at the right one, or
restore its newest state. Where there is none, --names reads the signed manifests in the
packs and adds the objects that are not listed, removed ones included while their bytes
are there. It changes nothing that is listed. If nothing is missing the nodes adopt the
catalog; else exit code 4. --adopt does so in any case: packs that it does not list are
removed after a day.

Examples:
  kwam-dp scrub; kwam-dp repair
  kwam-dp repair --json | jq .remaining
  kwam-dp repair --explain
  kwam-dp repair --names && kwam-dp repair && kwam-dp ls`,
    )
    .action((options: RepairOptions & ExplainOptions & NamesOptions & AdoptOptions) => {
      checkAlone(options);
      if (options.adopt) return adoptCatalog(shell, options);
      if (options.names) return recoverNames(shell, options);
      return options.explain === undefined ? run(shell, options) : explainRepair(shell, options);
    });
}

function checkAlone({ explain, names, adopt }: ExplainOptions & NamesOptions & AdoptOptions): void {
  if ([explain, names, adopt].filter((one) => one !== undefined).length < 2) return;
  throw new KwamError('USAGE', 'expected one of --explain, --names and --adopt, got several');
}

async function run(shell: Shell, options: RepairOptions): Promise<void> {
  const report = await withCluster(shell, options, (cluster) => repairAll(cluster));
  const { repaired, bytes, remaining, postponed, unrepairable, waiting, silent, trimmed, bytesFreed } =
    report;
  for (const node of silent) shell.note(`kwam-dp: ${node} is listed as up and does not answer`);
  for (const { pack, objects } of unrepairable) {
    shell.note(`kwam-dp: pack ${pack} has no good source on any node; it is needed by ${namesOf(objects)}`);
  }
  for (const { pack, objects, nodes } of waiting) {
    shell.note(
      `kwam-dp: pack ${pack} has no good source on the nodes that answer; it is needed by ${namesOf(objects)}. ` +
        `${nodes.join(', ')} may have one: start it and run repair again`,
    );
  }
  for (const one of report.affected) {
    for (const line of affectedLines(one)) shell.note(`kwam-dp: ${line}`);
  }
  if (silent.length > 0) shell.exitCode = EXIT.no;
  if (remaining > 0) shell.exitCode = EXIT.integrity;
  if (options.json) return printJson(shell.output, 'kwam.repair/v1', report);
  const left = remaining === 0 ? 'nothing is missing' : `${remaining} still missing`;
  const later = postponed === 0 ? '' : `; ${counted(postponed, 'shard')} left for later, as the plan is lazy`;
  const given = trimmed === 0 ? '' : `; ${trimmed} too many given up, ${showBytes(bytesFreed)} freed`;
  printLine(
    shell.output,
    `restored ${counted(repaired, 'copy or shard', 'copies or shards')}, ${showBytes(bytes)}; ${left}${later}${given}`,
  );
}

/** Two nodes name the same pack while they do not agree yet which of them is responsible. */
function onePerPack<T extends Unrepairable>(packs: readonly T[]): T[] {
  return [...new Map(packs.map((one) => [one.pack, one])).values()];
}

function namesOf(objects: readonly string[]): string {
  return objects.map(showName).join(', ') || 'no object';
}

/** A second round after a node fell silent: the packs that it was responsible for are then others' affair. */
const ROUNDS = 2;

export async function repairAll(cluster: Cluster): Promise<RepairReport> {
  let [repaired, bytes, trimmed, bytesFreed] = [0, 0, 0, 0];
  for (let round = 1; ; round++) {
    const { answers, silent } = await cluster.askAll<RepairAnswer>(REPAIR, {});
    let [remaining, postponed] = [0, 0];
    const unrepairable: Unrepairable[] = [];
    const waiting: Waiting[] = [];
    for (const one of answers.values()) {
      repaired += one.repaired;
      bytes += one.bytes;
      trimmed += one.trimmed;
      bytesFreed += one.bytesFreed;
      remaining += one.remaining;
      postponed += one.postponed;
      unrepairable.push(...one.unrepairable);
      waiting.push(...one.waiting);
    }
    const isSettled = silent.length === 0 || (await cluster.settle(silent));
    if (silent.length > 0 && isSettled && round < ROUNDS) continue;
    return {
      repaired,
      bytes,
      remaining,
      postponed,
      unrepairable: onePerPack(unrepairable),
      waiting: onePerPack(waiting),
      affected: await affectedBy(cluster, unrepairable, waiting),
      trimmed,
      bytesFreed,
      silent: isSettled ? [] : silent,
    };
  }
}
