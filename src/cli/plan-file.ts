/**
 * A Plan as a file: what `serve` reads and `dev up` writes. Until the compiler makes plans, this is the only form of one.
 * In: a path. Out: a Plan whose shape was checked. Does not check that the plan makes sense together: the node does.
 */
import * as fs from 'node:fs';
import { KwamError } from '../errors.ts';
import { DOMAINS, type Plan } from '../plan.ts';

export function readPlan(path: string): Plan {
  const value = parse(path);
  const problem = problemOf(value);
  if (problem === undefined) return value as Plan;
  throw new KwamError('USAGE', `expected a plan (kwam.plan/v1) in ${path}, got one ${problem}`, {
    context: { path },
  });
}

function parse(path: string): unknown {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new KwamError('USAGE', `expected a plan in ${path}, got ${errno}; kwam-dp dev up writes one`, {
      cause,
    });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KwamError('USAGE', `expected a plan in JSON in ${path}, got text that does not parse`, {
      cause,
    });
  }
}

type Fields = { readonly [name: string]: unknown };

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function problemOf(value: unknown): string | undefined {
  const plan = fieldsOf(value);
  if (plan['schema'] !== 'kwam.plan/v1') return `with schema ${JSON.stringify(plan['schema'])}`;
  const replicate = fieldsOf(plan['replicate']);
  const numbers = [replicate['factor'], replicate['packBytesTarget'], plan['memoryBytes']];
  if (!numbers.every(Number.isSafeInteger)) return 'without factor, packBytesTarget or memoryBytes';
  if (!Array.isArray(plan['nodes']) || plan['nodes'].length === 0) return 'without nodes';
  const bad = plan['nodes'].find((node) => !isNode(fieldsOf(node)));
  return bad === undefined
    ? undefined
    : `with a node that lacks fields: ${JSON.stringify(bad).slice(0, 200)}`;
}

function isNode(node: Fields): boolean {
  const labels = fieldsOf(node['labels']);
  return (
    ['name', 'spiffe', 'listen', 'metricsListen'].every((key) => typeof node[key] === 'string') &&
    typeof node['weight'] === 'number' &&
    DOMAINS.every((domain) => typeof labels[domain] === 'string')
  );
}

/** Beside its place, then renamed: a reader sees the old plan or the new one. */
export function writePlan(path: string, plan: Plan): void {
  const aside = `${path}.${process.pid}.new`;
  fs.writeFileSync(aside, `${JSON.stringify(plan, undefined, 2)}\n`);
  fs.renameSync(aside, path);
}
