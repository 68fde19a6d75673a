/** ls: the objects of the cluster. */
import type { Command } from 'commander';
import type { ObjectRecord } from '../replication/catalog.ts';
import { addClusterOptions, addNodeOption, type ClusterOptions, withCluster } from './cluster-client.ts';
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
  const { objects } = await withCluster(shell, options, (cluster) =>
    cluster.askOne<{ objects: ObjectRecord[] }>('object.list', {}),
  );
  if (options.json) {
    return printJson(shell.output, 'kwam.ls/v1', { objects: objects.map(withoutParts) });
  }
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

/** Where the manifest's own records and the packs are is the cluster's affair. */
function withoutParts({ name, manifest, producer, files, bytes, chunks, createdAt }: ObjectRecord): object {
  return { name, manifest, producer, files, bytes, chunks, createdAt };
}
