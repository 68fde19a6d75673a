/**
 * A signed manifest as records: its envelope cut into parts that packs store (record type 2), so that manifests are copied,
 * scrubbed and repaired by the same code as data. The parts' digests are listed in the control store, in order.
 * Does not hash: each record carries and proves its own digest; the signature covers the whole.
 */
import { KwamError } from '../errors.ts';
import { manifestPartBytes, signedPayloadBytesMax } from '../limits.ts';

/** Views of `envelope`, each of at most manifestPartBytes; at least one. */
export function splitParts(envelope: Uint8Array): Uint8Array[] {
  if (envelope.length === 0) throw new KwamError('USAGE', 'expected a signed manifest, got no bytes');
  const parts: Uint8Array[] = [];
  for (let at = 0; at < envelope.length; at += manifestPartBytes) {
    parts.push(envelope.subarray(at, at + manifestPartBytes));
  }
  return parts;
}

/** Base64 of the largest payload, and room for the signatures. */
const envelopeBytesMax = Math.ceil(signedPayloadBytesMax / 3) * 4 + manifestPartBytes;

export function joinParts(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  if (bytes === 0 || bytes > envelopeBytesMax) {
    throw new KwamError(
      'MANIFEST_INVALID',
      `expected a manifest of 1 to ${envelopeBytesMax} bytes, got ${bytes}`,
    );
  }
  const envelope = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    envelope.set(part, at);
    at += part.length;
  }
  return envelope;
}
