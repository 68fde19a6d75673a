/**
 * A signed manifest as records: its envelope lies in packs in parts (record type 2), so that manifests are copied, scrubbed and
 * repaired by the same code as data. The parts' digests are listed in the control store, in order. Here they are joined;
 * signed-manifest.ts makes them. A manifest of several parts has one record more, the list of its parts, for whoever has lost the control
 * store: RFC 8785 JSON, {"manifest", "parts", "schema"}. Nothing else needs it, and it is not signed: what it leads to is.
 * Does not hash: each record carries and proves its own digest; the signature covers the whole.
 */
import { type DigestHex, parseDigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { manifestPartBytes, signedPayloadBytesMax } from '../limits.ts';
import { canonicalBytes } from './canonical-json.ts';

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
  let envelope = new Uint8Array(0);
  let at = 0;
  for await (const part of parts) {
    // Most manifests are one part, far smaller than a part may be.
    if (at === 0) envelope = new Uint8Array(count === 1 ? part.length : bytesMax);
    if (at + part.length > envelope.length) throw refused('more than that');
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

const LIST_SCHEMA = 'kwam.manifest-parts/v1';

export interface PartList {
  /** Digest of the manifest. */
  readonly manifest: DigestHex;
  readonly parts: readonly DigestHex[];
}

export function encodePartList({ manifest, parts }: PartList): Uint8Array {
  return canonicalBytes({ schema: LIST_SCHEMA, manifest, parts });
}

export type PartRecord =
  | { readonly kind: 'envelope' }
  | { readonly kind: 'list'; readonly list: PartList }
  /** One of several parts. */
  | { readonly kind: 'piece' };

/** What a record of type 2 is by itself. Never throws: what is no list and no whole envelope can only be a piece of one. */
export function recognizePart(record: Uint8Array): PartRecord {
  const starts = (text: string): boolean =>
    new TextDecoder().decode(record.subarray(0, text.length)) === text;
  if (starts('{"payload"')) return record.at(-1) === BRACE ? { kind: 'envelope' } : { kind: 'piece' };
  const list = starts('{"manifest"') ? parsePartList(record) : undefined;
  return list === undefined ? { kind: 'piece' } : { kind: 'list', list };
}

const BRACE = 0x7d;

function parsePartList(record: Uint8Array): PartList | undefined {
  try {
    const { schema, manifest, parts } = JSON.parse(new TextDecoder().decode(record)) as Record<
      string,
      unknown
    >;
    if (schema !== LIST_SCHEMA || !Array.isArray(parts)) return undefined;
    return {
      manifest: parseDigestHex(String(manifest)),
      parts: parts.map((part) => parseDigestHex(String(part))),
    };
  } catch {
    return undefined; // not ours: a stranger's bytes are a piece of nothing
  }
}
