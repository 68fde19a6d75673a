import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MIB } from '../../src/limits.ts';
import { memoryShares } from '../../src/workers/memory-shares.ts';

describe('memory shares', () => {
  it('add up to at most the budget, for any budget and any number of processors', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 256 * MIB, max: 64 * 1024 * MIB }),
        fc.integer({ min: 1, max: 256 }),
        (total, cpus) => {
          const shares = memoryShares(total, cpus);
          expect(
            shares.fixedBytes + shares.mainHeapBytes + shares.streamBytes + shares.indexBytes,
          ).toBeGreaterThan(0);
          const sum =
            shares.fixedBytes +
            shares.threadCount * (shares.workerFixedBytes + shares.workerHeapBytes) +
            shares.mainHeapBytes +
            shares.streamBytes +
            shares.indexBytes;
          expect(sum).toBeLessThanOrEqual(total);
          expect(shares.threadCount).toBeGreaterThanOrEqual(1);
          expect(shares.threadCount).toBeLessThanOrEqual(cpus);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('never shrink when the budget grows, as long as the threads stay', () => {
    fc.assert(
      fc.property(fc.integer({ min: 256, max: 8192 }), fc.integer({ min: 0, max: 1024 }), (mib, more) => {
        const small = memoryShares(mib * MIB, 2);
        const large = memoryShares((mib + more) * MIB, 2);
        if (small.threadCount !== large.threadCount) return;
        for (const share of ['workerHeapBytes', 'mainHeapBytes', 'streamBytes', 'indexBytes'] as const)
          expect(large[share]).toBeGreaterThanOrEqual(small[share]);
      }),
    );
  });

  it('refuse a budget that a node cannot keep', () => {
    expect(() => memoryShares(255 * MIB)).toThrowError(/at least 256mib, got 255mib/);
  });
});
