import { beforeEach, describe, expect, test, vi } from 'vitest';
import { toHex } from '../../src/digest.ts';
import { seededRandom } from '../../src/random.ts';
import { layoutOf, packPath } from '../../src/store/layout.ts';
import { copyRecords, rebuildPackFile } from '../../src/store/pack-copy.ts';
import { RECORD_HEADER_BYTES } from '../../src/store/pack-format.ts';
import { openPack, readRecord, withFile } from '../../src/store/pack-reader.ts';
import { type PackVerification, verifyPackFile } from '../../src/store/pack-verify.ts';
import { installPackFile, PackBuilder, type SealedPack, sealPackFile } from '../../src/store/pack-writer.ts';
import { FaultyFileSystem } from '../faults/faulty-filesystem.ts';
import {
  buildPack,
  CAMPAIGN,
  CHUNKS_HEADER,
  fill,
  hashRunsIn,
  type Payload,
  randomPayloads,
} from './packs.ts';

vi.setConfig({ testTimeout: 1_800_000 }); // the campaign takes minutes
const layout = layoutOf('/store');
const buffer = new Uint8Array(4096);
let disk: FaultyFileSystem;
let payloads: Payload[];
let sealed: SealedPack;
let path: string;
let intact: Uint8Array;

beforeEach(async () => {
  const random = seededRandom(7);
  disk = new FaultyFileSystem(random);
  payloads = randomPayloads(random, CAMPAIGN ? 12 : 6, CAMPAIGN ? 900 : 300);
  sealed = await buildPack(disk, layout, payloads);
  path = packPath(layout.packs, sealed.id);
  intact = disk.contents(path);
});

const verify = (): PackVerification => verifyPackFile(disk, path, sealed.id, buffer, hashRunsIn(buffer));

/** What a damaged file may do: give a digest's exact bytes, or refuse. */
function servedWrong(): number {
  let wrong = 0;
  const records = openPackOr(sealed);
  withFile(disk, path, (file) => {
    records.forEach((record, i) => {
      try {
        if (!Buffer.from(readRecord(disk, file, record)).equals(payloads[i]!.bytes)) wrong++;
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/NOT_FOUND|CHUNK_DIGEST_MISMATCH/) });
      }
    });
  });
  return wrong;
}

function openPackOr(pack: SealedPack) {
  const pristine = new FaultyFileSystem(seededRandom(0));
  pristine.place('/p', intact);
  return openPack(pristine, '/p', pack.id).records;
}

describe('an intact pack', () => {
  test('gives every record back and verifies every byte', () => {
    expect(verify()).toMatchObject({
      ok: true,
      bytesChecked: intact.length,
      recordCount: payloads.length,
      bad: [],
    });
    expect(servedWrong()).toBe(0);
    expect(sealed.bytes).toBe(intact.length);
    expect(disk.openFiles).toBe(0);
  });

  test('is read in runs of any buffer size that holds its largest record', () => {
    const largest = Math.max(...payloads.map((payload) => payload.bytes.length));
    for (let bytes = largest; bytes < largest + 400; bytes += 7) {
      const small = new Uint8Array(bytes);
      expect(verifyPackFile(disk, path, sealed.id, small, hashRunsIn(small)).ok).toBe(true);
    }
    const tooSmall = new Uint8Array(largest - 1);
    expect(() => verifyPackFile(disk, path, sealed.id, tooSmall, hashRunsIn(tooSmall))).toThrow(/buffer/);
  });
});

describe('a damaged pack', () => {
  test('every flipped byte is found, none is served, and what can be rebuilt is rebuilt to the same bytes', () => {
    let rebuilt = 0;
    for (let at = 0; at < intact.length; at++) {
      for (const mask of CAMPAIGN ? [1, 2, 4, 8, 16, 32, 64, 128] : [1 << (at % 8)]) {
        disk.place(path, intact);
        disk.flip(path, at, mask);
        const found = verify();
        expect(found.ok, `byte ${at}`).toBe(false);
        expect(found.problem, `byte ${at}`).toBeTruthy();
        expect(servedWrong(), `byte ${at}`).toBe(0);
        if (found.rebuildable) rebuilt += rebuildsExactly();
        else expect(found.unreadable || found.bad.length === 1, `byte ${at}`).toBe(true);
      }
    }
    // Record headers, index and trailer: 40 + 40 bytes a record and 64.
    const structural = payloads.length * 2 * RECORD_HEADER_BYTES + 64;
    expect(rebuilt).toBe(structural * (CAMPAIGN ? 8 : 1));
  });

  function rebuildsExactly(): number {
    const request = { source: path, target: '/store/incoming/r', packs: layout.packs, id: sealed.id };
    rebuildPackFile(disk, request, buffer, hashRunsIn(buffer));
    expect(Buffer.from(disk.contents(path)).equals(intact)).toBe(true);
    return 1;
  }

  test('truncation at every length and extra bytes are found', () => {
    for (let bytes = 0; bytes < intact.length; bytes++) {
      disk.place(path, intact.subarray(0, bytes));
      expect(verify().ok, `${bytes} bytes`).toBe(false);
      expect(servedWrong(), `${bytes} bytes`).toBe(0);
    }
    for (const extra of [1, 40, 64, 1000]) {
      const longer = new Uint8Array(intact.length + extra);
      longer.set(intact);
      disk.place(path, longer);
      expect(verify()).toMatchObject({ ok: false, indexDamaged: true, rebuildable: true });
      expect(rebuildsExactly()).toBe(1);
    }
  });

  test('a lost tail with all records intact is rebuilt from the records', () => {
    disk.place(path, intact.subarray(0, intact.length - 64 - payloads.length * 40));
    expect(verify()).toMatchObject({ indexDamaged: true, rebuildable: true, bad: [] });
    expect(rebuildsExactly()).toBe(1);
  });

  test('an unreadable sector costs its record alone', () => {
    let reads = 0;
    disk.schedule = (operation) => (operation === 'read' && ++reads >= 5 && reads <= 8 ? 'EIO' : undefined);
    const found = verify();
    expect(found.ok).toBe(false);
    expect(found.bad.every(({ actual }) => actual === 'unreadable')).toBe(true);
    expect(found.bad.length).toBeLessThan(payloads.length);
  });

  test('a read that comes back short is damage, never data', () => {
    for (let n = 0; n < 5; n++) {
      // header, trailer, index, first record header, the run
      let reads = 0;
      disk.schedule = (operation) => (operation === 'read' && reads++ === n ? 'short' : undefined);
      expect(verify().ok, `read ${n}`).toBe(false);
    }
  });

  test('a pack under another name is refused', () => {
    const other = toHex(new Uint8Array(32).fill(1));
    expect(verifyPackFile(disk, path, other, buffer, hashRunsIn(buffer)).unreadable).toBe(true);
    disk.place('/store/incoming/x', intact);
    expect(() => installPackFile(disk, '/store/incoming/x', layout.packs, other)).toThrow(/PACK|expected/);
    expect(disk.exists('/store/incoming/x')).toBe(false);
  });
});

describe('copying', () => {
  test('copies the wanted records verified, and reports a bad one instead of copying it', async () => {
    const { records } = openPack(disk, path);
    const wanted = records.filter((_, i) => i % 2 === 0);
    const builder = new PackBuilder({ fileSystem: disk, layout, header: CHUNKS_HEADER, name: 'c' });
    const room = builder.allocate(wanted);
    const copied = copyRecords(disk, path, wanted, room.path, room.offset, buffer, hashRunsIn(buffer));
    expect(copied.bad).toEqual([]);
    const compacted = await builder.seal((request) => sealPackFile(disk, request));
    const target = packPath(layout.packs, compacted.id);
    expect(verifyPackFile(disk, target, compacted.id, buffer, hashRunsIn(buffer)).ok).toBe(true);

    disk.flip(path, wanted[1]!.offset + 40, 1);
    const second = new PackBuilder({ fileSystem: disk, layout, header: CHUNKS_HEADER, name: 'd' });
    const hole = second.allocate(wanted);
    const result = copyRecords(disk, path, wanted, hole.path, hole.offset, buffer, hashRunsIn(buffer));
    expect(result.bad).toMatchObject([{ recordIndex: 1 }]);
    await expect(second.seal((request) => sealPackFile(disk, request))).rejects.toThrow(/never written|end/);
    expect(disk.exists(second.path)).toBe(false);
  });
});

describe('a disk that fails', () => {
  test.each(['EIO', 'ENOSPC'] as const)('%s at any step of writing leaves no partial file', async (fault) => {
    for (let at = 0; ; at++) {
      const random = seededRandom(at);
      const failing = new FaultyFileSystem(random);
      let fired = false;
      failing.schedule = (operation, count) => {
        const applies = fault === 'EIO' || operation === 'write' || operation === 'open';
        if (count !== at || operation === 'remove' || !applies) return undefined;
        fired = true;
        return fault;
      };
      const outcome = await attempt(failing);
      if (failing.operationCount <= at) break;
      if (!fired) continue;
      expect(outcome).toBe(fault === 'EIO' ? 'IO' : 'DISK_FULL');
      expect(failing.list(layout.incoming)).toEqual([]);
      for (const name of failing.list(layout.packs)) // only the last fsync may fail with a whole pack in place
        expect(openPack(failing, `${layout.packs}/${name}`).records.length).toBe(3);
    }
  });

  async function attempt(failing: FaultyFileSystem): Promise<unknown> {
    let builder: PackBuilder | undefined;
    try {
      builder = new PackBuilder({ fileSystem: failing, layout, header: CHUNKS_HEADER, name: 'f' });
      fill(failing, builder, payloads.slice(0, 3));
      await builder.seal((request) => sealPackFile(failing, request));
      return 'sealed';
    } catch (error) {
      builder?.abandon();
      return (error as { code: string }).code;
    }
  }

  test('sealing again after the worker died between its steps gives the same pack', async () => {
    const clean = await buildPack(disk, layout, payloads.slice(0, 2), 'once');
    for (let at = 0; at < 12; at++) {
      const again = new FaultyFileSystem(seededRandom(at));
      const builder = new PackBuilder({ fileSystem: again, layout, header: CHUNKS_HEADER, name: 'g' });
      fill(again, builder, payloads.slice(0, 2));
      const twice = await builder.seal((request) => {
        killedAfter(again, at, () => sealPackFile(again, request));
        return sealPackFile(again, request);
      });
      expect(twice.id).toBe(clean.id);
    }
  });

  /** A thread that dies stops between two operations, without running its error handling. */
  function killedAfter(failing: FaultyFileSystem, operations: number, act: () => void): void {
    const start = failing.operationCount;
    let dead = false;
    failing.schedule = (_, count) => {
      dead ||= count - start >= operations;
      return dead ? 'EIO' : undefined;
    };
    try {
      act();
    } catch {
      // what a dead thread would have thrown reaches nobody
    }
    failing.schedule = () => undefined;
  }
});
