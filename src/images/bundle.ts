/**
 * Cosign's second signature format: a Sigstore bundle v0.3, attached to the image as an OCI 1.1 referrer.
 * In: the bundle's bytes, the image, accepted keys. Out: the key that signed, or why the bundle does not count.
 * Source: sigstore/cosign specs/BUNDLE_SPEC.md, sigstore/protobuf-specs sigstore_bundle.proto, DSSE v1, in-toto Statement v1.
 * Two contents: a DSSE envelope around a statement whose subject is the image, as `cosign sign` writes it; and a bare signature
 * over the image's manifest (by P-256 keys only). A statement with another predicate (an SBOM, a scan) is no consent to the image and does not count.
 *
 * Only own keys: bundles with certificates are refused. Log entries and timestamps are neither needed nor read: without the log's and the
 * timestamp authority's keys they prove nothing, and an accepted key needs no log to vouch for it. `hint` is for people.
 */
import type { DigestHex } from '../digest.ts';
import { fromBase64 } from '../manifest/base64.ts';
import { preAuthEncoding } from '../manifest/dsse.ts';
import { parseStrictJson } from '../manifest/strict-json.ts';
import { type Fields, type ImageManifest, isObject } from './content.ts';
import { quoted, refuse } from './refusal.ts';
import { type AcceptedKey, keysThatSigned } from './signing-key.ts';
import { refuseKey, refuseOtherImage, signatureBytes } from './simple-signing.ts';

export const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const IN_TOTO = 'application/vnd.in-toto+json';
export const STATEMENT = 'https://in-toto.io/Statement/v1';
export const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
const SIGN_AGAIN = 'sign the image again with `cosign sign --key`';

export function keysOfBundle(
  bytes: Uint8Array,
  image: ImageManifest,
  keys: readonly AcceptedKey[],
): readonly AcceptedKey[] {
  const bundle = parseBundle(bytes);
  const { dsseEnvelope, messageSignature } = bundle;
  if (isObject(dsseEnvelope) && messageSignature === undefined)
    return keysOfEnvelope(dsseEnvelope, image, keys);
  if (isObject(messageSignature) && dsseEnvelope === undefined)
    return keysOfMessage(messageSignature, image, keys);
  return refuseForm('exactly one of dsseEnvelope and messageSignature', Object.keys(bundle));
}

function parseBundle(bytes: Uint8Array): Fields {
  const rule = 'image-bundle-json';
  const value = parseStrictJson(bytes, { what: 'image signature bundle', code: 'IMAGE_REFUSED', rule });
  const bundle = isObject(value) ? value : refuseForm('a bundle', value);
  if (bundle['mediaType'] !== BUNDLE) {
    refuse({
      rule: 'image-bundle-media-type',
      expected: `a bundle of ${BUNDLE}`,
      actual: quoted(bundle['mediaType']),
      remedy: SIGN_AGAIN,
    });
  }
  checkMaterial(bundle['verificationMaterial']);
  return bundle;
}

function checkMaterial(material: unknown): void {
  const fields = isObject(material) ? material : {};
  if ('certificate' in fields || 'x509CertificateChain' in fields) {
    refuse({
      rule: 'image-keyless',
      expected: 'a signature by a key that is accepted here',
      actual: 'one by a certificate of a public authority',
      remedy: SIGN_AGAIN,
    });
  }
  if (!isObject(fields['publicKey'])) refuseForm('verificationMaterial with publicKey', material);
}

function refuseForm(expected: string, actual: unknown): never {
  return refuse({ rule: 'image-bundle-form', expected, actual: quoted(actual), remedy: SIGN_AGAIN });
}

function keysOfEnvelope(
  envelope: Fields,
  image: ImageManifest,
  keys: readonly AcceptedKey[],
): readonly AcceptedKey[] {
  const { payloadType, signatures } = envelope;
  if (payloadType !== IN_TOTO) {
    return refuse({
      rule: 'image-statement-media-type',
      expected: `an envelope of ${IN_TOTO}`,
      actual: quoted(payloadType),
      remedy: SIGN_AGAIN,
    });
  }
  // The bundle format says exactly one; a second one would be a signature that some readers look at and others do not.
  const [signature, ...more] = Array.isArray(signatures) ? signatures : [];
  if (!isObject(signature) || more.length > 0) refuseForm('an envelope with one signature', signatures);
  const payload = base64Of(envelope['payload'], 'dsseEnvelope.payload');
  const signers = keysThatSigned(
    keys,
    preAuthEncoding(payloadType, payload),
    signatureBytes(signature['sig']),
  );
  if (signers.length === 0) refuseKey(keys);
  checkStatement(payload, image.digest);
  return signers;
}

function base64Of(text: unknown, where: string): Uint8Array {
  const bytes = typeof text === 'string' ? fromBase64(text, 'either') : undefined;
  return bytes ?? refuseForm(`${where} in base64`, text);
}

function checkStatement(payload: Uint8Array, image: DigestHex): void {
  const rule = 'image-statement-json';
  const value = parseStrictJson(payload, { what: 'image signature statement', code: 'IMAGE_REFUSED', rule });
  const statement = isObject(value) ? value : {};
  if (statement['_type'] !== STATEMENT) {
    refuse({
      rule: 'image-statement-type',
      expected: `a statement of ${STATEMENT}`,
      actual: quoted(statement['_type']),
      remedy: SIGN_AGAIN,
    });
  }
  if (statement['predicateType'] !== SIGN_PREDICATE) {
    refuse({
      rule: 'image-predicate-type',
      expected: `the predicate ${SIGN_PREDICATE}`,
      actual: quoted(statement['predicateType']),
      remedy: 'attestations say something about an image, they do not release it: sign it too',
    });
  }
  const subjects = Array.isArray(statement['subject']) ? statement['subject'] : [];
  const digests = subjects.map(subjectDigest);
  if (!digests.includes(image)) refuseOtherImage(image, digests.join(', '));
}

function subjectDigest(subject: unknown): unknown {
  const digest = isObject(subject) ? subject['digest'] : undefined;
  return isObject(digest) ? digest['sha256'] : undefined;
}

/** Sigstore signs messages with Ed25519ph, another scheme under the same keys, which node:crypto does not have. */
const signsMessages = ({ key }: AcceptedKey): boolean => key.asymmetricKeyType === 'ec';

/** The signed artifact is the manifest itself. `messageDigest` only helps to find it, yet a wrong one is a wrong claim. */
function keysOfMessage(
  message: Fields,
  image: ImageManifest,
  keys: readonly AcceptedKey[],
): readonly AcceptedKey[] {
  const signature = signatureBytes(message['signature']);
  const claim = message['messageDigest'];
  const { algorithm, digest } = isObject(claim) ? claim : {};
  if (algorithm !== 'SHA2_256') refuseForm('messageDigest of SHA2_256', claim);
  const claimed = Buffer.from(base64Of(digest, 'messageDigest.digest')).toString('hex');
  if (claimed !== image.digest) refuseOtherImage(image.digest, `sha256:${claimed}`);
  const signers = keysThatSigned(keys.filter(signsMessages), image.bytes, signature);
  return signers.length > 0 ? signers : refuseKey(keys);
}
