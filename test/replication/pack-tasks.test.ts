/** Preparing and installing packs in a worker: what is here need not travel, and nothing unverified is installed. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { seededRandom } from '../../src/random.ts';
import { installPack, type LocalSource, preparePack, verifyPack } from '../../src/replication/pack-tasks.ts';
import { layoutOf, makeLayout, type StoreLayout } from '../../src/store/layout.ts';
import { endOf } from '../../src/store/pack-format.ts';
import { openPack, type PackContents } from '../../src/store/pack-reader.ts';
import type { WorkerPool } from '../../src/workers/pool.ts';
import { testPool } from '../pipeline/memory-cluster.ts';
import { buildPack, type Payload, randomPayloads } from '../store/packs.ts';

let root: string;
let layout: StoreLayout;
let pool: WorkerPool;
let payloads: Payload[];
let pack: PackContents;
let whole: Buffer;
let source: string;
let target: string;
let count = 0;

beforeAll(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'kwam-tasks-'));
  pool = testPool();
});
afterAll(async () => {
  await pool.close();
  fs.rmSync(root, { recursive: true });
});
beforeEach(async () => {
  layout = layoutOf(join(root, String(count++)));
  makeLayout(nodeFileSystem, layout);
  payloads = randomPayloads(seededRandom(count), 20, 5000);
  const sealed = await buildPack(nodeFileSystem, layout, payloads);
  source = join(root, `${count}.pack`);
  fs.renameSync(join(layout.packs, `${sealed.id}.pack`), source);
  pack = openPack(nodeFileSystem, source, sealed.id);
  whole = fs.readFileSync(source);
  target = join(layout.incoming, 'target.receiving');
});

const prepare = async (sources: readonly LocalSource[] = []): Promise<number[]> => {
  const missing = await pool.run(preparePack, {
    path: target,
    header: pack.headerBytes,
    index: pack.index,
    sources,
  });
  return [...missing].sort((a, b) => a - b);
};
const install = () => pool.run(installPack, { path: target, packs: layout.packs, id: pack.id });
const all = [...Array(20).keys()];
const evidence = (): LocalSource => ({ path: source, records: pack.records, targets: all });

/** What a transfer would write. */
function deliver(indexes: readonly number[]): void {
  const file = fs.openSync(target, 'r+');
  for (const i of indexes) {
    const record = pack.records[i]!;
    fs.writeSync(file, whole, record.offset, endOf(record) - record.offset, record.offset);
  }
  fs.closeSync(file);
}

function flip(path: string, at: number): void {
  const bytes = fs.readFileSync(path);
  bytes[at]! ^= 1;
  fs.writeFileSync(path, bytes);
}

describe('preparing a pack', () => {
  it('asks for everything, and with everything delivered the file is the pack', async () => {
    expect(await prepare()).toEqual(all);
    deliver(all);
    expect(fs.readFileSync(target).equals(whole)).toBe(true);
    expect(await install()).toMatchObject({ ok: true, sealed: { id: pack.id, bytes: whole.length } });
    expect(fs.readFileSync(join(layout.packs, `${pack.id}.pack`)).equals(whole)).toBe(true);
    expect(fs.readdirSync(layout.incoming)).toEqual([]);
  });

  it('goes on where an attempt was cut off, and does not trust what that left', async () => {
    await prepare();
    deliver([0, 1, 2, 7, 8]);
    flip(target, pack.records[7]!.offset + 40);
    const missing = all.filter((i) => ![0, 1, 2, 8].includes(i));
    expect(await prepare()).toEqual(missing);
    fs.truncateSync(target, pack.records[2]!.offset + 60);
    expect(await prepare()).toEqual(all.filter((i) => i > 1));
    fs.appendFileSync(target, 'a tail that belongs to nothing');
    expect(await prepare()).toEqual(all.filter((i) => i > 1));
    deliver(all.slice(2));
    expect(await install()).toMatchObject({ ok: true });
  });

  it('starts over a file of a dead attempt that holds nothing of use', async () => {
    fs.writeFileSync(target, seededRandom(1).fill(new Uint8Array(100_000)));
    expect(await prepare()).toEqual(all);
    deliver(all);
    expect(await install()).toMatchObject({ ok: true });
  });

  it('takes the good records of a damaged file, and of other packs, from here', async () => {
    flip(source, pack.records[3]!.offset + 40);
    flip(source, pack.records[11]!.offset + 45);
    flip(source, pack.records[12]!.offset + 2);
    expect(await prepare([evidence()])).toEqual([3, 11]);
    const others = await buildPack(nodeFileSystem, layout, [payloads[11]!, payloads[5]!], 'other');
    const path = join(layout.packs, `${others.id}.pack`);
    const other: LocalSource = { path, records: openPack(nodeFileSystem, path).records, targets: [11, 5] };
    expect(await prepare([other])).toEqual([3]);
    deliver([3]);
    expect(await install()).toMatchObject({ ok: true });
  });

  it('does without a source that is gone or shorter than it should be', async () => {
    const gone: LocalSource = { ...evidence(), path: join(layout.packs, 'gone.pack') };
    expect(await prepare([gone])).toEqual(all);
    fs.truncateSync(source, pack.records[4]!.offset + 50);
    expect(await prepare([evidence()])).toEqual(all.slice(4));
  });
});

describe('installing a pack', () => {
  it('refuses a file with one wrong byte anywhere, says what, and leaves it to be resumed', async () => {
    const places: [number, string][] = [
      [20, 'unreadable'],
      [pack.records[5]!.offset + 3, 'recordHeadersDamaged'],
      [pack.records[5]!.offset + 41, 'bad'],
      [endOf(pack.records[19]!) + 4, 'indexDamaged'],
      [whole.length - 5, 'indexDamaged'],
    ];
    for (const [at, what] of places) {
      fs.writeFileSync(target, whole);
      flip(target, at);
      const answer = await install();
      expect(answer.ok).toBe(false);
      if (answer.ok) continue;
      const found = answer.verification[what as 'bad'] as unknown;
      expect(Array.isArray(found) ? found.length : Number(found)).toBe(1);
      expect(fs.existsSync(target)).toBe(true);
      expect(fs.readdirSync(layout.packs)).toEqual([]);
    }
  });

  it('may run again after the worker died behind the rename', async () => {
    fs.writeFileSync(target, whole);
    const first = await install();
    expect(await install()).toEqual(first);
    expect(fs.readdirSync(layout.packs)).toEqual([`${pack.id}.pack`]);
    flip(join(layout.packs, `${pack.id}.pack`), 300);
    expect(await install()).toMatchObject({ ok: false });
  });

  it('verifies what lies there without touching it', async () => {
    expect(await pool.run(verifyPack, { path: source, id: pack.id })).toMatchObject({
      ok: true,
      recordCount: 20,
    });
    flip(source, pack.records[0]!.offset + 40);
    const found = await pool.run(verifyPack, { path: source, id: pack.id });
    expect(found).toMatchObject({ ok: false, bad: [{ recordIndex: 0 }], rebuildable: false });
  });
});
