/**
 * A pattern made ready for many matches of plain texts, as grants are for every call.
 * In: a Glob, and a text cut into its segments, once for all patterns that it is held against. Out: whether it matches, the same answer as
 * `globMatches`, without an automaton.
 * Method: segments that are not `**` each take exactly one segment, so taking the earliest place after each `**` and going back to
 *   the last one only is enough (the usual wildcard loop, once over segments and once inside them). At worst segments squared.
 */
import type { Glob } from './glob-inclusion.ts';

type SegmentMatcher = (segment: string) => boolean;
export type GlobMatcher = (segments: readonly string[]) => boolean;

export function compileGlob({ segments }: Glob): GlobMatcher {
  const parts = segments.map((segment) => (segment === '**' ? ANY_SEGMENTS : segmentMatcher(segment)));
  return (given) => matchesAll(parts, given);
}

/** What a compiled pattern is held against; undefined for a text with empty segments, which no pattern matches. */
export function segmentsOf(text: string, separator: Glob['separator']): readonly string[] | undefined {
  const segments = text === '' ? [] : text.split(separator);
  return segments.includes('') ? undefined : segments;
}

const ANY_SEGMENTS = undefined;

/** Segments are never empty, so that `*` alone needs no case of its own. */
function segmentMatcher(segment: string): SegmentMatcher {
  const [head = '', ...rest] = segment.split('*');
  const tail = rest.pop();
  if (tail === undefined) return (text) => text === segment;
  return (text) => {
    const end = text.length - tail.length;
    if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
    return hasInOrder(rest, text.slice(head.length, end));
  };
}

function hasInOrder(pieces: readonly string[], text: string): boolean {
  let at = 0;
  for (const piece of pieces) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return true;
}

function matchesAll(parts: readonly (SegmentMatcher | undefined)[], given: readonly string[]): boolean {
  let part = 0;
  let at = 0;
  let resumePart = -1;
  let resumeAt = 0;
  while (at < given.length) {
    const matches = parts[part];
    if (matches?.(given[at]!)) {
      part++;
      at++;
    } else if (part < parts.length && matches === ANY_SEGMENTS) {
      resumePart = ++part;
      resumeAt = at;
    } else if (resumePart !== -1) {
      part = resumePart;
      at = ++resumeAt;
    } else return false;
  }
  while (part < parts.length && parts[part] === ANY_SEGMENTS) part++;
  return part === parts.length;
}
