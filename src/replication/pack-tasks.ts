/**
 * The worker's half of moving packs between nodes: seal what was written here, prepare and install what comes from
 * elsewhere, verify what lies here. Every payload is hashed before it counts.
 */
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { FileSystem } from '../filesystem.ts';
import { packPath } from '../store/layout.ts';
import { type CopyResult, copyRecords } from '../store/pack-copy.ts';
import {
  encodePackTrailer,
  type PackRecord,
  packIdOf,
  parseIndex,
  parsePackHeader,
  RECORD_HEADER_BYTES,
} from '../store/pack-format.ts';
import type { HashRuns } from '../store/pack-reader.ts';
import { checkRun, type PackVerification, verifyPackFile } from '../store/pack-verify.ts';
import { installPackFile, type SealedPack, type SealRequest, sealPackFile } from '../store/pack-writer.ts';
import { REGION } from '../wasm/kernels.ts';
import { defineTask, type WorkerContext } from '../workers/task.ts';

/** One record in this many is hashed by the second engine too, as at ingest. */
const ARBITRATE_EVERY = 256;

/** The worker's hash over INPUT, for code that speaks of offsets inside the buffer it was given. */
export function hashInput(context: WorkerContext, every = ARBITRATE_EVERY): HashRuns {
  return (runs) => {
    const absolute = runs.map((value, i) => (i % 2 === 0 ? value + REGION.input : value));
    return context.timed('hash', () => context.hashArbitrated(absolute, every));
  };
}

/** Adds to each bad record whether the first engine had passed it: that damage would have stayed unseen. */
export function withPassed<Bad extends { readonly digest: DigestHex }>(
  context: WorkerContext,
  bad: readonly Bad[],
): (Bad & { readonly wasPassed: boolean })[] {
  return bad.map((one) => ({ ...one, wasPassed: context.wasOverruled(one.digest) }));
}

export const sealPack = defineTask(
  'seal-pack',
  (context, request: SealRequest): SealedPack => sealPackFile(context.fileSystem, request),
);

export interface VerifyInput {
  readonly path: string;
  readonly id: DigestHex;
  /** Have the second engine hash every record, not a sample. */
  readonly isDoubted?: boolean;
}

export const verifyPack = defineTask('verify-pack', (context, input: VerifyInput): PackVerification => {
  const hash = hashInput(context, input.isDoubted ? 1 : ARBITRATE_EVERY);
  const found = verifyPackFile(context.fileSystem, input.path, input.id, context.input(), hash);
  return { ...found, bad: withPassed(context, found.bad) };
});

/** Records that another file of this node has: a second pack with the same chunks, or the good part of a damaged one. */
export interface LocalSource {
  readonly path: string;
  /** Ascending by offset in that file; the n-th is the record `targets[n]` of the pack that is being made. */
  readonly records: readonly PackRecord[];
  readonly targets: readonly number[];
}

export interface PrepareInput {
  /** In incoming/; may be there already, from an attempt that was cut off. */
  readonly path: string;
  readonly header: Uint8Array;
  readonly index: Uint8Array;
  readonly sources: readonly LocalSource[];
}

/**
 * Starts or resumes a pack file: keeps the records that are there and good, adds those that this node has elsewhere, and
 * returns the indexes of the ones that must still travel.
 */
export const preparePack = defineTask('prepare-pack', (context, input: PrepareInput): number[] => {
  const { fileSystem } = context;
  const records = parseIndex(input.index, parsePackHeader(input.header).kind);
  const missing = fileSystem.exists(input.path)
    ? missingRecords(context, input.path, records)
    : new Set(records.keys());
  writeFrame(fileSystem, input, records);
  for (const source of input.sources) {
    for (const [i, target] of source.targets.entries()) {
      if (missing.has(target) && copyOne(context, source, i, input.path, records[target]!))
        missing.delete(target);
    }
  }
  return [...missing];
});

function missingRecords(context: WorkerContext, path: string, records: readonly PackRecord[]): Set<number> {
  const missing = new Set<number>();
  const file = context.fileSystem.open(path, 'read');
  try {
    for (let first = 0; first < records.length; ) {
      const run = checkRun(context.fileSystem, file, records, first, context.input(), hashInput(context));
      for (const bad of run.bad) missing.add(bad.recordIndex);
      for (const index of run.headersDamaged) missing.add(index);
      first = run.next;
    }
  } finally {
    context.fileSystem.close(file);
  }
  return missing;
}

/** Header, record headers, index and trailer follow from the id alone; only payloads travel. */
function writeFrame(fileSystem: FileSystem, input: PrepareInput, records: readonly PackRecord[]): void {
  const file = fileSystem.open(input.path, fileSystem.exists(input.path) ? 'update' : 'create');
  try {
    fileSystem.write(file, [input.header], 0);
    records.forEach((record, i) => {
      const at = i * RECORD_HEADER_BYTES;
      fileSystem.write(file, [input.index.subarray(at, at + RECORD_HEADER_BYTES)], record.offset);
    });
    const last = records.at(-1)!;
    const end = last.offset + RECORD_HEADER_BYTES + last.length;
    const trailer = encodePackTrailer({
      recordCount: records.length,
      id: packIdOf(input.header, input.index),
    });
    fileSystem.write(file, [input.index, trailer], end);
    fileSystem.truncate(file, end + input.index.length + trailer.length);
  } finally {
    fileSystem.close(file);
  }
}

function copyOne(
  context: WorkerContext,
  source: LocalSource,
  i: number,
  target: string,
  record: PackRecord,
): boolean {
  const { fileSystem } = context;
  const records = [source.records[i]!];
  const { offset } = record;
  try {
    return (
      copyRecords(fileSystem, source.path, records, target, offset, context.input(), hashInput(context)).bad
        .length === 0
    );
  } catch (error) {
    // The source was retired or repaired away meanwhile: the record travels instead.
    if (error instanceof KwamError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

export interface CopyInput {
  readonly source: string;
  /** Ascending by offset in the source. */
  readonly records: readonly PackRecord[];
  readonly target: string;
  readonly targetOffset: number;
}

/** Copies records into room that a pack builder allocated; each is hashed on the way. */
export const copyInto = defineTask('copy-into', (context, input: CopyInput): CopyResult => {
  const { source, records, target, targetOffset } = input;
  const buffer = context.input();
  const hash = hashInput(context);
  const copied = copyRecords(context.fileSystem, source, records, target, targetOffset, buffer, hash);
  return { ...copied, bad: withPassed(context, copied.bad) };
});

export interface InstallInput {
  readonly path: string;
  readonly packs: string;
  readonly id: DigestHex;
}

export type InstallOutput =
  | { readonly ok: true; readonly sealed: SealedPack }
  | { readonly ok: false; readonly verification: PackVerification };

/**
 * Verifies a complete file in incoming/ and only then makes it durable under packs/. May run again after a worker died in
 * it: the file may then lie in its final place already.
 */
export const installPack = defineTask('install-pack', (context, input: InstallInput): InstallOutput => {
  const { fileSystem } = context;
  const path = fileSystem.exists(input.path) ? input.path : packPath(input.packs, input.id);
  const verification = verifyPackFile(fileSystem, path, input.id, context.input(), hashInput(context));
  if (!verification.ok) return { ok: false, verification };
  return { ok: true, sealed: installPackFile(fileSystem, path, input.packs, input.id) };
});
