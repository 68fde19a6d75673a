/**
 * One flipped byte anywhere in a store that is at rest: found or harmless, never served, never a native crash.
 *
 * The sweep, complete over every byte of every file:
 *   packs/*.pack       every byte: pack-file.test.ts, and here through the store (sampled; all under KWAM_CAMPAIGN=1)
 *   index/data.mdb     every 13th byte (all under KWAM_CAMPAIGN=1): the seal no longer matches, so LMDB never opens it;
 *                      through the store, sampled (2000 in a campaign)
 *   index/seal         every byte, the same
 *   index/lock.mdb     every byte is harmless: the file is removed before LMDB opens
 *   notes/*.note       every byte: the note is missing
 *   quarantine/*       never read to be served
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { seededRandom } from '../../src/random.ts';
import { inspectIndex } from '../../src/store/index-seal.ts';
import { layoutOf } from '../../src/store/layout.ts';
import { getNote } from '../../src/store/notes.ts';
import { readRecord, withFile } from '../../src/store/pack-reader.ts';
import { verifyPackFile } from '../../src/store/pack-verify.ts';
import { sealPackFile } from '../../src/store/pack-writer.ts';
import { Store } from '../../src/store/store.ts';
import { FaultyFileSystem } from '../faults/faulty-filesystem.ts';
import { CAMPAIGN, CHUNKS_HEADER, fill, hashRunsIn, type Payload, randomPayloads } from './packs.ts';

let base: string;
let pristine: string;
let directory: string;
let payloads: Payload[];
const buffer = new Uint8Array(1 << 16);

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'kwam-flip-'));
  pristine = join(base, 'pristine');
  directory = join(base, 'flipped');
  payloads = randomPayloads(seededRandom(3), 8, 200);
  const store = await Store.open({ directory: pristine });
  for (const half of [payloads.slice(0, 4), payloads.slice(4)]) {
    const builder = store.createPack(CHUNKS_HEADER);
    fill(nodeFileSystem, builder, half);
    await store.commitPack(await builder.seal((request) => sealPackFile(nodeFileSystem, request)));
  }
  store.putNote('scrub-cursor', 'here');
  await store.close();
});

afterAll(() => rmSync(base, { recursive: true }));

function restore(): void {
  rmSync(directory, { recursive: true, force: true });
  cpSync(pristine, directory, { recursive: true });
}

function flipped(file: string, at: number): void {
  const bytes = readFileSync(join(pristine, file));
  bytes[at]! ^= 1 << (at % 8);
  writeFileSync(join(directory, file), bytes);
}

const bytesOf = (file: string): number => readFileSync(join(pristine, file)).length;

function* positions(file: string, sampleCount: number): Generator<number> {
  const bytes = bytesOf(file);
  const random = seededRandom(bytes);
  if (CAMPAIGN && bytes < 8192) for (let at = 0; at < bytes; at++) yield at;
  else for (let i = 0; i < (CAMPAIGN ? 2000 : sampleCount); i++) yield random.below(bytes);
}

interface Outcome {
  readonly served: number;
  readonly noticed: boolean;
}

/** Opens the store, reads every chunk and scrubs every pack. */
async function useStore(): Promise<Outcome> {
  const store = await Store.open({ directory });
  let served = 0;
  let noticed = store.recovery.index !== 'kept' || store.recovery.packsQuarantined.length > 0;
  for (const { header, bytes } of payloads) {
    const location = store.locate(header.digest);
    if (location === undefined) continue;
    try {
      const got = withFile(nodeFileSystem, store.packFile(location.packId), (file) =>
        readRecord(nodeFileSystem, file, location),
      );
      expect(Buffer.from(got).equals(bytes), 'wrong bytes served').toBe(true);
      served++;
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/CHUNK_DIGEST_MISMATCH|NOT_FOUND/) });
    }
  }
  for (const { id, state } of store.listPacks(undefined, 100)) {
    if (state !== 'present') continue;
    const path = store.packFile(id);
    noticed ||= !verifyPackFile(nodeFileSystem, path, id, buffer, hashRunsIn(buffer)).ok;
  }
  await store.close();
  return { served, noticed };
}

test('the unharmed copy is served whole, with its index kept', async () => {
  restore();
  expect(await useStore()).toEqual({ served: payloads.length, noticed: false });
});

test('a flip in a pack is noticed and costs at most that pack', { timeout: 600_000 }, async () => {
  const files = readdirSync(join(pristine, 'packs')).map((name) => join('packs', name));
  for (const file of files)
    for (const at of positions(file, 25)) {
      restore();
      flipped(file, at);
      const { served, noticed } = await useStore();
      expect(noticed, `${file} byte ${at}`).toBe(true);
      expect(served, `${file} byte ${at}`).toBeGreaterThanOrEqual(payloads.length / 2);
    }
});

test('a flip in the index or its seal is noticed before LMDB sees it', () => {
  const layout = layoutOf('/store');
  const disk = new FaultyFileSystem(seededRandom(1));
  for (const file of ['data.mdb', 'seal'])
    disk.place(join(layout.index, file), readFileSync(join(pristine, 'index', file)));
  expect(inspectIndex(disk, layout)).toBe('sealed');
  // Which byte it is makes no difference to SHA-256, so an ordinary run takes every 13th; a prime visits all residues.
  for (const [file, stride] of [
    ['data.mdb', CAMPAIGN ? 1 : 13],
    ['seal', 1],
  ] as const) {
    const path = join(layout.index, file);
    for (let at = 0; at < bytesOf(join('index', file)); at += stride) {
      disk.flip(path, at, 1 << (at % 8));
      expect(inspectIndex(disk, layout), `${file} byte ${at}`).toBe('damaged');
      disk.flip(path, at, 1 << (at % 8));
    }
  }
  expect(inspectIndex(disk, layout)).toBe('sealed');
}, 600_000);

test('a flip in any file of the index leaves every chunk served, from an index made anew', {
  timeout: 3600_000,
}, async () => {
  for (const file of readdirSync(join(pristine, 'index')).map((name) => join('index', name)))
    for (const at of positions(file, 25)) {
      restore();
      flipped(file, at);
      const { served, noticed } = await useStore();
      expect(served, `${file} byte ${at}`).toBe(payloads.length);
      expect(noticed || file.endsWith('lock.mdb'), `${file} byte ${at}`).toBe(true);
      if (file.endsWith('data.mdb'))
        expect(existsSync(join(directory, 'quarantine', 'index.1.mdb'))).toBe(true);
    }
});

test('a flip in the index of a killed process, which has no seal, is never looked at', {
  timeout: 3600_000,
}, async () => {
  for (const at of positions('index/data.mdb', 20)) {
    restore();
    rmSync(join(directory, 'index', 'seal'));
    flipped('index/data.mdb', at);
    expect(await useStore()).toEqual({ served: payloads.length, noticed: true });
  }
});

test('a flip in a note makes it missing', () => {
  restore();
  const { notes } = layoutOf(directory);
  for (let at = 0; at < bytesOf('notes/scrub-cursor.note'); at++) {
    flipped('notes/scrub-cursor.note', at);
    let damaged = 0;
    expect(getNote(nodeFileSystem, notes, 'scrub-cursor', () => damaged++)).toBeUndefined();
    expect(damaged).toBe(1);
  }
});
