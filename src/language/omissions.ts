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

/** The first omission comment that stands in this body, and in none of the bodies within it. */
export function omissionIn<C extends Comment>(body: WrittenBody, comments: readonly C[]): C | undefined {
  const inner = body.entries.flatMap((entry) =>
    entry.kind === 'attribute' && entry.body !== undefined ? [entry.body.range] : [],
  );
  return comments.find(
    ({ text, startOffset }) =>
      contains(body.range, startOffset) &&
      OMISSION.test(text) &&
      !inner.some((range) => contains(range, startOffset)),
  );
}

function contains({ start, end }: SourceRange, offset: number): boolean {
  return offset >= start.offset && offset < end.offset;
}
