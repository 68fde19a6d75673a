/**
 * Rules of placement: what a `replicate` asks for, against the fault domains in scope and the nodes of the inventory.
 * In: a resolved program; an inventory if there is one. Out: what could not be placed.
 * Source: LANGUAGE.md "What the checker refuses". Which domains may be shared when they run out is a question of durability (rules-durability.ts).
 */

import { localGroupsOf, schemeProblem, schemeText, shardCountOf } from '../erasure/scheme.ts';
import { lossesSurvived } from '../erasure/survival.ts';
import { localDomainsMin, shardCountMax } from '../limits.ts';
import { widestDomain } from '../placement/topology.ts';
import { DOMAINS, type ErasureScheme } from '../plan.ts';
import { attributeOf, blocksOf, bodyOf, itemsOf, schemeIn, valueIn } from './access.ts';
import type { CheckContext, Rule } from './check-context.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { BlockIr, BodyIr, ProgramIr, ReferenceIr, WordIr } from './ir.ts';
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
    const seen = new Set<string>();
    const twice = domains.filter(({ word }) => seen.size === seen.add(word).size);
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
  const written = codeIn(body);
  return [
    ...(factor === undefined
      ? []
      : [{ written: `factor ${factor.amount}`, nodes: factor.amount, range: factor.range }]),
    ...(written === undefined
      ? []
      : [{ written: schemeText(written.scheme), nodes: shardCountOf(written.scheme), range: written.range }]),
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

/** The code that a `replicate` asks for, and where. */
function codeIn(body: BodyIr): { readonly scheme: ErasureScheme; readonly range: SourceRange } | undefined {
  const scheme = schemeIn(body);
  return scheme && { scheme, range: attributeOf(body, 'erasure')!.value!.range };
}

const checkCode: Rule = (program) =>
  blocksOf(program, 'replicate').flatMap(({ body }) => {
    const written = codeIn(body);
    const problem = written && schemeProblem(written.scheme);
    if (written === undefined || problem === undefined) return [];
    return [wrongCode(program, written.scheme, problem, written.range)];
  });

function wrongCode(
  program: ProgramIr,
  scheme: ErasureScheme,
  problem: string,
  range: SourceRange,
): Diagnostic {
  if (localGroupsOf(scheme) !== undefined) {
    return diagnostic('KW4023', `expected ${problem}, got ${schemeText(scheme)}`, at(program, { range }), {
      note: 'The k data shards are divided into l groups of equally many, each with a parity shard of its own.',
    });
  }
  const message = `expected at most ${shardCountMax} shards, k + m, got ${shardCountOf(scheme)}`;
  return diagnostic('KW4011', message, at(program, { range }), {
    note: 'The code works in GF(2^8), where more shards cannot be told apart.',
  });
}

const checkLocalDomains: Rule = (program, { inventory }) => {
  if (inventory === undefined) return [];
  const pools = poolsOf(program, inventory);
  return blocksOf(program, 'replicate').flatMap(({ body }) => {
    const written = codeIn(body);
    if (written?.scheme.localGroups === undefined) return [];
    const listed = itemsOf(body, 'anti_affinity', 'word').map(({ word }) => word);
    return pools.flatMap((pool) => tooFewDomains(program, written, listed, pool));
  });
};

function tooFewDomains(
  program: ProgramIr,
  { scheme, range }: { readonly scheme: ErasureScheme; readonly range: SourceRange },
  listed: readonly string[],
  { name, nodes }: Pool,
): readonly Diagnostic[] {
  const { domain, count } = widestDomain(nodes, listed);
  if (count >= localDomainsMin) return [];
  const text = schemeText(scheme);
  const message = `\`${text}\` expects at least ${localDomainsMin} of the widest domain in \`anti_affinity\`, got ${count} of \`${domain}\` in pool \`${name}\``;
  const { dataShards } = scheme;
  return [
    diagnostic('KW4024', message, at(program, { range }), {
      note: `In fewer domains several shards share one, and a code that survives any ${lossesSurvived(scheme)} losses is soon at its end. List domains that there are enough of, or use rs(${dataShards}, m).`,
    }),
  ];
}

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

const checkCold: Rule = (program) =>
  blocksOf(program, 'replicate').flatMap(({ body }) => {
    const written = attributeOf(body, 'cold_after');
    if (written === undefined || attributeOf(body, 'erasure') !== undefined || body.open) return [];
    const message = 'expected `erasure` beside `cold_after`, got none: packs stay copies';
    return diagnostic('KW4025', message, at(program, written), { severity: 'warning' });
  });

const PLACEMENT_RULES: readonly Rule[] = [
  checkDomains,
  checkLabels,
  checkTwice,
  checkPoolSize,
  checkCode,
  checkCold,
  checkLocalDomains,
  checkPools,
  checkPoolSource,
  ...CHUNKER_RULES,
];

export function checkPlacement(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return PLACEMENT_RULES.flatMap((rule) => rule(program, context));
}
