/**
 * Mutants of a source: the same text with one check less.
 * In: a TypeScript source. Out: every way to take a check out of it:
 *   a condition of `if` or `? :` that always holds, or never does; one operand of `&&` or `||` alone; a predicate (what a function returns, if
 *   it compares or tests) that always holds, or never does; a call for its effect, a `throw`, or a returned refusal left out.
 * Parsed by swc, whose spans count bytes of UTF-8 from 1. Leaves out the words of a refusal (all but its `rule`): they are no check.
 * Does not move bounds or change constants: that is for tests of their own.
 */
import { parseSync } from '@swc/core';

export interface Mutant {
  /** Names it whatever its line is: the function, the old text, the new one, and a count where that is not unique. */
  readonly name: string;
  readonly line: number;
  /** Bytes of the source. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

interface Node {
  readonly type: string;
  readonly span: { readonly start: number; readonly end: number };
  readonly [member: string]: unknown;
}

/** A node, and what stands in its place: a text, or one of its own parts. */
type Edit = readonly [node: Node, replacement: string | Node];

const REFUSAL = /^(?:refus|den[iy]|bad[A-Z]|unreadable|notInTime)/;
const TESTS: ReadonlySet<unknown> = new Set(
  'test has includes some every startsWith endsWith equals'.split(' '),
);
const COMPARISONS: ReadonlySet<unknown> = new Set('=== !== < <= > >= in instanceof'.split(' '));
const SHOWN_CHARACTERS = 100;

export function mutantsOf(text: string): readonly Mutant[] {
  const bytes = Buffer.from(text, 'utf8');
  const found = new Map<string, Mutant>();
  walk(parseSync(text, { syntax: 'typescript', target: 'es2024' }), 'top', (node, place) => {
    for (const edit of editsOf(node)) add(found, mutantOf(edit, place, bytes));
  });
  return [...found.values()];
}

export function applyMutant(text: string, { start, end, replacement }: Mutant): string {
  const bytes = Buffer.from(text, 'utf8');
  const parts = [bytes.subarray(0, start), Buffer.from(replacement, 'utf8'), bytes.subarray(end)];
  return Buffer.concat(parts).toString('utf8');
}

function add(found: Map<string, Mutant>, mutant: Mutant): void {
  const place = ({ start, end, replacement }: Mutant): string => `${start} ${end} ${replacement}`;
  if ([...found.values()].some((other) => place(other) === place(mutant))) return;
  let name = mutant.name;
  for (let count = 2; found.has(name); count++) name = `${mutant.name} (${count})`;
  found.set(name, { ...mutant, name });
}

function mutantOf([node, replaced]: Edit, place: string, bytes: Buffer): Mutant {
  const textOf = ({ span }: Node): string => bytes.toString('utf8', span.start - 1, span.end - 1);
  const replacement = typeof replaced === 'string' ? replaced : textOf(replaced);
  const [start, end] = [node.span.start - 1, node.span.end - 1];
  const line = bytes.toString('utf8', 0, start).split('\n').length;
  return { name: `${place}: ${shown(textOf(node))} → ${shown(replacement)}`, line, start, end, replacement };
}

function shown(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= SHOWN_CHARACTERS ? line : `${line.slice(0, SHOWN_CHARACTERS)}…`;
}

/** Visits every node but the words of refusals, with the name of what it is in. Some parts of swc's tree are objects without a type. */
function walk(value: unknown, place: string, visit: (node: Node, place: string) => void): void {
  if (typeof value !== 'object' || value === null) return;
  const inside = nameIn(value) ?? place;
  if (isNode(value)) visit(value, inside);
  for (const part of partsOf(value)) walk(part, inside, visit);
}

function partsOf(value: object): readonly unknown[] {
  if (!isNode(value) || !isRefusal(value)) return Object.values(value);
  const words = ((value['arguments'] ?? []) as { expression: Node }[]).map(({ expression }) => expression);
  return words.flatMap(({ properties }) => (properties ?? []) as Node[]).filter(isRule);
}

function isNode(value: object): value is Node {
  return 'type' in value && 'span' in value;
}

/** A call that makes an error or throws one. */
function isRefusal(node: Node): boolean {
  if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return false;
  const name = String(calleeName(node));
  return REFUSAL.test(name) || name === 'KwamError';
}

function calleeName({ callee }: Node): unknown {
  const { type, value, property } = callee as Node;
  return type === 'MemberExpression' ? (property as Node)['value'] : value;
}

function isRule(node: Node): boolean {
  return node.type === 'KeyValueProperty' && (node['key'] as Node)['value'] === 'rule';
}

/** The name of a function: its own, or that of the constant or property that holds it. */
function nameIn(value: object): string | undefined {
  const { identifier, id, key, init, value: held } = value as Partial<Record<string, Node>>;
  const isHolder = [init, held].some((each) => each?.type === 'ArrowFunctionExpression');
  const name = (isHolder || 'body' in value || 'function' in value ? (identifier ?? id ?? key) : undefined)?.[
    'value'
  ];
  return typeof name === 'string' ? name : undefined;
}

function editsOf(node: Node): readonly Edit[] {
  switch (node.type) {
    case 'IfStatement':
    case 'ConditionalExpression':
      return fixed(node['test'] as Node);
    case 'BinaryExpression':
      return isLogical(node)
        ? [
            [node, node['left'] as Node],
            [node, node['right'] as Node],
          ]
        : [];
    case 'ReturnStatement':
      return returnEdits(node);
    case 'ArrowFunctionExpression':
      return predicateEdits(node['body'] as Node);
    case 'ExpressionStatement':
      return isEffect(node['expression'] as Node) ? [[node, ';']] : [];
    case 'ThrowStatement':
      return [[node, ';']];
    default:
      return [];
  }
}

function fixed(condition: Node): readonly Edit[] {
  return [
    [condition, 'true'],
    [condition, 'false'],
  ];
}

/** `text || 'none'` is wording. */
function isLogical({ operator, right }: Node): boolean {
  return operator === '&&' || (operator === '||' && (right as Node).type !== 'StringLiteral');
}

function returnEdits(node: Node): readonly Edit[] {
  const argument = node['argument'] as Node | null;
  if (argument === null || argument === undefined) return [];
  return isRefusal(argument) ? [[node, 'return undefined;']] : predicateEdits(argument);
}

function predicateEdits(expression: Node): readonly Edit[] {
  return isPredicate(expression) ? fixed(expression) : [];
}

function isPredicate(node: Node): boolean {
  if (node.type === 'BinaryExpression') return COMPARISONS.has(node['operator']) || isLogical(node);
  if (node.type === 'UnaryExpression') return node['operator'] === '!';
  return node.type === 'CallExpression' && TESTS.has(calleeName(node));
}

/** A call whose result nobody takes. `super` has to stay. */
function isEffect(expression: Node): boolean {
  if (expression.type === 'AwaitExpression') return isEffect(expression['argument'] as Node);
  if (expression.type === 'OptionalChainingExpression') return isEffect(expression['base'] as Node);
  return expression.type === 'CallExpression' && (expression['callee'] as Node).type !== 'Super';
}
