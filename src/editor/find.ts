/**
 * What stands at a place of a program.
 * In: the IR and an offset. Out: the part of the IR there, from the outside in; undefined where there is nothing. A place right behind a
 * word still belongs to it, because that is where one is after typing it.
 */
import type { AttributeIr, BlockIr, BodyIr, ImportIr, NameUse, ProgramIr, ValueIr } from '../language/ir.ts';
import { BLOCKS } from '../language/schema.ts';
import type { BodyRow, ExpectedType, Vocabulary } from '../language/schema-types.ts';
import type { SourceRange } from '../language/source.ts';

export function covers({ start, end }: SourceRange, offset: number): boolean {
  return start.offset <= offset && offset <= end.offset;
}

export function blockAt({ blocks }: ProgramIr, offset: number): BlockIr | undefined {
  return blocks.find(({ range }) => covers(range, offset));
}

export function importAt({ imports }: ProgramIr, offset: number): ImportIr | undefined {
  return imports.find(({ range }) => covers(range, offset));
}

/** The attributes around a place, the outermost first. */
export function attributesAt(body: BodyIr, offset: number): readonly AttributeIr[] {
  const path: AttributeIr[] = [];
  for (let inner: BodyIr | undefined = body; inner !== undefined; ) {
    const found: AttributeIr | undefined = inner.attributes.find(({ range }) => covers(range, offset));
    if (found === undefined) break;
    path.push(found);
    inner = found.body;
  }
  return path;
}

/** The innermost body around a place. */
export function bodyAt(program: ProgramIr, offset: number): BodyIr | undefined {
  const block = blockAt(program, offset);
  if (block === undefined) return undefined;
  const bodies = attributesAt(block.body, offset).flatMap(({ body }) => body ?? []);
  return [block.body, ...bodies].filter(({ range }) => covers(range, offset)).at(-1);
}

/** A value or, in a list, the item. */
export function valueAt(value: ValueIr | undefined, offset: number): ValueIr | undefined {
  if (value === undefined || !covers(value.range, offset)) return undefined;
  if (value.kind !== 'list') return value;
  return value.items.find(({ range }) => covers(range, offset)) ?? value;
}

/** The narrowest use of a name: one inside a string lies within others. */
export function useAt({ nameUses }: ProgramIr, offset: number): NameUse | undefined {
  const around = nameUses.filter(({ range }) => covers(range, offset));
  const length = ({ range }: NameUse): number => range.end.offset - range.start.offset;
  return around.sort((left, right) => length(left) - length(right))[0];
}

/** What the schema says of the values of a list, or of the value itself. */
export function itemType(type: ExpectedType): ExpectedType {
  return type.kind === 'list' ? type.of : type;
}

export interface FoundWord {
  readonly word: string;
  readonly vocabulary: Vocabulary;
  readonly range: SourceRange;
}

/** The word of a vocabulary at a place: a value, an item of a list, or a key of a map with known keys. */
export function wordAt(program: ProgramIr, offset: number): FoundWord | undefined {
  const block = blockAt(program, offset);
  const path = block === undefined ? [] : attributesAt(block.body, offset);
  const attribute = path.at(-1);
  if (block === undefined || attribute === undefined) return undefined;
  const value = valueAt(attribute.value, offset);
  const type = attribute.row.type && itemType(attribute.row.type);
  if (value?.kind === 'word' && type?.kind === 'word') {
    return { word: value.word, vocabulary: type.vocabulary, range: value.range };
  }
  const around: BodyRow | undefined = path.length > 1 ? path.at(-2)!.row.body : BLOCKS.get(block.kind)?.body;
  const known = around?.kind === 'map' ? around.known : undefined;
  if (known === undefined || !covers(attribute.nameRange, offset)) return undefined;
  return { word: attribute.name, vocabulary: known.vocabulary, range: attribute.nameRange };
}
