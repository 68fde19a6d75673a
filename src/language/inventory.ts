/**
 * The inventory: which machines there are, by pool.
 * In: the text of a `kwam.inventory/v1` JSON file. Out: an Inventory, or every problem with its JSON path. Strict: unknown keys, missing labels,
 *   nodes that share a name, an identity or an address are problems, because a slip here moves copies.
 * Source: LANGUAGE.md "Blocks", last paragraph. `weight` is 1 when it is left out. Port 0 stands for a free port, as on development machines:
 *   only such addresses may repeat.
 * Does not read files, and does not know which node is alive.
 */
import { inventoryNodesMax } from '../limits.ts';
import { DOMAINS, type Domain, type Labels } from '../plan.ts';
import { spiffeIdProblem } from './spiffe-pattern.ts';

export interface InventoryNode {
  readonly name: string;
  readonly spiffe: string;
  /** HOST:PORT */
  readonly address: string;
  readonly labels: Labels;
  /** Share of the data relative to other nodes; 0 stores nothing. */
  readonly weight: number;
}

export interface Inventory {
  readonly schema: 'kwam.inventory/v1';
  readonly pools: ReadonlyMap<string, readonly InventoryNode[]>;
}

interface InventoryProblem {
  /** `$.pools.h100_pool.nodes[3].labels.rack` */
  readonly path: string;
  readonly message: string;
}

export type InventoryResult =
  | { readonly inventory: Inventory; readonly problems: readonly [] }
  | { readonly inventory?: undefined; readonly problems: readonly InventoryProblem[] };

const INVENTORY_SCHEMA = 'kwam.inventory/v1';
/** Enough to see what is wrong; a file of 100,000 wrong nodes is not a list to read. */
const problemsMax = 100;

type JsonObject = Readonly<Record<string, unknown>>;

export function parseInventory(text: string): InventoryResult {
  const problem = shapeProblem(text);
  if (problem !== undefined) return { problems: [{ path: '$', message: problem }] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return { problems: [{ path: '$', message: `expected JSON; ${why}` }] };
  }
  return new InventoryReader().read(value);
}

/** Braces and brackets within each other: an inventory has five. */
const nestingMax = 8;
/** A node has eight values, seven commas and those of unknown keys. */
const commasMax = 20 * inventoryNodesMax;

/** What JSON.parse would build of a hostile text is far larger than the text: its marks are counted first, in one pass without allocation. */
function shapeProblem(text: string): string | undefined {
  let depth = 0;
  let commas = 0;
  for (let at = 0; at < text.length; at++) {
    const mark = text[at];
    if (mark === '"') at = endOfString(text, at);
    else if (mark === ',') commas++;
    else if (mark === '{' || mark === '[') depth++;
    else if (mark === '}' || mark === ']') depth--;
    if (depth > nestingMax)
      return `expected at most ${nestingMax} braces and brackets within each other, got more`;
    if (commas > commasMax)
      return `expected at most ${inventoryNodesMax} nodes in all, got too many values for that`;
  }
  return undefined;
}

/** The closing quote, or the end. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

class InventoryReader {
  readonly #problems: InventoryProblem[] = [];
  readonly #seen = new Map<string, string>();
  #nodeCount = 0;

  read(value: unknown): InventoryResult {
    const root = this.#object('$', value, ['schema', 'pools'], []);
    if (root?.['schema'] !== undefined && root['schema'] !== INVENTORY_SCHEMA) {
      this.#refuse('$.schema', `"${INVENTORY_SCHEMA}"`, root['schema']);
    }
    const pools = root && this.#map('$.pools', root['pools']);
    const read = Object.entries(pools ?? {}).map(([name, pool]) => [name, this.#pool(name, pool)] as const);
    if (this.#problems.length > 0) return { problems: this.#problems.slice(0, problemsMax) };
    return { inventory: { schema: INVENTORY_SCHEMA, pools: new Map(read) }, problems: [] };
  }

  #pool(name: string, value: unknown): InventoryNode[] {
    const path = `$.pools.${name}`;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) this.#refuse(path, 'a name such as h100_pool', name);
    const nodes = this.#object(path, value, ['nodes'], [])?.['nodes'];
    if (!Array.isArray(nodes)) {
      if (nodes !== undefined) this.#refuse(`${path}.nodes`, 'a list of nodes', nodes);
      return [];
    }
    this.#nodeCount += nodes.length;
    if (this.#nodeCount > inventoryNodesMax) {
      this.#refuse(`${path}.nodes`, `at most ${inventoryNodesMax} nodes in all`, this.#nodeCount);
      return [];
    }
    return nodes.flatMap((node: unknown, at) => this.#node(`${path}.nodes[${at}]`, node) ?? []);
  }

  #node(path: string, value: unknown): InventoryNode | undefined {
    const node = this.#object(path, value, ['name', 'spiffe', 'address', 'labels'], ['weight']);
    if (node === undefined) return undefined;
    return {
      name: this.#distinct(
        `${path}.name`,
        'a name',
        this.#matching(`${path}.name`, node['name'], NAME, 'a name such as n0001'),
      ),
      spiffe: this.#distinct(`${path}.spiffe`, 'a SPIFFE ID', this.#spiffe(`${path}.spiffe`, node['spiffe'])),
      address: this.#ownAddress(`${path}.address`, node['address']),
      labels: this.#labels(`${path}.labels`, node['labels']),
      weight: this.#weight(`${path}.weight`, node['weight']),
    };
  }

  #spiffe(path: string, value: unknown): string {
    const problem = typeof value === 'string' ? spiffeIdProblem(value) : undefined;
    if (typeof value === 'string' && problem === undefined) return value;
    this.#refuse(path, `a SPIFFE ID${problem === undefined ? '' : ` (${problem})`}`, value);
    return '';
  }

  #ownAddress(path: string, value: unknown): string {
    const address = this.#address(path, value);
    return /:0+$/.test(address) ? address : this.#distinct(path, 'an address', address);
  }

  #address(path: string, value: unknown): string {
    const text = this.#matching(path, value, ADDRESS, 'HOST:PORT such as 10.40.1.7:7400');
    if (text !== '' && Number(text.slice(text.lastIndexOf(':') + 1)) > 65_535) {
      this.#refuse(path, 'a port up to 65535', value);
    }
    return text;
  }

  #labels(path: string, value: unknown): Labels {
    const labels = this.#object(path, value, DOMAINS, []) ?? {};
    const of = (domain: Domain): string =>
      labels[domain] === undefined
        ? ''
        : this.#matching(`${path}.${domain}`, labels[domain], NAME, `the name of its ${domain}`);
    return { rack: of('rack'), pdu: of('pdu'), spine: of('spine'), az: of('az') };
  }

  #weight(path: string, value: unknown): number {
    if (value === undefined) return 1;
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
    this.#refuse(path, 'a weight of 0 or more', value);
    return 0;
  }

  #matching(path: string, value: unknown, form: RegExp, expected: string): string {
    if (typeof value === 'string' && form.test(value)) return value;
    this.#refuse(path, expected, value);
    return '';
  }

  /** One machine stands in one pool, once. */
  #distinct(path: string, noun: string, value: string): string {
    const key = `${noun} ${value}`;
    const first = this.#seen.get(key);
    if (value !== '' && first !== undefined) this.#refuse(path, `${noun} of its own, unlike ${first}`, value);
    this.#seen.set(key, first ?? path);
    return value;
  }

  #object(
    path: string,
    value: unknown,
    required: readonly string[],
    optional: readonly string[],
  ): JsonObject | undefined {
    const object = this.#map(path, value);
    if (object === undefined) return undefined;
    for (const key of required) {
      if (!Object.hasOwn(object, key))
        this.#say(`${path}.${key}`, `expected \`${key}\`, got nothing; add it`);
    }
    for (const key of Object.keys(object)) {
      if (required.includes(key) || optional.includes(key)) continue;
      this.#refuse(`${path}.${key}`, `only ${[...required, ...optional].join(', ')}`, key);
    }
    return object;
  }

  #map(path: string, value: unknown): JsonObject | undefined {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
    if (value !== undefined) this.#refuse(path, 'an object', value);
    return undefined;
  }

  #refuse(path: string, expected: string, actual: unknown): void {
    const written = JSON.stringify(actual) ?? 'nothing';
    const shown = written.length > 80 ? `${written.slice(0, 80)}…` : written;
    this.#say(path, `expected ${expected}, got ${shown}; correct the inventory`);
  }

  #say(path: string, message: string): void {
    if (this.#problems.length < problemsMax) this.#problems.push({ path, message });
  }
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;
const ADDRESS = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*):[0-9]{1,5}$/;
