/**
 * Values and bodies of the right type to start from, made from the schema.
 * In: a type or a row, and what the program and the tables know. Out: a snippet: text with places to fill, each with something that
 * is correct there already. Digests and what is in no table cannot be made up; such a place keeps its hole.
 */
import type { StandardTables } from '../language/check-context.ts';
import { exampleOf } from '../language/describe.ts';
import type { ProgramIr } from '../language/ir.ts';
import type { AttributeRow, BodyRow, ExpectedType } from '../language/schema-types.ts';
import { wordsOf } from '../language/vocabulary.ts';

export type Piece =
  | string
  | { readonly placeholder: string }
  /** The first one stands there until another is chosen. */
  | { readonly choice: readonly string[] };
export type Snippet = readonly Piece[];

export interface Knowledge {
  readonly program: ProgramIr;
  readonly tables: StandardTables;
}

export function plainText(snippet: Snippet): string {
  return snippet
    .map((piece) =>
      typeof piece === 'string'
        ? piece
        : 'placeholder' in piece
          ? piece.placeholder
          : (piece.choice[0] ?? ''),
    )
    .join('');
}

/** The preferred one first, when it is among them. */
function choiceOf(words: readonly string[], preferred?: string): Snippet | undefined {
  if (words.length === 0) return undefined;
  const first = words.filter((word) => word === preferred);
  return [{ choice: [...first, ...words.filter((word) => word !== preferred)] }];
}

export function valueSnippet(type: ExpectedType, known: Knowledge, preferred?: string): Snippet | undefined {
  const example = preferred ?? exampleOf(type);
  switch (type.kind) {
    case 'boolean':
      return choiceOf(['true', 'false'], preferred);
    case 'choice':
      return choiceOf(type.words, preferred);
    case 'word':
      return choiceOf(vocabularyTexts(type, known), example) ?? placeholder(example);
    case 'reference':
      return (
        choiceOf(blockNames(known.program, type.to), preferred) ?? placeholder(preferred ?? `${type.to}_name`)
      );
    case 'list':
      return preferred === undefined ? listSnippet(type.of, known) : placeholder(preferred);
    case 'either':
      return type.of.map((each) => valueSnippet(each, known, preferred)).find((each) => each !== undefined);
    default:
      return placeholder(example);
  }
}

function placeholder(text: string | undefined): Snippet | undefined {
  if (text === undefined) return undefined;
  // The quotes stay when the inside is typed over.
  if (text.startsWith('"')) return ['"', { placeholder: text.slice(1, -1) }, '"'];
  return [{ placeholder: text }];
}

function listSnippet(type: ExpectedType, known: Knowledge): Snippet | undefined {
  const item = valueSnippet(type, known);
  return item && ['[', ...item, ']'];
}

/** The words of a vocabulary as they are written. */
export function vocabularyTexts(
  { vocabulary, quoted }: Extract<ExpectedType, { kind: 'word' }>,
  { program, tables }: Knowledge,
): readonly string[] {
  return wordsOf(vocabulary, program, tables).map(({ word }) => (quoted ? `"${word}"` : word));
}

export function blockNames({ blocks }: ProgramIr, kind: string): readonly string[] {
  return blocks.filter((block) => block.kind === kind).map(({ name }) => name);
}

/** The attributes of a body that can be offered. The keys of a map are the author's; some maps have keys that are known. */
export function knownRows(body: BodyRow, { program, tables }: Knowledge): readonly AttributeRow[] {
  if (body.kind === 'record') return body.attributes;
  if (body.known === undefined) return [];
  const words = wordsOf(body.known.vocabulary, program, tables).map(({ word }) => word);
  return [...body.known.beside, ...words].map((name) => ({ ...body.entry, name }));
}

/** `bake 10m`, `ports { … }`; a hole where nothing can be made up. */
export function attributeSnippet(row: AttributeRow, known: Knowledge, indent: string): Snippet {
  const value = row.type && (valueSnippet(row.type, known, row.example) ?? [{ placeholder: '…' }]);
  const body = row.body && bodySnippet(row.body, known, indent);
  return [row.name, ...(value ? [' ', ...value] : []), ...(body ? [' ', ...body] : [])];
}

/** `node … { source … audited_by … }` */
function openRow({ name, type, body }: AttributeRow): string {
  const required = body?.kind === 'record' ? body.attributes.filter((each) => each.required) : [];
  const inner = body === undefined ? '' : ` { ${required.map((each) => `${each.name} …`).join(' ')} }`;
  return `${name}${type === undefined ? '' : ' …'}${inner}`;
}

/** Rows of a map, one a line. Every value stays a hole: what has to be audited is not made up. */
export function openRows(rows: readonly AttributeRow[], indent: string): string {
  return rows.map((row) => `${indent}${openRow(row)}`).join('\n');
}

/** A body of so many characters reads well on one line. */
const oneLineCharactersMax = 60;

/** The required attributes of a body between braces: on one line when they are short and simple, else one a line. */
export function bodySnippet(body: BodyRow, known: Knowledge, indent: string): Snippet {
  const rows = body.kind === 'record' ? body.attributes.filter(({ required }) => required) : [];
  const keys = body.kind === 'map' ? knownRows(body, known) : [];
  if (keys.length > 0) return [`{\n${openRows(keys, `${indent}  `)}\n${indent}}`];
  if (rows.length === 0) return ['{ ', { placeholder: '…' }, ' }'];
  const inLine: Snippet = [
    '{',
    ...rows.flatMap((row) => [' ', ...attributeSnippet(row, known, indent)]),
    ' }',
  ];
  const text = plainText(inLine);
  if (text.length <= oneLineCharactersMax && !text.includes('\n')) return inLine;
  return ['{\n', ...attributesSnippet(rows, known, `${indent}  `), `\n${indent}}`];
}

export function attributesSnippet(rows: readonly AttributeRow[], known: Knowledge, indent: string): Snippet {
  return rows.flatMap((row, at) => [
    `${at === 0 ? '' : '\n'}${indent}`,
    ...attributeSnippet(row, known, indent),
  ]);
}
