/** status: the nodes, what each holds, and whether anything lacks redundancy. */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Drain } from '../cluster/drains.ts';
import type { Labels } from '../plan.ts';
import type { StorageState } from '../repair/storage-guard.ts';
import {
  addClusterOptions,
  type Cluster,
  type ClusterOptions,
  type NodeName,
  withCluster,
} from './cluster-client.ts';
import { counted, showBytes } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, printTable } from './terminal.ts';

interface StatusOptions extends ClusterOptions {
  readonly json?: boolean;
}

/** Answer of node.status. */
export interface NodeStatus {
  readonly name: string;
  readonly spiffe: string;
  readonly pid: number;
  readonly state: string;
  readonly labels: Labels;
  readonly directory: string;
  readonly control: string;
  readonly catalogDoubt: string | null;
  readonly storage: StorageState;
  readonly packs: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly quarantined: number;
  readonly missing: number;
  readonly metricsAddress: string;
  readonly address: string;
}

/** Answer of cluster.status. */
export interface ClusterTotals {
  readonly objects: number;
  readonly packs: number;
  readonly underReplicated: number;
}

/** One node of the report; what only the node itself could say is null when it did not. */
interface NodeLine {
  readonly name: string;
  readonly spiffe: string | null;
  readonly pid: number | null;
  readonly state: string;
  readonly labels: Labels | null;
  readonly dir: string | null;
  /** Its control store: "sqlite" or where its etcd is. */
  readonly control: string | null;
  /** Why it keeps packs that its catalog does not list. */
  readonly catalogDoubt: string | null;
  /** Since when, by whom and why it is being emptied. */
  readonly drain: { readonly since: string; readonly by: string; readonly reason: string } | null;
  /** What its storage did in the last 30 days. */
  readonly storage: StorageState | null;
  readonly packs: number | null;
  readonly bytes: number | null;
  readonly quarantined: number | null;
  readonly address: string;
  readonly metricsAddress: string | null;
}

export interface StatusReport extends ClusterTotals {
  /** Packs kept as evidence on all nodes that answered. */
  readonly quarantined: number;
  readonly nodes: readonly NodeLine[];
}

export function define(command: Command, shell: Shell): void {
  addClusterOptions(command)
    .option('--json', 'print one JSON document (kwam.status/v1)')
    .addHelpText(
      'after',
      `
With --connect only that node is shown.

Examples:
  kwam-dp status
  kwam-dp status --json | jq .underReplicated`,
    )
    .action(async (options: StatusOptions) => {
      const report = await withCluster(shell, options, readStatus);
      if (options.json) printJson(shell.output, 'kwam.status/v1', report);
      else show(shell, report);
    });
}

export async function readStatus(cluster: Cluster): Promise<StatusReport> {
  const { answers, silent } = await cluster.askAll<NodeStatus>('node.status', {});
  const members = await cluster.members();
  const nodes = members.map((member) => lineOf(member, answers.get(member.name), silent, cluster.directory));
  const totals = await cluster.askOne<ClusterTotals>('cluster.status', {});
  let quarantined = 0;
  for (const answer of answers.values()) quarantined += answer.quarantined;
  return { nodes, ...totals, quarantined };
}

function lineOf(
  member: NodeName,
  answer: NodeStatus | undefined,
  silent: readonly string[],
  directory: string | undefined,
): NodeLine {
  const drain = member.drain === undefined ? null : drainOf(member.drain);
  if (answer !== undefined) {
    const { name, spiffe, pid, state, labels, control, catalogDoubt, storage } = answer;
    const { directory: dir, packs, bytes, quarantined, address, metricsAddress } = answer;
    return {
      name,
      spiffe,
      pid,
      state,
      labels,
      dir,
      control,
      catalogDoubt,
      drain,
      storage,
      packs,
      bytes,
      quarantined,
      address,
      metricsAddress,
    };
  }
  return {
    name: member.name,
    spiffe: member.spiffe ?? null,
    pid: null,
    state: silent.includes(member.name) ? 'silent' : member.state,
    labels: member.labels ?? null,
    dir: directory === undefined ? null : join(directory, member.name),
    control: null,
    catalogDoubt: null,
    drain,
    storage: null,
    packs: null,
    bytes: null,
    quarantined: null,
    address: member.address,
    metricsAddress: member.metricsAddress ?? null,
  };
}

function drainOf({ since, by, reason }: Drain): NonNullable<NodeLine['drain']> {
  return { since, by, reason };
}

function show(shell: Shell, report: StatusReport): void {
  const rows = report.nodes.map((node) => [
    node.name,
    node.drain === null ? node.state : `${node.state}, draining`,
    node.pid === null ? '' : String(node.pid),
    node.address,
    node.labels === null ? '' : `${node.labels.az}/${node.labels.rack}`,
    node.packs ?? '',
    node.bytes === null ? '' : showBytes(node.bytes),
    node.quarantined ?? '',
  ]);
  const head = ['node', 'state', 'pid', 'address', 'where', 'packs', 'bytes', 'quarantined'];
  printTable(shell.output, [head, ...rows]);
  const { objects, packs, underReplicated, quarantined } = report;
  const controls = new Set(report.nodes.map(({ control }) => control).filter((one) => one !== null));
  printLine(
    shell.output,
    `${counted(objects, 'object')}, ${counted(packs, 'pack')}, ${underReplicated} under-replicated, ${quarantined} quarantined`,
  );
  printLine(shell.output, `control store: ${[...controls].join(', ')}`);
  for (const node of report.nodes)
    for (const line of remarksOn(node)) shell.note(`kwam-dp: ${node.name}: ${line}`);
}

function* remarksOn({ catalogDoubt, drain, storage }: NodeLine): Generator<string> {
  if (catalogDoubt !== null) yield catalogDoubt;
  if (drain !== null) yield `being drained since ${drain.since}, by ${drain.by}: ${drain.reason}`;
  if (storage?.state === 'held back')
    yield `its storage is failing, and it is not drained: ${storage.reason}`;
}
