/**
 * put PATH: has a node store a file or a tree, and says what was new and what could not be read.
 * Exit 1 when something of the tree is not in the object, by name.
 */
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import type { PutResult } from '../pipeline/ingest.ts';
import { addClusterOptions, addNodeOption, type ClusterOptions, withCluster } from './cluster-client.ts';
import { requireLocal } from './local-paths.ts';
import { counted, showBytes, showSeconds } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, showName } from './terminal.ts';

interface PutOptions extends ClusterOptions {
  readonly name?: string;
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  addNodeOption(addClusterOptions(command.argument('<path>', 'a file or a directory')))
    .option('--name <name>', 'name of the object (default: the last part of the path)')
    .option('--json', 'print one JSON document (kwam.put/v1)')
    .addHelpText(
      'after',
      `
The node reads the path on its own machine. It is acknowledged when enough durable
copies exist. Files that cannot be read, vanish or keep changing are named, and the
exit code is then 1.

Examples:
  kwam-dp put ./checkpoints/step-1000
  kwam-dp put model.safetensors --name model --json`,
    )
    .action((path: string, options: PutOptions) => put(shell, path, options));
}

async function put(shell: Shell, path: string, options: PutOptions): Promise<void> {
  requireLocal('put', options.connect);
  const absolute = resolve(path);
  const name = options.name ?? basename(absolute);
  if (name === '') throw new KwamError('USAGE', `expected --name for ${absolute}, which has no last part`);
  const result = await withCluster(shell, options, (cluster) =>
    cluster.askOne<PutResult>('object.put', { path: absolute, name }),
  );
  for (const problem of result.problems) {
    shell.note(`kwam-dp: not stored: ${problem.path}: ${problem.reason} (${problem.detail})`);
  }
  if (options.json) printJson(shell.output, 'kwam.put/v1', result);
  else printLine(shell.output, summaryOf(result));
  if (result.problems.length > 0) shell.exitCode = EXIT.no;
}

function summaryOf(result: PutResult): string {
  const { files, bytes, chunks, newChunks, newBytes, seconds, problems } = result;
  const left = problems.length === 0 ? '' : `; ${counted(problems.length, 'entry', 'entries')} not stored`;
  return (
    `${showName(result.name)}: ${counted(files, 'file')}, ${showBytes(bytes)}, ${counted(chunks, 'chunk')}, ` +
    `${newChunks} new (${showBytes(newBytes)}), in ${showSeconds(seconds)}${left}`
  );
}
