/**
 * Cosign's first signature format: an image manifest under the tag `sha256-<hex>.sig`, one layer a signature.
 * In: a layer's descriptor and bytes, the image's digest, accepted keys. Out: the key that signed, or why the layer does not count.
 * Source: sigstore/cosign specs/SIGNATURE_SPEC.md. The signature covers the layer's bytes exactly as they are; `docker-reference`
 * says where somebody once saw the image and is not read. Certificates, chains and log entries in annotations are not read either.
 */
import type { DigestHex } from '../digest.ts';
import { imagePayloadBytesMax } from '../limits.ts';
import { fromBase64 } from '../manifest/base64.ts';
import { parseStrictJson } from '../manifest/strict-json.ts';
import { type Descriptor, type Fields, isObject } from './content.ts';
import { showDigest } from './reference.ts';
import { quoted, refuse } from './refusal.ts';
import { type AcceptedKey, keysThatSigned } from './signing-key.ts';

export const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
export const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature';
export const PAYLOAD_TYPE = 'cosign container image signature';
const SIGN_AGAIN = 'sign the image again with `cosign sign`';
/** ECDSA P-256 in DER takes at most 72 bytes, Ed25519 64. */
const SIGNATURE_CHARACTERS_MAX = 128;

export const simpleSigningTag = (image: DigestHex): string => `sha256-${image}.sig`;

/** What can be said of a layer before its bytes are there. Returns the signature. */
export function signatureOf(layer: Descriptor): Uint8Array {
  if (layer.mediaType !== SIMPLE_SIGNING) {
    refuse({
      rule: 'image-layer-media-type',
      expected: `a signature layer of ${SIMPLE_SIGNING}`,
      actual: quoted(layer.mediaType),
      remedy: SIGN_AGAIN,
    });
  }
  const text = layer.annotations.get(SIGNATURE_ANNOTATION);
  if (text === undefined) {
    return refuse({
      rule: 'image-layer-unsigned',
      expected: `an annotation ${SIGNATURE_ANNOTATION} on the layer ${showDigest(layer.digest)}`,
      actual: 'none',
      remedy: SIGN_AGAIN,
    });
  }
  return signatureBytes(text);
}

export function signatureBytes(text: unknown): Uint8Array {
  const isShort = typeof text === 'string' && text.length <= SIGNATURE_CHARACTERS_MAX;
  const bytes = isShort ? fromBase64(text, 'either') : undefined;
  if (bytes !== undefined && bytes.length > 0) return bytes;
  return refuse({
    rule: 'image-signature-encoding',
    expected: 'a signature in base64',
    actual: quoted(text),
    remedy: SIGN_AGAIN,
  });
}

export const payloadBytesMax = imagePayloadBytesMax;

/** Signature first: nothing of a payload is believed, or even parsed, before an accepted key vouches for its bytes. */
export function keysOfPayload(
  payload: Uint8Array,
  signature: Uint8Array,
  image: DigestHex,
  keys: readonly AcceptedKey[],
): readonly AcceptedKey[] {
  const signers = keysThatSigned(keys, payload, signature);
  if (signers.length === 0) refuseKey(keys);
  checkPayload(payload, image);
  return signers;
}

export function refuseKey(keys: readonly AcceptedKey[]): never {
  return refuse({
    rule: 'image-key',
    expected: `a signature by ${keys.map((key) => key.name).join(' or ')}`,
    actual: 'one by another key, or over other bytes',
    remedy: 'have it signed by an accepted key, or accept the key that signed it',
  });
}

function checkPayload(payload: Uint8Array, image: DigestHex): void {
  const rule = 'image-payload-json';
  const value = parseStrictJson(payload, { what: 'image signature payload', code: 'IMAGE_REFUSED', rule });
  checkCapitals(value);
  const critical = membersOf(value, 'critical', ['identity', 'image', 'type']);
  if (critical['type'] !== PAYLOAD_TYPE) {
    refuse({
      rule: 'image-payload-type',
      expected: `a payload of type ${quoted(PAYLOAD_TYPE)}`,
      actual: quoted(critical['type']),
      remedy: SIGN_AGAIN,
    });
  }
  membersOf(critical, 'identity', ['docker-reference']);
  const signed = membersOf(critical, 'image', ['docker-manifest-digest'])['docker-manifest-digest'];
  if (signed !== showDigest(image)) refuseOtherImage(image, signed);
}

export function refuseOtherImage(image: DigestHex, signed: unknown): never {
  return refuse({
    rule: 'image-other-image',
    expected: `a signature of ${showDigest(image)}`,
    actual: `one of ${quoted(signed)}`,
    remedy: 'sign this image: a signature holds for one digest',
  });
}

/** Some tools of 2021 wrote `Critical`, `Image`, `Type`; readers that do not care about case take them for the real ones. */
function checkCapitals(value: unknown): void {
  const critical = isObject(value) ? (value['Critical'] ?? value['critical']) : undefined;
  const image = isObject(critical) ? (critical['Image'] ?? critical['image']) : undefined;
  const names = [value, critical, image].flatMap((one) => (isObject(one) ? Object.keys(one) : []));
  const capital = names.find((name) => name !== name.toLowerCase());
  if (capital === undefined) return;
  refuse({
    rule: 'image-payload-capitals',
    expected: 'members in lower case',
    actual: quoted(capital),
    remedy: 'sign the image again with a cosign of 2022 or newer',
  });
}

/** Everything in `critical` must be understood: an unknown member may limit what the signature says. */
function membersOf(parent: unknown, name: string, members: readonly string[]): Fields {
  const value = isObject(parent) ? parent[name] : undefined;
  const names = isObject(value) ? Object.keys(value) : [];
  if (isObject(value) && names.length === members.length && members.every((one) => names.includes(one)))
    return value;
  return refuse({
    rule: 'image-payload-form',
    expected: `${name} with exactly ${members.join(', ')}`,
    actual: quoted(value),
    remedy: SIGN_AGAIN,
  });
}
