/**
 * Rules of placement: what a `replicate` asks for, against the fault domains in scope and the nodes of the inventory.
 * In: a resolved program; an inventory if there is one. Out: what could not be placed.
 * Source: LANGUAGE.md "What the checker refuses". Which domains may be shared when they run out is a question of durability (rules-durability.ts).
 */

import { DOMAINS } from '../plan.ts';
import { attributeOf, blocksOf, bodyOf, itemsOf, valueIn } from './access.ts';
import type { CheckContext, Rule } from './check-context.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { BlockIr, ProgramIr, ReferenceIr, WordIr } from './ir.ts';
import { deployTargets, nodesOf, type Pool, poolsOf } from './pools.ts';
import { CHUNKER_RULES } from './rules-chunker.ts';
import type { SourceRange } from './source.ts';
import { at, didYouMean, listed } from './suggestions.ts';

/** The domains that `use` brought into scope; undefined when a module could not be read, which has been said. */
export function domainsInScope(program: ProgramIr): ReadonlySet<string> | undefined {
  if (program.uses.some(({ block }) => block === undefined)) return undefined;
  const sets = program.uses.flatMap(({ block }) => (block?.kind === 'domains' ? block.body.attributes : []));
  return new Set(sets.map(({ name }) => name));
}

const checkDomains: Rule = (program) => {
  const known = domainsInScope(program);
  if (known === undefined) return [];
  const unknown = domainWords(program).filter(({ word }) => !known.has(word));
  // Without a set all of them lack the same line.
  const told = known.size === 0 ? unknown.slice(0, 1) : unknown;
  return told.map((written) => unknownDomain(program, written, known));
};

function unknownDomain(program: ProgramIr, written: Named, known: ReadonlySet<string>): Diagnostic {
  if (known.size === 0) {
    const message = `expected a domain of a set in scope, got \`${written.word}\` and no set`;
    return diagnostic('KW4001', message, at(program, written), {
      note: 'Bring one into scope: import "std/faultdomains" as fd digest "sha256:…", then use fd.h100.',
    });
  }
  return diagnostic('KW4001', `expected a fault domain, got \`${written.word}\``, at(program, written), {
    note: `In scope are ${listed(known)}.`,
    suggestion: didYouMean(written.word, known, written.range),
  });
}

type Named = Pick<WordIr, 'word' | 'range'>;

function domainWords(program: ProgramIr): readonly Named[] {
  const listedDomains = blocksOf(program, 'replicate').flatMap(({ body }) =>
    itemsOf(body, 'anti_affinity', 'word'),
  );
  const rows = blocksOf(program, 'guard')
    .flatMap(({ body }) => bodyOf(body, 'mtbf')?.attributes ?? [])
    .filter(({ name }) => name !== 'node')
    .map(({ name, nameRange }) => ({ word: name, range: nameRange }));
  return [...listedDomains, ...rows];
}

/** A set may name domains that no node of this version carries a label for. */
const checkLabels: Rule = (program) => {
  const known = domainsInScope(program);
  const labels: readonly string[] = DOMAINS;
  return domainWords(program)
    .filter(({ word }) => known?.has(word) === true && !labels.includes(word))
    .map((written) =>
      diagnostic(
        'KW4002',
        `expected a domain that nodes are labelled with, got \`${written.word}\``,
        at(program, written),
        {
          note: `Nodes carry the labels ${listed(labels)}.`,
          suggestion: didYouMean(written.word, labels, written.range),
        },
      ),
    );
};

const checkTwice: Rule = (program) =>
  blocksOf(program, 'replicate').flatMap(({ body }) => {
    const domains = itemsOf(body, 'anti_affinity', 'word');
    const twice = domains.filter(
      ({ word }, index) => domains.findIndex((each) => each.word === word) < index,
    );
    return twice.map((written) =>
      diagnostic('KW4010', `expected each domain once, got \`${written.word}\` again`, at(program, written), {
        severity: 'warning',
      }),
    );
  });

/** How many nodes each kind of copy needs, and where that is written. */
interface Need {
  readonly written: string;
  readonly nodes: number;
  readonly range: SourceRange;
}

function needsOf({ body }: BlockIr): readonly Need[] {
  const factor = valueIn(body, 'factor', 'number');
  const erasure = valueIn(body, 'erasure', 'erasure');
  return [
    ...(factor === undefined
      ? []
      : [{ written: `factor ${factor.amount}`, nodes: factor.amount, range: factor.range }]),
    ...(erasure === undefined
      ? []
      : [
          {
            written: `rs(${erasure.dataShards}, ${erasure.parityShards})`,
            nodes: erasure.dataShards + erasure.parityShards,
            range: erasure.range,
          },
        ]),
  ];
}

const checkPoolSize: Rule = (program, { inventory }) => {
  if (inventory === undefined) return [];
  const pools = poolsOf(program, inventory);
  return blocksOf(program, 'replicate').flatMap((block) =>
    pools.flatMap((pool) => needsOf(block).flatMap((need) => tooMany(program, need, pool))),
  );
};

function tooMany(program: ProgramIr, { written, nodes, range }: Need, pool: Pool): readonly Diagnostic[] {
  const storing = pool.nodes.filter(({ weight }) => weight > 0).length;
  if (nodes <= storing) return [];
  const message = `\`${written}\` expects ${nodes} nodes that store data, got ${storing} in pool \`${pool.name}\``;
  return [
    diagnostic('KW4003', message, at(program, { range }), {
      note: 'Two copies on one node are lost together. Lower the number, or add nodes to the inventory.',
    }),
  ];
}

const checkShardCount: Rule = (program) =>
  blocksOf(program, 'replicate').flatMap(({ body }) => {
    const erasure = valueIn(body, 'erasure', 'erasure');
    const shards = erasure === undefined ? 0 : erasure.dataShards + erasure.parityShards;
    if (erasure === undefined || shards <= fieldShardsMax) return [];
    const message = `expected at most ${fieldShardsMax} shards, k + m, got ${shards}`;
    return diagnostic('KW4011', message, at(program, erasure), {
      note: 'The code works in GF(2^8), where more shards cannot be told apart.',
    });
  });

/** GF(2^8) has 255 elements other than zero. */
const fieldShardsMax = 255;

const checkPools: Rule = (program, { inventory }) => {
  if (inventory === undefined) return [];
  return deployTargets(program).flatMap((to) =>
    unknownPool(program, to, [...inventory.pools.keys()], nodesOf(program, inventory, to.name)),
  );
};

function unknownPool(
  program: ProgramIr,
  to: ReferenceIr,
  known: readonly string[],
  nodes: Pool['nodes'] | undefined,
): readonly Diagnostic[] {
  if (nodes !== undefined && nodes.length > 0) return [];
  const what =
    nodes === undefined ? 'which neither the program nor the inventory has' : 'which holds no node';
  return [
    diagnostic('KW4012', `expected a pool with nodes, got \`${to.name}\`, ${what}`, at(program, to), {
      note: `The inventory has ${listed(known)}.`,
      suggestion: didYouMean(to.name, known, to.range),
    }),
  ];
}

const checkPoolSource: Rule = (program) =>
  blocksOf(program, 'pool').flatMap(({ name, nameRange, body }) => {
    const sources = ['select', 'inventory'].filter((each) => attributeOf(body, each) !== undefined);
    if (sources.length === 1 || body.open) return [];
    const got = sources.length === 0 ? 'neither' : 'both';
    const message = `pool \`${name}\` expects either \`select\` or \`inventory\`, got ${got}`;
    return diagnostic('KW4013', message, { file: program.file, range: nameRange });
  });

const PLACEMENT_RULES: readonly Rule[] = [
  checkDomains,
  checkLabels,
  checkTwice,
  checkPoolSize,
  checkShardCount,
  checkPools,
  checkPoolSource,
  ...CHUNKER_RULES,
];

export function checkPlacement(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return PLACEMENT_RULES.flatMap((rule) => rule(program, context));
}
