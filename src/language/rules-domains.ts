/**
 * Rules of the tree of fault domains: that a set is one, and that the nodes stand in it.
 * In: a resolved program or module; an inventory if there is one. Out: a `within` that leads nowhere or round, and nodes whose labels contradict it.
 * Placement walks down from az to rack, and the mathematics counts the loss of a wider domain as that of all in it: both rest on the tree.
 * Source: LANGUAGE.md "Modules", std/faultdomains.
 */
import { DOMAINS, type Domain } from '../plan.ts';
import { valueIn } from './access.ts';
import type { CheckContext, Rule } from './check-context.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { InventoryNode } from './inventory.ts';
import type { AttributeIr, BlockIr, ProgramIr, WordIr } from './ir.ts';
import { poolsOf } from './pools.ts';
import { at, didYouMean, listed } from './suggestions.ts';

interface Nesting {
  readonly domain: string;
  readonly within: WordIr;
}

function nestingsOf({ body }: BlockIr): readonly Nesting[] {
  return body.attributes.flatMap(({ name, body: domain }: AttributeIr) => {
    const within = domain && valueIn(domain, 'within', 'word');
    return within === undefined ? [] : [{ domain: name, within }];
  });
}

const ownSets = (program: ProgramIr): readonly BlockIr[] =>
  program.blocks.filter(({ kind }) => kind === 'domains');

const checkWithin = (program: ProgramIr): readonly Diagnostic[] =>
  ownSets(program).flatMap((set) => {
    const known = set.body.attributes.map(({ name }) => name);
    return nestingsOf(set)
      .filter(({ within }) => !known.includes(within.word))
      .map(({ domain, within }) =>
        diagnostic(
          'KW4016',
          `expected a domain of \`${set.name}\` around \`${domain}\`, got \`${within.word}\``,
          at(program, within),
          {
            note: `It has ${listed(known)}.`,
            suggestion: didYouMean(within.word, known, within.range),
          },
        ),
      );
  });

const checkCircles = (program: ProgramIr): readonly Diagnostic[] =>
  ownSets(program).flatMap((set) => {
    const wider = new Map(nestingsOf(set).map(({ domain, within }) => [domain, within]));
    return circlesOf(wider).map((circle) => {
      const path = [...circle, circle[0]].map((name) => `\`${name}\``).join(' within ');
      return diagnostic(
        'KW4017',
        `expected domains within each other, got a circle: ${path}`,
        at(program, wider.get(circle[0]!)!),
      );
    });
  });

/** Each once, from the first of its domains that is written. Every domain lies within one at most, so each is passed once. */
function circlesOf(wider: ReadonlyMap<string, WordIr>): readonly (readonly string[])[] {
  const order = [...wider.keys()];
  const passed = new Set<string>();
  return order.flatMap((start) => {
    const path: string[] = [];
    let next: string | undefined = start;
    for (; next !== undefined && !passed.has(next); next = wider.get(next)?.word) {
      passed.add(next);
      path.push(next);
    }
    const circle = next === undefined ? [] : path.slice(path.indexOf(next));
    return path.includes(next ?? '') ? [fromFirst(circle, order)] : [];
  });
}

function fromFirst(circle: readonly string[], order: readonly string[]): readonly string[] {
  const within = new Set(circle);
  const at = circle.indexOf(order.find((name) => within.has(name))!);
  return [...circle.slice(at), ...circle.slice(0, at)];
}

const checkInventory: Rule = (program, { inventory }) => {
  if (inventory === undefined) return [];
  const nodes = poolsOf(program, inventory).flatMap((pool) => pool.nodes);
  return program.uses.flatMap(({ block, range }) =>
    block?.kind !== 'domains'
      ? []
      : nestingsOf(block).flatMap(({ domain, within }) =>
          isLabel(domain) && isLabel(within.word)
            ? contradictions(at(program, { range }), domain, within.word, nodes)
            : [],
        ),
  );
};

function isLabel(domain: string): domain is Domain {
  return (DOMAINS as readonly string[]).includes(domain);
}

function contradictions(
  place: ReturnType<typeof at>,
  inner: Domain,
  outer: Domain,
  nodes: readonly InventoryNode[],
): readonly Diagnostic[] {
  const first = new Map<string, InventoryNode>();
  const found = new Map<string, Diagnostic>();
  for (const node of nodes) {
    const [narrow, wide] = [node.labels[inner], node.labels[outer]];
    const other = first.get(narrow) ?? node;
    first.set(narrow, other);
    if (other.labels[outer] === wide || found.has(narrow)) continue;
    const message = `expected ${inner} \`${narrow}\` within one ${outer}, got \`${other.labels[outer]}\` at node \`${other.name}\` and \`${wide}\` at node \`${node.name}\``;
    found.set(
      narrow,
      diagnostic('KW4018', message, place, {
        note: `\`use\` says that each ${inner} lies within one ${outer}. Correct the labels of the inventory, or use a set that is built as the site is.`,
      }),
    );
  }
  return [...found.values()];
}

/** What a module's own sets must be, whoever imports them. */
export function checkDomainSets(program: ProgramIr): readonly Diagnostic[] {
  return [...checkWithin(program), ...checkCircles(program)];
}

export function checkDomainTree(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return [...checkDomainSets(program), ...checkInventory(program, context)];
}
