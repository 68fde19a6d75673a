/** rm NAME: removes an object. Its space comes back with compaction (compact.ts). */
import type { Command } from 'commander';
import { addClusterOptions, addNodeOption, type ClusterOptions, withCluster } from './cluster-client.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, showName } from './terminal.ts';

interface RemoveOptions extends ClusterOptions {
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  addNodeOption(addClusterOptions(command.argument('<name>', 'the object')))
    .option('--json', 'print one JSON document (kwam.rm/v1)')
    .addHelpText(
      'after',
      `
The name is gone at once. Chunks that no other object uses go with the next
compaction.

Examples:
  kwam-dp rm step-1000 && kwam-dp compact`,
    )
    .action((name: string, options: RemoveOptions) => remove(shell, name, options));
}

async function remove(shell: Shell, name: string, options: RemoveOptions): Promise<void> {
  const removed = await withCluster(shell, options, (cluster) =>
    cluster.askOne<{ name: string; manifest: string }>('object.remove', { name }),
  );
  if (options.json) printJson(shell.output, 'kwam.rm/v1', removed);
  else printLine(shell.output, `removed ${showName(removed.name)} (manifest ${removed.manifest})`);
}
