/**
 * The yardstick is itself measured: published gear values and published cuts of FastCDC.
 */
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/random.ts';
import { fastCdcCuts, GEAR } from '../reference/fastcdc.ts';

test('the gear table is that of the fastcdc crate (src/v2016/mod.rs: first, some inner and last entries)', () => {
  expect(GEAR[0]).toBe(0x3b5d3c7d207e37dcn);
  expect(GEAR[1]).toBe(0x784d68ba91123086n);
  expect(GEAR[128]).toBe(0xc0ce47f889336346n);
  expect(GEAR[255]).toBe(0xaabd2b2a451504e1n);
});

test('10240 zeros at 64/256/1024 are ten chunks of 1024 (fastcdc crate, test_cut_all_zeros)', () => {
  const cuts = fastCdcCuts(new Uint8Array(10_240), { min: 64, average: 256, max: 1024 });
  expect(cuts).toEqual(Array.from({ length: 10 }, (_, i) => (i + 1) * 1024));
});

test('the gear hash of those zeros ends as published: 14169102344523991076', () => {
  let hash = 0n;
  for (let i = 64; i < 1024; i++) hash = BigInt.asUintN(64, (hash << 1n) + GEAR[0]!);
  expect(hash).toBe(14169102344523991076n);
});

test('on random data the mean is what two masks give', () => {
  const bytes = seededRandom(8).fill(new Uint8Array(16 * 2 ** 20));
  const cuts = fastCdcCuts(bytes, { min: 2048, average: 8192, max: 32768 });
  // Geometric with 2^-14 from 2 to 8 KiB, then with 2^-12 up to 32 KiB.
  const early = 2 ** 14 * (1 - Math.exp(-6144 / 2 ** 14));
  const late = Math.exp(-6144 / 2 ** 14) * 2 ** 12 * (1 - Math.exp(-24576 / 2 ** 12));
  expect(Math.abs(bytes.length / cuts.length / (2048 + early + late) - 1)).toBeLessThan(0.05);
});
