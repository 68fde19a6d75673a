/**
 * Every bound of the program, with its reason; relations between them are asserted at load.
 */
import { assert } from './errors.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Defaults of the chunker. Smaller: better deduplication, larger index (14 bytes a chunk) and manifests. */
export const chunkBytesMinDefault = 16 * KIB;
export const chunkBytesTargetDefault = 64 * KIB;
export const chunkBytesMaxDefault = 256 * KIB;
/** Bounds that a plan may choose within; CUTS holds 32768 cuts for 16 MiB of input, so min ≥ 512 bytes suffices. */
export const chunkBytesMinLowest = 1 * KIB;
export const chunkBytesMaxHighest = 4 * MIB;

/** Unit of placement. Larger: fewer fsyncs and control entries; smaller: finer balance, quicker repair of one pack. */
export const packBytesTarget = 32 * MIB;
/** A record's payload; a chunk, a shard slice or a part of a manifest. */
export const recordBytesMax = 16 * MIB;
export const shardSliceBytes = 1 * MIB;

/** GF(2^8) has 255 nonzero points: more shards would repeat a row of the matrix. */
export const shardCountMax = 255;

/** One transport message. Below it the per-message cost dominates, above it buffers grow without gain. */
export const messageBytesMax = 1 * MIB;
/** Bytes a receiver lets one stream have in flight: at least twice 25 Gb/s × 1 ms (research: grpc-js window). */
export const streamCreditBytes = 8 * MIB;

assert(chunkBytesMinDefault < chunkBytesTargetDefault, 'min below target');
assert(chunkBytesTargetDefault < chunkBytesMaxDefault, 'target below max');
assert(chunkBytesMaxHighest <= recordBytesMax, 'a chunk fits a record');
assert(shardSliceBytes <= recordBytesMax, 'a slice fits a record');
assert(streamCreditBytes >= 2 * messageBytesMax, 'credit covers two messages');
