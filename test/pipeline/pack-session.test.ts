/** The packs of one put: what is promised is kept, or everybody who counted on it is told. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DedupIndex } from '../../src/dedup/dedup-index.ts';
import { asDigest, type DigestHex } from '../../src/digest.ts';
import { KwamError } from '../../src/errors.ts';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { sha256Native } from '../../src/hashing/native-engine.ts';
import type { ChunkRun, StoreOrder } from '../../src/pipeline/ingest-tasks.ts';
import { KnownChunks } from '../../src/pipeline/known-chunks.ts';
import { PackSession, type SessionOptions } from '../../src/pipeline/pack-session.ts';
import { RECORD_TYPE } from '../../src/store/pack-format.ts';
import { sealPackFile, writeRecords } from '../../src/store/pack-writer.ts';
import { Store } from '../../src/store/store.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { CODEC_ID } from '../store/packs.ts';
import { bytesOf } from './trees.ts';

let directory: string;
let store: Store;
let known: KnownChunks;
const committed: DigestHex[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kwam-session-'));
  store = await Store.open({ directory });
  known = new KnownChunks(new DedupIndex(loadKernels(), { entriesMax: 10_000 }), store);
  committed.length = 0;
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

function session(options: Partial<SessionOptions> = {}): PackSession {
  return new PackSession({
    store,
    known,
    codecId: CODEC_ID,
    packBytesTarget: 10_000,
    seal: (request) => sealPackFile(nodeFileSystem, request),
    onLooked: () => undefined,
    onCommitted: async (pack) => {
      committed.push(pack.id);
    },
    ...options,
  });
}

interface Work {
  readonly payloads: readonly Uint8Array[];
  readonly run: ChunkRun;
}

/** Chunks of 1000 bytes, named by number. */
function chunks(...numbers: number[]): Work {
  const payloads = numbers.map((number) => bytesOf(number, 1000));
  const digests = new Uint8Array(Buffer.concat(payloads.map(sha256Native)));
  return { payloads, run: { lengths: Uint32Array.from(payloads, (bytes) => bytes.length), digests } };
}

/** What the worker does with its orders. */
function carryOut(work: Work, orders: readonly StoreOrder[]): void {
  for (const { packPath, offset, chunkIndexes } of orders) {
    const picked = [...chunkIndexes];
    const records = picked.map((i) => ({
      type: RECORD_TYPE.chunk,
      length: 1000,
      digest: asDigest(work.run.digests.subarray(i * 32, i * 32 + 32)),
    }));
    const file = nodeFileSystem.open(packPath, 'update');
    writeRecords(
      nodeFileSystem,
      file,
      offset,
      records,
      picked.map((i) => work.payloads[i]!),
    );
    nodeFileSystem.close(file);
  }
}

const offered = (orders: readonly StoreOrder[]): number[] =>
  orders.flatMap((order) => [...order.chunkIndexes]);
const isStored = (number: number): boolean =>
  store.locate(sha256Native(bytesOf(number, 1000)))?.state === 'present';
const partFiles = (): string[] => readdirSync(store.layout.incoming);

/** Offers, carries out and completes. */
function done(on: PackSession, work: Work) {
  const footing = on.begin();
  const orders = on.offer(footing, work.run, RECORD_TYPE.chunk);
  carryOut(work, orders);
  on.completed(footing);
  return { footing, orders };
}

describe('a pack session', () => {
  it('stores each chunk once, within a piece of work, between pieces and between sessions', async () => {
    const first = session();
    const one = done(first, chunks(1, 2, 1, 3));
    expect(offered(one.orders)).toEqual([0, 1, 3]);
    expect(offered(done(first, chunks(3, 4)).orders)).toEqual([1]);
    await first.settleAll();
    expect(first).toMatchObject({ newChunks: 4, newBytes: 4000 });
    const second = session();
    const again = done(second, chunks(1, 2, 3, 4, 5));
    expect(offered(again.orders)).toEqual([4]);
    await second.settleAll();
    expect(second).toMatchObject({ newChunks: 1, newBytes: 1000 });
    expect([1, 2, 3, 4, 5].every(isStored)).toBe(true);
    expect(new Set(second.packsOf(again.footing))).toEqual(new Set(committed));
    expect(partFiles()).toEqual([]);
  });

  it('goes on with a full dedup index: what that does not know is stored again, and it says so once', async () => {
    const full: number[] = [];
    const index = new DedupIndex(loadKernels(), { entriesMax: 2 });
    known = new KnownChunks(index, store, (entries) => full.push(entries));
    for (let round = 0; round < 2; round++) {
      const packs = session({
        onCommitted: async (sealed) => known.addPack(sealed),
      });
      done(packs, chunks(1, 2, 3, 4));
      await packs.settleAll();
      expect(packs.newChunks).toBe(round === 0 ? 4 : 2);
    }
    expect(full).toEqual([2]);
    expect([1, 2, 3, 4].every(isStored)).toBe(true);
  });

  it('seals a full pack when its last writer is done, and not before', async () => {
    const packs = session();
    const slow = packs.begin();
    const work = chunks(1, 2);
    const orders = packs.offer(slow, work.run, RECORD_TYPE.chunk);
    done(packs, chunks(...Array.from({ length: 30 }, (_, i) => 100 + i)));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isStored(100)).toBe(false);
    carryOut(work, orders);
    packs.completed(slow);
    await packs.settleAll();
    expect(isStored(1) && isStored(100) && isStored(129)).toBe(true);
    expect(committed.length).toBeGreaterThanOrEqual(3);
  });

  it('abandons a pack whose worker died, tells everyone who counted on it, and stores those chunks anew', async () => {
    const packs = session();
    const other = done(packs, chunks(1, 2));
    const dead = packs.begin();
    packs.offer(dead, chunks(3).run, RECORD_TYPE.chunk);
    const relying = done(packs, chunks(3, 4));
    packs.failed(dead);
    for (const footing of [other.footing, dead, relying.footing]) expect(packs.isLost(footing)).toBe(true);
    const anew = [chunks(1, 2), chunks(3), chunks(3, 4)].map((work) => done(packs, work));
    expect(anew.map(({ orders }) => offered(orders))).toEqual([[0, 1], [0], [1]]);
    await packs.settleAll();
    expect(anew.some(({ footing }) => packs.isLost(footing))).toBe(false);
    expect([1, 2, 3, 4].every(isStored)).toBe(true);
    expect(packs).toMatchObject({ newChunks: 4, newBytes: 4000 });
    expect(partFiles()).toEqual([]);
  });

  it('lets a slow writer into an abandoned pack finish before its file goes', async () => {
    const packs = session();
    const slow = packs.begin();
    const work = chunks(1);
    const orders = packs.offer(slow, work.run, RECORD_TYPE.chunk);
    const dead = packs.begin();
    packs.offer(dead, chunks(2).run, RECORD_TYPE.chunk);
    packs.failed(dead);
    carryOut(work, orders);
    packs.completed(slow);
    expect(packs.isLost(slow)).toBe(true);
    expect(partFiles()).toEqual([]);
    await packs.settleAll();
    expect(committed).toEqual([]);
  });

  it('refuses to seal room that nobody filled', async () => {
    const packs = session();
    const footing = packs.begin();
    packs.offer(footing, chunks(1, 2).run, RECORD_TYPE.chunk);
    packs.completed(footing);
    await expect(packs.settleAll()).rejects.toMatchObject({ code: 'PACK_INVALID' });
    expect(packs.isLost(footing)).toBe(true);
    expect(partFiles()).toEqual([]);
  });

  it('keeps the first failure of sealing or of what follows, and asks for the chunks again', async () => {
    const unsealed = session({ seal: () => Promise.reject(new KwamError('IO', 'no fsync')) });
    const { footing } = done(unsealed, chunks(1));
    await expect(unsealed.settleAll()).rejects.toMatchObject({ code: 'IO' });
    expect(() => unsealed.throwFailure()).toThrowError('no fsync');
    expect(unsealed.isLost(footing)).toBe(true);
    const undistributed = session({
      onCommitted: () => Promise.reject(new KwamError('UNAVAILABLE', 'no nodes')),
    });
    done(undistributed, chunks(2));
    await expect(undistributed.settleAll()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(isStored(2)).toBe(true);
    expect(partFiles()).toEqual([]);
  });

  it('leaves nothing behind when it is given up', async () => {
    const packs = session();
    done(packs, chunks(1, 2));
    await packs.abandon();
    expect(partFiles()).toEqual([]);
    expect(committed).toEqual([]);
    expect(isStored(1)).toBe(false);
  });
});
