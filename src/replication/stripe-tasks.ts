/**
 * The worker's half of erasure coding: a pack file → its shard packs; enough of them → the pack, or a lost shard.
 * In and out: files of this node. Works through columns of all shards at once, so memory stays inside INPUT however large
 * the stripe is. Sources are verified slice by slice before any is used; what comes out must have the id that the
 * producer recorded. Source: ARCHITECTURE.md, "Erasure stripe".
 */
import { asDigest, DIGEST_BYTES, type DigestHex, toHex } from '../digest.ts';
import { layoutSlices } from '../erasure/combination.ts';
import { dataOf } from '../erasure/scheme.ts';
import { packRangeOf, type Stripe, sliceRange, stripeOf } from '../erasure/stripe.ts';
import { KwamError } from '../errors.ts';
import type { FileHandle } from '../filesystem.ts';
import { shardSliceBytes } from '../limits.ts';
import { packPath } from '../store/layout.ts';
import {
  encodeIndex,
  encodeRecordHeader,
  PACK_HEADER_BYTES,
  packIdOf,
  RECORD_HEADER_BYTES,
  RECORD_TYPE,
  type RecordHeader,
} from '../store/pack-format.ts';
import { openPack } from '../store/pack-reader.ts';
import { verifyPackFile } from '../store/pack-verify.ts';
import { type SealedPack, sealPackFile } from '../store/pack-writer.ts';
import { defineTask, type WorkerContext } from '../workers/task.ts';
import { hashInput } from './pack-tasks.ts';
import { type StripeIdentity, shardHeader, strangerError } from './stripe-identity.ts';

/** Shard index and the pack file that holds the shard. */
export interface ShardFile {
  readonly shardIndex: number;
  readonly path: string;
  readonly id: DigestHex;
}

/** Where the columns of all shards lie in INPUT while they are coded. */
interface Columns {
  /** A power of two, so that a column never crosses a slice, and a multiple of 64 as every shard length is. */
  readonly bytesMax: number;
  readonly addresses: readonly number[];
}

function columnsFor(shardCount: number): Columns {
  const bytesMax = 2 ** Math.floor(Math.log2(layoutSlices(shardCount).sliceBytes));
  return { bytesMax, addresses: layoutSlices(shardCount, bytesMax).addresses };
}

/** Where byte `at` of a shard lies in its pack file. */
export function payloadOffset(at: number): number {
  const slice = Math.floor(at / shardSliceBytes);
  return (
    PACK_HEADER_BYTES +
    slice * (RECORD_HEADER_BYTES + shardSliceBytes) +
    RECORD_HEADER_BYTES +
    (at % shardSliceBytes)
  );
}

/** The shard from its start to its end, a column at a time. */
function* spans(stripe: Stripe, bytesMax: number): Generator<{ start: number; bytes: number }> {
  for (let start = 0; start < stripe.shardBytes; start += bytesMax) {
    yield { start, bytes: Math.min(bytesMax, stripe.shardBytes - start) };
  }
}

export interface EncodeStripeInput extends StripeIdentity {
  readonly packPath: string;
  /** New files in incoming/, one a shard. */
  readonly paths: readonly string[];
  /** The directory packs/, where the sealed shards appear. */
  readonly packs: string;
}

/**
 * The only full copy goes when its shards are safe, so the pack is verified before it is encoded: shards of a damaged pack
 * would preserve the damage.
 */
export const encodeStripe = defineTask('encode-stripe', (context, input: EncodeStripeInput): SealedPack[] => {
  const { dataShards } = input.scheme;
  requireIntact(context, input.packPath, toHex(input.pack));
  const code = context.linearCode(input.scheme);
  const stripe = stripeOf(input.packBytes, dataShards);
  const { bytesMax, addresses } = columnsFor(code.shardCount);
  withFiles(context, [input.packPath], 'read', ([pack]) => {
    withNewFiles(context, input.paths, (shards) => {
      for (const { start, bytes } of spans(stripe, bytesMax)) {
        for (let shard = 0; shard < dataShards; shard++) {
          readDataColumn(context, pack!, stripe, shard, start, columnAt(context, addresses[shard]!, bytes));
        }
        context.timed('erasure', () => code.encodeInPlace(addresses, bytes));
        for (const [i, shard] of shards.entries())
          writeColumn(context, shard, start, columnAt(context, addresses[i]!, bytes));
      }
    });
  });
  return sealAll(context, input);
});

/** All of them or none: a shard without its stripe would only take room. One that was here before may be relied on, and stays. */
function sealAll(context: WorkerContext, input: EncodeStripeInput): SealedPack[] {
  const { fileSystem } = context;
  const added: string[] = [];
  try {
    return input.paths.map((path, shardIndex) => {
      const frame = frameOf(context, input, shardIndex, path);
      const target = packPath(input.packs, frame.id);
      const wasHere = fileSystem.exists(target);
      const sealed = sealShard(context, frame, path, input.packs);
      if (!wasHere) added.push(target);
      return sealed;
    });
  } catch (error) {
    for (const path of [...added, ...input.paths]) fileSystem.remove(path);
    throw error;
  }
}

function requireIntact(context: WorkerContext, path: string, id: DigestHex): void {
  const { ok, problem } = verifyPackFile(context.fileSystem, path, id, context.input(), hashInput(context));
  if (ok) return;
  throw new KwamError('PACK_INVALID', `expected pack ${id} to be intact before it is encoded: ${problem}`, {
    context: { pack: id },
  });
}

function columnAt(context: WorkerContext, address: number, bytes: number): Uint8Array {
  return context.kernels.bytes().subarray(address, address + bytes);
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
  const got = context.fileSystem.read(pack, data, range.start);
  if (got !== range.bytes) throw new KwamError('IO', `expected ${range.bytes} bytes of a pack, got ${got}`);
  into.fill(0, range.bytes);
}

function writeColumn(context: WorkerContext, file: FileHandle, start: number, bytes: Uint8Array): void {
  context.fileSystem.write(file, [bytes], payloadOffset(start));
}

/** What a shard file becomes a pack with. */
interface ShardFrame {
  readonly id: DigestHex;
  readonly header: Uint8Array;
  readonly index: Uint8Array;
  readonly records: readonly RecordHeader[];
}

/** Hashes the slices of a shard file whose payloads are complete. */
function frameOf(
  context: WorkerContext,
  input: StripeIdentity,
  shardIndex: number,
  path: string,
): ShardFrame {
  const stripe = stripeOf(input.packBytes, input.scheme.dataShards);
  const header = shardHeader(input, shardIndex);
  const records = Array.from({ length: stripe.sliceCount }, (_, slice) =>
    sliceRecord(context, stripe, slice, path),
  );
  const index = encodeIndex(records);
  return { id: toHex(packIdOf(header, index)), header, index, records };
}

/** @throws KwamError PACK_INVALID when it does not come out as `expectedId`; the file is removed then. */
function sealRebuilt(
  context: WorkerContext,
  input: StripeIdentity & Pick<SealRebuiltInput, 'path' | 'packs' | 'shardIndex' | 'expectedId'>,
): SealedPack {
  const { path, packs, shardIndex, expectedId } = input;
  const frame = frameOf(context, input, shardIndex, path);
  if (frame.id === expectedId) return sealShard(context, frame, path, packs);
  context.fileSystem.remove(path);
  throw notTheShard(shardIndex, expectedId, frame.id);
}

/** Adds its headers to a shard file and makes it durable. */
function sealShard(
  context: WorkerContext,
  { header, index, records }: ShardFrame,
  path: string,
  packs: string,
): SealedPack {
  withFiles(context, [path], 'update', ([file]) => {
    context.fileSystem.write(file!, [header], 0);
    for (const [slice, record] of records.entries()) {
      const bytes = new Uint8Array(RECORD_HEADER_BYTES);
      encodeRecordHeader(record, bytes);
      context.fileSystem.write(file!, [bytes], payloadOffset(slice * shardSliceBytes) - RECORD_HEADER_BYTES);
    }
  });
  return sealPackFile(context.fileSystem, { path, packs, header, index });
}

function notTheShard(shardIndex: number, expectedId: DigestHex, id: DigestHex): KwamError {
  return new KwamError(
    'PACK_INVALID',
    `expected the rebuilt shard ${shardIndex} to have id ${expectedId}, got ${id}; it was discarded`,
    { context: { shardIndex, expectedId, id } },
  );
}

function sliceRecord(context: WorkerContext, stripe: Stripe, slice: number, path: string): RecordHeader {
  const { start, bytes } = sliceRange(stripe, slice);
  const into = context.input().subarray(0, bytes);
  withFiles(context, [path], 'read', ([file]) => {
    const got = context.fileSystem.read(file!, into, payloadOffset(start));
    if (got !== bytes) throw new KwamError('IO', `expected ${bytes} bytes of a shard, got ${got}`);
  });
  const digest = hashInput(context)(Uint32Array.of(0, bytes)).slice(0, DIGEST_BYTES);
  return { type: RECORD_TYPE.shardSlice, length: bytes, digest: asDigest(digest) };
}

export interface ReconstructInput extends StripeIdentity {
  /** Shard packs from which the wanted ones follow; those that do not verify, or are of another stripe, are not used. */
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
  const wanted = dataOf(input.scheme);
  withNewFiles(context, [input.path], ([pack]) => {
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
    withNewFiles(context, [input.path], ([file]) => {
      eachColumn(context, input, [input.shardIndex], (_, start, bytes) =>
        writeColumn(context, file!, start, bytes),
      );
    });
    return sealRebuilt(context, input);
  },
);

export interface SealRebuiltInput extends StripeIdentity {
  /** In incoming/, with every payload in its place. */
  readonly path: string;
  readonly packs: string;
  readonly shardIndex: number;
  readonly expectedId: DigestHex;
}

/** Makes a shard pack of a file whose payloads came as partial sums; it counts only with the id that the producer recorded. */
export const sealRebuiltShard = defineTask('seal-rebuilt-shard', sealRebuilt);

function eachColumn(
  context: WorkerContext,
  input: ReconstructInput,
  wanted: readonly number[],
  use: (shard: number, start: number, bytes: Uint8Array) => void,
): void {
  const code = context.linearCode(input.scheme);
  const stripe = stripeOf(input.packBytes, input.scheme.dataShards);
  const sources = input.sources.filter((source) => isUsable(context, input, source));
  const byIndex = new Map(sources.map((source, i) => [source.shardIndex, i]));
  const present = Array.from({ length: code.shardCount }, (_, shard) => byIndex.has(shard));
  const flags = present.map((_, shard) => wanted.includes(shard));
  const recipe = code.recipe(present, flags);
  const needed = new Set([...recipe.sources, ...wanted.filter((shard) => present[shard])]);
  const { bytesMax, addresses } = columnsFor(code.shardCount);
  withFiles(
    context,
    sources.map((source) => source.path),
    'read',
    (files) => {
      for (const { start, bytes } of spans(stripe, bytesMax)) {
        for (const shard of needed) {
          readColumn(
            context,
            files[byIndex.get(shard)!]!,
            start,
            columnAt(context, addresses[shard]!, bytes),
          );
        }
        context.timed('erasure', () => code.reconstructInPlace(addresses, present, bytes, flags));
        for (const shard of wanted) use(shard, start, columnAt(context, addresses[shard]!, bytes));
      }
    },
  );
}

function readColumn(context: WorkerContext, file: FileHandle, start: number, into: Uint8Array): void {
  const got = context.fileSystem.read(file, into, payloadOffset(start));
  if (got !== into.length) throw new KwamError('IO', `expected ${into.length} bytes of a shard, got ${got}`);
}

/** Never rebuild from an unverified shard, nor from one of another stripe: the code cannot tell, and would spread the damage. */
function isUsable(context: WorkerContext, identity: StripeIdentity, source: ShardFile): boolean {
  const { fileSystem } = context;
  const { path, id } = source;
  try {
    if (!verifyPackFile(fileSystem, path, id, context.input(), hashInput(context)).ok) return false;
    return strangerError(identity, source, openPack(fileSystem, path, id).headerBytes) === undefined;
  } catch (error) {
    // Retired or moved to quarantine since it was named.
    if (error instanceof KwamError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
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

/** Removes what a worker that died in the same task may have left. When `use` fails, nothing stays behind. */
function withNewFiles<T>(
  context: WorkerContext,
  paths: readonly string[],
  use: (files: readonly FileHandle[]) => T,
): T {
  const removeAll = (): void => {
    for (const path of paths) context.fileSystem.remove(path);
  };
  removeAll();
  try {
    return withFiles(context, paths, 'create', use);
  } catch (error) {
    removeAll();
    throw error;
  }
}
