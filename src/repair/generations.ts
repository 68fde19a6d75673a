/**
 * Which earlier checkpoint still is whole when one has lost data for good.
 * In: names of objects that lost something, names that may have, and all names. Out: for each of the former the newest earlier generation
 * that is not among them. A generation is what the last number of a name counts, as a trainer names its steps: step-900, run/3/step-1000.
 * Knows names only: that nothing of the other one is missing is the caller's word.
 */

export interface Generations {
  readonly object: string;
  /** null: there is no earlier one, or none is whole. */
  readonly lastGood: string | null;
}

interface Generation {
  /** The name with its last number left out. */
  readonly series: string;
  readonly number: bigint;
}

const LAST_NUMBER = /^(.*?)(\d+)(\D*)$/s;

export function affectedObjects(
  lost: Iterable<string>,
  doubtful: Iterable<string>,
  all: readonly string[],
): Generations[] {
  const hit = new Set(lost);
  const avoided = new Set([...hit, ...doubtful]);
  const whole = all.filter((name) => !avoided.has(name));
  return [...hit].sort().map((object) => ({ object, lastGood: newestBefore(object, whole) ?? null }));
}

function newestBefore(object: string, whole: readonly string[]): string | undefined {
  const own = generationOf(object);
  if (own === undefined) return undefined;
  let best: { readonly name: string; readonly number: bigint } | undefined;
  for (const name of whole) {
    const other = generationOf(name);
    if (other?.series !== own.series || other.number >= own.number) continue;
    if (best === undefined || other.number > best.number) best = { name, number: other.number };
  }
  return best?.name;
}

function generationOf(name: string): Generation | undefined {
  const match = LAST_NUMBER.exec(name);
  if (match === null) return undefined;
  const [, before, digits, after] = match;
  return { series: `${before}\0${after}`, number: BigInt(digits!) };
}
