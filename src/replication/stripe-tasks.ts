/**
 * The worker's half of erasure coding: a pack file → its k + m shard packs; any k of them → the pack, or a lost shard.
 * In and out: files of this node. Works through columns of all shards at once, so memory stays inside INPUT however large
 * the stripe is. Sources are verified slice by slice before any is used; what comes out must have the id that the
 * producer recorded. Source: ARCHITECTURE.md, "Erasure stripe".
 */
import { asDigest, DIGEST_BYTES, type Digest, type DigestHex } from '../digest.ts';
import { ReedSolomon } from '../erasure/reed-solomon.ts';
import { packRangeOf, type Stripe, sliceRange, stripeOf } from '../erasure/stripe.ts';
import { KwamError } from '../errors.ts';
import type { FileHandle } from '../filesystem.ts';
import { shardAlignBytes, shardSliceBytes } from '../limits.ts';
import type { ErasureScheme } from '../plan.ts';
import {
  encodeIndex,
  encodePackHeader,
  encodeRecordHeader,
  PACK_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_TYPE,
  type RecordHeader,
} from '../store/pack-format.ts';
import { verifyPackFile } from '../store/pack-verify.ts';
import { type SealedPack, sealPackFile } from '../store/pack-writer.ts';
import { INPUT_BYTES, REGION } from '../wasm/kernels.ts';
import { defineTask, type WorkerContext } from '../workers/task.ts';
import { hashInput } from './pack-tasks.ts';

export interface StripeInput {
  readonly pack: Digest;
  readonly packBytes: number;
  readonly scheme: ErasureScheme;
  readonly codecId: Digest;
}

/** Shard index and the pack file that holds the shard. */
export interface ShardFile {
  readonly shardIndex: number;
  readonly path: string;
  readonly id: DigestHex;
}

/** A power of two, so that a column never crosses a slice, and a multiple of 64 as every shard length is. */
function columnBytesOf(shardCount: number): number {
  const most = Math.floor(INPUT_BYTES / shardCount);
  return Math.max(shardAlignBytes, Math.min(shardSliceBytes, 2 ** Math.floor(Math.log2(most))));
}

/** Where byte `at` of a shard lies in its pack file. */
function payloadOffset(at: number): number {
  const slice = Math.floor(at / shardSliceBytes);
  return (
    PACK_HEADER_BYTES +
    slice * (RECORD_HEADER_BYTES + shardSliceBytes) +
    RECORD_HEADER_BYTES +
    (at % shardSliceBytes)
  );
}

function* columnsOf(stripe: Stripe, columnBytes: number): Generator<{ start: number; bytes: number }> {
  for (let start = 0; start < stripe.shardBytes; start += columnBytes) {
    yield { start, bytes: Math.min(columnBytes, stripe.shardBytes - start) };
  }
}

export interface EncodeStripeInput extends StripeInput {
  readonly packPath: string;
  /** New files in incoming/, one a shard. */
  readonly paths: readonly string[];
  /** The directory packs/, where the sealed shards appear. */
  readonly packs: string;
}

export const encodeStripe = defineTask('encode-stripe', (context, input: EncodeStripeInput): SealedPack[] => {
  const code = new ReedSolomon(context.kernels, input.scheme);
  const stripe = stripeOf(input.packBytes, input.scheme.dataShards);
  const columnBytes = columnBytesOf(code.shardCount);
  const addresses = Array.from({ length: code.shardCount }, (_, i) => REGION.input + i * columnBytes);
  withFiles(context, [input.packPath], 'read', ([pack]) => {
    withFiles(context, input.paths, 'create', (shards) => {
      for (const { start, bytes } of columnsOf(stripe, columnBytes)) {
        for (let shard = 0; shard < input.scheme.dataShards; shard++) {
          readDataColumn(
            context,
            pack!,
            stripe,
            shard,
            start,
            context.input().subarray(shard * columnBytes, shard * columnBytes + bytes),
          );
        }
        context.timed('erasure', () => code.encodeInPlace(addresses, bytes));
        for (const [i, shard] of shards.entries())
          writeColumn(context, shard, start, columnAt(context, i, columnBytes, bytes));
      }
    });
  });
  return input.paths.map((path, shardIndex) => sealShard(context, input, shardIndex, path, input.packs));
});

function columnAt(context: WorkerContext, i: number, columnBytes: number, bytes: number): Uint8Array {
  return context.input().subarray(i * columnBytes, i * columnBytes + bytes);
}

function readDataColumn(
  context: WorkerContext,
  pack: FileHandle,
  stripe: Stripe,
  shard: number,
  start: number,
  into: Uint8Array,
): void {
  const range = packRangeOf(stripe, { shard, start, bytes: into.length });
  const data = into.subarray(0, range.bytes);
  const got = context.timed('disk', () => context.fileSystem.read(pack, data, range.start));
  if (got !== range.bytes) throw new KwamError('IO', `expected ${range.bytes} bytes of a pack, got ${got}`);
  into.fill(0, range.bytes);
}

function writeColumn(context: WorkerContext, file: FileHandle, start: number, bytes: Uint8Array): void {
  context.timed('disk', () => context.fileSystem.write(file, [bytes], payloadOffset(start)));
}

/** Hashes the slices of a shard file whose payloads are complete, adds its headers, and makes it durable. */
function sealShard(
  context: WorkerContext,
  input: StripeInput,
  shardIndex: number,
  path: string,
  packs: string,
): SealedPack {
  const stripe = stripeOf(input.packBytes, input.scheme.dataShards);
  const { pack, packBytes, scheme, codecId } = input;
  const header = encodePackHeader({
    kind: 'shard',
    codecId,
    stripe: { pack, packBytes, ...scheme, shardIndex },
  });
  const records = Array.from({ length: stripe.sliceCount }, (_, slice) =>
    sliceRecord(context, stripe, slice, path),
  );
  withFiles(context, [path], 'update', ([file]) => {
    context.fileSystem.write(file!, [header], 0);
    for (const [slice, record] of records.entries()) {
      const bytes = new Uint8Array(RECORD_HEADER_BYTES);
      encodeRecordHeader(record, bytes);
      context.fileSystem.write(file!, [bytes], payloadOffset(slice * shardSliceBytes) - RECORD_HEADER_BYTES);
    }
  });
  const request = { path, packs, header, index: encodeIndex(records) };
  return context.timed('disk', () => sealPackFile(context.fileSystem, request));
}

function sliceRecord(context: WorkerContext, stripe: Stripe, slice: number, path: string): RecordHeader {
  const { start, bytes } = sliceRange(stripe, slice);
  const into = context.input().subarray(0, bytes);
  withFiles(context, [path], 'read', ([file]) => {
    const got = context.timed('disk', () => context.fileSystem.read(file!, into, payloadOffset(start)));
    if (got !== bytes) throw new KwamError('IO', `expected ${bytes} bytes of a shard, got ${got}`);
  });
  const digest = hashInput(context)(Uint32Array.of(0, bytes)).slice(0, DIGEST_BYTES);
  return { type: RECORD_TYPE.shardSlice, length: bytes, digest: asDigest(digest) };
}

export interface ReconstructInput extends StripeInput {
  /** At least k shard packs; those that do not verify are not used. */
  readonly sources: readonly ShardFile[];
  /** A new file in incoming/. */
  readonly path: string;
}

export interface ReconstructShardInput extends ReconstructInput {
  readonly shardIndex: number;
  readonly expectedId: DigestHex;
  readonly packs: string;
}

/** Writes the pack file again from its shards. Install it afterwards: that verifies every chunk of it. */
export const reconstructPack = defineTask('reconstruct-pack', (context, input: ReconstructInput): void => {
  const stripe = stripeOf(input.packBytes, input.scheme.dataShards);
  const wanted = Array.from({ length: input.scheme.dataShards }, (_, shard) => shard);
  withFiles(context, [input.path], 'create', ([pack]) => {
    eachColumn(context, input, wanted, (shard, start, bytes) => {
      const range = packRangeOf(stripe, { shard, start, bytes: bytes.length });
      if (range.bytes > 0) context.fileSystem.write(pack!, [bytes.subarray(0, range.bytes)], range.start);
    });
  });
});

/** Rebuilds one lost shard pack; it must come out with the id that the producer recorded. */
export const reconstructShard = defineTask(
  'reconstruct-shard',
  (context, input: ReconstructShardInput): SealedPack => {
    withFiles(context, [input.path], 'create', ([file]) => {
      eachColumn(context, input, [input.shardIndex], (_, start, bytes) =>
        writeColumn(context, file!, start, bytes),
      );
    });
    const sealed = sealShard(context, input, input.shardIndex, input.path, input.packs);
    if (sealed.id === input.expectedId) return sealed;
    context.fileSystem.remove(`${input.packs}/${sealed.id}.pack`);
    throw new KwamError(
      'PACK_INVALID',
      `expected the rebuilt shard ${input.shardIndex} to have id ${input.expectedId}, got ${sealed.id}; it was discarded`,
    );
  },
);

function eachColumn(
  context: WorkerContext,
  input: ReconstructInput,
  wanted: readonly number[],
  use: (shard: number, start: number, bytes: Uint8Array) => void,
): void {
  const code = new ReedSolomon(context.kernels, input.scheme);
  const stripe = stripeOf(input.packBytes, input.scheme.dataShards);
  const sources = input.sources.filter((source) => isIntact(context, source));
  const byIndex = new Map(sources.map((source, i) => [source.shardIndex, i]));
  const present = Array.from({ length: code.shardCount }, (_, shard) => byIndex.has(shard));
  const flags = present.map((_, shard) => wanted.includes(shard));
  const recipe = code.recipe(present, flags);
  const needed = new Set([...recipe.sources, ...wanted.filter((shard) => present[shard])]);
  const columnBytes = columnBytesOf(code.shardCount);
  const addresses = present.map((_, shard) => REGION.input + shard * columnBytes);
  withFiles(
    context,
    sources.map((source) => source.path),
    'read',
    (files) => {
      for (const { start, bytes } of columnsOf(stripe, columnBytes)) {
        for (const shard of needed) {
          const into = columnAt(context, shard, columnBytes, bytes);
          context.timed('disk', () =>
            context.fileSystem.read(files[byIndex.get(shard)!]!, into, payloadOffset(start)),
          );
        }
        context.timed('erasure', () => code.reconstructInPlace(addresses, present, bytes, flags));
        for (const shard of wanted) use(shard, start, columnAt(context, shard, columnBytes, bytes));
      }
    },
  );
}

/** Never rebuild from an unverified shard: the code cannot tell, and would spread the damage. */
function isIntact(context: WorkerContext, source: ShardFile): boolean {
  return verifyPackFile(context.fileSystem, source.path, source.id, context.input(), hashInput(context)).ok;
}

function withFiles<T>(
  context: WorkerContext,
  paths: readonly string[],
  mode: 'read' | 'update' | 'create',
  use: (files: readonly FileHandle[]) => T,
): T {
  const files: FileHandle[] = [];
  try {
    for (const path of paths) files.push(context.fileSystem.open(path, mode));
    return use(files);
  } finally {
    for (const file of files) context.fileSystem.close(file);
  }
}
