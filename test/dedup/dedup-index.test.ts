/**
 * The dedup index against a Map, on both builds: random histories, growth, deletion, crowded keys, the ways to be full.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ABSENT, DedupIndex, selfTestDedupIndex } from '../../src/dedup/dedup-index.ts';
import { KwamError } from '../../src/errors.ts';
import { dedupEntriesHighest } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { instantiateKernels, type Kernels, REGION } from '../../src/wasm/kernels.ts';
import { type KernelBuild, loadKernels, readKernelBytes } from '../../src/wasm/load.ts';
import { prefixesOf, ReferenceDedupIndex } from '../reference/dedup-index.ts';
import { withMemoryPagesMax } from './memory-limit.ts';

const CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';
const BUILDS: readonly KernelBuild[] = ['release', 'debug'];

const randomDigests = (seed: number, count: number): Uint8Array =>
  seededRandom(seed).fill(new Uint8Array(count * 32));

/** Digests that differ in 20 of the first 64 bits only, from bit `shift` on. */
function clusteredDigests(count: number, shift: number): Uint8Array {
  const digests = new Uint8Array(count * 32);
  const view = new DataView(digests.buffer);
  for (let i = 0; i < count; i++)
    view.setBigUint64(i * 32, BigInt.asUintN(64, BigInt(i) << BigInt(shift)), true);
  return digests;
}

/** Undoes SplitMix64's finaliser: a digest whose stored key will be exactly `key` (seed 0). */
function digestWithKey(key: bigint): Uint8Array {
  const u64 = (z: bigint): bigint => BigInt.asUintN(64, z);
  let z = key ^ (key >> 31n) ^ (key >> 62n);
  z = u64(z * 0x319642b2d24d8ec3n);
  z ^= (z >> 27n) ^ (z >> 54n);
  z = u64(z * 0x96de1b173f119089n);
  z ^= (z >> 30n) ^ (z >> 60n);
  const digest = new Uint8Array(32);
  new DataView(digest.buffer).setBigUint64(0, z, true);
  return digest;
}

const numbered = (count: number, from = 0): Uint32Array =>
  Uint32Array.from({ length: count }, (_, i) => from + i);

const dumpOf = (index: DedupIndex): string[] =>
  [...index.entries()]
    .flatMap(({ prefixes, values }) => prefixesOf(prefixes, 8).map((prefix, i) => `${prefix} ${values[i]}`))
    .sort();

const thrownBy = (run: () => unknown): KwamError => {
  try {
    run();
  } catch (error) {
    if (error instanceof KwamError) return error;
    throw error;
  }
  throw new Error('expected a KwamError, nothing was thrown');
};

/** The table's own bytes: keys, the closing zero, values of taken slots. */
function tableHash(kernels: Kernels): string {
  const slots = kernels.exports.dedupSlots();
  const keysEnd = REGION.index + 8 * (slots + 1);
  const keys = kernels.bytes().slice(REGION.index, keysEnd);
  const values = kernels.words().slice(keysEnd / 4, keysEnd / 4 + slots);
  const words = new Uint32Array(keys.buffer);
  for (let slot = 0; slot < slots; slot++) if (!words[2 * slot] && !words[2 * slot + 1]) values[slot] = 0;
  return createHash('sha256').update(keys).update(values).digest('hex');
}

describe.each(BUILDS)('dedup index, %s build', (build) => {
  const open = (entriesMax = 10_000_000, seed = 0n): DedupIndex =>
    new DedupIndex(loadKernels(build), { entriesMax, seed });
  const scale = build === 'debug' ? 1 : 4;

  test('passes its own self test, before and after use', () => {
    const kernels = loadKernels(build);
    selfTestDedupIndex(kernels);
    new DedupIndex(kernels, { entriesMax: 5 }).insert(randomDigests(1, 5), numbered(5));
    selfTestDedupIndex(kernels);
  });

  test('the self test notices a kernel that forgets a removal', () => {
    const kernels = loadKernels(build);
    const broken = { ...kernels, exports: { ...kernels.exports, dedupRemove: (count: number) => count } };
    expect(thrownBy(() => selfTestDedupIndex(broken)).code).toBe('SELF_TEST_FAILED');
  });

  test('any history of inserts, removals and lookups answers like a Map', () => {
    const pools = [
      randomDigests(2, 64),
      clusteredDigests(64, 0),
      clusteredDigests(64, 44),
      randomDigests(3, 12_000),
    ];
    const step = fc.record({
      op: fc.constantFrom('insert', 'insert', 'remove', 'lookup'),
      pool: fc.nat(pools.length - 1),
      from: fc.nat(11_999),
      count: fc.oneof(fc.nat(20), fc.nat(8000)),
      value: fc.nat(1_000_000),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        fc.constantFrom(0xfeed_0000_0000_0001n, 2n ** 63n + 12345n),
        (steps, seed) => {
          const [index, model] = [open(100_000, seed), new ReferenceDedupIndex()];
          for (const { op, pool, from, count, value } of steps) {
            const length = pools[pool]!.length / 32;
            const digests = pools[pool]!.subarray((from % length) * 32, ((from % length) + count) * 32);
            const values = numbered(digests.length / 32, value);
            if (op === 'insert') {
              index.insert(digests, values);
              model.insert(digests, values);
            } else if (op === 'remove') expect(index.remove(digests)).toBe(model.remove(digests));
            else expect([...index.lookup(digests)]).toEqual(model.lookup(digests));
            expect(index.size).toBe(model.size);
          }
          expect(dumpOf(index)).toEqual(model.dump());
        },
      ),
      { numRuns: CAMPAIGN ? 600 : 12 * scale, seed: 1974 },
    );
  });

  test('grows from nothing without losing an entry, never above 16 bytes an entry after the first growth', () => {
    const count = (CAMPAIGN ? 4 : 1) * 500_000 * scale;
    const [digests, values] = [randomDigests(4, count), numbered(count)];
    const index = open();
    for (let from = 0; from < count; from += 4096) {
      const to = Math.min(count, from + 4096);
      index.insert(digests.subarray(from * 32, to * 32), values.subarray(from, to));
      if (index.size > 7208) expect(index.bytesPerEntry).toBeLessThanOrEqual(16);
    }
    expect(index.size).toBe(count);
    expect(Buffer.from(index.lookup(digests).buffer).equals(Buffer.from(values.buffer))).toBe(true);
    expect(index.lookup(randomDigests(5, 100_000)).every((value) => value === ABSENT)).toBe(true);
  });

  test('its working load reaches 14.2 bytes an entry', () => {
    const index = open();
    let least = Number.POSITIVE_INFINITY;
    const digests = randomDigests(6, 60_000);
    for (let from = 0; from < 60_000; from++) {
      index.insert(digests.subarray(from * 32, from * 32 + 32), numbered(1));
      least = Math.min(least, index.bytesPerEntry);
    }
    expect(least).toBeLessThanOrEqual(14.2);
  });

  test.each([0, 8, 20, 32, 44])(
    'keys that differ only in bits %i up to 20 more keep every answer',
    (shift) => {
      const digests = clusteredDigests(50_000, shift);
      const index = open();
      index.insert(digests, numbered(50_000));
      expect(index.remove(digests.subarray(0, 25_000 * 32))).toBe(25_000);
      const values = index.lookup(digests);
      expect(values.findIndex((value, i) => value !== (i < 25_000 ? ABSENT : i))).toBe(-1);
      expect(index.bytesPerEntry * (25_000 / 50_000)).toBeLessThanOrEqual(16);
    },
  );

  test('the all-zero prefix and the one whose mixed key is zero are stored like any other', () => {
    const digests = new Uint8Array([
      ...new Uint8Array(32),
      ...digestWithKey(2n),
      ...digestWithKey(2n ** 64n - 1n),
    ]);
    const index = open();
    index.insert(digests, numbered(3, 10));
    expect([...index.lookup(digests)]).toEqual([10, 11, 12]);
    index.insert(digestWithKey(0n), numbered(1, 99));
    expect([...index.lookup(digestWithKey(0n))]).toEqual([99]);
  });

  test('keys crafted to crowd past the end of the table make it grow, and stay found', () => {
    const digests = new Uint8Array(2000 * 32);
    for (let i = 0; i < 2000; i++) digests.set(digestWithKey(BigInt(i + 1)), i * 32);
    const index = open();
    index.insert(digests, numbered(2000));
    index.insert(randomDigests(7, 9000), numbered(9000));
    expect([...index.lookup(digests)]).toEqual([...numbered(2000)]);
    expect(index.remove(digests)).toBe(2000);
    expect(index.lookup(randomDigests(7, 9000)).findIndex((value, i) => value !== i)).toBe(-1);
  });

  test('the table depends on the set of keys alone, not on its history', () => {
    const digests = randomDigests(8, 20_000);
    const [straight, detour] = [loadKernels(build), loadKernels(build)];
    new DedupIndex(straight, { entriesMax: 1e6 }).insert(digests.subarray(0, 10_000 * 32), numbered(10_000));
    const index = new DedupIndex(detour, { entriesMax: 1e6 });
    for (let i = 9_999; i >= 0; i--) {
      index.insert(digests.subarray(i * 32, i * 32 + 32), numbered(1, i));
      if (i % 4 !== 0) continue;
      const visitor = digests.subarray((10_000 + i) * 32, (10_001 + i) * 32);
      index.insert(visitor, numbered(1, 1));
      index.remove(visitor);
    }
    expect(tableHash(detour)).toBe(tableHash(straight));
  });

  test('at its limit it says so, keeps everything, and still replaces and removes', () => {
    const index = open(1000);
    const digests = randomDigests(9, 1500);
    const error = thrownBy(() => index.insert(digests, numbered(1500)));
    expect(error.code).toBe('INDEX_FULL');
    expect(error.message).toContain('1000 entries');
    expect(error.context).toMatchObject({ entries: 1000, entriesMax: 1000, inserted: 1000 });
    expect([...index.lookup(digests)]).toEqual([...numbered(1000), ...new Array<number>(500).fill(ABSENT)]);
    index.insert(digests.subarray(0, 32), numbered(1, 77));
    expect(index.remove(digests.subarray(32, 64))).toBe(1);
    index.insert(digests.subarray(1400 * 32, 1401 * 32), numbered(1, 5));
    expect(index.size).toBe(1000);
  });

  test('room asked for at the start is there: no growth, 14.2 bytes an entry when it is used', () => {
    const count = 200_000;
    const index = new DedupIndex(loadKernels(build), { entriesMax: 1_000_000, entriesExpected: count });
    const bytes = index.bytes;
    index.insert(randomDigests(12, count), numbered(count));
    expect(index.bytes).toBe(bytes);
    expect(index.bytesPerEntry).toBeLessThanOrEqual(14.2);
  });

  test('more room than memory has is refused at the start', () => {
    const kernels = instantiateKernels(withMemoryPagesMax(readKernelBytes(build), 300));
    const options = { entriesMax: 10_000_000, entriesExpected: 5_000_000 };
    expect(thrownBy(() => new DedupIndex(kernels, options)).code).toBe('INDEX_FULL');
  });

  test('when memory ends it says so and keeps everything', () => {
    const kernels = instantiateKernels(withMemoryPagesMax(readKernelBytes(build), 300));
    const index = new DedupIndex(kernels, { entriesMax: 100_000_000 });
    const digests = randomDigests(10, 1_600_000);
    const error = thrownBy(() => index.insert(digests, numbered(1_600_000)));
    expect(error.code).toBe('INDEX_FULL');
    expect(error.message).toContain('memory');
    const inserted = Number(error.context['inserted']);
    expect(index.size).toBe(inserted);
    expect(inserted * 16).toBeGreaterThan((300 * 65536 - REGION.index) * 0.87);
    const values = index.lookup(digests);
    expect(values.findIndex((value, i) => value !== (i < inserted ? i : ABSENT))).toBe(-1);
  });
});

describe('dedup index door', () => {
  const index = new DedupIndex(loadKernels(), { entriesMax: 10 });

  test.each([
    ['a ragged run of digests', () => index.lookup(new Uint8Array(33))],
    ['a wrong number of values', () => index.insert(new Uint8Array(64), new Uint32Array(1))],
    ['the value that means absent', () => index.insert(new Uint8Array(32), Uint32Array.of(ABSENT))],
  ])('refuses %s', (_what, run) => {
    expect(thrownBy(run).code).toBe('USAGE');
    expect(index.size).toBe(0);
  });

  test.each([0, -1, Number.NaN, dedupEntriesHighest + 1])('refuses entriesMax %d', (entriesMax) => {
    expect(thrownBy(() => new DedupIndex(loadKernels(), { entriesMax })).code).toBe('LIMIT_EXCEEDED');
  });

  test('an empty batch is fine', () => {
    expect(index.lookup(new Uint8Array(0))).toEqual(new Uint32Array(0));
    index.insert(new Uint8Array(0), new Uint32Array(0));
    expect(index.remove(new Uint8Array(0))).toBe(0);
  });
});
