/**
 * repair --adopt: every node that is up takes the catalog that it finds for the one that knows its packs.
 * Out: a line, or one JSON document (kwam.repair-adopt/v1). Exit 1 when a node did not answer: it goes on keeping everything.
 * Changes no catalog and removes nothing itself: what the catalog does not list goes a day later, as always.
 */
import { EXIT } from '../errors.ts';
import { type ClusterOptions, withCluster } from './cluster-client.ts';
import { counted } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine } from './terminal.ts';

export interface AdoptOptions extends ClusterOptions {
  readonly adopt?: true;
  readonly json?: boolean;
}

export async function adoptCatalog(shell: Shell, options: AdoptOptions): Promise<void> {
  const { answers, silent } = await withCluster(shell, options, (cluster) =>
    cluster.askAll('node.adopt', {}),
  );
  for (const node of silent) shell.note(`kwam-dp: ${node} is listed as up and does not answer`);
  if (silent.length > 0) shell.exitCode = EXIT.no;
  const adopted = [...answers.keys()].sort();
  if (options.json) return printJson(shell.output, 'kwam.repair-adopt/v1', { adopted, silent });
  printLine(shell.output, `${counted(adopted.length, 'node')} took this catalog for their own`);
}
