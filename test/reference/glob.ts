/**
 * Patterns of segments by plain recursion on the definition; slow and short, to compare glob-inclusion.ts with.
 * `*` alone is one segment, inside one any run of its characters; `**` is zero or more segments.
 */
function segmentMatches(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern[0] !== '*') return text[0] === pattern[0] && segmentMatches(pattern.slice(1), text.slice(1));
  return segmentMatches(pattern.slice(1), text) || (text !== '' && segmentMatches(pattern, text.slice(1)));
}

export function segmentsMatch(patterns: readonly string[], segments: readonly string[]): boolean {
  const [first, ...rest] = patterns;
  if (first === undefined) return segments.length === 0;
  if (first === '**') {
    return (
      segmentsMatch(rest, segments) || (segments.length > 0 && segmentsMatch(patterns, segments.slice(1)))
    );
  }
  const [head, ...tail] = segments;
  return head !== undefined && segmentMatches(first, head) && segmentsMatch(rest, tail);
}

/** Every list of at most `segmentsMax` segments of at most `charactersMax` characters, shortest first. */
export function allSegments(alphabet: string, charactersMax: number, segmentsMax: number): string[][] {
  const words = grow([''], (word) => [...alphabet].map((each) => word + each), charactersMax).slice(1);
  return grow<string[]>([[]], (list) => words.map((word) => [...list, word]), segmentsMax);
}

function grow<T>(start: T[], next: (item: T) => T[], rounds: number): T[] {
  const all = [...start];
  let last = start;
  for (let round = 0; round < rounds; round++) {
    last = last.flatMap(next);
    all.push(...last);
  }
  return all;
}
