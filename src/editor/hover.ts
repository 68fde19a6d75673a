/**
 * Hover: what the thing under the cursor is, in Markdown.
 * In: a compiled program, an offset and the standard tables. Out: a text and the range that it is about. Quantities are shown in their
 * base unit, names by their declaration, words by their tables. Of a secret only that it is one.
 */

import type { StandardTables } from '../language/check-context.ts';
import type { Compiled } from '../language/compile.ts';
import { describeType } from '../language/describe.ts';
import type { AttributeIr, BlockIr, ImportIr, ProgramIr, ValueIr } from '../language/ir.ts';
import type { Dimension } from '../language/quantity.ts';
import { BLOCKS } from '../language/schema.ts';
import type { SourceRange, SourceText } from '../language/source.ts';
import { wordsOf } from '../language/vocabulary.ts';
import { attributesAt, blockAt, covers, importAt, useAt, valueAt, wordAt } from './find.ts';
import { type Named, namedAt, nameRangeOf } from './names.ts';

export interface Hover {
  readonly markdown: string;
  readonly range: SourceRange;
}

const shown = (code: string): string => `\`\`\`kwam\n${code}\n\`\`\``;

/** How an amount in its base unit is said. */
const IN_BASE_UNIT: Readonly<Record<Dimension, (amount: number) => string>> = {
  size: (bytes) => `${grouped(bytes)} bytes`,
  duration: (ms) => (ms < 1000 ? `${ms} milliseconds` : `${grouped(ms / 1000)} seconds`),
  bandwidth: (bits) => `${grouped(bits)} bits a second, ${grouped(bits / 8)} bytes a second`,
  ratio: (share) => `${share} of one`,
  nines: (nines) => `a loss of at most 10^-${nines} a year`,
  count: (times) => `${times} times`,
};

function grouped(amount: number): string {
  return amount.toLocaleString('en-US', { maximumFractionDigits: 3 });
}

function quantityText(value: ValueIr | undefined): string | undefined {
  if (value?.kind !== 'quantity') return undefined;
  return `\`${value.written}\` is ${IN_BASE_UNIT[value.dimension](value.amount)}.`;
}

function attributeMarkdown(attribute: AttributeIr, offset: number): string {
  const { row, name } = attribute;
  const type = row.type === undefined ? 'a body of attributes' : describeType(row.type);
  const need = row.required
    ? 'required'
    : row.default === undefined
      ? 'optional'
      : `without it: ${row.default}`;
  const amount = quantityText(valueAt(attribute.value, offset) ?? attribute.value);
  return [`**${name}**: ${type}; ${need}`, row.doc, ...(amount === undefined ? [] : [amount])].join('\n\n');
}

function blockMarkdown({ kind, name, exported }: BlockIr): string {
  return `${shown(`${exported ? 'export ' : ''}${kind} ${name} { … }`)}\n\n${BLOCKS.get(kind)?.doc ?? ''}`;
}

function importMarkdown({ module, loaded }: ImportIr): string {
  if (loaded === undefined) return `**${module}**: a module that could not be loaded.`;
  const exported = loaded.program.blocks.filter((block) => block.exported);
  const exports = exported.map(({ kind, name }) => `- ${kind} \`${name}\``).join('\n');
  return `**${module}**, a signed module\n\n\`${loaded.digest}\`\n\nExports:\n\n${exports}`;
}

function letMarkdown(source: SourceText, range: SourceRange, name: string): string {
  const written = source.slice(range);
  return shown(/secret:/i.test(written) ? `let ${name} = # a secret` : written.slice(0, 400));
}

/** A name by its declaration, here or in a module. */
function nameMarkdown({ source, program }: Compiled, { file, name, nameRange }: Named): string | undefined {
  const start = nameRange.start.offset;
  if (file !== program.file) {
    const blocks = program.imports.flatMap(({ loaded }) => loaded?.program.blocks ?? []);
    const block = blocks.find((each) => each.file === file && each.nameRange.start.offset === start);
    return block && `${blockMarkdown(block)}\n\nDeclared in ${file}.`;
  }
  const isIt = (range: SourceRange): boolean => range.start.offset === start;
  const letIr = program.lets.find((each) => isIt(each.nameRange));
  if (letIr !== undefined) return letMarkdown(source, letIr.range, name);
  const block = program.blocks.find((each) => isIt(each.nameRange));
  if (block !== undefined) return blockMarkdown(block);
  const imported = program.imports.find((each) => isIt(each.aliasRange));
  return imported && importMarkdown(imported);
}

function nameHover(compiled: Compiled, offset: number): Hover | undefined {
  const { source, program } = compiled;
  const named = namedAt(program, offset);
  const markdown = named && nameMarkdown(compiled, named);
  if (named === undefined || markdown === undefined) return undefined;
  const use = useAt(program, offset);
  const value = use && valueHere(program, offset);
  const amount = quantityText(value);
  return {
    markdown: amount === undefined ? markdown : `${markdown}\n\n${amount}`,
    range: use === undefined ? named.nameRange : nameRangeOf(source, use),
  };
}

function valueHere(program: ProgramIr, offset: number): ValueIr | undefined {
  const block = blockAt(program, offset);
  const attribute = block && attributesAt(block.body, offset).at(-1);
  return valueAt(attribute?.value, offset);
}

function wordHover(program: ProgramIr, offset: number, tables: StandardTables): Hover | undefined {
  const found = wordAt(program, offset);
  if (found === undefined) return undefined;
  const row = wordsOf(found.vocabulary, program, tables).find(({ word }) => word === found.word);
  if (row === undefined) return undefined;
  return { markdown: `**${row.word}**: a ${found.vocabulary}\n\n${row.doc}`, range: found.range };
}

function holeHover({ holes }: ProgramIr, offset: number): Hover | undefined {
  const hole = holes.find(({ range }) => covers(range, offset));
  return hole && { markdown: `Still open: expected ${hole.expected}.`, range: hole.range };
}

function importHover(program: ProgramIr, offset: number): Hover | undefined {
  const imported = importAt(program, offset);
  if (imported === undefined) return undefined;
  const range = [imported.moduleRange, imported.digestRange].find((each) => each && covers(each, offset));
  return range && { markdown: importMarkdown(imported), range };
}

function schemaHover({ source, program }: Compiled, offset: number): Hover | undefined {
  const block = blockAt(program, offset);
  if (block === undefined) return undefined;
  const attribute = attributesAt(block.body, offset).at(-1);
  if (attribute === undefined) return kindHover(source, block, offset);
  const value = valueAt(attribute.value, offset);
  const range = covers(attribute.nameRange, offset) ? attribute.nameRange : value?.range;
  return range && { markdown: attributeMarkdown(attribute, offset), range };
}

/** The word before the block's name. */
function kindHover(source: SourceText, block: BlockIr, offset: number): Hover | undefined {
  const head = source.range(block.range.start.offset, block.nameRange.start.offset);
  const start = head.start.offset + source.slice(head).lastIndexOf(block.kind);
  const range = source.range(start, start + block.kind.length);
  return covers(range, offset) ? { markdown: blockMarkdown(block), range } : undefined;
}

export function hoverAt(compiled: Compiled, offset: number, tables: StandardTables): Hover | undefined {
  const { program } = compiled;
  return (
    holeHover(program, offset) ??
    nameHover(compiled, offset) ??
    wordHover(program, offset, tables) ??
    importHover(program, offset) ??
    schemaHover(compiled, offset)
  );
}
