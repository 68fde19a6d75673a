/**
 * Whether a node's storage damages data more often than storage that is in order.
 * In: how many packs were found damaged, and how many bytes were verified, within one window. Out: a verdict, with its reason in words.
 * Rule: storage that is in order gives back at most one bad sector in `storageBitsPerError` bits, so among that many bytes it damages
 *   m = 8 · bytes / storageBitsPerError packs on average. Then k of them or more are less likely than m^k / k!, which bounds the tail of a
 *   Poisson variable. Below `drainChanceMax`, and from `drainPacksMin` packs on, the storage is failing.
 * + − × ÷ only, so that every machine comes to the same verdict. Pure; who acts on it is decided elsewhere.
 */
import { drainChanceMax, drainPacksMin, storageBitsPerError } from '../limits.ts';

export interface StorageEvidence {
  readonly damagedPacks: number;
  readonly verifiedBytes: number;
}

export interface StorageVerdict {
  readonly isFailing: boolean;
  /** Upper bound of the chance that storage in order shows this, 0 to 1. */
  readonly chance: number;
  /** One sentence. */
  readonly words: string;
}

export function judgeStorage({ damagedPacks, verifiedBytes }: StorageEvidence): StorageVerdict {
  const expected = (8 * verifiedBytes) / storageBitsPerError;
  const chance = tailBound(expected, damagedPacks);
  const isFailing = damagedPacks >= drainPacksMin && chance < drainChanceMax;
  const found = `${damagedPacks} packs were found damaged among ${verifiedBytes} bytes verified`;
  const words = `${found}; storage in order does that with a chance below ${chance.toExponential(0)}`;
  return { isFailing, chance, words };
}

/** Of at least `count` events where `expected` are: e^-m · Σ_{j ≥ k} m^j / j! ≤ m^k / k!. */
function tailBound(expected: number, count: number): number {
  let bound = 1;
  for (let i = 1; i <= count; i++) bound *= expected / i;
  return Math.min(1, bound);
}
