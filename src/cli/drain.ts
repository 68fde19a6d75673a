/**
 * drain NODE: empties a node, and --end takes it back into service.
 * In: a node that any other one knows. Out: a line, or one JSON document (kwam.drain/v1). Exit 1 when --end finds nothing to end, 5 when too few
 * nodes would be left. Does not wait until the node is empty: `status` shows what it still holds.
 */
import type { Command } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import { addClusterOptions, type ClusterOptions, withCluster } from './cluster-client.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine } from './terminal.ts';

interface DrainOptions extends ClusterOptions {
  readonly end?: true;
  readonly reason?: string;
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  addClusterOptions(command.argument('<node>', 'its name'))
    .option('--reason <text>', 'shown beside the node until the drain ends')
    .option('--end', 'take the node back into service; damage found on it so far is forgiven')
    .option('--json', 'print one JSON document (kwam.drain/v1)')
    .addHelpText(
      'after',
      `
A node that is being drained gets no new packs. What it holds counts as missing, so it is
restored on other nodes, from this one while it verifies; then this one gives it up.
kwam-dp status shows what is left, repair --explain says of each pack what happens next.

Nodes drain themselves where the program has a guard with on_violation quarantine and
their storage damages more packs than storage that is in order would, by chance, once in
a million. One flipped bit drains nothing.

Examples:
  kwam-dp drain n0002 --reason "disk to be replaced"
  kwam-dp drain n0002 --end`,
    )
    .action((node: string, options: DrainOptions) => run(shell, node, options));
}

async function run(shell: Shell, node: string, options: DrainOptions): Promise<void> {
  if (options.end && options.reason !== undefined) {
    throw new KwamError('USAGE', 'expected --reason without --end, got both');
  }
  await (options.end ? end(shell, node, options) : begin(shell, node, options));
}

async function begin(shell: Shell, node: string, options: DrainOptions): Promise<void> {
  const reason = options.reason ?? 'asked for by an operator';
  await withCluster(shell, options, (cluster) => cluster.askOne('node.drain', { node, reason }));
  if (options.json) return printJson(shell.output, 'kwam.drain/v1', { node, draining: true, reason });
  printLine(shell.output, `${node} is being drained; kwam-dp status shows what it still holds`);
}

async function end(shell: Shell, node: string, options: DrainOptions): Promise<void> {
  const { wasDrained } = await withCluster(shell, options, (cluster) =>
    cluster.askOne<{ wasDrained: boolean }>('node.undrain', { node }),
  );
  if (!wasDrained) shell.exitCode = EXIT.no;
  if (options.json) return printJson(shell.output, 'kwam.drain/v1', { node, draining: false, wasDrained });
  printLine(shell.output, wasDrained ? `${node} is in service again` : `${node} was not being drained`);
}
