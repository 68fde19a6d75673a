/**
 * The known name that a wrong one was probably meant to be.
 * Source: optimal string alignment distance (insert, delete, replace, swap neighbours), as in Damerau 1964.
 */
const nameLengthMax = 64;

function distance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1] ? 0 : 1;
      let best = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + same);
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped) best = Math.min(best, beforeLast[column - 2]! + 1);
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[right.length]!;
}

/** At most one slip in three characters; the first of equally near names wins, so that the answer is deterministic. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > nameLengthMax) return undefined;
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const each of known) {
    if (each.length > nameLengthMax || Math.abs(each.length - name.length) >= bestDistance) continue;
    const far = distance(wanted, each.toLowerCase());
    if (far < bestDistance) [best, bestDistance] = [each, far];
  }
  return best;
}
