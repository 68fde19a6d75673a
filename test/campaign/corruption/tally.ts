/**
 * What became of injected faults.
 *   detected   a check refused the damaged bytes, or reported them
 *   repaired   of the detected: the producer's bytes were there again afterwards, compared byte for byte
 *   harmless   nothing noticed and nothing was wrong: every answer was the one without the fault, or a cache forgot
 *   silent     nothing noticed, and an answer was wrong
 * Holds: injected = detected + harmless + silent. Who compares is the site itself, with the producer's bytes and not with digests.
 */
export interface Tally {
  injected: number;
  detected: number;
  repaired: number;
  harmless: number;
  silent: number;
}

export const emptyTally = (): Tally => ({ injected: 0, detected: 0, repaired: 0, harmless: 0, silent: 0 });

export function addTally(into: Tally, other: Tally): void {
  for (const key of Object.keys(into) as (keyof Tally)[]) into[key] += other[key];
}

/** One fault: what noticed it, whether an answer was wrong, and whether it was made good. */
export function count(tally: Tally, fault: { detected: boolean; wrong: boolean; repaired?: boolean }): void {
  tally.injected++;
  if (fault.detected) tally.detected++;
  else if (fault.wrong) tally.silent++;
  else tally.harmless++;
  if (fault.detected && fault.repaired === true) tally.repaired++;
}

export interface Site {
  /** Injects up to `most` faults, each on its own into healthy data, and says how many there were and what became of them. */
  run(most: number): Promise<Tally>;
  close?(): Promise<void>;
}

export interface SiteOptions {
  readonly seed: number;
  /** The canary: whoever verifies here repeats what it said before the fault. */
  readonly isBlind: boolean;
}
