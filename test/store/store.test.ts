import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/digest.ts';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { seededRandom } from '../../src/random.ts';
import { breakSeal, sealIndex } from '../../src/store/index-seal.ts';
import { copyRecords, rebuildPackFile } from '../../src/store/pack-copy.ts';
import { readPackContents, readRecord, withFile } from '../../src/store/pack-reader.ts';
import { type SealedPack, sealPackFile } from '../../src/store/pack-writer.ts';
import { Store } from '../../src/store/store.ts';
import {
  CHUNKS_HEADER,
  CODEC_ID,
  fill,
  hashRunsIn,
  type Payload,
  payloadOf,
  randomPayloads,
} from './packs.ts';

let directory: string;
let store: Store;
const buffer = new Uint8Array(1 << 16);

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kwam-store-'));
  store = await Store.open({ directory });
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

async function seal(payloads: readonly Payload[]): Promise<SealedPack> {
  const builder = store.createPack(CHUNKS_HEADER);
  fill(nodeFileSystem, builder, payloads);
  return builder.seal((request) => sealPackFile(nodeFileSystem, request));
}

async function put(payloads: readonly Payload[]): Promise<SealedPack> {
  const sealed = await seal(payloads);
  await store.commitPack(sealed);
  return sealed;
}

function get(digest: Digest): Uint8Array {
  const location = store.locate(digest);
  if (location === undefined) throw new Error('not located');
  return withFile(nodeFileSystem, store.packFile(location.packId), (file) =>
    readRecord(nodeFileSystem, file, location),
  );
}

async function reopen(): Promise<void> {
  await store.close();
  store = await Store.open({ directory });
}

const digestsOf = (payloads: readonly Payload[]): Digest[] => payloads.map(({ header }) => header.digest);
const some = (seed: number, count = 5): Payload[] => randomPayloads(seededRandom(seed), count, 500);

function expectAll(payloads: readonly Payload[]): void {
  for (const { header, bytes } of payloads) expect(Buffer.from(get(header.digest)).equals(bytes)).toBe(true);
}

describe('committing', () => {
  test('serves the chunks now and after a clean stop, with the index kept', async () => {
    const payloads = some(1);
    const { id } = await put(payloads);
    expectAll(payloads);
    await reopen();
    expect(store.recovery).toMatchObject({ index: 'kept', packsIndexed: [], packsMissing: [] });
    expectAll(payloads);
    expect(store.statistics()).toMatchObject({ packs: 1, chunks: 5, quarantined: 0, damagedEntries: 0 });
    expect(store.recordsOf(id)).toHaveLength(5);
    expect([...store.chunks()]).toHaveLength(5);
  });

  test('the same content twice is one pack', async () => {
    const first = await put(some(1));
    const second = await put(some(1));
    expect(second.id).toBe(first.id);
    expect(store.statistics()).toMatchObject({ packs: 1, chunks: 5 });
  });

  test('thousands of tiny chunks go in without holding the events up for all of them', async () => {
    const payloads = Array.from({ length: 3000 }, (_, i) => payloadOf(Buffer.from(`chunk ${i}`)));
    const sealed = await seal(payloads);
    let turns = 0;
    const ticker = setInterval(() => turns++, 0);
    const counting = setImmediate(function again() {
      turns++;
      if (turns < 1000) setImmediate(again);
    });
    await store.commitPack(sealed);
    clearInterval(ticker);
    clearImmediate(counting);
    expect(turns).toBeGreaterThan(0);
    expect(store.statistics().chunks).toBe(3000);
  });

  test('packs are listed in pages, ascending', async () => {
    for (let seed = 0; seed < 7; seed++) await put(some(seed, 1));
    const ids: string[] = [];
    for (let page = store.listPacks(undefined, 3); page.length > 0; ) {
      ids.push(...page.map(({ id }) => id));
      page = store.listPacks(page.at(-1)!.id, 3);
    }
    expect(ids).toHaveLength(7);
    expect(ids).toEqual([...ids].sort());
  });

  test('a remote pack is known for deduplication and becomes present when it is committed', async () => {
    const payloads = some(1);
    const sealed = await seal(payloads);
    const file = store.packFile(sealed.id);
    renameSync(file, `${file}.away`);
    const records = withPack(`${file}.away`);
    await store.learnRemotePack(sealed.id, CHUNKS_HEADER, sealed.bytes, records);
    expect(store.locate(payloads[0]!.header.digest)?.state).toBe('remote');
    expect(store.hasPack(sealed.id)).toBe(false);
    renameSync(`${file}.away`, file);
    await store.commitPack(sealed);
    expect(store.locate(payloads[0]!.header.digest)?.state).toBe('present');
    expectAll(payloads);
  });

  test('shard slices are not chunks', async () => {
    const stripe = {
      pack: CODEC_ID,
      packBytes: 10,
      dataShards: 1,
      parityShards: 1,
      matrix: 'cauchy1' as const,
      shardIndex: 1,
    };
    const builder = store.createPack({ kind: 'shard', codecId: CODEC_ID, stripe });
    const slice = payloadOf(Buffer.alloc(64));
    fill(nodeFileSystem, builder, [{ ...slice, header: { ...slice.header, type: 3 } }]);
    const sealed = await builder.seal((request) => sealPackFile(nodeFileSystem, request));
    await store.commitPack(sealed);
    expect(store.locate(slice.header.digest)).toBeUndefined();
    await reopen();
    expect(store.packInfo(sealed.id)).toMatchObject({ kind: 'shard', stripe, state: 'present' });
  });
});

function withPack(path: string) {
  return withFile(nodeFileSystem, path, (file) => readPackContents(nodeFileSystem, file).records);
}

describe('quarantine', () => {
  test('stops serving at once, keeps the bytes and the reason, and survives a restart', async () => {
    const payloads = some(1);
    const { id, bytes } = await put(payloads);
    const moving = store.quarantine(id, 'record 2 does not match');
    expect(store.locate(payloads[0]!.header.digest)).toBeUndefined();
    const evidence = await moving;
    expect(readFileSync(evidence)).toHaveLength(bytes);
    expect(JSON.parse(readFileSync(`${evidence}.json`, 'utf8'))).toMatchObject({
      id,
      reason: 'record 2 does not match',
    });
    await reopen();
    expect(store.packInfo(id)?.state).toBe('quarantined');
    expect(store.locate(payloads[0]!.header.digest)).toBeUndefined();
    await expect(store.quarantine(id, 'again')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('is known after the index was lost, and ends with a repair', async () => {
    const payloads = some(1);
    const { id } = await put(payloads);
    const evidence = await store.quarantine(id, 'index damaged');
    await store.close();
    rmSync(join(directory, 'index', 'seal'));
    store = await Store.open({ directory });
    expect(store.recovery.index).toBe('rebuilt');
    expect(store.packInfo(id)?.state).toBe('quarantined');
    const target = join(store.layout.incoming, 'rebuild');
    const request = { source: evidence, target, packs: store.layout.packs, id };
    await store.commitPack(rebuildPackFile(nodeFileSystem, request, buffer, hashRunsIn(buffer)));
    expectAll(payloads);
    expect(store.statistics()).toMatchObject({ packs: 1, quarantined: 0 });
    expect(await store.quarantine(id, 'once more')).toMatch(/\.2\.pack$/);
  });

  test('another pack with the same chunk serves it instead', async () => {
    const payloads = some(1);
    const first = await put(payloads);
    await put([...payloads, ...some(2)]);
    await store.quarantine(first.id, 'test');
    expectAll(payloads);
  });

  test('of a pack that is retired afterwards does not come back', async () => {
    const { id } = await put(some(1));
    const evidence = await store.quarantine(id, 'test');
    await store.retirePack(id);
    expect(store.packInfo(id)).toBeUndefined();
    await store.close();
    rmSync(join(directory, 'index', 'seal'));
    store = await Store.open({ directory });
    expect(store.packInfo(id)).toBeUndefined();
    expect(readFileSync(`${evidence}.settled`).length).toBeGreaterThan(0);
  });
});

describe('recovery', () => {
  test('drops what was being written and says so', async () => {
    const builder = store.createPack(CHUNKS_HEADER);
    fill(nodeFileSystem, builder, some(1));
    await reopen();
    expect(store.recovery.incomingDropped).toMatchObject([{ bytes: expect.any(Number) }]);
    expect(readdirSync(store.layout.incoming)).toEqual([]);
  });

  test('indexes a pack whose commit did not happen', async () => {
    const payloads = some(1);
    const { id } = await seal(payloads);
    await reopen();
    expect(store.recovery).toMatchObject({ index: 'kept', packsIndexed: [id] });
    expectAll(payloads);
  });

  test('reports a pack whose file is gone', async () => {
    const { id } = await put(some(1));
    rmSync(store.packFile(id));
    await reopen();
    expect(store.recovery.packsMissing).toEqual([id]);
    expect(store.packInfo(id)?.state).toBe('missing');
    expect(store.locate(some(1)[0]!.header.digest)).toBeUndefined();
  });

  test('quarantines a pack whose structure is damaged when the index has to be rebuilt', async () => {
    const kept = some(1);
    await put(kept);
    const { id } = await put(some(2));
    const path = store.packFile(id);
    await store.close();
    writeFileSync(path, readFileSync(path).subarray(0, -1));
    rmSync(join(directory, 'index', 'seal'));
    store = await Store.open({ directory });
    expect(store.recovery.packsQuarantined).toMatchObject([
      { id, problem: expect.stringContaining('trailer') },
    ]);
    expectAll(kept);
  });

  test('finishes a quarantine that a crash interrupted', async () => {
    const { id } = await put(some(1));
    const evidence = await store.quarantine(id, 'test');
    await store.close();
    renameSync(evidence, store.packFile(id));
    store = await Store.open({ directory });
    expect(store.recovery.quarantinesFinished).toEqual([id]);
    expect(store.packInfo(id)?.state).toBe('quarantined');
  });

  test('names strangers in packs/ and leaves them alone', async () => {
    writeFileSync(join(store.layout.packs, 'README'), 'mine');
    await reopen();
    expect(store.recovery.strangers).toEqual(['README']);
    expect(readdirSync(store.layout.packs)).toEqual(['README']);
  });

  test('a directory has one owner at a time', async () => {
    await expect(Store.open({ directory })).rejects.toMatchObject({ code: 'ENVIRONMENT' });
    await reopen();
  });
});

describe('notes', () => {
  test('are found again, and a damaged one counts as missing', async () => {
    const damaged: string[] = [];
    store.putNote('scrub-cursor', 'old');
    store.putNote('scrub-cursor', 'abc');
    await store.close();
    store = await Store.open({ directory, onDamage: (site, key) => damaged.push(`${site} ${key}`) });
    expect(store.getNote('scrub-cursor')).toBe('abc');
    const path = join(store.layout.notes, 'scrub-cursor.note');
    const bytes = readFileSync(path);
    bytes[33]! ^= 1;
    writeFileSync(path, bytes);
    expect(store.getNote('scrub-cursor')).toBeUndefined();
    expect(damaged).toEqual(['note scrub-cursor']);
    expect(store.getNote('absent')).toBeUndefined();
  });
});

describe('compaction', () => {
  test('copies the live records, then retires the old packs; every live chunk is readable throughout', async () => {
    const groups = [some(1, 8), some(2, 8), some(3, 8)];
    for (const group of groups) await put(group);
    const keep = new Set(
      [...groups[0]!.slice(0, 2), ...groups[1]!.slice(0, 1), ...groups[2]!].map(({ header }) =>
        Buffer.from(header.digest).toString('hex'),
      ),
    );
    const isLive = (digest: Digest): boolean => keep.has(Buffer.from(digest).toString('hex'));
    const live = groups.flat().filter(({ header }) => isLive(header.digest));
    const before = store.statistics().bytes;
    const candidates = store
      .listPacks(undefined, 10)
      .map(({ id }) => ({ id, live: store.recordsOf(id).filter(({ digest }) => isLive(digest)) }))
      .filter(({ id, live: records }) => records.length < store.recordsOf(id).length / 2);
    expect(candidates.map(({ live: records }) => records.length).sort()).toEqual([1, 2]);

    const builder = store.createPack(CHUNKS_HEADER);
    for (const { id, live: records } of candidates) {
      const { path, offset } = builder.allocate(records);
      const source = store.packFile(id);
      expect(
        copyRecords(nodeFileSystem, source, records, path, offset, buffer, hashRunsIn(buffer)).bad,
      ).toEqual([]);
    }
    const sealed = await builder.seal((request) => sealPackFile(nodeFileSystem, request));
    let reading = true;
    const reader = (async () => {
      while (reading) {
        expectAll(live);
        await new Promise(setImmediate);
      }
    })();
    await store.commitPack(sealed);
    for (const { id } of candidates) await store.retirePack(id);
    reading = false;
    await reader;
    expectAll(live);
    expect(store.statistics().packs).toBe(2);
    expect(store.statistics().bytes).toBeLessThan(before);
    expect(store.statistics().chunks).toBe(live.length);
    await reopen();
    expectAll(live);
  });

  test('a reader that has the pack open finishes; one that comes late is told to look again', async () => {
    const payloads = some(1);
    const { id } = await put(payloads);
    const location = store.locate(payloads[3]!.header.digest)!;
    const file = nodeFileSystem.open(store.packFile(id), 'read');
    await put([...payloads, ...some(2)]);
    await store.retirePack(id);
    expect(Buffer.from(readRecord(nodeFileSystem, file, location)).equals(payloads[3]!.bytes)).toBe(true);
    nodeFileSystem.close(file);
    expect(() => nodeFileSystem.open(store.packFile(id), 'read')).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND' }),
    );
    expectAll(payloads);
  });

  test('a location that has become stale is noticed by the record header', async () => {
    const payloads = some(1);
    await put(payloads);
    const location = { ...store.locate(payloads[0]!.header.digest)!, offset: 200 };
    withFile(nodeFileSystem, store.packFile(location.packId), (file) => {
      expect(() => readRecord(nodeFileSystem, file, location)).toThrow(
        expect.objectContaining({ code: 'NOT_FOUND', retryable: true }),
      );
    });
  });
});

test('an index entry that fails its checksum is missing, reported, and repaired from the packs', async () => {
  const payloads = some(1);
  await put(payloads);
  await store.close();
  const key = Buffer.from(payloads[2]!.header.digest);
  await damageEntry(key);
  sealIndex(nodeFileSystem, store.layout);
  const damaged: string[] = [];
  store = await Store.open({ directory, onDamage: (site, name) => damaged.push(`${site} ${name}`) });
  expect(store.recovery.index).toBe('kept');
  expect(store.locate(payloads[2]!.header.digest)).toBeUndefined();
  expect(damaged).toEqual([`chunks ${key.toString('hex')}`]);
  await put(some(2)); // changes run one after another: the repair came first
  expectAll(payloads);
  await reopen();
  expect(store.recovery.index).toBe('rebuilt');
  expectAll(payloads);
});

/** Writes another place under a digest, with the checksum of the old one, as a fault in memory would. */
async function damageEntry(key: Buffer): Promise<void> {
  breakSeal(nodeFileSystem, store.layout);
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
  const env = open<Buffer, Buffer>(store.layout.index, { ...binary, noSync: true, maxDbs: 3 });
  const chunks = env.openDB<Buffer, Buffer>({ name: 'chunks', ...binary });
  const value = chunks.getBinary(key)!;
  value[4]! ^= 1;
  chunks.putSync(key, value);
  await env.close();
}

test('digests of a whole pack are located in one call', async () => {
  const payloads = some(1);
  await put(payloads);
  const absent = payloadOf(Buffer.from('absent')).header.digest;
  const found = store.locateMany([...digestsOf(payloads), absent]);
  expect(found.slice(0, -1).every((location) => location?.state === 'present')).toBe(true);
  expect(found.at(-1)).toBeUndefined();
});
