/**
 * verify NAME: has a node read an object through and compare every chunk with the producer's digests.
 * Exit 4 when a chunk has no intact copy within reach.
 */
import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import type { RestoreResult } from '../pipeline/restore.ts';
import { addClusterOptions, addNodeOption, type ClusterOptions, withCluster } from './cluster-client.ts';
import { counted, showBytes } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, showName } from './terminal.ts';

interface VerifyOptions extends ClusterOptions {
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  addNodeOption(addClusterOptions(command.argument('<name>', 'the object')))
    .option('--json', 'print one JSON document (kwam.verify/v1)')
    .addHelpText(
      'after',
      `
Exit code 4 when something cannot be read back intact; the files are then named.

Examples:
  kwam-dp verify step-1000
  kwam-dp verify step-1000 --node n0003 --json`,
    )
    .action((name: string, options: VerifyOptions) => verify(shell, name, options));
}

async function verify(shell: Shell, name: string, options: VerifyOptions): Promise<void> {
  const result = await withCluster(shell, options, (cluster) =>
    cluster.askOne<RestoreResult>('object.verify', { name }),
  );
  const ok = result.damage.chunks === 0;
  if (!ok) shell.exitCode = EXIT.integrity;
  if (options.json) return printJson(shell.output, 'kwam.verify/v1', { ok, ...result });
  const { failures, damage } = result;
  for (const { path, chunk, digest } of failures) {
    shell.note(`kwam-dp: ${path}: chunk ${chunk} (${digest}) has no intact copy within reach`);
  }
  if (!ok) shell.note(`kwam-dp: ${counted(damage.files, 'file')} hit: ${damage.paths.join(', ')}`);
  const amount = `${counted(result.files, 'file')}, ${counted(result.chunks, 'chunk')}, ${showBytes(result.bytes)}`;
  const verdict = ok ? 'ok' : `${counted(damage.chunks, 'chunk')} cannot be read back; run kwam-dp repair`;
  printLine(shell.output, `${showName(result.name)}: ${amount}: ${verdict}`);
}
