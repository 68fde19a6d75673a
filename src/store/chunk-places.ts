/**
 * Where chunks lie: the rules on top of the index table of places.
 * In: records of packs; digests. Out: the best place of a digest among packs that can be used.
 * Holds: places of packs that are unknown, quarantined or missing are never returned; those of unknown packs go away
 * when their digest is next written. Writes in slices, so that other events get their turn.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Digest, DigestHex } from '../digest.ts';
import { assert } from '../errors.ts';
import { remoteLocationsMax } from '../limits.ts';
import type { IndexTables, PackInfo, Place } from './index-tables.ts';
import { type PackRecord, RECORD_TYPE } from './pack-format.ts';
import type { PackTable } from './pack-table.ts';

export interface Location extends PackRecord {
  readonly packId: DigestHex;
  readonly sequence: number;
  /** `remote`: in the cluster, not in this store. */
  readonly state: 'present' | 'remote';
}

/** Index entries written without letting other events in: about 10 ms. */
const ENTRIES_PER_TURN = 1024;

export class ChunkPlaces {
  readonly #index: IndexTables;
  readonly #packs: PackTable;

  constructor(index: IndexTables, packs: PackTable) {
    this.#index = index;
    this.#packs = packs;
  }

  locate(digest: Digest): Location | undefined {
    return this.#best(digest, this.#index.places(digest));
  }

  *all(): Generator<Location> {
    for (const { digest, places } of this.#index.chunks()) {
      const location = this.#best(digest, places);
      if (location !== undefined) yield location;
    }
  }

  #best(digest: Digest, places: readonly Place[]): Location | undefined {
    let best: Location | undefined;
    for (const place of places) {
      const pack = this.#packs.at(place.sequence);
      if (pack?.state !== 'present' && pack?.state !== 'remote') continue;
      if (best !== undefined && !isBetter(pack, best)) continue;
      best = { ...place, digest, packId: pack.id, state: pack.state };
    }
    return best;
  }

  /** Shard slices are not chunks: nobody looks them up by digest. */
  async add(info: PackInfo, records: readonly PackRecord[]): Promise<void> {
    if (info.kind !== 'chunks') return;
    await this.#inTurns(records, ({ digest, offset, length, type }) => {
      assert(type !== RECORD_TYPE.shardSlice, 'a pack of chunks holds no shard slice');
      const others = this.#living(digest).filter((place) => place.sequence !== info.sequence);
      if (info.state === 'remote' && this.#remoteCount(others) >= remoteLocationsMax) return;
      this.#index.putPlaces(digest, [...others, { sequence: info.sequence, offset, length, type }]);
    });
  }

  /** Call after the pack table has forgotten the pack. */
  async sweep(records: readonly PackRecord[]): Promise<void> {
    await this.#inTurns(records, ({ digest }) => this.#index.putPlaces(digest, this.#living(digest)));
  }

  #living(digest: Digest): Place[] {
    return this.#index.places(digest).filter(({ sequence }) => this.#packs.at(sequence) !== undefined);
  }

  #remoteCount(places: readonly Place[]): number {
    return places.filter(({ sequence }) => this.#packs.at(sequence)?.state === 'remote').length;
  }

  async #inTurns(records: readonly PackRecord[], act: (record: PackRecord) => void): Promise<void> {
    for (let first = 0; first < records.length; first += ENTRIES_PER_TURN) {
      if (first > 0) await yieldToEvents();
      this.#index.transaction(() => {
        for (const record of records.slice(first, first + ENTRIES_PER_TURN)) act(record);
      });
    }
  }
}

/** Present before remote; among equals the newest, which outlives the others in a compaction. */
function isBetter(pack: PackInfo, best: Location): boolean {
  if (pack.state !== best.state) return pack.state === 'present';
  return pack.sequence > best.sequence;
}
