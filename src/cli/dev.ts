/**
 * dev up|down|status|add: a whole cluster of real node processes on loopback.
 */
import type { Command } from 'commander';
import { schemeProblem } from '../erasure/scheme.ts';
import { EXIT, KwamError } from '../errors.ts';
import type { ErasureScheme, Plan } from '../plan.ts';
import { clusterDirectory, controlUrl, inventoryPath } from './cluster-directory.ts';
import { DevCluster, type DevNode } from './dev-cluster.ts';
import type { DevShape } from './dev-program.ts';
import { parseBytes, parseCount } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, printTable } from './terminal.ts';

interface DevOptions {
  readonly dir?: string;
  readonly json?: boolean;
}

interface UpOptions extends DevOptions {
  readonly nodes?: number;
  readonly factor?: number;
  readonly erasure?: ErasureScheme;
  readonly memory?: number;
  readonly control?: string;
}

const NODES_DEFAULT = 3;

export function define(command: Command, shell: Shell): void {
  command.addHelpText(
    'after',
    `
Examples:
  kwam-dp dev up --dir ./cluster --nodes 6
  kwam-dp dev status --dir ./cluster
  kwam-dp dev down --dir ./cluster`,
  );
  defineUp(command, shell);
  defineDown(command, shell);
  defineStatus(command, shell);
  defineAdd(command, shell);
}

function defineUp(command: Command, shell: Shell): void {
  withDirectory(command.command('up').description('Start a cluster from a program, or a stopped one again.'))
    .argument('[program]', 'a .kwam file (default: the example that comes with kwam-dp)')
    .option('--nodes <count>', `how many nodes a new cluster has (default: ${NODES_DEFAULT})`, parseCount)
    .option('--factor <copies>', 'full copies of each pack (default: as the program says)', parseCount)
    .option(
      '--erasure <code>',
      'K,M data and parity shards of each pack instead of copies, or lrc:K,L,M with L local groups',
      parseErasure,
    )
    .option('--memory <size>', 'memory of each node (default: 512mib)', parseBytes)
    .option(
      '--control <url>',
      'control store (default: $KWAM_CONTROL or DIRECTORY/control), see kwam-dp serve --help',
    )
    .addHelpText(
      'after',
      `
Returns when every node is ready. The program is checked against the nodes and refused
as by \`check\`; only where fewer nodes or other copies were asked for than it promises,
the cluster says so and runs, because a development cluster is no promise. What it runs
from is in DIRECTORY/plan.json, its nodes are in DIRECTORY/inventory.json. A pool that
selects by pattern gets nodes that match: each wildcard becomes the name of the node.
The program's grants hold for them too, so \`discover_scope\` has to cover 127.0.0.0/8.

A stopped cluster starts with the plan and the data it has, or with the plan of another
program when one is given; without one, options that say otherwise are refused. Nodes
that died are started again. Each node logs to DIRECTORY/logs/NAME.log.

Examples:
  kwam-dp dev up --nodes 3
  kwam-dp dev up cluster.kwam --nodes 6
  kwam-dp dev up --dir ./cluster --nodes 6 --erasure 4,2 --memory 512mb
  kwam-dp dev up --nodes 16 --erasure lrc:12,2,2
  kwam-dp dev up --control etcd://127.0.0.1:2379/dev`,
    )
    .action((program: string | undefined, options: UpOptions) => up(shell, program, options));
}

function defineDown(command: Command, shell: Shell): void {
  withDirectory(command.command('down').description('Stop the nodes of a cluster, and nothing else.'))
    .option('--node <name>', 'only this one')
    .addHelpText(
      'after',
      '\nData stays; dev up starts the same cluster again.\n\nExamples:\n  kwam-dp dev down',
    )
    .action(async (options: DevOptions & { node?: string }) => {
      const stopped = await clusterOf(shell, options).down(
        options.node === undefined ? undefined : [options.node],
      );
      if (options.json) printJson(shell.output, 'kwam.dev-down/v1', { stopped });
      else
        printLine(
          shell.output,
          stopped.length === 0 ? 'nothing was running' : `stopped ${stopped.join(', ')}`,
        );
    });
}

function defineStatus(command: Command, shell: Shell): void {
  withDirectory(command.command('status').description('Show the processes of a cluster.'))
    .addHelpText('after', '\nExit code 1 when a node does not run.\n\nExamples:\n  kwam-dp dev status --json')
    .action((options: DevOptions) => {
      const cluster = clusterOf(shell, options);
      show(shell, options, cluster);
      if (cluster.nodes().some((node) => node.state !== 'running')) shell.exitCode = EXIT.no;
    });
}

function defineAdd(command: Command, shell: Shell): void {
  withDirectory(command.command('add').description('Start one more node, which holds nothing yet.'))
    .addHelpText('after', '\nExamples:\n  kwam-dp dev add --dir ./cluster')
    .action(async (options: DevOptions) => {
      const cluster = clusterOf(shell, options);
      const added = await cluster.add();
      shell.note(`kwam-dp: ${added} joined the cluster in ${cluster.directory}`);
      show(shell, options, cluster);
    });
}

function withDirectory(command: Command): Command {
  return command
    .option('--dir <directory>', 'directory of the cluster (default: $KWAM_DIR or ./.kwam)')
    .option('--json', 'print one JSON document');
}

function clusterOf(shell: Shell, options: DevOptions & { control?: string }): DevCluster {
  const control = controlUrl(shell, options.control);
  const warn = (line: string): void => shell.note(`kwam-dp: ${line}`);
  return new DevCluster(clusterDirectory(shell, options.dir), warn, control);
}

async function up(shell: Shell, program: string | undefined, options: UpOptions): Promise<void> {
  const cluster = clusterOf(shell, options);
  if (!cluster.exists) {
    const { devPlan, exampleProgram } = await import('./dev-program.ts');
    const shape = { nodes: options.nodes ?? NODES_DEFAULT, ...wishesOf(options) };
    await cluster.createAndUp(await devPlan(shell, program ?? exampleProgram(), shape));
  } else {
    const { nodes } = options;
    refuseContradiction(
      cluster.plan(),
      program === undefined ? options : { ...(nodes && { nodes }) },
      cluster.directory,
    );
    if (program !== undefined) await adopt(shell, cluster, program, options);
    await cluster.up();
  }
  show(shell, options, cluster);
}

/** The plan of another program for the nodes that there are. */
async function adopt(shell: Shell, cluster: DevCluster, program: string, options: UpOptions): Promise<void> {
  const [{ devPlan }, { readInventory }] = await Promise.all([
    import('./dev-program.ts'),
    import('./inventory-file.ts'),
  ]);
  const { memoryBytes } = cluster.plan();
  const nodes = readInventory(inventoryPath(cluster.directory));
  const planned = await devPlan(shell, program, { memoryBytes, nodes, ...wishesOf(options) });
  cluster.adopt(planned);
}

function wishesOf({ factor, erasure, memory }: UpOptions): Omit<DevShape, 'nodes'> {
  return {
    ...(factor === undefined ? {} : { factor }),
    ...(erasure === undefined ? {} : { erasure }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
  };
}

function refuseContradiction(plan: Plan, options: UpOptions, directory: string): void {
  const { replicate } = plan;
  const scheme = (one: ErasureScheme | undefined): string => (one === undefined ? 'none' : erasureText(one));
  const pairs: [string, unknown, unknown][] = [
    ['--nodes', options.nodes, plan.nodes.length],
    ['--factor', options.factor, replicate.factor],
    ['--erasure', options.erasure && scheme(options.erasure), scheme(replicate.erasure)],
    ['--memory', options.memory, plan.memoryBytes],
  ];
  for (const [option, asked, planned] of pairs) {
    if (asked === undefined || asked === planned) continue;
    throw new KwamError(
      'USAGE',
      `expected ${option} ${planned}, as the cluster in ${directory} was made, got ${asked}; leave it out, use dev add for ` +
        'one more node, or choose another --dir',
    );
  }
}

function parseErasure(text: string): ErasureScheme {
  const scheme = erasureScheme(text);
  const problem = scheme && schemeProblem(scheme);
  if (scheme !== undefined && problem === undefined) return scheme;
  throw new KwamError(
    'USAGE',
    `expected --erasure K,M such as 4,2 or lrc:K,L,M such as lrc:12,2,2${problem === undefined ? '' : ` and ${problem}`}, got ${JSON.stringify(text)}`,
  );
}

function erasureScheme(text: string): ErasureScheme | undefined {
  const [, lrc, first, second, third] = /^(lrc:)?(\d{1,3})[,+](\d{1,3})(?:[,+](\d{1,3}))?$/.exec(text) ?? [];
  if (first === undefined || (lrc === undefined) !== (third === undefined)) return undefined;
  const [dataShards, localGroups, globals] = [Number(first), Number(second), Number(third)];
  if (third === undefined) return { dataShards, parityShards: localGroups, matrix: 'vandermonde' };
  return { dataShards, parityShards: localGroups + globals, matrix: 'lrc', localGroups };
}

/** As the option takes it. */
function erasureText(scheme: ErasureScheme): string {
  const { dataShards, parityShards, localGroups } = scheme;
  return localGroups === undefined
    ? `${dataShards},${parityShards}`
    : `lrc:${dataShards},${localGroups},${parityShards - localGroups}`;
}

function show(shell: Shell, options: DevOptions, cluster: DevCluster): void {
  const nodes = cluster.nodes();
  if (options.json) {
    printJson(shell.output, 'kwam.dev/v1', { dir: cluster.directory, nodes: nodes.map(lineOf) });
    return;
  }
  const rows = nodes.map((node) => [
    node.name,
    node.state,
    node.pid === undefined ? '' : String(node.pid),
    node.ready?.address ?? '',
    node.ready === undefined ? '' : `http://${node.ready.metricsAddress}/metrics`,
    `${node.labels.az}/${node.labels.rack}`,
  ]);
  printTable(shell.output, [['node', 'state', 'pid', 'address', 'metrics', 'where'], ...rows]);
}

function lineOf(node: DevNode): object {
  const { name, spiffe, state, labels, pid, ready, directory, logFile } = node;
  return {
    name,
    spiffe,
    state,
    pid: pid ?? null,
    address: ready?.address ?? null,
    metricsAddress: ready?.metricsAddress ?? null,
    labels,
    dir: directory,
    log: logFile,
  };
}
