/**
 * The words of each vocabulary, with a line about each: for completion and hover.
 * In: the program, for the domains that it brings into scope, and the standard tables. Out: words in the order to offer them.
 * What the rules accept is theirs to say; their tables are read here, not copied.
 */
import { CAPABILITIES } from './capability.ts';
import type { StandardTables } from './check-context.ts';
import { COUNTERS } from './counters.ts';
import type { AttributeIr, ProgramIr } from './ir.ts';
import { NEGOTIATOR_FALLBACK } from './rules-negotiator.ts';
import { hooksOf, signalsOf } from './rules-telemetry.ts';

import type { Vocabulary } from './schema-types.ts';

export interface VocabularyWord {
  readonly word: string;
  readonly doc: string;
}

/** The rows of the domain sets that `use` brought into scope, each name once. */
export function domainRows({ uses }: ProgramIr): readonly AttributeIr[] {
  const rows = uses.flatMap(({ block }) => (block?.kind === 'domains' ? block.body.attributes : []));
  return [...new Map(rows.map((row) => [row.name, row])).values()];
}

function domainWord({ name, body }: AttributeIr): VocabularyWord {
  const within = body?.attributes.find((each) => each.name === 'within')?.value;
  const doc = within?.kind === 'word' ? `Lies within one \`${within.word}\`.` : 'The widest domain.';
  return { word: name, doc };
}

function signalWord(signal: string, { hardware }: StandardTables): VocabularyWord {
  const sources = [...hardware.values()].map(
    ({ name, signals }) => `- ${name}: ${signals.get(signal) ?? 'no source, it stays unknown'}`,
  );
  return { word: signal, doc: sources.join('\n') };
}

function sandboxWords({ sandboxes }: StandardTables): readonly VocabularyWord[] {
  return [...sandboxes]
    .filter(([, strength]) => strength > 0)
    .map(([word, strength]) => ({ word, doc: `Strength ${strength}; higher is stronger.` }));
}

export function wordsOf(
  vocabulary: Vocabulary,
  program: ProgramIr,
  tables: StandardTables,
): readonly VocabularyWord[] {
  switch (vocabulary) {
    case 'hardware':
      return [...tables.hardware.values()].map(({ name, interconnects }) => ({
        word: name,
        doc: `Usually with ${interconnects[0] ?? 'no interconnect'}.`,
      }));
    case 'interconnect':
      return [...tables.interconnects.values()].map(({ name, links }) => ({
        word: name,
        doc: `${links.rack.bitsPerSecond / 1e9} gbps within a rack, ${links.az.bitsPerSecond / 1e9} gbps within an az.`,
      }));
    case 'health hook':
      return [...hooksOf(tables)].map((word) => ({ word, doc: `Answers the signals \`${word}.…\`.` }));
    case 'health signal':
      return [...signalsOf(tables)].map((signal) => signalWord(signal, tables));
    case 'sandbox':
      return sandboxWords(tables);
    case 'capability':
      return CAPABILITIES.map((word) => ({ word, doc: 'A capability that a grant may give.' }));
    case 'counter':
      return [...COUNTERS].map(([word, series]) => ({ word, doc: `Exported as \`${series}\`.` }));
    case 'fallback':
      return [
        { word: NEGOTIATOR_FALLBACK, doc: 'The primary path; the model is never on the critical one.' },
      ];
    case 'domain':
      return domainRows(program).map(domainWord);
  }
}
