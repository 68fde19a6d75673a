/**
 * Objects that a test puts, and what it knows to have been acknowledged.
 * In: a cluster. Out: puts whose trees are remembered; restores that are compared with them, byte for byte.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TestCluster } from './cluster.ts';
import { describeTree } from './trees.ts';

export const ACKNOWLEDGED = 'acknowledged';

type Tree = ReadonlyMap<string, string>;

export class KnownObjects {
  readonly #cluster: TestCluster;
  readonly #acknowledged = new Map<string, Tree>();
  /** Versions whose put failed: their publication may have happened all the same. */
  readonly #possible = new Map<string, Tree[]>();
  #restored = 0;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  get names(): string[] {
    return [...this.#acknowledged.keys()].sort();
  }

  /** @returns why it was not acknowledged, or ACKNOWLEDGED. */
  async put(node: string, name: string, path: string): Promise<string> {
    const tree = describeTree(path);
    try {
      await this.#cluster.ask(node, 'object.put', { path, name });
      this.#acknowledged.set(name, tree);
      this.#possible.delete(name);
      return ACKNOWLEDGED;
    } catch (error) {
      this.#possible.set(name, [...(this.#possible.get(name) ?? []), tree]);
      return String(error);
    }
  }

  async remove(node: string, name: string): Promise<void> {
    this.#acknowledged.delete(name);
    this.#possible.delete(name);
    await this.#cluster.ask(node, 'object.remove', { name });
  }

  async restore(node: string, name: string): Promise<Tree> {
    const destination = join(this.#cluster.directory, `restored-${this.#restored++}`);
    try {
      await this.#cluster.ask(node, 'object.get', { name, destination });
      return describeTree(destination);
    } finally {
      fs.rmSync(destination, { recursive: true, force: true });
    }
  }

  /** What is wrong with an acknowledged object; undefined when it is as it was put. */
  async wrong(node: string, name: string): Promise<string | undefined> {
    const allowed = [this.#acknowledged.get(name)!, ...(this.#possible.get(name) ?? [])];
    try {
      const found = await this.restore(node, name);
      const differences = allowed.map((tree) => differenceOf(tree, found));
      if (differences.some((difference) => difference.length === 0)) return undefined;
      return `${name} from ${node}: other content than was put: ${differences[0]!.slice(0, 3).join('; ')}`;
    } catch (error) {
      return `${name} from ${node}: ${String(error)}`;
    }
  }

  async allWrong(node: string): Promise<string[]> {
    const wrong: string[] = [];
    for (const name of this.names) {
      const what = await this.wrong(node, name);
      if (what !== undefined) wrong.push(what);
    }
    return wrong;
  }
}

function differenceOf(put: Tree, found: Tree): string[] {
  const paths = [...new Set([...put.keys(), ...found.keys()])];
  return paths
    .filter((path) => put.get(path) !== found.get(path))
    .map((path) => `${path} was ${put.get(path) ?? 'not there'}, is ${found.get(path) ?? 'not there'}`);
}
