/**
 * Rules of durability: a guard promises no more than its audited loss rates support.
 * In: a resolved program; an inventory if there is one. Out: missing rows, claims that are too large, restore times that are too short; a note
 *   where one copy a domain had to be assumed.
 * Source: LANGUAGE.md "What the checker refuses", DESIGN "Guard". The terms are guard-verdict.ts' and durability.ts'; that a row has source,
 *   auditor and date is the schema's business.
 */
import { type RestoreVerdict, restoreVerdict } from '../guard/restore-time.ts';
import { leaseMs, packBytesTarget } from '../limits.ts';
import { attributeOf, blocksOf, bodyOf, itemsOf, valueIn } from './access.ts';
import type { CheckContext, Link, Rule, StandardTables } from './check-context.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import { coveredBy, type GuardVerdict, guardVerdicts } from './guard-verdict.ts';
import type { BlockIr, ProgramIr, QuantityIr } from './ir.ts';
import { domainsInScope } from './rules-placement.ts';
import { addTo, appendTo, at, listed, writeInstead } from './suggestions.ts';

const checkCovered: Rule = (program) =>
  blocksOf(program, 'guard').flatMap((guard) => {
    if (guard.body.open || attributeOf(guard.body, 'covers') !== undefined) return [];
    const all = blocksOf(program, 'replicate');
    if (all.length === 1) return [];
    const got =
      all.length === 0 ? 'none in the program' : `${all.length}: ${listed(all.map(({ name }) => name))}`;
    const message = `guard \`${guard.name}\` expects one \`replicate\` to promise for, got ${got}`;
    return diagnostic(
      'KW4008',
      message,
      { file: program.file, range: guard.nameRange },
      {
        suggestion: all[0] && addTo(guard.body, `covers ${all[0].name}`),
      },
    );
  });

const checkRows: Rule = (program) => {
  const known = domainsInScope(program);
  return blocksOf(program, 'guard').flatMap((guard) => {
    const mtbf = attributeOf(guard.body, 'mtbf');
    const replicate = coveredBy(program, guard);
    if (mtbf?.body === undefined || mtbf.body.open) return [];
    const domains =
      replicate === undefined ? [] : itemsOf(replicate.body, 'anti_affinity', 'word').map(({ word }) => word);
    const rows = mtbf.body;
    const missing = [...new Set(['node', ...domains])].filter(
      (name) => (name === 'node' || known?.has(name) !== false) && attributeOf(rows, name) === undefined,
    );
    return missing.map((name) =>
      diagnostic(
        'KW4004',
        `guard \`${guard.name}\` expects an audited \`mtbf\` row for \`${name}\`, got none`,
        at(program, { range: mtbf.nameRange }),
        {
          note: 'A loss that is left out counts as one that never happens, and the promise would rest on it.',
          suggestion: addTo(rows, `${name} … { source … audited_by … audited_on … }`),
        },
      ),
    );
  });
};

const checkUnlistedRows: Rule = (program) => {
  const known = domainsInScope(program);
  return blocksOf(program, 'guard').flatMap((guard) => {
    const replicate = coveredBy(program, guard);
    const list = replicate && valueIn(replicate.body, 'anti_affinity', 'list');
    if (list === undefined || list.items.some(({ kind }) => kind !== 'word')) return [];
    const domains = new Set(list.items.map((item) => (item.kind === 'word' ? item.word : '')));
    const rows = bodyOf(guard.body, 'mtbf')?.attributes ?? [];
    return rows
      .filter(({ name }) => name !== 'node' && !domains.has(name) && known?.has(name) !== false)
      .map(({ name, nameRange }) =>
        diagnostic(
          'KW4009',
          `\`${name}\` has a loss rate, but \`anti_affinity\` keeps no copies apart in it`,
          at(program, { range: nameRange }),
          {
            severity: 'warning',
            note: `All copies may lie in one ${name}; its losses are counted that way. List it, or place so on purpose.`,
            suggestion: appendTo(list, name),
          },
        ),
      );
  });
};

const checkDurability: Rule = (program, context) =>
  guardVerdicts(program, context).flatMap((verdict) => {
    if (verdict.problems.length > 0) return senseless(program, verdict);
    const { result, declared } = verdict;
    if (result === undefined || result.worst.ninesWhole >= declared.amount)
      return assumed(program, context, verdict);
    const { scheme, nines, ninesWhole, lossPerYear } = result.worst;
    const message = `expected at most the ${nines} nines that ${scheme.name} supports, got ${declared.written}: the bound is ${scientific(lossPerYear)} losses a year`;
    return diagnostic('KW4005', message, at(program, declared), {
      note: refusalNote(verdict),
      suggestion: ninesWhole < 1 ? undefined : writeInstead(declared.range, `${ninesWhole}nines`),
    });
  });

function senseless(program: ProgramIr, { declared, problems }: GuardVerdict): Diagnostic[] {
  return problems.map(({ field, expected, actual, remedy }) =>
    diagnostic('KW4007', `${field}: expected ${expected}, got ${actual}`, at(program, declared), {
      note: `${remedy}.`,
    }),
  );
}

function assumed(
  program: ProgramIr,
  { inventory }: CheckContext,
  { declared, assumption, result }: GuardVerdict,
): Diagnostic[] {
  if (inventory !== undefined || result === undefined) return [];
  const { nines, scheme } = result.worst;
  const message = `${declared.written} rests on one copy a domain: ${scheme.name} then supports ${nines} nines`;
  return [diagnostic('KW4015', message, at(program, declared), { severity: 'note', note: assumption })];
}

/** The small table: which class costs how many nines, and what would gain the most. */
function refusalNote({ result, gains, assumption }: GuardVerdict): string {
  const lines = result!.schemes.flatMap(({ scheme, nines, terms }) => [
    `${scheme.name}: ${nines} nines`,
    ...terms.map((term) => {
      const cost =
        term.ninesCost === undefined ? 'all that there is' : `costs ${term.ninesCost.toFixed(2)} nines`;
      return `  ${term.name.padEnd(6)} ${scientific(term.lossPerYear).padStart(9)} a year  ${cost}`;
    }),
  ]);
  const best = gains.slice(0, 3).map((gain) => `${gain.change} (+${gain.ninesGained.toFixed(2)} nines)`);
  if (best.length > 0) lines.push(`Gains the most: ${best.join('; ')}.`);
  return [...lines, assumption].join('\n');
}

function scientific(rate: number): string {
  return rate.toExponential(2);
}

const checkRestoreTime: Rule = (program, { tables }) =>
  blocksOf(program, 'guard').flatMap((guard) => {
    const declared = valueIn(guard.body, 'mttr_restore', 'quantity');
    const replicate = coveredBy(program, guard);
    if (declared === undefined || replicate === undefined) return [];
    const verdict = restoreOf(program, tables, replicate, declared);
    if (verdict === undefined || verdict.possible) return [];
    const message = `expected \`mttr_restore\` of at least ${verdict.leastMs / 1000}s, got ${declared.written}: nothing is restored sooner`;
    return diagnostic('KW4006', message, at(program, declared), {
      note: `For a single pack: ${verdict.reason}. A whole node takes longer.`,
      suggestion: writeInstead(declared.range, durationText(verdict.leastMs)),
    });
  });

/**
 * The time for one pack at the best link: what a node holds is not known here, so only what is impossible for any node is refused.
 * Without a profile, and without a bandwidth of repair, moving takes no time in this bound.
 */
function restoreOf(
  program: ProgramIr,
  tables: StandardTables,
  replicate: BlockIr,
  declared: QuantityIr,
): RestoreVerdict | undefined {
  const repair = bodyOf(replicate.body, 'repair');
  const delay = repair === undefined ? 0 : (valueIn(repair, 'delay', 'quantity')?.amount ?? 0);
  const own = repair && valueIn(repair, 'bandwidth', 'quantity')?.amount;
  const speeds = [own, bestLink(program, tables, replicate)?.bitsPerSecond].filter(
    (speed) => speed !== undefined,
  );
  const bitsPerSecond = Math.min(...speeds);
  return restoreVerdict(declared.amount, {
    detectionMs: leaseMs,
    repairDelayMs: Math.ceil(delay),
    nodeBytes: speeds.length === 0 ? 0 : packBytesTarget,
    // A striped pack is rebuilt along a pipeline, which passes each byte over a link once.
    readsPerByte: 1,
    repairBytesPerSecond: Math.max(1, Math.floor((Number.isFinite(bitsPerSecond) ? bitsPerSecond : 8) / 8)),
  });
}

/** Copies are kept apart, so repair crosses what lies between them. The fastest of several profiles counts. */
function bestLink(
  program: ProgramIr,
  { interconnects }: StandardTables,
  replicate: BlockIr,
): Link | undefined {
  const domains = new Set(itemsOf(replicate.body, 'anti_affinity', 'word').map(({ word }) => word));
  const tier = domains.has('az')
    ? 'beyond'
    : domains.has('spine')
      ? 'az'
      : domains.has('rack') || domains.has('pdu')
        ? 'spine'
        : 'rack';
  const links = blocksOf(program, 'profile').flatMap(({ body }) => {
    const name = valueIn(body, 'interconnect', 'word')?.word;
    return interconnects.get(name ?? '')?.links[tier] ?? [];
  });
  return links.toSorted((a, b) => b.bitsPerSecond - a.bitsPerSecond)[0];
}

/** Rounded up to what people write: whole minutes, or seconds below one. */
function durationText(ms: number): string {
  return ms > 60_000 ? `${Math.ceil(ms / 60_000)}m` : `${Math.ceil(ms / 1000)}s`;
}

const DURABILITY_RULES: readonly Rule[] = [
  checkCovered,
  checkRows,
  checkUnlistedRows,
  checkDurability,
  checkRestoreTime,
];

export function checkGuards(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return DURABILITY_RULES.flatMap((rule) => rule(program, context));
}
