/**
 * The order of a program's parts: apiVersion, module, imports, uses, then lets and blocks as the author likes.
 * In: the items in the order of the text. Out: one diagnostic for each that comes too late or once too often.
 */
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { WrittenItem } from './written.ts';

const RANK: Readonly<Record<WrittenItem['kind'], number>> = {
  apiVersion: 0,
  module: 1,
  import: 2,
  use: 3,
  let: 4,
  block: 4,
};
const NAMES: Readonly<Record<number, string>> = {
  1: '`module`',
  2: '`import`',
  3: '`use`',
  4: 'values and blocks',
};
/** There is at most one of these. */
const SINGLE: ReadonlySet<WrittenItem['kind']> = new Set(['apiVersion', 'module']);

export function misplacedItems(items: readonly WrittenItem[], file: string): readonly Diagnostic[] {
  const made: Diagnostic[] = [];
  const seen = new Set<WrittenItem['kind']>();
  let reached = 0;
  for (const { kind, range } of items) {
    const rank = RANK[kind];
    if (SINGLE.has(kind) && seen.has(kind)) {
      made.push(diagnostic('KW1012', `expected one \`${kind}\`, got another`, { file, range }));
    } else if (rank < reached) {
      const message = `expected \`${kind}\` before ${NAMES[reached]}: move it up`;
      made.push(diagnostic('KW1012', message, { file, range }));
    }
    seen.add(kind);
    reached = Math.max(reached, rank);
  }
  return made;
}
