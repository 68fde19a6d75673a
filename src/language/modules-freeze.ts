/**
 * Writes digests into a program's imports.
 * In: the text, its written program, and the digest for each import. Out: the new text; every other character stays, comments too.
 */
import type { ImportPin } from './modules.ts';

export interface Pinned {
  readonly pin: ImportPin;
  readonly digest: string;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Instead of the digest or the hole that is there, else right behind the alias. */
function editOf({ pin: { item }, digest }: Pinned): Edit {
  if (item.digest !== undefined) {
    const { start, end } = item.digest.range;
    return { start: start.offset, end: end.offset, text: `"${digest}"` };
  }
  const behind = item.range.end.offset;
  return { start: behind, end: behind, text: ` digest "${digest}"` };
}

export function frozenText(text: string, pinned: readonly Pinned[]): string {
  const edits = pinned.map(editOf).sort((left, right) => right.start - left.start);
  return edits.reduce(
    (now, { start, end, text: piece }) => now.slice(0, start) + piece + now.slice(end),
    text,
  );
}
