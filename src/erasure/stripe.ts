/**
 * The arithmetic of a stripe: which bytes of a pack file lie where in its shards (ARCHITECTURE.md, "Erasure stripe").
 * A pack of B bytes and k data shards: shard length L = ceil(B / k) rounded up to 64; data shard i is pack bytes
 * [iL, (i + 1)L), zero padded at the end; every shard is stored in slices of 1 MiB, the last one shorter.
 * Pure numbers: does not read, code or hash.
 */
import { assert } from '../errors.ts';
import { shardAlignBytes, shardSliceBytes } from '../limits.ts';

export interface Stripe {
  readonly packBytes: number;
  readonly dataShards: number;
  readonly shardBytes: number;
  /** Slices of each shard. */
  readonly sliceCount: number;
}

export interface ShardRange {
  readonly shard: number;
  /** First byte within the shard. */
  readonly start: number;
  readonly bytes: number;
}

export interface PackRange {
  /** First byte within the pack file; the file's end when the whole range is padding. */
  readonly start: number;
  /** Bytes that come from the pack file. */
  readonly bytes: number;
  /** Zero bytes that follow them. */
  readonly paddingBytes: number;
}

export function stripeOf(packBytes: number, dataShards: number): Stripe {
  assert(Number.isSafeInteger(packBytes) && packBytes >= 1, `a stripe needs a pack, got ${packBytes} bytes`);
  assert(Number.isInteger(dataShards) && dataShards >= 1, `a stripe needs data shards, got ${dataShards}`);
  const shardBytes = Math.ceil(Math.ceil(packBytes / dataShards) / shardAlignBytes) * shardAlignBytes;
  return { packBytes, dataShards, shardBytes, sliceCount: Math.ceil(shardBytes / shardSliceBytes) };
}

/** Where slice `slice` of any shard of this stripe begins within the shard, and its length. */
export function sliceRange(
  stripe: Stripe,
  slice: number,
): { readonly start: number; readonly bytes: number } {
  assert(slice >= 0 && slice < stripe.sliceCount, `slice ${slice} of ${stripe.sliceCount}`);
  const start = slice * shardSliceBytes;
  return { start, bytes: Math.min(shardSliceBytes, stripe.shardBytes - start) };
}

/** The parts of data shards that hold pack bytes [start, start + bytes), in order. */
export function shardRangesOf(stripe: Stripe, start: number, bytes: number): ShardRange[] {
  assert(start >= 0 && bytes >= 0 && start + bytes <= stripe.packBytes, 'the range lies inside the pack');
  const ranges: ShardRange[] = [];
  const end = start + bytes;
  for (let at = start; at < end; ) {
    const shard = Math.floor(at / stripe.shardBytes);
    const within = at - shard * stripe.shardBytes;
    const count = Math.min(stripe.shardBytes - within, end - at);
    ranges.push({ shard, start: within, bytes: count });
    at += count;
  }
  return ranges;
}

/** The pack bytes, then zeros, that make up a part of one data shard. */
export function packRangeOf(stripe: Stripe, range: ShardRange): PackRange {
  assert(range.shard >= 0 && range.shard < stripe.dataShards, `shard ${range.shard} holds data`);
  assert(range.start >= 0 && range.bytes >= 0, 'a range is not negative');
  assert(range.start + range.bytes <= stripe.shardBytes, 'the range lies inside the shard');
  const start = Math.min(range.shard * stripe.shardBytes + range.start, stripe.packBytes);
  const bytes = Math.min(range.bytes, stripe.packBytes - start);
  return { start, bytes, paddingBytes: range.bytes - bytes };
}
