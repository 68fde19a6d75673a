/**
 * audit verify: is what nodes decided still what their logs say?
 * In: the logs of a cluster on this machine, with the anchors of its control store; or one file, by itself. Out: counts, and the first thing that
 * does not fit. Exit 4 when there is any. Changes nothing, also while the nodes run.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { auditFiles } from '../audit/audit-tail.ts';
import { type AuditAnchor, type AuditReport, verifyAuditFiles } from '../audit/audit-verify.ts';
import { systemClock } from '../clock.ts';
import { readAnchor } from '../cluster/audit-anchor.ts';
import type { ControlStore } from '../control/control-store.ts';
import { openControl } from '../control/open-control.ts';
import { EXIT, KwamError } from '../errors.ts';
import { clusterDirectory, controlPath, controlUrl } from './cluster-directory.ts';
import { counted } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine } from './terminal.ts';

interface VerifyOptions {
  readonly dir?: string;
  readonly control?: string;
  readonly json?: boolean;
}

interface Verified extends AuditReport {
  /** Name of the node, or the file. */
  readonly name: string;
  readonly anchor: AuditAnchor | null;
}

export function define(command: Command, shell: Shell): void {
  command.addHelpText('after', '\nExamples:\n  kwam-dp audit verify --dir ./cluster');
  command
    .command('verify')
    .description('Verify the audit logs of the nodes: whole, in order, unchanged.')
    .argument('[file]', 'one file of a log, by itself (default: the logs of all nodes of the cluster)')
    .option('--dir <directory>', 'directory of the cluster (default: $KWAM_DIR or ./.kwam)')
    .option('--control <url>', 'control store with the anchors (default: $KWAM_CONTROL or D/control)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
An edited, moved, added or removed record is found by the chain that the records form. Records
that were cut off at the end are found by the anchor, which each node leaves in the control
store every 10 seconds and when it stops; of what is younger the log is the only witness. A
file by itself has no anchor. An unfinished last line is what a killed node leaves: no change.

Examples:
  kwam-dp audit verify
  kwam-dp audit verify --dir ./cluster --json
  kwam-dp audit verify ./cluster/n0001/audit/000000000000.log`,
    )
    .action(async (file: string | undefined, options: VerifyOptions) => {
      const logs = file === undefined ? await ofCluster(shell, options) : [await ofFile(file)];
      if (logs.some(({ problem }) => problem !== null)) shell.exitCode = EXIT.integrity;
      if (options.json) printJson(shell.output, 'kwam.audit-verify/v1', { logs });
      else for (const log of logs) for (const line of linesOf(log)) printLine(shell.output, line);
    });
}

async function ofFile(file: string): Promise<Verified> {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new KwamError(
      'USAGE',
      `expected a file of an audit log, got ${file}; give D/NODE/audit/NUMBER.log`,
    );
  }
  return { name: file, anchor: null, ...(await verifyAuditFiles([file], { isWhole: false })) };
}

async function ofCluster(shell: Shell, options: VerifyOptions): Promise<Verified[]> {
  const directory = clusterDirectory(shell, options.dir);
  const nodes = existsSync(directory)
    ? readdirSync(directory).filter((name) => existsSync(join(directory, name, 'audit')))
    : [];
  if (nodes.length === 0) {
    throw new KwamError(
      'ENVIRONMENT',
      `expected audit logs of nodes in ${directory}, found none; give the directory of a cluster that has run`,
    );
  }
  const url = controlUrl(shell, options.control);
  const control = await openControl({ directory: controlPath(directory), url, clock: systemClock });
  try {
    const verified: Verified[] = [];
    for (const node of nodes.sort()) verified.push(await ofNode(control.store, directory, node));
    return verified;
  } finally {
    await control.store.close();
  }
}

/** The anchor first: a log that goes on meanwhile is longer than it, never shorter. */
async function ofNode(control: ControlStore, directory: string, node: string): Promise<Verified> {
  const anchor = await readAnchor(control, node);
  const log = join(directory, node, 'audit');
  const paths = auditFiles(log).map((name) => join(log, name));
  return {
    name: node,
    anchor: anchor ?? null,
    ...(await verifyAuditFiles(paths, { isWhole: true, anchor })),
  };
}

function* linesOf(log: Verified): Generator<string> {
  const { name, records, allowed, refused, from, to, tornBytes, problem, anchor, head } = log;
  const time = from === null ? '' : `, ${from} to ${to}`;
  yield `${name}: ${counted(records, 'record')}${time}; ${allowed} allowed, ${refused} refused`;
  if (problem === null && anchor !== null)
    yield `  ${head.seq - anchor.seq} after the anchor in the control store`;
  if (tornBytes > 0) yield `  ${counted(tornBytes, 'byte')} of an unfinished record at the end`;
  yield problem === null ? `  whole: ${head.hash}` : `  ${problem.rule}: ${problem.message}`;
}
