/**
 * What is wrong with the bytes of a pack, told with node:crypto and the format alone; none of the store's own verification.
 * In: a whole pack file and its id. Out: undefined, or what is damaged, in words. Source: ARCHITECTURE.md, "Pack file".
 */
import { createHash } from 'node:crypto';
import type { DigestHex } from '../../src/digest.ts';

const HEADER_BYTES = 128;
const RECORD_BYTES = 40;
const TRAILER_BYTES = 64;

const sha256 = (...parts: readonly Uint8Array[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

export function damageIn(bytes: Uint8Array, id: DigestHex): string | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < HEADER_BYTES + TRAILER_BYTES) return `${view.length} bytes`;
  const tailAt = view.length - TRAILER_BYTES;
  const indexAt = tailAt - view.readUInt32LE(tailAt + 8) * RECORD_BYTES;
  if (indexAt < HEADER_BYTES) return 'an index longer than the file';
  const header = view.subarray(0, HEADER_BYTES);
  const index = view.subarray(indexAt, tailAt);
  const trailerId = view.subarray(tailAt + 32).toString('hex');
  if (sha256(header, index) !== id || trailerId !== id) return 'header, index or trailer of another pack';
  let at = HEADER_BYTES;
  for (let i = 0; i < index.length; i += RECORD_BYTES) {
    const record = index.subarray(i, i + RECORD_BYTES);
    const payload = view.subarray(at + RECORD_BYTES, at + RECORD_BYTES + record.readUInt32LE(0));
    if (!view.subarray(at, at + RECORD_BYTES).equals(record)) return `the header of a record at byte ${at}`;
    if (sha256(payload) !== record.subarray(8).toString('hex'))
      return `the payload of a record at byte ${at}`;
    at += RECORD_BYTES + payload.length;
  }
  return at === indexAt ? undefined : `records that end at byte ${at}, not ${indexAt}`;
}
