/**
 * Manifests under signature: what a producer publishes and what everyone else starts from.
 * In, to sign: a Manifest and signers. Out: the envelope in parts and the manifest's digest. In, to verify: envelope bytes and whom
 * to trust. Out: the Manifest, only when enough trusted keys signed it in their time and one of them speaks for its producer.
 * Source: ARCHITECTURE.md "Manifest"; dsse.ts for the envelope.
 * The manifest's digest is SHA-256 of the payload, not of the envelope: it stays when a signature is added.
 */
import { asDigest, type Digest, sameBytes, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { manifestPartBytes } from '../limits.ts';
import {
  type Signer,
  type TrustedKey,
  type VerifiedEnvelope,
  type VerifyOptions,
  verifyEnvelope,
} from './dsse.ts';
import { envelopeParts, signPayload } from './envelope-writer.ts';
import { KEY_FAULTS, keyFault } from './key-term.ts';
import { type Manifest, manifestPayloadType } from './manifest.ts';
import { parseManifest } from './manifest-reader.ts';
import { encodeManifest } from './manifest-writer.ts';

export interface SignedManifest {
  readonly digest: Digest;
  /** The envelope, in the parts that packs store: each is made when it is asked for, so that the whole never lies in memory. */
  parts(): Iterable<Uint8Array<ArrayBuffer>>;
}

export interface VerifiedManifest {
  readonly manifest: Manifest;
  readonly digest: Digest;
  readonly acceptedKeys: readonly TrustedKey[];
}

export interface ManifestTrust extends Omit<VerifyOptions, 'payloadTypes'> {
  /** The digest that the caller expects, for example from the control store. */
  readonly digest?: Uint8Array;
}

export async function manifestDigest(payload: Uint8Array): Promise<Digest> {
  return asDigest(new Uint8Array(await crypto.subtle.digest('SHA-256', payload as Uint8Array<ArrayBuffer>)));
}

export async function signManifest(manifest: Manifest, signers: readonly Signer[]): Promise<SignedManifest> {
  const payload = encodeManifest(manifest);
  const signed = await signPayload(manifestPayloadType, payload, signers);
  return { digest: await manifestDigest(payload), parts: () => envelopeParts(signed, manifestPartBytes) };
}

async function opened(envelope: Uint8Array, trust: ManifestTrust): Promise<VerifiedEnvelope> {
  try {
    return await verifyEnvelope(envelope, { ...trust, payloadTypes: [manifestPayloadType] });
  } catch (cause) {
    if (!(cause instanceof KwamError) || cause.code !== 'SIGNATURE_INVALID') throw cause;
    throw new KwamError('MANIFEST_SIGNATURE', `manifest: ${cause.message}`, {
      cause,
      context: cause.context,
    });
  }
}

/** Keys count as of the time at which the manifest was made, and a revoked one never. */
function checkTerms(
  manifest: Manifest,
  keys: readonly TrustedKey[],
  threshold: number,
): readonly TrustedKey[] {
  const faults = keys.map((key) => keyFault(key, Date.parse(manifest.createdAt)));
  const counting = keys.filter((_, at) => faults[at] === undefined);
  if (counting.length >= threshold) return counting;
  const fault = faults.find((each) => each !== undefined)!;
  throw new KwamError(
    'MANIFEST_SIGNATURE',
    `manifest ${JSON.stringify(manifest.name)}: expected ${threshold} keys that were good at ${manifest.createdAt}, ` +
      `got ${counting.length} and one ${KEY_FAULTS[fault]}; have it signed with a current key`,
    { context: { rule: fault, threshold, accepted: counting.length } },
  );
}

function speaksFor({ identity }: TrustedKey, { producer }: Manifest): boolean {
  return (identity ?? producer) === producer;
}

/** A key without identity was given by the caller for this purpose; a key with one signs for that producer only. */
function checkProducer(manifest: Manifest, keys: readonly TrustedKey[]): void {
  if (keys.some((key) => speaksFor(key, manifest))) return;
  const signers = keys.map((key) => key.identity).join(', ');
  throw new KwamError(
    'MANIFEST_SIGNATURE',
    `manifest ${JSON.stringify(manifest.name)}: expected a signature that its producer ${manifest.producer} could make, ` +
      `got one by ${signers}; it was signed by someone else`,
    { context: { rule: 'producer', producer: manifest.producer, signers } },
  );
}

async function checkDigest(payload: Uint8Array, expected: Uint8Array | undefined): Promise<Digest> {
  const digest = await manifestDigest(payload);
  if (expected === undefined || sameBytes(digest, expected)) return digest;
  throw new KwamError(
    'MANIFEST_SIGNATURE',
    `expected the manifest ${toHex(expected)}, got ${toHex(digest)}: another one, though well signed`,
    { context: { expected: toHex(expected), actual: toHex(digest) } },
  );
}

/** @throws KwamError ENVELOPE_INVALID, MANIFEST_SIGNATURE, MANIFEST_INVALID, LIMIT_EXCEEDED. */
export async function verifySignedManifest(
  envelope: Uint8Array,
  trust: ManifestTrust,
): Promise<VerifiedManifest> {
  const { payload, acceptedKeys } = await opened(envelope, trust);
  const digest = await checkDigest(payload, trust.digest);
  const manifest = parseManifest(payload);
  const counting = checkTerms(manifest, acceptedKeys, trust.threshold ?? 1);
  checkProducer(manifest, counting);
  return { manifest, digest, acceptedKeys: counting };
}
