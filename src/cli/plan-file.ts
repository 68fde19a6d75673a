/**
 * A Plan as a file: what `dev up` writes and `serve` reads, beside programs; also as the document that `plan --json` prints.
 * In: a path. Out: a Plan whose shape was checked as far as nodes rely on it. Does not check that the plan makes sense together: the compiler did.
 */
import * as fs from 'node:fs';
import { KwamError } from '../errors.ts';
import { planDigest } from '../language/plan-digest.ts';
import { DOMAINS, type Plan } from '../plan.ts';
import { digestOf } from './domain-digest.ts';

/** What `plan --json` prints: the plan, and the digest that people compare and consent to. */
export const PLAN_DOCUMENT = 'kwam.plan-document/v1';
const HEAD_BYTES = 4096;

/** By content: a plan is JSON, and no program begins with a brace. */
export function isPlanFile(path: string): boolean {
  if (!fs.existsSync(path)) return false;
  const file = fs.openSync(path, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, fs.readSync(file, head)).toString('utf8').trimStart().startsWith('{');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code;
    throw new KwamError('USAGE', `expected a program or a plan in ${path}, got ${errno}`, { cause });
  } finally {
    fs.closeSync(file);
  }
}

export function readPlan(path: string): Plan {
  const value = planIn(path, parse(path));
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

/** The plan itself; out of a document only when it is the one that the document's digest names. */
function planIn(path: string, value: unknown): unknown {
  const { schema, plan, digest } = fieldsOf(value);
  if (schema !== PLAN_DOCUMENT) return value;
  const actual = planDigest(plan as Plan, digestOf);
  if (actual === digest) return plan;
  throw new KwamError(
    'USAGE',
    `expected the plan ${String(digest)} in ${path}, got ${actual}; it was changed, make it again with kwam-dp plan`,
  );
}

type Fields = { readonly [name: string]: unknown };

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

const LISTS = ['pools', 'servers', 'discoveries', 'clients', 'metrics', 'deploys'];

function problemOf(value: unknown): string | undefined {
  const plan = fieldsOf(value);
  if (plan['schema'] !== 'kwam.plan/v1') return `with schema ${JSON.stringify(plan['schema'])}`;
  const replicate = fieldsOf(plan['replicate']);
  const numbers = [replicate['factor'], replicate['packBytesTarget'], plan['memoryBytes']];
  if (!numbers.every(Number.isSafeInteger)) return 'without factor, packBytesTarget or memoryBytes';
  if (!Array.isArray(plan['nodes']) || plan['nodes'].length === 0) return 'without nodes';
  const bad = plan['nodes'].find((node) => !isNode(fieldsOf(node)));
  if (bad !== undefined) return `with a node that lacks fields: ${JSON.stringify(bad).slice(0, 200)}`;
  if (typeof fieldsOf(plan['program'])['digest'] !== 'string') return 'without the digest of its program';
  const missing = LISTS.find((name) => !Array.isArray(plan[name]));
  return missing === undefined ? undefined : `without ${missing}`;
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
