/**
 * get NAME DEST: has a node restore an object. The destination appears complete and verified, or not at all.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { RestoreResult } from '../pipeline/restore.ts';
import { addClusterOptions, addNodeOption, type ClusterOptions, withCluster } from './cluster-client.ts';
import { requireLocal } from './local-paths.ts';
import { counted, showBytes } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, showName } from './terminal.ts';

interface GetOptions extends ClusterOptions {
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument('<name>', 'the object')
    .argument('<destination>', 'a path where nothing is yet, or an empty directory');
  addNodeOption(addClusterOptions(command))
    .option('--json', 'print one JSON document (kwam.get/v1)')
    .addHelpText(
      'after',
      `
Every byte is compared with the producer's digests. The destination appears by
rename when all of it is right; if anything cannot be restored, nothing is written
and the exit code is 4, or 3 while a node that may have it gives no answer.

Examples:
  kwam-dp get step-1000 ./restored
  kwam-dp get model /tmp/model.safetensors --node n0002`,
    )
    .action((name: string, destination: string, options: GetOptions) =>
      get(shell, name, destination, options),
    );
}

async function get(shell: Shell, name: string, to: string, options: GetOptions): Promise<void> {
  requireLocal('get', options.connect);
  const destination = resolve(to);
  const result = await withCluster(shell, options, (cluster) =>
    cluster.askOne<RestoreResult>('object.get', { name, destination }),
  );
  if (options.json) return printJson(shell.output, 'kwam.get/v1', { ...result, destination });
  const { files, bytes, chunks } = result;
  printLine(
    shell.output,
    `${showName(result.name)}: restored ${counted(files, 'file')}, ${showBytes(bytes)}, ` +
      `${counted(chunks, 'chunk')} to ${showName(destination)}`,
  );
}
