/**
 * A signed manifest as records: its envelope lies in packs in parts (record type 2), so that manifests are copied, scrubbed and
 * repaired by the same code as data. The parts' digests are listed in the control store, in order. Here they are joined;
 * signed-manifest.ts makes them.
 * Does not hash: each record carries and proves its own digest; the signature covers the whole.
 */
import { KwamError } from '../errors.ts';
import { manifestPartBytes, signedPayloadBytesMax } from '../limits.ts';

/** Base64 of the largest payload, and room for the signatures. */
const envelopeBytesMax = Math.ceil(signedPayloadBytesMax / 3) * 4 + manifestPartBytes;

/**
 * The envelope of `count` parts, which are taken one by one, so that they need not lie in memory together.
 * @throws KwamError MANIFEST_INVALID  there is none, or it is larger than any that a producer writes.
 */
export async function joinParts(
  count: number,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytesMax = count * manifestPartBytes;
  if (bytesMax === 0 || bytesMax > envelopeBytesMax) throw refused(`${count} parts of it`);
  const envelope = new Uint8Array(bytesMax);
  let at = 0;
  for await (const part of parts) {
    if (at + part.length > bytesMax) throw refused('more than that');
    envelope.set(part, at);
    at += part.length;
  }
  return envelope.subarray(0, at);
}

function refused(got: string): KwamError {
  return new KwamError(
    'MANIFEST_INVALID',
    `expected a manifest of 1 to ${envelopeBytesMax} bytes in parts of ${manifestPartBytes}, got ${got}`,
  );
}
