/**
 * The last word of the compiler's sentence: parse → resolve → check → plan.
 * In: a program without errors and holes, the standard tables and the nodes that exist. Out: the Plan, or why the program and these nodes make no
 *   one cluster. The same program and nodes give the same plan on every machine.
 * Pure, in a browser as in Node. No secret is in a plan, only `secret://…` references; whoever runs the plan resolves them at use.
 */
import { nodeMemoryBytesDefault, scrubBytesPerSecondDefault, scrubIntervalMsDefault } from '../limits.ts';
import type { Plan, PlanNode, PoolPlan } from '../plan.ts';
import { blocksOf, referencedBlock, valueIn } from './access.ts';
import type { CheckContext } from './check-context.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import { guardVerdicts } from './guard-verdict.ts';
import type { Inventory, InventoryNode } from './inventory.ts';
import type { BlockIr, ProgramIr } from './ir.ts';
import {
  clientPlan,
  deployPlan,
  discoveryPlan,
  guardPlan,
  metricPlan,
  policyPlan,
  profilePlan,
  replicatePlan,
  serverPlan,
} from './plan-blocks.ts';
import { optional } from './plan-values.ts';
import { type Pool, poolsOf } from './pools.ts';
import type { BlockKind } from './schema-types.ts';
import { listed } from './suggestions.ts';

export interface PlanContext extends CheckContext {
  readonly inventory: Inventory;
}

export type PlanResult =
  | { readonly plan: Plan; readonly problems: readonly [] }
  | { readonly plan?: undefined; readonly problems: readonly Diagnostic[] };

/** @param digest  of the program as it is written (program-digest.ts). */
export function toPlan(program: ProgramIr, context: PlanContext, digest: string): PlanResult {
  const pools = poolsOf(program, context.inventory);
  const nodes = nodesIn(pools);
  const problems = [...checkSingle(program), ...checkNodes(program, nodes)];
  if (problems.length > 0) return { problems };
  const all = <T>(kind: BlockKind, plan: (block: BlockIr) => T): T[] =>
    byName(blocksOf(program, kind)).map(plan);
  const [profile] = blocksOf(program, 'profile');
  const [policy] = blocksOf(program, 'policy');
  const [guard] = guardVerdicts(program, context);
  const ports = metricsPorts(program, pools);
  const clients = all('client', clientPlan);
  const signals = clients.flatMap(({ health }) => health);
  const plan: Plan = {
    schema: 'kwam.plan/v1',
    program: { apiVersion: program.apiVersion?.version ?? '', digest, imports: importsOf(program) },
    trustDomain: trustDomainOf(nodes[0]!),
    nodes: nodes.map((node) => planNode(node, ports.get(node.name) ?? 0)),
    pools: byName(pools).map(poolPlan),
    ...optional('profile', profile && profilePlan(profile, context.tables, signals)),
    ...optional('policy', policy && policyPlan(policy)),
    servers: all('server', serverPlan),
    discoveries: all('discovery', discoveryPlan),
    clients,
    replicate: replicatePlan(blocksOf(program, 'replicate')[0]!),
    ...optional('guard', guard && guardPlan(guard.guard, guard.result?.worst.nines ?? 0)),
    metrics: all('metric', metricPlan),
    deploys: all('deploy', deployPlan),
    scrub: { bytesPerSecondMax: scrubBytesPerSecondDefault, intervalMs: scrubIntervalMsDefault },
    memoryBytes: nodeMemoryBytesDefault,
  };
  return { plan, problems: [] };
}

/** A cluster runs from one of each; several would leave open which of them holds. */
const SINGLE: readonly { readonly kind: BlockKind; readonly needed: boolean }[] = [
  { kind: 'replicate', needed: true },
  { kind: 'profile', needed: false },
  { kind: 'policy', needed: false },
  { kind: 'guard', needed: false },
];

function checkSingle(program: ProgramIr): Diagnostic[] {
  return SINGLE.flatMap(({ kind, needed }) => {
    const [first, second, ...more] = blocksOf(program, kind);
    if (first === undefined && needed) {
      const message = `expected one \`${kind}\` for a cluster to run from, got none`;
      return [diagnostic('KW4020', message, { file: program.file, range: program.start })];
    }
    if (second === undefined) return [];
    const names = listed([first!, second, ...more].map(({ name }) => name));
    const message = `expected one \`${kind}\` for a cluster to run from, got ${2 + more.length}: ${names}`;
    return [diagnostic('KW4020', message, { file: program.file, range: second.nameRange })];
  });
}

function checkNodes(program: ProgramIr, nodes: readonly InventoryNode[]): Diagnostic[] {
  const place = { file: program.file, range: program.start };
  if (nodes.length === 0) return [diagnostic('KW4021', 'expected an inventory with nodes, got none', place)];
  const domains = [...new Set(nodes.map(trustDomainOf))].sort();
  if (domains.length === 1) return [];
  const message = `expected nodes of one trust domain, got ${domains.length}: ${listed(domains)}`;
  return [
    diagnostic('KW4021', message, place, {
      note: 'Nodes prove who they are to each other by one authority.',
    }),
  ];
}

function byName<T extends { readonly name: string }>(rows: readonly T[]): readonly T[] {
  return rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** A node that stands in several pools is one node. */
function nodesIn(pools: readonly Pool[]): readonly InventoryNode[] {
  return byName([...new Map(pools.flatMap(({ nodes }) => nodes).map((node) => [node.name, node])).values()]);
}

function poolPlan({ name, nodes }: Pool): PoolPlan {
  return { name, nodes: byName(nodes).map((node) => node.name) };
}

function importsOf(program: ProgramIr): Plan['program']['imports'] {
  const pairs = program.imports.map(({ module, loaded }) => `${module} ${loaded?.digest ?? ''}`);
  return [...new Set(pairs)].sort().map((pair) => {
    const [module = '', digest = ''] = pair.split(' ');
    return { module, digest };
  });
}

/** `spiffe://DOMAIN/…`; the inventory holds correct IDs only. */
function trustDomainOf({ spiffe }: InventoryNode): string {
  return spiffe.slice('spiffe://'.length).split('/', 1)[0]!;
}

/** The metrics port that the program gives each node: of the server that deploys to its pool, or of the only one. */
function metricsPorts(program: ProgramIr, pools: readonly Pool[]): ReadonlyMap<string, number> {
  const servers = blocksOf(program, 'server');
  const deploys = blocksOf(program, 'deploy');
  const rows = pools.flatMap((pool) => {
    const deploy = deploys.find(({ body }) => valueIn(body, 'to', 'reference')?.name === pool.name);
    const only = servers.length === 1 ? servers[0] : undefined;
    const server = deploy === undefined ? only : referencedBlock(program, deploy.body, 'server');
    const port = server && serverPlan(server).ports.metrics;
    return port === undefined ? [] : pool.nodes.map(({ name }): [string, number] => [name, port]);
  });
  return new Map(rows);
}

/** The inventory says where a node is reached. Port 0 is a free one, for its metrics too. */
function planNode(node: InventoryNode, metricsPort: number): PlanNode {
  const { name, spiffe, labels, weight, address } = node;
  const colon = address.lastIndexOf(':');
  const isFree = address.slice(colon + 1) === '0';
  const metricsListen = `${address.slice(0, colon)}:${isFree ? 0 : metricsPort}`;
  return { name, spiffe, labels, weight, listen: address, metricsListen };
}
