/**
 * repair --names: the catalog of objects made anew from the packs, after the control store was lost.
 * In: a cluster whose nodes doubt the catalog that they find. Out: what was brought back and what was not, or one JSON document
 * (kwam.repair-names/v1). Where nothing is left behind the nodes adopt the catalog; else they go on keeping every pack, and exit is 4.
 */
import { EXIT } from '../errors.ts';
import type { RecoverResult } from '../pipeline/recover-catalog.ts';
import { type ClusterOptions, withCluster } from './cluster-client.ts';
import { counted } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, showName } from './terminal.ts';

export interface NamesOptions extends ClusterOptions {
  readonly names?: true;
  readonly json?: boolean;
}

interface NamesReport extends RecoverResult {
  /** Nodes that took the catalog for theirs. */
  readonly adopted: readonly string[];
}

export async function recoverNames(shell: Shell, options: NamesOptions): Promise<void> {
  const report = await withCluster(shell, options, async (cluster): Promise<NamesReport> => {
    const recovered = await cluster.askOne<RecoverResult>('node.names', {});
    if (!recovered.isComplete) return { ...recovered, adopted: [] };
    const { answers, silent } = await cluster.askAll('node.adopt', {});
    return { ...recovered, adopted: [...answers.keys()].sort(), silent };
  });
  if (report.isNeeded && !report.isComplete) shell.exitCode = EXIT.integrity;
  else if (report.silent.length > 0) shell.exitCode = EXIT.no;
  if (options.json) printJson(shell.output, 'kwam.repair-names/v1', report);
  else show(shell, report);
}

function show(shell: Shell, report: NamesReport): void {
  for (const line of problemsOf(report)) shell.note(`kwam-dp: ${line}`);
  const { isNeeded, isComplete, added, packsAdded, adopted } = report;
  if (!isNeeded) {
    printLine(shell.output, 'every node that answers knows its catalog: nothing was done');
    return;
  }
  const brought = `brought back ${counted(added.length, 'object')} and ${counted(packsAdded, 'pack')}`;
  const end = isComplete
    ? `${counted(adopted.length, 'node')} took this catalog for their own`
    : 'something is missing, so every node goes on keeping all its packs; try again when it is there, or give it up with --adopt';
  printLine(shell.output, `${brought}; ${end}`);
}

function* problemsOf({ silent, unreadable, refused, incomplete, kept }: NamesReport): Generator<string> {
  for (const node of silent) yield `${node} gave no answer; what it has is not known`;
  for (const { pack, reason } of unreadable) yield `pack ${pack}: ${reason}`;
  for (const { part, reason } of refused) yield `manifest ${part}: ${reason}`;
  for (const { name, createdAt, reason } of incomplete) yield `${showName(name)} of ${createdAt}: ${reason}`;
  for (const { name, listed, found } of kept) {
    yield `${showName(name)} is listed as of ${listed}, which stays; the packs have it as of ${found}: kwam-dp rm it and repeat to have that`;
  }
}
