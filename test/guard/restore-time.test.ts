import { expect, test } from 'vitest';
import { leastRestoreTime, restoreVerdict } from '../../src/guard/restore-time.ts';

const inputs = {
  detectionMs: 3000,
  repairDelayMs: 60_000,
  nodeBytes: 8_000_000_000_000,
  readsPerByte: 6,
  repairBytesPerSecond: 3_125_000_000,
};

test('noticing, waiting and moving add up, rounded up to a millisecond', () => {
  const { leastMs, moveMs, reason } = leastRestoreTime(inputs);
  expect(moveMs).toBe(15_360_000);
  expect(leastMs).toBe(15_423_000);
  expect(reason).toBe('3 s to notice + 60 s delay + 8000000 MB × 6 at 3130 MB/s = 15423 s');
  expect(leastRestoreTime({ ...inputs, nodeBytes: 1 }).moveMs).toBe(1);
});

test('the verdict turns at the last millisecond', () => {
  expect(restoreVerdict(15_423_000, inputs).possible).toBe(true);
  expect(restoreVerdict(15_422_999, inputs)).toMatchObject({
    possible: false,
    leastMs: 15_423_000,
    declaredMs: 15_422_999,
  });
});

test('numbers that mean nothing are refused', () => {
  expect(() => leastRestoreTime({ ...inputs, repairBytesPerSecond: 0 })).toThrow(
    /repairBytesPerSecond .* from 1, got 0/,
  );
  expect(() => leastRestoreTime({ ...inputs, detectionMs: -1 })).toThrow(/detectionMs .* from 0, got -1/);
  expect(() => leastRestoreTime({ ...inputs, readsPerByte: 1.5 })).toThrow(/readsPerByte/);
});
