/**
 * What this node's own storage did lately: packs found damaged, bytes verified.
 * In: word of each. Out: both, summed over the last `drainWindowMs`. Kept in a note of the store, so that a restart forgets no damage; of
 * the bytes verified a crash forgets at most those of a minute.
 * Counts a pack once each time it is set aside, however much of it is damaged: one bad sector is one event. Files that are gone count
 * nothing: a disk that fails damages them, it does not remove them.
 */
import type { Clock } from '../clock.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { drainWindowMs } from '../limits.ts';
import type { Store } from '../store/store.ts';
import type { StorageEvidence } from './storage-rate.ts';

interface Damage {
  readonly pack: DigestHex;
  readonly atMs: number;
}

interface Noted {
  readonly damaged: readonly Damage[];
  /** Day since 1970, bytes. */
  readonly verified: readonly (readonly [day: number, bytes: number])[];
  /** Damage up to then was answered for. */
  readonly forgivenUntilMs?: number;
  /** By whoever ended this drain. */
  readonly drainEndedAt?: string;
}

const NOTE = 'storage-record';
const DAY_MS = 86_400_000;
/** A disk that damages more than this is failing however many bytes were read. */
const DAMAGE_KEPT_MAX = 1000;

export class StorageRecord {
  readonly #store: Pick<Store, 'getNote' | 'putDurableNote'>;
  readonly #clock: Clock;
  readonly #onUnnoted: (error: KwamError) => void;
  readonly #verified: Map<number, number>;
  #damaged: readonly Damage[];
  #forgivenUntilMs: number;
  #drainEndedAt: string | undefined;
  #isNoted = true;

  /** @param onUnnoted  told when a note could not be written: a restart forgets then what it says, and nothing else fails for it. */
  constructor(
    store: Pick<Store, 'getNote' | 'putDurableNote'>,
    clock: Clock,
    onUnnoted: (error: KwamError) => void,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#onUnnoted = onUnnoted;
    const text = store.getNote(NOTE);
    const noted: Noted = text === undefined ? { damaged: [], verified: [] } : (JSON.parse(text) as Noted);
    this.#damaged = noted.damaged;
    this.#verified = new Map(noted.verified);
    this.#forgivenUntilMs = noted.forgivenUntilMs ?? 0;
    this.#drainEndedAt = noted.drainEndedAt;
  }

  verified(bytes: number): void {
    const day = Math.floor(this.#clock.now() / DAY_MS);
    this.#verified.set(day, (this.#verified.get(day) ?? 0) + bytes);
    this.#isNoted = false;
  }

  damaged(pack: DigestHex): void {
    this.#damaged = [...this.#damaged, { pack, atMs: this.#clock.now() }].slice(-DAMAGE_KEPT_MAX);
    this.#note();
  }

  /** The drain that the damage led to was ended: nothing that was found up to now counts any more. */
  forgive(drainEndedAt: string): void {
    if (drainEndedAt === this.#drainEndedAt) return;
    this.#drainEndedAt = drainEndedAt;
    this.#forgivenUntilMs = this.#clock.now();
    this.#note();
  }

  /** Of the window that ends now. */
  get evidence(): StorageEvidence {
    this.#forgetOld();
    const sinceMs = Math.max(this.#clock.now() - drainWindowMs, this.#forgivenUntilMs);
    const damagedPacks = this.#damaged.filter(({ atMs }) => atMs > sinceMs).length;
    const verifiedBytes = [...this.#verified.values()].reduce((sum, bytes) => sum + bytes, 0);
    return { damagedPacks, verifiedBytes };
  }

  /** Now and then, so that a crash costs little. */
  keep(): void {
    if (!this.#isNoted) this.#note();
  }

  /** Durable each time: an undurable one in its place could be lost with all that the durable one said. */
  #note(): void {
    try {
      this.#store.putDurableNote(NOTE, this.#text());
      this.#isNoted = true;
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      this.#isNoted = false;
      this.#onUnnoted(error);
    }
  }

  #forgetOld(): void {
    const sinceMs = this.#clock.now() - drainWindowMs;
    this.#damaged = this.#damaged.filter(({ atMs }) => atMs > sinceMs);
    for (const day of this.#verified.keys()) if ((day + 1) * DAY_MS <= sinceMs) this.#verified.delete(day);
  }

  #text(): string {
    const noted: Noted = {
      damaged: this.#damaged,
      verified: [...this.#verified],
      forgivenUntilMs: this.#forgivenUntilMs,
      ...(this.#drainEndedAt !== undefined && { drainEndedAt: this.#drainEndedAt }),
    };
    return JSON.stringify(noted);
  }
}
