/**
 * Stripe arithmetic: every byte of a pack has exactly one place, and comes back from it.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packRangeOf, shardRangesOf, sliceRange, stripeOf } from '../../src/erasure/stripe.ts';
import { MIB } from '../../src/limits.ts';

const stripes = fc
  .tuple(fc.integer({ min: 1, max: 40 * MIB }), fc.integer({ min: 1, max: 200 }))
  .map(([packBytes, dataShards]) => stripeOf(packBytes, dataShards));

describe('stripe', () => {
  it('follows ARCHITECTURE.md: ceil(B / k) rounded up to 64, slices of 1 MiB', () => {
    expect(stripeOf(1, 8)).toMatchObject({ shardBytes: 64, sliceCount: 1 });
    expect(stripeOf(512, 8)).toMatchObject({ shardBytes: 64, sliceCount: 1 });
    expect(stripeOf(513, 8)).toMatchObject({ shardBytes: 128, sliceCount: 1 });
    expect(stripeOf(32 * MIB, 4)).toMatchObject({ shardBytes: 8 * MIB, sliceCount: 8 });
    const odd = stripeOf(32 * MIB + 1, 4);
    expect(odd).toMatchObject({ shardBytes: 8 * MIB + 64, sliceCount: 9 });
    expect(sliceRange(odd, 7)).toEqual({ start: 7 * MIB, bytes: MIB });
    expect(sliceRange(odd, 8)).toEqual({ start: 8 * MIB, bytes: 64 });
  });

  it('locates a range that spans shards', () => {
    const stripe = stripeOf(1000, 4); // L = 256
    expect(shardRangesOf(stripe, 250, 300)).toEqual([
      { shard: 0, start: 250, bytes: 6 },
      { shard: 1, start: 0, bytes: 256 },
      { shard: 2, start: 0, bytes: 38 },
    ]);
    expect(shardRangesOf(stripe, 1000, 0)).toEqual([]);
    expect(packRangeOf(stripe, { shard: 3, start: 200, bytes: 56 })).toEqual({
      start: 968,
      bytes: 32,
      paddingBytes: 24,
    });
  });

  it('covers the pack once: slices of data shards, in order, are the pack and then padding', () => {
    fc.assert(
      fc.property(stripes, (stripe) => {
        let at = 0;
        let paddingBytes = 0;
        for (let shard = 0; shard < stripe.dataShards; shard++) {
          for (let slice = 0; slice < stripe.sliceCount; slice++) {
            const range = packRangeOf(stripe, { shard, ...sliceRange(stripe, slice) });
            expect(range.start).toBe(at);
            at += range.bytes;
            paddingBytes += range.paddingBytes;
          }
        }
        expect(at).toBe(stripe.packBytes);
        expect(at + paddingBytes).toBe(stripe.shardBytes * stripe.dataShards);
      }),
    );
  });

  it('goes there and back', () => {
    fc.assert(
      fc.property(stripes, fc.nat(), fc.nat(), (stripe, a, b) => {
        const start = a % stripe.packBytes;
        const bytes = b % (stripe.packBytes - start + 1);
        let at = start;
        for (const range of shardRangesOf(stripe, start, bytes)) {
          expect(packRangeOf(stripe, range)).toEqual({ start: at, bytes: range.bytes, paddingBytes: 0 });
          at += range.bytes;
        }
        expect(at).toBe(start + bytes);
      }),
    );
  });

  it('refuses what lies outside', () => {
    const stripe = stripeOf(1000, 4);
    expect(() => stripeOf(0, 4)).toThrow(/needs a pack/);
    expect(() => shardRangesOf(stripe, 990, 11)).toThrow(/inside the pack/);
    expect(() => packRangeOf(stripe, { shard: 4, start: 0, bytes: 1 })).toThrow(/holds data/);
    expect(() => packRangeOf(stripe, { shard: 0, start: 250, bytes: 7 })).toThrow(/inside the shard/);
    expect(() => sliceRange(stripe, 1)).toThrow(/slice 1 of 1/);
  });
});
