/**
 * The outline of a program: its blocks with what is nested in them, its imports and lets, in the order of the text.
 * Whole ranges contain the range of the name, as editors demand.
 */
import type { BodyIr, ProgramIr } from '../language/ir.ts';
import type { SourceRange } from '../language/source.ts';

export interface OutlineEntry {
  readonly name: string;
  /** `server`, `let`, `import`; empty for what is nested. */
  readonly detail: string;
  readonly kind: 'block' | 'let' | 'import' | 'attribute';
  readonly range: SourceRange;
  readonly nameRange: SourceRange;
  readonly inner: readonly OutlineEntry[];
}

/** Attributes with a body of their own; the others would only repeat the text. */
function nested(body: BodyIr): readonly OutlineEntry[] {
  return body.attributes.flatMap(({ name, nameRange, range, body: inner }) =>
    inner === undefined
      ? []
      : { name, detail: '', kind: 'attribute' as const, range, nameRange, inner: nested(inner) },
  );
}

export function outlineOf({ imports, lets, blocks }: ProgramIr): readonly OutlineEntry[] {
  const all: readonly OutlineEntry[] = [
    ...imports.map(({ alias, aliasRange, range }) => ({
      name: alias,
      detail: 'import',
      kind: 'import' as const,
      range,
      nameRange: aliasRange,
      inner: [],
    })),
    ...lets.map(({ name, nameRange, range }) => ({
      name,
      detail: 'let',
      kind: 'let' as const,
      range,
      nameRange,
      inner: [],
    })),
    ...blocks.map(({ kind, name, nameRange, range, body }) => ({
      name,
      detail: kind,
      kind: 'block' as const,
      range,
      nameRange,
      inner: nested(body),
    })),
  ];
  return [...all].sort((left, right) => left.range.start.offset - right.range.start.offset);
}
