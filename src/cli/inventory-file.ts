/**
 * Inventories as files.
 * In: paths. Out: an Inventory, or an error that lists what is wrong with the file; and the way back to a file.
 * A pool of a program that names a file takes its nodes from there: the pool of that name, or the only pool that the file has.
 */
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { KwamError } from '../errors.ts';
import { blocksOf, valueIn } from '../language/access.ts';
import { type Inventory, type InventoryNode, parseInventory } from '../language/inventory.ts';
import type { ProgramIr } from '../language/ir.ts';
import { boundedText } from './read-text.ts';

/** Twice what 100,000 nodes take. */
const INVENTORY_BYTES_MAX = 64 * 2 ** 20;

export function readInventory(file: string): Inventory {
  const result = parseInventory(inventoryText(file));
  if (result.inventory !== undefined) return result.inventory;
  const problems = result.problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new KwamError('USAGE', `${file} is not an inventory of schema kwam.inventory/v1: ${problems}`);
}

function inventoryText(file: string): string {
  try {
    return boundedText(file, 'an inventory', INVENTORY_BYTES_MAX);
  } catch (cause) {
    if (cause instanceof KwamError) throw cause;
    const errno = (cause as NodeJS.ErrnoException).code;
    throw new KwamError('USAGE', `expected a readable inventory at ${file}, got ${errno}`, { cause });
  }
}

/** The nodes that are given, and those of the files that the program's own pools name; undefined when there are neither. */
export function inventoryFor(program: ProgramIr, given: Inventory | undefined): Inventory | undefined {
  const own = blocksOf(program, 'pool').flatMap(({ name, body }): [string, readonly InventoryNode[]][] => {
    const path = valueIn(body, 'inventory', 'text')?.text;
    return path === undefined ? [] : [[name, poolIn(resolve(dirname(program.file), path), name)]];
  });
  if (own.length === 0) return given;
  const named = new Set(own.map(([name]) => name));
  const rest = [...(given?.pools ?? [])].filter(([name]) => !named.has(name));
  return { schema: 'kwam.inventory/v1', pools: new Map([...rest, ...own]) };
}

function poolIn(file: string, name: string): readonly InventoryNode[] {
  const { pools } = readInventory(file);
  const nodes = pools.get(name) ?? (pools.size === 1 ? [...pools.values()][0] : undefined);
  if (nodes !== undefined) return nodes;
  const known = [...pools.keys()].join(', ') || 'none';
  throw new KwamError(
    'USAGE',
    `expected the pool ${name} in ${file}, got ${known}; name one of them, or add it`,
  );
}

export function writeInventory(file: string, { schema, pools }: Inventory): void {
  const nodesOf = ([name, nodes]: [string, readonly InventoryNode[]]) => [name, { nodes }];
  const value = { schema, pools: Object.fromEntries([...pools].map(nodesOf)) };
  const aside = `${file}.${process.pid}.new`;
  fs.writeFileSync(aside, `${JSON.stringify(value, undefined, 2)}\n`);
  fs.renameSync(aside, file);
}
