/**
 * Choosing packs to compact, and replacing them.
 * In: a predicate that says which chunks are live. Out: packs by their share of live bytes; then: new pack in, old ones out.
 * Holds: at every moment each live chunk is in a committed pack, so reads go on and a crash loses nothing. The copying between
 * the two is copyRecords in a worker. Does not decide what is live: that is the control store's knowledge.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Digest, DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { endOf, type PackRecord } from './pack-format.ts';
import type { SealedPack } from './pack-writer.ts';
import type { Store } from './store.ts';

export interface PackLiveness {
  readonly id: DigestHex;
  readonly bytes: number;
  /** Of the whole file: 1 when every record is live. */
  readonly liveRatio: number;
  /** Ascending by offset, as copyRecords wants them. */
  readonly live: readonly PackRecord[];
}

/** Present packs of chunks, one at a time; a pack whose structure is damaged is quarantined on the way. */
export async function* packLiveness(
  store: Store,
  isLive: (digest: Digest) => boolean,
): AsyncGenerator<PackLiveness> {
  const pageSize = 256; // bounds what one turn holds; any size works
  let after: DigestHex | undefined;
  for (;;) {
    const page = store.listPacks(after, pageSize);
    for (const { id, state, kind, bytes } of page) {
      if (state !== 'present' || kind !== 'chunks') continue;
      const records = await recordsOrQuarantine(store, id);
      if (records !== undefined) yield livenessOf(id, bytes, records, isLive);
      await yieldToEvents();
    }
    if (page.length < pageSize) return;
    after = page.at(-1)!.id;
  }
}

function livenessOf(
  id: DigestHex,
  bytes: number,
  records: readonly PackRecord[],
  isLive: (digest: Digest) => boolean,
): PackLiveness {
  const live = records.filter((record) => isLive(record.digest));
  const sum = (of: readonly PackRecord[]): number =>
    of.reduce((total, record) => total + endOf(record) - record.offset, 0);
  return { id, bytes, live, liveRatio: sum(live) / sum(records) };
}

async function recordsOrQuarantine(store: Store, id: DigestHex): Promise<readonly PackRecord[] | undefined> {
  try {
    return store.recordsOf(id);
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    if (error.code === 'PACK_INVALID') await store.quarantine(id, error.message);
    else if (error.code !== 'NOT_FOUND') throw error;
    return undefined; // damaged, or retired since the page was read
  }
}

/** Packs whose live share is at most `liveRatioMax`, the emptiest first. */
export async function compactionCandidates(
  store: Store,
  isLive: (digest: Digest) => boolean,
  liveRatioMax: number,
): Promise<PackLiveness[]> {
  const candidates: PackLiveness[] = [];
  for await (const pack of packLiveness(store, isLive))
    if (pack.liveRatio <= liveRatioMax) candidates.push(pack);
  return candidates.sort((a, b) => a.liveRatio - b.liveRatio);
}

/** `replacement` holds every live record of the `retired` packs; omit it when they hold none. */
export async function replacePacks(
  store: Store,
  replacement: SealedPack | undefined,
  retired: readonly DigestHex[],
): Promise<void> {
  if (replacement !== undefined) await store.commitPack(replacement);
  for (const id of retired) if (id !== replacement?.id) await store.retirePack(id);
}
