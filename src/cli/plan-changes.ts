/**
 * What would change between two plans.
 * In: the plan that runs, if one does, and the next one. Out: changes with their paths, in the order of the plan; lists of named things are compared
 * by name, so that a node more is one change. Values are as the plans have them.
 */
import { canonicalJson } from '../manifest/canonical-json.ts';
import type { Plan } from '../plan.ts';

export interface Change {
  /** `replicate.factor`, `nodes.n0007`, `guard.mtbf.rack.ms` */
  readonly path: string;
  /** Absent for what is new. */
  readonly was?: unknown;
  /** Absent for what goes. */
  readonly becomes?: unknown;
}

export function changesBetween(running: Plan | undefined, next: Plan): readonly Change[] {
  return compared('', running ?? {}, next);
}

type Fields = { readonly [name: string]: unknown };

function compared(path: string, was: unknown, becomes: unknown): Change[] {
  if (was !== undefined && becomes !== undefined && canonicalJson(was) === canonicalJson(becomes)) return [];
  const [before, after] = [membersOf(was ?? blankFor(path, becomes)), membersOf(becomes)];
  if (before === undefined || after === undefined) {
    return [{ path, ...(was === undefined ? {} : { was }), ...(becomes === undefined ? {} : { becomes }) }];
  }
  const names = new Set([...Object.keys(after), ...Object.keys(before)]);
  return [...names].flatMap((name) =>
    compared(path === '' ? name : `${path}.${name}`, before[name], after[name]),
  );
}

/** A new block of the plan reads better attribute by attribute than as one lump. */
function blankFor(path: string, becomes: unknown): Fields | undefined {
  return path.includes('.') || Array.isArray(becomes) ? undefined : {};
}

/** The parts that have names; undefined for values that are compared as a whole. */
function membersOf(value: unknown): Fields | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return value as Fields;
  if (!value.every(isNamed)) return undefined;
  return Object.fromEntries(value.map((item) => [item.name, item]));
}

function isNamed(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}

const shownCharactersMax = 100;

/** One line: `+ nodes.n0007 …`, `- metrics.slo`, `~ replicate.factor: 3 → 2`. */
export function changeLine({ path, was, becomes }: Change): string {
  if (was === undefined) return `+ ${path}: ${shown(becomes)}`;
  if (becomes === undefined) return `- ${path}: ${shown(was)}`;
  return `~ ${path}: ${shown(was)} → ${shown(becomes)}`;
}

function shown(value: unknown): string {
  const names =
    Array.isArray(value) && value.length > 0 && value.every(isNamed)
      ? value.map(({ name }) => name)
      : undefined;
  const text = names === undefined ? canonicalJson(value) : `${names.length}: ${names.join(', ')}`;
  return text.length <= shownCharactersMax ? text : `${text.slice(0, shownCharactersMax)}…`;
}
