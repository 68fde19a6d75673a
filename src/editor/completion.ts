/**
 * Completion: what may be written at a place, the likeliest first.
 * In: a compiled program, an offset, the standard tables and the names of modules. Out: proposals, each with the range that it replaces.
 * Everything comes from the schema and the tables; a new attribute or a new sandbox is offered without a change here.
 */
import type { Compiled } from '../language/compile.ts';
import { describeType, exampleOf } from '../language/describe.ts';
import { UNITS } from '../language/quantity.ts';
import { BLOCKS } from '../language/schema.ts';
import type { AttributeRow, ExpectedType } from '../language/schema-types.ts';
import type { SourceRange } from '../language/source.ts';
import { wordsOf } from '../language/vocabulary.ts';
import { bodyAt } from './find.ts';
import { type Due, type Place, placeAt } from './place.ts';
import {
  attributeSnippet,
  blockNames,
  bodySnippet,
  type Knowledge,
  knownRows,
  plainText,
  type Snippet,
  valueSnippet,
} from './snippet.ts';

export interface Completion {
  readonly label: string;
  readonly kind: 'keyword' | 'block' | 'attribute' | 'word' | 'value' | 'name' | 'module';
  /** One line: the type, or what it is. */
  readonly detail: string;
  readonly documentation?: string;
  readonly insert: Snippet;
  readonly range: SourceRange;
}

type Proposal = Omit<Completion, 'range'>;

export interface CompletionKnowledge extends Knowledge {
  readonly modules: readonly string[];
}

const KEYWORDS: Readonly<Record<string, readonly [detail: string, insert: Snippet]>> = {
  apiVersion: ['the version of the language', ['apiVersion "kwam.dev/v0.2"']],
  import: [
    'a signed module, pinned by its digest',
    [
      'import "',
      { placeholder: 'std/faultdomains' },
      '" as ',
      { placeholder: 'fd' },
      ' digest "',
      { placeholder: 'sha256:…' },
      '"',
    ],
  ],
  use: [
    'brings an export of a module into scope',
    ['use ', { placeholder: 'fd' }, '.', { placeholder: 'h100' }],
  ],
  let: ['a value with a name', ['let ', { placeholder: 'name' }, ' = ', { placeholder: '…' }]],
  module: ['makes this file a module', ['module "', { placeholder: 'acme/domains' }, '"']],
};

function items({ program, tables, modules }: CompletionKnowledge): readonly Proposal[] {
  const isModule = program.module !== undefined;
  const blocks = [...BLOCKS.values()].filter(({ moduleOnly }) => isModule || !moduleOnly);
  const known = { program, tables, modules };
  return [
    ...blocks.map(
      (row): Proposal => ({
        label: row.kind,
        kind: 'block',
        detail: 'a block',
        documentation: row.doc,
        insert: [
          `${isModule ? 'export ' : ''}${row.kind} `,
          { placeholder: `${row.kind}_name` },
          ' ',
          ...bodySnippet(row.body, known, ''),
        ],
      }),
    ),
    ...Object.entries(KEYWORDS)
      .filter(([keyword]) => keyword !== 'apiVersion' || program.apiVersion === undefined)
      .map(([label, [detail, insert]]): Proposal => ({ label, kind: 'keyword', detail, insert })),
  ];
}

function attributeProposal(row: AttributeRow, known: Knowledge): Proposal {
  const type = row.type === undefined ? `\`${row.name} { … }\`` : describeType(row.type);
  return {
    label: row.name,
    kind: 'attribute',
    detail: `${type}${row.required ? ', required' : ''}`,
    documentation: row.default === undefined ? row.doc : `${row.doc}\n\nWithout it: ${row.default}.`,
    insert: attributeSnippet(row, known, ''),
  };
}

/** What is not written yet, what is required first. */
function attributes(
  due: Extract<Due, { kind: 'attribute' }>,
  known: Knowledge,
  offset: number,
): readonly Proposal[] {
  const present = bodyAt(known.program, offset)?.attributes.map(({ name }) => name) ?? [];
  const written = new Set([...due.written, ...present]);
  const rows = knownRows(due.body, known).filter(({ name }) => !written.has(name));
  const byNeed = [...rows].sort((left, right) => Number(right.required) - Number(left.required));
  return byNeed.map((row) => attributeProposal(row, known));
}

function values(type: ExpectedType, row: AttributeRow, known: Knowledge, typed: string): readonly Proposal[] {
  const detail = describeType(type);
  const value = (label: string, documentation: string = row.doc): Proposal => ({
    label,
    kind: 'value',
    detail,
    documentation,
    insert: [label],
  });
  switch (type.kind) {
    case 'either':
      return type.of.flatMap((each) => values(each, row, known, typed));
    case 'boolean':
      return ['true', 'false'].map((word) => value(word));
    case 'choice':
      return type.words.map((word) => value(word));
    case 'word':
      return wordsOf(type.vocabulary, known.program, known.tables).map(({ word, doc }) => ({
        ...value(type.quoted ? `"${word}"` : word, doc),
        kind: 'word',
      }));
    case 'reference':
      return blockNames(known.program, type.to).map((name) => ({ ...value(name), kind: 'name' }));
    case 'quantity':
      return quantities(type, typed).map((text) => value(text));
    default:
      return example(type, row, known, value);
  }
}

function example(
  type: ExpectedType,
  row: AttributeRow,
  known: Knowledge,
  value: (label: string) => Proposal,
): readonly Proposal[] {
  const insert = valueSnippet(type, known, type === row.type ? row.example : undefined);
  return insert === undefined ? [] : [{ ...value(plainText(insert)), insert }];
}

/** The units for the digits that are there, or an example. */
function quantities(type: Extract<ExpectedType, { kind: 'quantity' }>, typed: string): readonly string[] {
  const [, digits] = /^([0-9]+(?:\.[0-9]+)?)[A-Za-z]*$/.exec(typed) ?? [];
  if (digits === undefined) return [exampleOf(type) ?? ''];
  return [...UNITS]
    .filter(([, { dimension }]) => dimension === type.dimension)
    .map(([unit]) => digits + unit);
}

function letNames({ program }: Knowledge, written: (name: string) => string): readonly Proposal[] {
  return program.lets.map(({ name }) => ({
    label: name,
    kind: 'name',
    detail: 'a value of `let`',
    insert: [written(name)],
  }));
}

const inBraces = (name: string): string => `\${${name}}`;

function exports({ program }: Knowledge, typed: string): readonly Proposal[] {
  const [alias = '', name] = typed.split('.');
  const imported = program.imports.find((each) => each.alias === alias);
  const proposal = (label: string, detail: string): Proposal => ({
    label,
    kind: 'name',
    detail,
    insert: [label],
  });
  if (name === undefined || imported === undefined) {
    return program.imports.map((each) => proposal(`${each.alias}.`, `the module ${each.module}`));
  }
  const blocks = imported.loaded?.program.blocks.filter(({ exported }) => exported) ?? [];
  return blocks.map((block) => proposal(`${alias}.${block.name}`, `${block.kind} of ${imported.module}`));
}

/** Behind an import without a digest the next item may begin as well. */
function wordDue(word: string, known: CompletionKnowledge): readonly Proposal[] {
  const due: Proposal = { label: word, kind: 'keyword', detail: 'belongs here', insert: [word] };
  return word === 'digest' ? [due, ...items(known)] : [due];
}

function proposals({ due, typed }: Place, known: CompletionKnowledge, offset: number): readonly Proposal[] {
  if (due.kind === 'nothing') return [];
  if (isInterpolation(typed)) return letNames(known, (name) => `${name}}`);
  switch (due.kind) {
    case 'item':
      return items(known);
    case 'attribute':
      return attributes(due, known, offset);
    case 'value':
      return [...values(due.type, due.row, known, typed), ...letNames(known, inBraces)];
    case 'any value':
      return letNames(known, inBraces);
    case 'version':
      return [
        { label: '"kwam.dev/v0.2"', kind: 'value', detail: 'the version', insert: ['"kwam.dev/v0.2"'] },
      ];
    case 'module':
      return known.modules.map((name) => ({
        label: `"${name}"`,
        kind: 'module',
        detail: 'a module',
        insert: [`"${name}"`],
      }));
    case 'export':
      return exports(known, typed);
    case 'word':
      return wordDue(due.word, known);
  }
}

/** Behind an opening `${`, in a string or alone. */
function isInterpolation(typed: string): boolean {
  return /\$\{[^}]*$/.test(typed);
}

/** The rest of the word, string or path that the cursor stands in, so that it is replaced and not doubled. */
function endOfTyped(text: string, typed: string, offset: number): number {
  const rest = isInterpolation(typed)
    ? /^[A-Za-z0-9_.]*\}?/
    : typed.startsWith('"')
      ? /^[^"\r\n]*"?/
      : /^[A-Za-z0-9_.*-]*/;
  return offset + (rest.exec(text.slice(offset, offset + 256))?.[0].length ?? 0);
}

/** Behind `${` only the name is replaced. */
function startOfTyped({ typed, start }: Place): number {
  const [, before] = /^(.*\$\{)[^}]*$/s.exec(typed) ?? [];
  return start + (before?.length ?? 0);
}

export function completionsAt(
  { source, program }: Compiled,
  offset: number,
  { tables, modules }: { readonly tables: Knowledge['tables']; readonly modules: readonly string[] },
): readonly Completion[] {
  const place = placeAt(source.text, offset);
  const range = source.range(startOfTyped(place), endOfTyped(source.text, place.typed, offset));
  return proposals(place, { program, tables, modules }, offset).map((each) => ({ ...each, range }));
}
