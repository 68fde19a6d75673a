/**
 * Omission comments: `# … audited MTBF inputs omitted …`, a comment whose text begins and ends with `…` (or `...`).
 * The guided tour leaves attributes out that way. Such a comment says of the body in which it stands that attributes are still to be
 * written there, so a required one that is missing is a hole at the comment and not an error.
 * It never silences anything in a program that is whole: where nothing required is missing, it is a comment like any other.
 */
import type { SourceRange } from './source.ts';
import type { WrittenBody } from './written.ts';

interface Comment {
  readonly text: string;
  readonly startOffset: number;
}

const OMISSION = /^#\s*(…|\.\.\.).*\S.*(…|\.\.\.)$/;

/** Those of a text's comments that say so, in its order. */
export function omissionsOf<C extends Comment>(comments: readonly C[]): readonly C[] {
  return comments.filter(({ text }) => OMISSION.test(text));
}

/** The first of them that stands in this body, and in none of the bodies within it. */
export function omissionIn<C extends Comment>(body: WrittenBody, omissions: readonly C[]): C | undefined {
  const inner = body.entries.flatMap((entry) =>
    entry.kind === 'attribute' && entry.body !== undefined ? [entry.body.range] : [],
  );
  for (let at = firstFrom(omissions, body.range.start.offset); at < omissions.length; at++) {
    const { startOffset } = omissions[at]!;
    if (!contains(body.range, startOffset)) return undefined;
    if (!inner.some((range) => contains(range, startOffset))) return omissions[at];
  }
  return undefined;
}

function firstFrom(omissions: readonly Comment[], offset: number): number {
  let [low, high] = [0, omissions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (omissions[middle]!.startOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function contains({ start, end }: SourceRange, offset: number): boolean {
  return offset >= start.offset && offset < end.offset;
}
