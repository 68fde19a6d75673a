/**
 * A second engine looks at a sample of what a first one hashed, and a third one decides where they disagree: so a fault of the
 * engine that verifies is found by its verdicts, and not only by its self-test.
 * In: runs and the first engine's digests. Out: digests in which a refuted answer is replaced by the right one, and what was
 * refuted. The third engine (hash-wasm) shares no code with the other two.
 */
import { type DigestHex, sameBytes, toHex } from '../digest.ts';
import { disagreement, pickRuns } from './cross-check.ts';
import { digestOfRun, type HashEngine } from './engine.ts';

export interface Arbiters {
  readonly other: HashEngine;
  readonly referee: HashEngine;
}

export interface Arbitrated {
  /** The caller's, unlike what an engine returns. */
  readonly digests: Uint8Array;
  /** What the first engine said of runs whose bytes hash to something else. */
  readonly overruled: readonly DigestHex[];
}

/**
 * @param every  one run of so many is looked at, at least one a call; 1 looks at all.
 * @throws KwamError INTEGRITY  the second engine is the one that is wrong, or all three differ: nothing here can be trusted.
 */
export function arbitrate(
  runs: Uint32Array,
  digests: Uint8Array,
  { other, referee }: Arbiters,
  every: number,
): Arbitrated {
  const result = digests.slice();
  const picked = pickRuns(runs.length / 2, result, every);
  const sample = Uint32Array.from(picked.flatMap((run) => [runs[2 * run]!, runs[2 * run + 1]!]));
  const second = other.hashRuns(sample).slice();
  const overruled: DigestHex[] = [];
  for (const [i, run] of picked.entries()) {
    const mine = digestOfRun(result, run);
    const theirs = digestOfRun(second, i);
    if (sameBytes(mine, theirs)) continue;
    const [offset, bytes] = [sample[2 * i]!, sample[2 * i + 1]!];
    if (!sameBytes(referee.hashRuns(Uint32Array.of(offset, bytes)), theirs))
      throw disagreement(offset, bytes, toHex(mine), toHex(theirs), other);
    overruled.push(toHex(mine));
    result.set(theirs, run * mine.length);
  }
  return { digests: result, overruled };
}
