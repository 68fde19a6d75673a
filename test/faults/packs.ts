/**
 * Where the parts of a pack file lie, from its description in ARCHITECTURE.md alone, so that faults can aim at each.
 * In: a pack file. Out: byte ranges. Reads the trailer's record count and nothing else of ours.
 */
import * as fs from 'node:fs';

export const PACK_PARTS = ['header', 'record header', 'payload', 'index', 'trailer'] as const;
export type PackPart = (typeof PACK_PARTS)[number];

const HEADER_BYTES = 128;
const RECORD_HEADER_BYTES = 40;
const TRAILER_BYTES = 64;
const COUNT_OFFSET = 8;

/** [from, to) of one part; of the first record, where the part belongs to a record. */
export function rangeOf(path: string, part: PackPart): readonly [number, number] {
  const bytes = fs.readFileSync(path);
  const end = bytes.length;
  const count = bytes.readUInt32LE(end - TRAILER_BYTES + COUNT_OFFSET);
  const index = end - TRAILER_BYTES - count * RECORD_HEADER_BYTES;
  const payload = HEADER_BYTES + RECORD_HEADER_BYTES;
  const ranges: Record<PackPart, readonly [number, number]> = {
    header: [0, HEADER_BYTES],
    'record header': [HEADER_BYTES, payload],
    payload: [payload, payload + bytes.readUInt32LE(HEADER_BYTES)],
    index: [index, end - TRAILER_BYTES],
    trailer: [end - TRAILER_BYTES, end],
  };
  return ranges[part];
}
