/**
 * repair --explain: why packs that lack copies or shards are being restored, or are not.
 * In: the nodes that are up; each explains the packs that it is responsible for. Out: a paragraph a pack, or one JSON document
 * (kwam.repair-explain/v1). Restores nothing. Exit 1 when something is missing.
 */
import { EXIT, KwamError } from '../errors.ts';
import type { Explanation } from '../repair/explain.ts';
import { type ClusterOptions, withCluster } from './cluster-client.ts';
import { counted } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine } from './terminal.ts';

export interface ExplainOptions extends ClusterOptions {
  readonly explain?: string | true;
  readonly json?: boolean;
}

const PACK_ID = /^[0-9a-f]{64}$/;

export async function explainRepair(shell: Shell, options: ExplainOptions): Promise<void> {
  const { explain: pack, json } = options;
  if (typeof pack === 'string' && !PACK_ID.test(pack)) {
    throw new KwamError(
      'USAGE',
      `expected --explain PACK with 64 hexadecimal digits, got ${JSON.stringify(pack)}`,
    );
  }
  const request = typeof pack === 'string' ? { pack } : {};
  const { answers, silent } = await withCluster(shell, options, (cluster) =>
    cluster.askAll<{ packs: readonly Explanation[] }>('node.explain', request),
  );
  for (const node of silent) shell.note(`kwam-dp: ${node} is listed as up and does not answer`);
  const all = [...answers.values()].flatMap(({ packs }) => packs);
  // Two nodes explain the same pack while they do not agree yet which of them is responsible.
  const packs = [...new Map(all.map((one) => [one.pack, one])).values()].sort((a, b) => a.spare - b.spare);
  if (packs.some(({ missing }) => missing > 0) || silent.length > 0) shell.exitCode = EXIT.no;
  if (json) return printJson(shell.output, 'kwam.repair-explain/v1', { packs, silent });
  if (packs.length === 0) printLine(shell.output, noPackText(pack));
  for (const one of packs) for (const line of linesOf(one)) printLine(shell.output, line);
}

function noPackText(pack: string | true | undefined): string {
  return typeof pack === 'string'
    ? 'no node that is up is responsible for it: no catalog lists that pack'
    : 'nothing is missing';
}

function linesOf({ pack, missing, spare, draining, verdicts, next }: Explanation): string[] {
  const survives =
    spare < 0 ? 'cannot be read now' : `survives ${counted(spare, 'more loss', 'more losses')}`;
  return [
    `${pack}: ${counted(missing, 'copy or shard', 'copies or shards')} missing, ${survives}`,
    ...draining.map((node) => `  ${node} has some of it and is being drained: that serves, and is replaced`),
    ...verdicts.map(({ words }) => `  ${words}`),
    `  ${next}`,
  ];
}
