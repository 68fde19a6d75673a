/**
 * How far reading back has come, and how long ago the oldest byte was verified.
 * In: when a round begins, how far it is, when it is complete. Out: where to go on, the share that is done, an age. Kept in a note of the
 * store, so that a restart goes on with the round and does not make anything look younger.
 * Holds: every byte of a present pack was verified, or written, at or after `verifiedSinceMs`; 0 when that is not known, as after the note
 * of a store with packs was lost. A round goes through the packs in ascending order; those that come meanwhile are newer than its start.
 * A disk that is full stops neither the node nor the round: reading back is how its damage is found.
 * Does not read packs: see scrub.ts.
 */
import type { Clock } from '../clock.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { Store } from '../store/store.ts';

interface Rounds {
  readonly verifiedSinceMs: number;
  /** The round in progress. */
  readonly round?: { readonly startedAtMs: number; readonly after?: DigestHex; readonly bytesDone: number };
}

const NOTE = 'scrub-rounds';
const NOTED_EVERY_PACKS = 16;

export class ScrubRounds {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #onUnnoted: (error: KwamError) => void;
  #rounds: Rounds;
  #packsSinceNote = 0;

  /** @param onUnnoted  told when a note could not be written: the older one that stays makes everything look older, and nothing younger. */
  constructor(store: Store, clock: Clock, onUnnoted: (error: KwamError) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onUnnoted = onUnnoted;
    const noted = store.getNote(NOTE);
    const isFresh = store.presence().packs === 0;
    this.#rounds =
      noted === undefined ? { verifiedSinceMs: isFresh ? clock.now() : 0 } : (JSON.parse(noted) as Rounds);
    if (noted === undefined) this.#note();
  }

  /** At most so old is the last verification of any byte. */
  get ageMs(): number {
    return Math.max(0, this.#clock.now() - this.#rounds.verifiedSinceMs);
  }

  /** Of the round in progress, as a share of all bytes; 1 between rounds. */
  get progress(): number {
    const { round } = this.#rounds;
    if (round === undefined) return 1;
    const { bytes } = this.#store.presence();
    return bytes === 0 ? 1 : Math.min(1, round.bytesDone / bytes);
  }

  /** @returns the pack after which to go on; undefined: from the first one. */
  begin(fromStart: boolean): DigestHex | undefined {
    const { round, verifiedSinceMs } = this.#rounds;
    if (round !== undefined && !fromStart) return round.after;
    this.#rounds = { verifiedSinceMs, round: { startedAtMs: this.#clock.now(), bytesDone: 0 } };
    this.#note();
    return undefined;
  }

  passed(pack: DigestHex, bytes: number): void {
    const { round, verifiedSinceMs } = this.#rounds;
    if (round === undefined) return;
    this.#rounds = { verifiedSinceMs, round: { ...round, after: pack, bytesDone: round.bytesDone + bytes } };
    if (++this.#packsSinceNote >= NOTED_EVERY_PACKS) this.#note();
  }

  complete(): void {
    const { round } = this.#rounds;
    if (round === undefined) return;
    this.#rounds = { verifiedSinceMs: round.startedAtMs };
    this.#note();
  }

  #note(): void {
    this.#packsSinceNote = 0;
    try {
      this.#store.putNote(NOTE, JSON.stringify(this.#rounds));
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      this.#onUnnoted(error);
    }
  }
}
