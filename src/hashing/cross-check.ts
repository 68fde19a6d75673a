/**
 * Has a second engine hash a sample of what a first one hashed, so that a fault in one path is seen by the other.
 * The sample is every n-th run from a start that the first digest decides: the same input gives the same sample, and
 * other inputs give others, so no position is never looked at. Does not say which of the two is wrong.
 */
import { toHex } from '../digest.ts';
import { assert, KwamError } from '../errors.ts';
import { digestOfRun, type HashEngine } from './engine.ts';

/**
 * @param digests  what the first engine returned for `runs`; copied before `other` runs, so it may share its memory.
 * @param every    one run of so many is looked at; at least one a call. 1 looks at all.
 * @returns how many runs were compared, and their bytes.
 * @throws KwamError INTEGRITY  the engines disagree: the digests of this call must not be used.
 */
export function crossCheck(
  runs: Uint32Array,
  digests: Uint8Array,
  other: HashEngine,
  every: number,
): { readonly runs: number; readonly bytes: number } {
  assert(Number.isInteger(every) && every >= 1, 'every is a whole number of at least 1');
  const picked = pickRuns(runs.length / 2, digests, every);
  if (picked.length === 0) return { runs: 0, bytes: 0 };
  const sample = Uint32Array.from(picked.flatMap((run) => [runs[2 * run]!, runs[2 * run + 1]!]));
  const expected = picked.map((run) => toHex(digestOfRun(digests, run)));
  const actual = other.hashRuns(sample);
  for (const [i, digest] of expected.entries()) {
    const otherDigest = toHex(digestOfRun(actual, i));
    if (otherDigest !== digest)
      throw disagreement(sample[2 * i]!, sample[2 * i + 1]!, digest, otherDigest, other);
  }
  return { runs: picked.length, bytes: picked.reduce((sum, run) => sum + runs[2 * run + 1]!, 0) };
}

/** The sample: every n-th run from a start that the first digest decides. */
export function pickRuns(count: number, digests: Uint8Array, every: number): number[] {
  const picked: number[] = [];
  if (count === 0) return picked;
  const start = (digests[0]! | (digests[1]! << 8)) % Math.min(every, count);
  for (let run = start; run < count; run += every) picked.push(run);
  return picked;
}

export function disagreement(
  offset: number,
  bytes: number,
  digest: string,
  otherDigest: string,
  other: HashEngine,
) {
  return new KwamError(
    'INTEGRITY',
    `expected both SHA-256 engines to agree on the ${bytes} bytes at offset ${offset}, got ${digest} and, from the ` +
      `${other.name} engine, ${otherDigest}; the processor or its memory is faulty: retire this worker`,
    { context: { offset, bytes, digest, otherDigest, otherEngine: other.name } },
  );
}
