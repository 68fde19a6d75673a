/**
 * The Plan of a development cluster: a program on loopback nodes that are made up for it.
 * In: a program, how many nodes, and what the user wants otherwise. Out: Plan and inventory. A cluster of one machine may be too small for what its
 * program promises, or be asked for less: then it says so in a line and runs all the same, because a development cluster is no promise.
 * Every other error of the program is refused.
 */
import { join } from 'node:path';
import { devInventory } from '../cluster/dev-inventory.ts';
import { devPolicy } from '../cluster/dev-policy.ts';
import { shardCountOf } from '../erasure/scheme.ts';
import { KwamError } from '../errors.ts';
import { blocksOf, valueIn } from '../language/access.ts';
import type { Inventory } from '../language/inventory.ts';
import type { BlockIr, ProgramIr, ValueIr } from '../language/ir.ts';
import { deployTargets, poolsOf } from '../language/pools.ts';
import { attributeRow, BLOCKS } from '../language/schema.ts';
import { localDomainsMin } from '../limits.ts';
import { widestDomain } from '../placement/topology.ts';
import type { ErasureScheme, Plan } from '../plan.ts';
import { packageRoot } from './package-root.ts';
import { planOf, readProgram, requirePlan } from './program-plan.ts';
import type { Shell } from './shell.ts';

export interface DevShape {
  /** Made up for as many nodes, or given. */
  readonly nodes: number | Inventory;
  readonly factor?: number;
  readonly erasure?: ErasureScheme;
  readonly memoryBytes?: number;
}

export interface DevPlan {
  readonly file: string;
  readonly plan: Plan;
  readonly inventory: Inventory;
}

const TRUST_DOMAIN = 'kwam';
const POOL = 'local';
/** Fewer domains than local groups are for: those of one machine are made up. */
const ALWAYS_TOLERATED = new Set(['KW4024']);
/** More copies than nodes, and nines that these copies do not support. */
const TOLERATED = new Set([...ALWAYS_TOLERATED, 'KW4003', 'KW4005']);

export function exampleProgram(): string {
  return join(packageRoot(), 'examples', 'h100.kwam');
}

export async function devPlan(shell: Shell, file: string, shape: DevShape): Promise<DevPlan> {
  const read = await readProgram(shell, file);
  const { program } = read;
  const inventory = typeof shape.nodes === 'number' ? made(program, shape.nodes) : shape.nodes;
  const room = roomFor(program, inventory);
  const redundancy = redundancyOf(program, shape, room);
  const departure =
    redundancy === undefined
      ? { program, tolerated: ALWAYS_TOLERATED }
      : { program: withRedundancy(program, redundancy), tolerated: TOLERATED };
  const plan = requirePlan(shell, read, planOf(read, inventory, departure));
  const lacking = lacks(program, plan, room);
  if (lacking !== undefined) shell.note(`kwam-dp: ${file} ${lacking}; a development cluster is no promise`);
  const { memoryBytes = plan.memoryBytes } = shape;
  const policy = plan.policy ?? devPolicy(plan.trustDomain);
  return { file, inventory, plan: { ...plan, policy, memoryBytes } };
}

/** Nodes for the pools that the program deploys to, or for one. */
function made(program: ProgramIr, nodes: number): Inventory {
  const names = [...new Set(deployTargets(program).map(({ name }) => name))];
  const pools = names.map((name) => ({ name, select: selectOf(program, name) }));
  return devInventory({
    nodes,
    trustDomain: trustDomainOf(program),
    pools: pools.length === 0 ? [{ name: POOL }] : pools,
  });
}

function selectOf(program: ProgramIr, pool: string): string | undefined {
  const block = blocksOf(program, 'pool').find(({ name }) => name === pool);
  return block && valueIn(block.body, 'select', 'uri')?.uri;
}

/** That of the program's servers, so that its grants may match its nodes. */
function trustDomainOf(program: ProgramIr): string {
  const [server] = blocksOf(program, 'server');
  const identity = server && valueIn(server.body, 'identity', 'uri')?.uri;
  return /^spiffe:\/\/([a-z0-9._-]+)\//.exec(identity ?? '')?.[1] ?? TRUST_DOMAIN;
}

/** How many copies find a node of their own in every pool. */
function roomFor(program: ProgramIr, inventory: Inventory): number {
  return Math.min(
    ...poolsOf(program, inventory).map(({ nodes }) => nodes.filter(({ weight }) => weight > 0).length),
  );
}

interface Redundancy {
  readonly factor: number;
  readonly erasure: Omit<ErasureScheme, 'matrix'> | undefined;
}

function declaredIn(program: ProgramIr): Redundancy | undefined {
  const [replicate] = blocksOf(program, 'replicate');
  const factor = replicate && valueIn(replicate.body, 'factor', 'number')?.amount;
  return factor === undefined
    ? undefined
    : { factor, erasure: valueIn(replicate!.body, 'erasure', 'erasure') };
}

/** What the cluster keeps; undefined when that is what the program says and it has the nodes for it. */
function redundancyOf(program: ProgramIr, shape: DevShape, room: number): Redundancy | undefined {
  const declared = declaredIn(program);
  if (declared === undefined) return undefined;
  if (shape.factor !== undefined && (shape.factor < 1 || shape.factor > room)) {
    throw new KwamError(
      'USAGE',
      `expected --factor from 1 to the number of nodes (${room}), got ${shape.factor}`,
    );
  }
  const factor = shape.factor ?? Math.max(1, Math.min(declared.factor, room));
  const erasure = shape.erasure ?? declared.erasure;
  const fits = shardsOf(erasure) <= room && factor === declared.factor;
  return fits && shape.erasure === undefined ? undefined : { factor, erasure };
}

function shardsOf(erasure: Redundancy['erasure']): number {
  return erasure === undefined ? 0 : shardCountOf(erasure);
}

function withRedundancy(program: ProgramIr, { factor, erasure }: Redundancy): ProgramIr {
  const change = (block: BlockIr): BlockIr => {
    const { range } = block;
    const exact = { numerator: BigInt(factor), denominator: 1n };
    const changed = withValue(block, 'factor', { kind: 'number', amount: factor, exact, range });
    return erasure === undefined
      ? changed
      : withValue(changed, 'erasure', { ...erasure, kind: 'erasure', range });
  };
  const blocks = program.blocks.map((block) => (block.kind === 'replicate' ? change(block) : block));
  return { ...program, blocks };
}

function withValue(block: BlockIr, name: string, value: ValueIr): BlockIr {
  const { range, nameRange, body } = block;
  const row = attributeRow(BLOCKS.get(block.kind)!.body, name)!;
  const others = body.attributes.filter((each) => each.name !== name);
  return { ...block, body: { ...body, attributes: [...others, { name, nameRange, range, value, row }] } };
}

/** "declares factor 3, 6nines; this cluster has factor 1, 0.62 nines"; undefined when everything holds. */
function lacks(program: ProgramIr, { nodes, replicate, guard }: Plan, room: number): string | undefined {
  const declared = declaredIn(program)!.factor;
  const pairs: [string, string][] = [];
  if (replicate.factor < declared) pairs.push([`factor ${declared}`, `factor ${replicate.factor}`]);
  const shards = shardsOf(replicate.erasure);
  if (shards > room) pairs.push([`${shards} shards a stripe`, `${room} nodes for them`]);
  const { domain, count } = widestDomain(nodes, replicate.antiAffinity);
  if (replicate.erasure?.localGroups !== undefined && count < localDomainsMin) {
    pairs.push([`${localDomainsMin} domains for local groups`, `${count} of \`${domain}\``]);
  }
  if (guard !== undefined && guard.supportedNines < guard.declaredNines) {
    pairs.push([`${guard.declaredNines}nines`, `${guard.supportedNines} nines`]);
  }
  if (pairs.length === 0) return undefined;
  const said = (at: 0 | 1): string => pairs.map((pair) => pair[at]).join(', ');
  return `declares ${said(0)}; this cluster has ${said(1)}`;
}
