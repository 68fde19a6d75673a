/** ls: the objects of the cluster. */
import type { Command } from 'commander';
import { addClusterOptions, addNodeOption, type ClusterOptions, withCluster } from './cluster-client.ts';
import { allObjects } from './object-list.ts';
import { showBytes } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printTable, showName } from './terminal.ts';

interface ListOptions extends ClusterOptions {
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  addNodeOption(addClusterOptions(command))
    .option('--json', 'print one JSON document (kwam.ls/v1)')
    .addHelpText('after', '\nExamples:\n  kwam-dp ls\n  kwam-dp ls --dir /var/lib/kwam --json')
    .action((options: ListOptions) => list(shell, options));
}

async function list(shell: Shell, options: ListOptions): Promise<void> {
  const objects = await withCluster(shell, options, allObjects);
  if (options.json) return printJson(shell.output, 'kwam.ls/v1', { objects });
  const rows = objects.map((object) => [
    showName(object.name),
    object.files,
    showBytes(object.bytes),
    object.chunks,
    object.createdAt,
    object.manifest.slice(0, 16),
  ]);
  printTable(shell.output, [['name', 'files', 'bytes', 'chunks', 'created', 'manifest'], ...rows]);
}
