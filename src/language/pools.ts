/**
 * Which nodes a program speaks of.
 * In: a program and an inventory. Out: for each pool that a deploy names, its nodes; without a deploy, every pool of the inventory.
 * A pool of the program that selects by pattern takes its nodes from all pools of the inventory; one that names a file is expected in the
 *   inventory under its own name.
 */
import { blockNamed, blocksOf, valueIn } from './access.ts';
import type { Inventory, InventoryNode } from './inventory.ts';
import type { ProgramIr, ReferenceIr } from './ir.ts';
import { parseSpiffePattern, spiffePatternMatches } from './spiffe-pattern.ts';

export interface Pool {
  readonly name: string;
  readonly nodes: readonly InventoryNode[];
}

export function poolsOf(program: ProgramIr, inventory: Inventory): readonly Pool[] {
  const named = deployTargets(program);
  const names =
    named.length === 0 ? [...inventory.pools.keys()] : [...new Set(named.map(({ name }) => name))];
  return names.flatMap((name) => {
    const nodes = nodesOf(program, inventory, name);
    return nodes === undefined ? [] : { name, nodes };
  });
}

export function deployTargets(program: ProgramIr): readonly ReferenceIr[] {
  return blocksOf(program, 'deploy').flatMap(({ body }) => valueIn(body, 'to', 'reference') ?? []);
}

/** Undefined when neither the program nor the inventory says which they are. */
export function nodesOf(
  program: ProgramIr,
  inventory: Inventory,
  pool: string,
): readonly InventoryNode[] | undefined {
  const block = blockNamed(program, 'pool', pool);
  const select = block && valueIn(block.body, 'select', 'uri');
  if (select === undefined) return inventory.pools.get(pool);
  const pattern = parseSpiffePattern(select.uri);
  if (typeof pattern === 'string') return undefined;
  const all = [...inventory.pools.values()].flat();
  return all.filter(({ spiffe }) => spiffePatternMatches(pattern, spiffe));
}
