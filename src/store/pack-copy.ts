/**
 * Copying records between packs, verified on the way; synchronous, for worker threads.
 * In: a sealed pack, the records wanted from it, room allocated in another pack. Out: how much was copied, what was bad.
 * Holds: a payload is written only after its bytes in the buffer hashed to its digest. Compaction and local rebuild use it.
 */
import type { DigestHex } from '../digest.ts';
import type { FileHandle, FileSystem } from '../filesystem.ts';
import { endOf, PACK_HEADER_BYTES, type PackRecord, packInvalid } from './pack-format.ts';
import { digestMismatch, type HashRuns, withFile } from './pack-reader.ts';
import { type BadRecord, checkRun, readStructure } from './pack-verify.ts';
import { createPackFile, type SealedPack, sealPackFile, writeRecords } from './pack-writer.ts';

export interface CopyResult {
  readonly copiedBytes: number;
  /** Not copied: their room in the target is a hole, so the target must be abandoned (sealing it would fail). */
  readonly bad: readonly BadRecord[];
}

/**
 * @param records ascending by offset, from the source pack. They land one after another from `targetOffset` on,
 *                which PackBuilder.allocate(records) has returned together with `target`.
 * @param buffer  overwritten; at least as large as the largest record. `hashRuns` hashes places in it.
 */
export function copyRecords(
  fileSystem: FileSystem,
  source: string,
  records: readonly PackRecord[],
  target: string,
  targetOffset: number,
  buffer: Uint8Array,
  hashRuns: HashRuns,
): CopyResult {
  return withFile(fileSystem, source, (from) => {
    const to = fileSystem.open(target, 'update');
    try {
      return copyRuns(fileSystem, from, records, to, targetOffset, buffer, hashRuns);
    } finally {
      fileSystem.close(to);
    }
  });
}

function copyRuns(
  fileSystem: FileSystem,
  from: FileHandle,
  records: readonly PackRecord[],
  to: FileHandle,
  targetOffset: number,
  buffer: Uint8Array,
  hashRuns: HashRuns,
): CopyResult {
  const bad: BadRecord[] = [];
  let offset = targetOffset;
  for (let first = 0; first < records.length; ) {
    const run = checkRun(fileSystem, from, records, first, buffer, hashRuns);
    const wanted = records.slice(first, run.next);
    if (run.bad.length === 0) writeRecords(fileSystem, to, offset, wanted, payloadsIn(buffer, run.runs));
    bad.push(...run.bad);
    for (const record of wanted) offset += endOf(record) - record.offset;
    first = run.next;
  }
  return { copiedBytes: bad.length === 0 ? offset - targetOffset : 0, bad };
}

function payloadsIn(buffer: Uint8Array, runs: Uint32Array): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  for (let i = 0; i < runs.length; i += 2) payloads.push(buffer.subarray(runs[i]!, runs[i]! + runs[i + 1]!));
  return payloads;
}

export interface RebuildRequest {
  readonly source: string;
  /** A new file in incoming/. */
  readonly target: string;
  /** The directory packs/. */
  readonly packs: string;
  readonly id: DigestHex;
}

/**
 * Writes the exact pack `id` again from a file whose payloads are intact (`rebuildable` of verifyPackFile) and makes it
 * durable under packs/, replacing what lies there.
 * @throws KwamError PACK_INVALID or CHUNK_DIGEST_MISMATCH when it is not rebuildable after all; nothing is replaced then.
 */
export function rebuildPackFile(
  fileSystem: FileSystem,
  request: RebuildRequest,
  buffer: Uint8Array,
  hashRuns: HashRuns,
): SealedPack {
  const structure = withFile(fileSystem, request.source, (file) =>
    readStructure(fileSystem, file, request.id),
  );
  if (typeof structure === 'string') throw packInvalid('structure', 0, request.id, structure);
  const { records, headerBytes: header, index } = structure;
  createPackFile(fileSystem, request.target, header);
  try {
    const { bad } = copyRecords(
      fileSystem,
      request.source,
      records,
      request.target,
      PACK_HEADER_BYTES,
      buffer,
      hashRuns,
    );
    if (bad[0] !== undefined) throw digestMismatch(records[bad[0].recordIndex]!, bad[0].actual);
    return sealPackFile(fileSystem, { path: request.target, packs: request.packs, header, index });
  } catch (error) {
    fileSystem.remove(request.target);
    throw error;
  }
}
