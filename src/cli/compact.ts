/** compact: every node that is up rewrites what is alive of sparse packs and drops the rest. */
import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import { addClusterOptions, type ClusterOptions, withCluster } from './cluster-client.ts';
import { counted, showBytes } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine } from './terminal.ts';

interface CompactOptions extends ClusterOptions {
  readonly json?: boolean;
}

interface CompactResult {
  readonly packsRetired: number;
  readonly bytesFreed: number;
}

export function define(command: Command, shell: Shell): void {
  addClusterOptions(command)
    .option('--json', 'print one JSON document (kwam.compact/v1)')
    .addHelpText(
      'after',
      `
Puts and gets go on meanwhile.

Examples:
  kwam-dp rm step-1000 && kwam-dp compact`,
    )
    .action((options: CompactOptions) => run(shell, options));
}

async function run(shell: Shell, options: CompactOptions): Promise<void> {
  const { answers, silent } = await withCluster(shell, options, (cluster) =>
    cluster.askAll<CompactResult>('node.compact', {}),
  );
  let [packsRetired, bytesFreed] = [0, 0];
  for (const one of answers.values()) {
    packsRetired += one.packsRetired;
    bytesFreed += one.bytesFreed;
  }
  for (const node of silent) shell.note(`kwam-dp: ${node} did not answer; it keeps its packs`);
  if (silent.length > 0) shell.exitCode = EXIT.no;
  if (options.json) printJson(shell.output, 'kwam.compact/v1', { packsRetired, bytesFreed, silent });
  else printLine(shell.output, `retired ${counted(packsRetired, 'pack')}, freed ${showBytes(bytesFreed)}`);
}
