/**
 * The tables of the standard modules as the rules read them.
 * In: the exports of std/hardware, std/interconnects and std/sandbox. Out: StandardTables, or what is wrong with a table.
 */
import type { Tier } from '../plan.ts';
import type { Hardware, Interconnect, Link, StandardTables } from './check-context.ts';
import type { BodyMeaning, EntryMeaning, ExportMeanings, Meaning } from './modules-meaning.ts';
import { fine, type Outcome, refused } from './modules-problem.ts';

class TableFault extends Error {}

function bodyNamed(entry: EntryMeaning | undefined, path: string): BodyMeaning {
  if (entry?.body === undefined) throw new TableFault(`expected \`${path} { … }\`, got none`);
  return entry.body;
}

function meaningIn<K extends Meaning['kind']>(
  body: BodyMeaning,
  name: string,
  kind: K,
  path: string,
): Extract<Meaning, { kind: K }> {
  const value = body[name]?.value;
  if (value?.kind === kind) return value as Extract<Meaning, { kind: K }>;
  throw new TableFault(`expected ${kind} for \`${path}.${name}\`, got ${value?.kind ?? 'nothing'}`);
}

function amountOf(exact: string): number {
  const [numerator, denominator] = exact.split('/');
  return Number(numerator) / Number(denominator);
}

function quantityOf(body: BodyMeaning, name: string, dimension: string, path: string): number {
  const value = meaningIn(body, name, 'quantity', path);
  if (value.dimension !== dimension)
    throw new TableFault(`expected a ${dimension} for \`${path}.${name}\`, got a ${value.dimension}`);
  return amountOf(value.exact);
}

/** The rows of every exported block of a kind; a row's name stands once. */
function rowsOf(exports: ExportMeanings, kind: string): readonly [string, BodyMeaning][] {
  const blocks = Object.values(exports).filter((each) => each.kind === kind);
  const rows = blocks.flatMap((each) => Object.entries(each.body));
  if (rows.length === 0) throw new TableFault(`expected \`export ${kind} NAME { … }\` with rows, got none`);
  return rows.map(([name, entry]) => [name, bodyNamed(entry, name)]);
}

function textsOf(body: BodyMeaning, name: string, path: string): readonly string[] {
  return meaningIn(body, name, 'list', path).items.map((item) => {
    if (item.kind === 'text') return item.text;
    if (item.kind === 'word') return item.word;
    throw new TableFault(`expected words in \`${path}.${name}\`, got ${item.kind}`);
  });
}

/** The usual one first, then the others that fit, by name. */
function interconnectsOf(
  name: string,
  body: BodyMeaning,
  catalogue: readonly [string, BodyMeaning][],
): readonly string[] {
  const usual = meaningIn(body, 'interconnect', 'text', name).text;
  const fitting = catalogue
    .filter(([other, row]) => textsOf(row, 'fits', other).includes(name))
    .map(([other]) => other);
  if (!fitting.includes(usual))
    throw new TableFault(
      `expected "${usual}" of \`${name}\` among the interconnects that fit it, got ${fitting.join(', ') || 'none'}`,
    );
  return [usual, ...fitting.filter((other) => other !== usual).sort()];
}

function hardwareOf(name: string, body: BodyMeaning, interconnects: readonly string[]): Hardware {
  const signals = Object.entries(bodyNamed(body['signals'], `${name}.signals`)).map(
    ([signal, entry]): [string, string] => {
      const path = `${name}.signals.${signal}`;
      return [signal, meaningIn(bodyNamed(entry, path), 'source', 'text', path).text];
    },
  );
  return { name, interconnects, signals: new Map(signals) };
}

const TIER_ATTRIBUTES: Readonly<Record<Tier, string>> = {
  node: 'same_node',
  rack: 'same_rack',
  spine: 'same_spine',
  az: 'same_az',
  beyond: 'beyond',
};

function interconnectOf([name, body]: [string, BodyMeaning]): Interconnect {
  const links = Object.entries(TIER_ATTRIBUTES).map(([tier, attribute]): [string, Link] => {
    const path = `${name}.${attribute}`;
    const link = bodyNamed(body[attribute], path);
    return [
      tier,
      {
        bitsPerSecond: quantityOf(link, 'bandwidth', 'bandwidth', path),
        latencyMs: quantityOf(link, 'latency', 'duration', path),
      },
    ];
  });
  return { name, links: Object.fromEntries(links) as Record<Tier, Link> };
}

function strengthOf([name, body]: [string, BodyMeaning]): [string, number] {
  return [name, amountOf(meaningIn(body, 'strength', 'number', name).exact)];
}

function byName<T extends { readonly name: string }>(rows: readonly T[]): ReadonlyMap<string, T> {
  return new Map(rows.map((row) => [row.name, row]));
}

export interface TableModules {
  readonly hardware: ExportMeanings;
  readonly interconnects: ExportMeanings;
  readonly sandbox: ExportMeanings;
}

export function standardTables(modules: TableModules): Outcome<StandardTables> {
  try {
    const catalogue = rowsOf(modules.interconnects, 'interconnects');
    const hardware = rowsOf(modules.hardware, 'hardware').map(([name, body]) =>
      hardwareOf(name, body, interconnectsOf(name, body, catalogue)),
    );
    return fine({
      hardware: byName(hardware),
      interconnects: byName(catalogue.map(interconnectOf)),
      sandboxes: new Map(rowsOf(modules.sandbox, 'sandboxes').map(strengthOf)),
    });
  } catch (error) {
    if (!(error instanceof TableFault)) throw error;
    return refused(
      'notAModule',
      'std',
      `${error.message}; the standard tables come from std/hardware, std/interconnects and std/sandbox`,
    );
  }
}
