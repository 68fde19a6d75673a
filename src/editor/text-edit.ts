/**
 * Changes of a text: one place, replaced.
 * Edits of one list do not overlap; their ranges are of the text before all of them.
 */
import type { SourceRange, SourceText } from '../language/source.ts';

export interface TextEdit {
  readonly range: SourceRange;
  readonly text: string;
}

export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  const fromBehind = [...edits].sort((left, right) => right.range.start.offset - left.range.start.offset);
  return fromBehind.reduce(
    (now, { range, text: piece }) => now.slice(0, range.start.offset) + piece + now.slice(range.end.offset),
    text,
  );
}

function linesOf(text: string): readonly string[] {
  return text.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
}

/** What turns one text into the other: the lines between the equal ones at the beginning and at the end; none when they are equal. */
export function difference(before: SourceText, after: string): readonly TextEdit[] {
  if (before.text === after) return [];
  const [old, fresh] = [linesOf(before.text), linesOf(after)];
  const shared = Math.min(old.length, fresh.length);
  let head = 0;
  while (head < shared && old[head] === fresh[head]) head++;
  let tail = 0;
  while (tail < shared - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail++;
  const start = old.slice(0, head).join('').length;
  const end = before.text.length - old.slice(old.length - tail).join('').length;
  return [{ range: before.range(start, end), text: fresh.slice(head, fresh.length - tail).join('') }];
}
