/**
 * Damaged inventories: read whole or refused in sentences that name the place, never an exception; and what is read can be planned onto or is
 * refused by the rules. KWAM_CAMPAIGN=1 runs 200,000, KWAM_SEED with another seed.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import { parseInventory } from '../../src/language/inventory.ts';
import { toPlan } from '../../src/language/to-plan.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import { faultdomains } from './front.ts';
import { TABLES } from './standard-tables.ts';

const campaign = process.env['KWAM_CAMPAIGN'] === '1';
const seed = Number(process.env['KWAM_SEED'] ?? 20_261_125);
const cases = campaign ? 200_000 : 400;
const read = (name: string): string =>
  readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
const DIGEST = `sha256:${'0'.repeat(64)}`;
const PROGRAM = read('h100.kwam').replace(/sha256:8914[0-9a-f]+/, DIGEST);
const INVENTORY = read('inventory.json');

const VALUES = [
  null,
  true,
  -1,
  0,
  0.5,
  1e308,
  '',
  'x',
  '\ud800',
  [],
  {},
  '__proto__',
  '127.0.0.1:0',
  'a'.repeat(5000),
];
const SCRAPS = ['', '{', '}', ',', '"', '\\', '\ud800', '1e999', '[[[[[[[[[', '\u0000'];

type Tree = Record<string, unknown>;

function placesIn(value: unknown): [Tree, string][] {
  if (value === null || typeof value !== 'object') return [];
  const tree = value as Tree;
  return Object.keys(tree).flatMap((key) => [[tree, key] as [Tree, string], ...placesIn(tree[key])]);
}

class Damage {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)]!;
  }

  next(): string {
    const times = 1 + this.#random.below(3);
    if (this.#random.below(3) === 0) return this.#scraps(times);
    const root = JSON.parse(INVENTORY) as Tree;
    for (let left = times; left > 0; left--) this.#change(placesIn(root));
    return JSON.stringify(root);
  }

  #scraps(times: number): string {
    let text = INVENTORY;
    for (let left = times; left > 0; left--) {
      const at = this.#random.below(text.length);
      text = text.slice(0, at) + this.#pick(SCRAPS) + text.slice(at + this.#random.below(20));
    }
    return text;
  }

  #change(places: readonly [Tree, string][]): void {
    if (places.length === 0) return;
    const [tree, key] = this.#pick(places);
    const [other, otherKey] = this.#pick(places);
    const kind = this.#random.below(3);
    if (kind === 0) delete tree[key];
    else tree[key] = kind === 1 ? this.#pick(VALUES) : structuredClone(other[otherKey]);
  }
}

/** Whether it was read. */
function judge(text: string): boolean {
  const { inventory, problems } = parseInventory(text);
  for (const { path, message } of problems) {
    expect(path).toMatch(/^\$/);
    expect(message).toMatch(/^expected /);
    expect(`${path} ${message}`).not.toMatch(/undefined|NaN|\[object/);
  }
  if (inventory === undefined) return false;
  const context = { tables: TABLES, inventory };
  const { ok, program } = compile('h100.kwam', PROGRAM, { modules: faultdomains(), context });
  if (ok) toPlan(program, context, DIGEST);
  return true;
}

test(`${cases} damaged inventories`, { timeout: 24 * 3_600_000 }, () => {
  const damage = new Damage(seededRandom(seed));
  let good = 0;
  for (let done = 0; done < cases; done++) {
    const text = damage.next();
    try {
      if (judge(text)) good++;
    } catch (error) {
      throw new Error(`seed ${seed}, case ${done}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
  expect(good).toBeGreaterThan(0);
  expect(good).toBeLessThan(cases);
});
