/**
 * scrub: every node that is up reads its packs back and sets corrupt ones aside. Exit 4 when there were any.
 */
import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import type { ScrubResult } from '../repair/scrub.ts';
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from './cluster-client.ts';
import { counted, showBytes } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine } from './terminal.ts';

interface ScrubOptions extends ClusterOptions {
  readonly resume?: boolean;
  readonly json?: boolean;
}

export interface ScrubReport extends ScrubResult {
  /** Nodes that scrubbed. */
  readonly nodes: readonly string[];
  /** Nodes that did not answer: their packs were not looked at. */
  readonly silent: readonly string[];
}

export function define(command: Command, shell: Shell): void {
  addClusterOptions(command)
    .option('--resume', 'go on where the last scrub stopped instead of reading everything')
    .option('--json', 'print one JSON document (kwam.scrub/v1)')
    .addHelpText(
      'after',
      `
What is corrupt goes to quarantine and is not served any more; kwam-dp repair then
restores it from good copies. Exit code 4 when anything was corrupt, 1 when a node
did not answer. With --connect only that node is scrubbed.

Examples:
  kwam-dp scrub && echo all good
  kwam-dp scrub --json | jq .corrupt`,
    )
    .action((options: ScrubOptions) => run(shell, options));
}

async function run(shell: Shell, options: ScrubOptions): Promise<void> {
  const report = await withCluster(shell, options, (cluster) => scrubAll(cluster, options.resume !== true));
  for (const node of report.silent) shell.note(`kwam-dp: ${node} did not answer; its packs were not checked`);
  if (report.silent.length > 0) shell.exitCode = EXIT.no;
  if (report.corrupt > 0) shell.exitCode = EXIT.integrity;
  if (options.json) return printJson(shell.output, 'kwam.scrub/v1', report);
  const { packs, checkedBytes, corrupt, quarantined, nodes } = report;
  const found =
    corrupt === 0
      ? 'nothing is corrupt'
      : `${counted(corrupt, 'record')} corrupt, ${counted(quarantined, 'pack')} quarantined; run kwam-dp repair`;
  printLine(
    shell.output,
    `${counted(packs, 'pack')}, ${showBytes(checkedBytes)} on ${counted(nodes.length, 'node')}: ${found}`,
  );
}

/** A node that died a moment ago counts as down, not as silent: its lease is waited for. */
export async function scrubAll(cluster: Cluster, full: boolean): Promise<ScrubReport> {
  const { answers, silent } = await cluster.askAll<ScrubResult>('node.scrub', { full });
  const isSettled = silent.length === 0 || (await cluster.settle(silent));
  const sum = { packs: 0, checkedBytes: 0, corrupt: 0, quarantined: 0 };
  for (const one of answers.values()) {
    sum.packs += one.packs;
    sum.checkedBytes += one.checkedBytes;
    sum.corrupt += one.corrupt;
    sum.quarantined += one.quarantined;
  }
  return { ...sum, nodes: [...answers.keys()].sort(), silent: isSettled ? [] : silent };
}
