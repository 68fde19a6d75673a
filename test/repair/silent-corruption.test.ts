/**
 * The canary of kwam_silent_corruption_count_total: a node whose verifying engine is blind serves wrong bytes, and its detectors
 * count it; a node that sees counts the same damage as detected. Real store, packs and tasks; the blind engine is ours.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { nodeFileSystem } from '../../src/filesystem.ts';
import type { HashEngine } from '../../src/hashing/engine.ts';
import { nativeEngine } from '../../src/hashing/native-engine.ts';
import { portableEngine } from '../../src/hashing/portable-engine.ts';
import { wasmEngine } from '../../src/hashing/wasm-engine.ts';
import { createMetrics } from '../../src/metrics.ts';
import {
  type Observing,
  observeAccess,
  observeQuarantine,
  observeScrub,
  rememberSilent,
} from '../../src/observers.ts';
import { type RestorePackInput, restorePack } from '../../src/pipeline/restore-tasks.ts';
import { seededRandom } from '../../src/random.ts';
import { type ScrubServices, scrub, scrubDoubted } from '../../src/repair/scrub.ts';
import { ScrubRounds } from '../../src/repair/scrub-rounds.ts';
import type { SealedPack } from '../../src/store/pack-writer.ts';
import { Store } from '../../src/store/store.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import type { WorkerPool } from '../../src/workers/pool.ts';
import { createContext, emptyReport } from '../../src/workers/task.ts';
import { buildPack, type Payload, randomPayloads } from '../store/packs.ts';

const RECORDS = 300;

/** Remembers what it once said of bytes at a place and never looks again: a stale result, the classic silent fault. */
function blind(engine: HashEngine): HashEngine {
  const said = new Map<string, Uint8Array>();
  return {
    ...engine,
    hashRuns(runs) {
      const key = runs.join();
      if (!said.has(key)) said.set(key, engine.hashRuns(runs).slice());
      return said.get(key)!;
    },
  };
}

/** One worker without a thread, so that its engines are ours. */
async function poolWith(sight: (engine: HashEngine) => HashEngine): Promise<WorkerPool> {
  const kernels = loadKernels();
  const engines = {
    hash: sight(nativeEngine(kernels)),
    other: wasmEngine(kernels),
    referee: await portableEngine(kernels),
  };
  const reporting = { report: emptyReport() };
  const context = createContext(kernels, engines, nodeFileSystem, reporting);
  return {
    threadCount: 1,
    async run(task, input) {
      reporting.report = emptyReport();
      return task.run(context, input, []);
    },
    close: async () => undefined,
  };
}

let directory: string;
let store: Store;
let pack: SealedPack;
let payloads: Payload[];
let observing: Observing;

function startCounting(): void {
  const metrics = createMetrics({ node: 'n1' }, { version: '0', codecId: '00' });
  observing = { metrics, log: pino({ level: 'silent' }) };
}

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-silent-'));
  startCounting();
  store = await openStore();
  payloads = randomPayloads(seededRandom(7), RECORDS, 500);
  pack = await buildPack(nodeFileSystem, store.layout, payloads);
  await store.commitPack(pack);
});

afterEach(async () => {
  await store.close();
  fs.rmSync(directory, { recursive: true });
});

const openStore = (): Promise<Store> =>
  Store.open({ directory, onQuarantined: (id, bytes) => observeQuarantine(observing)(id, bytes) });

async function counted(series: string): Promise<number> {
  const line = (await observing.metrics.registry.metrics())
    .split('\n')
    .find((one) => one.startsWith(series) && !one.startsWith('#'));
  return Number(line!.slice(line!.lastIndexOf(' ') + 1));
}

const silent = (): Promise<number> => counted('kwam_silent_corruption_count_total');
const detected = (site: string): Promise<number> => counted(`kwam_corruption_detected_total{site="${site}"`);

const unnoted = (error: Error): never => {
  throw error;
};
const storage = { verified: () => undefined, damaged: () => undefined };

function servicesWith(pool: WorkerPool): ScrubServices {
  const limits = { intervalMs: 1, bytesPerSecondMax: 1e12 };
  const [rounds, demand] = [new ScrubRounds(store, systemClock, unnoted), { isPressing: false }];
  return {
    store,
    pool,
    clock: systemClock,
    limits,
    observer: observeScrub(observing, store, storage),
    rounds,
    demand,
  };
}

const scrubAll = (services: ScrubServices) => scrub(services, { full: true, onProgress: () => undefined });

/** Flips one byte of the payload of each of these records. */
function damage(records: readonly number[]): void {
  const path = store.packFile(pack.id);
  const bytes = fs.readFileSync(path);
  const all = store.recordsOf(pack.id);
  for (const i of records) bytes[all[i]!.offset + 40]! ^= 1;
  fs.writeFileSync(path, bytes);
}

const everyRecord = Array.from({ length: RECORDS }, (_, i) => i);

describe('a node that sees', () => {
  test('counts damage as detected, never as silent', async () => {
    const services = servicesWith(await poolWith((engine) => engine));
    expect(await scrubAll(services)).toMatchObject({ corrupt: 0 });
    damage([17]);
    expect(await scrubAll(services)).toMatchObject({ corrupt: 1, quarantined: 1 });
    expect([await detected('scrub'), await silent()]).toEqual([1, 0]);
    expect(await counted('kwam_quarantined_packs_total')).toBe(1);
  });
});

describe('a node that is blind', () => {
  test('is found out by the sample of a scrub: the damage counts as silent, and the pack is not served', async () => {
    const services = servicesWith(await poolWith(blind));
    expect(await scrubAll(services)).toMatchObject({ corrupt: 0 });
    damage(everyRecord);
    expect((await scrubAll(services)).quarantined).toBe(1);
    expect(await silent()).toBeGreaterThanOrEqual(1);
    expect(await silent()).toBe(await detected('scrub'));
    expect(store.hasPack(pack.id)).toBe(false);
  });

  test('is found out by a peer that refuses what it was served, wherever in the pack', async () => {
    const services = servicesWith(await poolWith(blind));
    await scrubAll(services);
    for (const record of [0, 123, RECORDS - 1]) damage([record]);
    // It may or may not be in the sample; the peer's word makes every record a part of it.
    if ((await scrubAll(services)).quarantined === 0)
      expect(await scrubDoubted(services, pack.id)).toBe(false);
    expect(store.hasPack(pack.id)).toBe(false);
    expect(await silent()).toBeGreaterThanOrEqual(1);
  });

  test('is found out when it reads for itself, and hands none of the bytes on', async () => {
    const pool = await poolWith(blind);
    const records = store.recordsOf(pack.id);
    const input: RestorePackInput = {
      packPath: store.packFile(pack.id),
      paths: [],
      isSparse: new Uint8Array(0),
      offsets: Float64Array.from(records, ({ offset }) => offset),
      lengths: Uint32Array.from(records, ({ length }) => length),
      digests: Buffer.concat(records.map(({ digest }) => digest)),
      pieces: {
        starts: new Uint32Array(RECORDS + 1),
        files: new Uint32Array(0),
        fileOffsets: new Float64Array(0),
        recordOffsets: new Uint32Array(0),
        lengths: new Uint32Array(0),
      },
    };
    expect((await pool.run(restorePack, input)).bad).toEqual([]);
    damage(everyRecord);
    const { bad } = await pool.run(restorePack, input);
    expect(bad.length).toBeGreaterThanOrEqual(1);
    await observeAccess(observing, store, 'read', storage).onOwnCorrupt(pack.id, bad);
    expect(await silent()).toBe(bad.length);
    expect(await detected('read')).toBe(bad.length);
    expect(store.hasPack(pack.id)).toBe(false);
  });

  test('is remembered over a restart', async () => {
    const services = servicesWith(await poolWith(blind));
    await scrubAll(services);
    damage(everyRecord);
    await scrubAll(services);
    const before = await silent();
    await store.close();
    startCounting();
    store = await openStore();
    expect(await silent()).toBe(0);
    rememberSilent(observing, store);
    expect(await silent()).toBe(before);
  });
});

describe('a peer that is wrong about an intact pack', () => {
  test('changes nothing: both engines pass it', async () => {
    const services = servicesWith(await poolWith((engine) => engine));
    expect(await scrubDoubted(services, pack.id)).toBe(true);
    expect(store.hasPack(pack.id)).toBe(true);
    expect([await silent(), await detected('scrub')]).toEqual([0, 0]);
  });
});
