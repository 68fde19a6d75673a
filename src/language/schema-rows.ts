/**
 * How the rows of the vocabulary are written: short names for the types that schema.ts and schema-modules.ts give to attributes.
 */
import type { Dimension } from './quantity.ts';
import type { AttributeRow, BlockKind, BodyRow, ExpectedType, Vocabulary } from './schema-types.ts';

type Row = Omit<AttributeRow, 'name' | 'required'>;
type Rows = Readonly<Record<string, Row & { readonly required?: boolean }>>;

export function record(rows: Rows): BodyRow {
  const attributes = Object.entries(rows).map(([name, row]) => ({
    ...row,
    name,
    required: row.required ?? false,
  }));
  return { kind: 'record', attributes };
}

export const required = true;
export const text = (noun: string, example: string): ExpectedType => ({ kind: 'text', noun, example });
export const word = (vocabulary: Vocabulary, example: string, quoted = false): ExpectedType => ({
  kind: 'word',
  vocabulary,
  quoted,
  example,
});
export const choice = (...words: string[]): ExpectedType => ({ kind: 'choice', words });
export const list = (of: ExpectedType, itemsMin = 1): ExpectedType => ({ kind: 'list', of, itemsMin });
export const either = (...of: ExpectedType[]): ExpectedType => ({ kind: 'either', of });
export const reference = (to: BlockKind): ExpectedType => ({ kind: 'reference', to });
export const quantity = (
  dimension: Dimension,
  bounds: { min?: number; max?: number } = {},
): ExpectedType => ({
  kind: 'quantity',
  dimension,
  ...bounds,
});
export const integer = (noun: string, min: number, max: number): ExpectedType => ({
  kind: 'number',
  noun,
  min,
  max,
  whole: true,
});

export const duration = quantity('duration');
export const size = quantity('size');
export const secret: ExpectedType = { kind: 'secret' };
export const host: ExpectedType = { kind: 'host' };
