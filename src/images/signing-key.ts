/**
 * The keys whose signatures count, and one signature under one of them.
 * In: public keys in PEM, ECDSA P-256 or Ed25519. Out: keys with the name that people and cosign know them by.
 * Source: cosign SIGNATURE_SPEC.md: ECDSA over SHA-256 in DER; Ed25519 over the bytes themselves (RFC 8032), not prehashed.
 * Signatures carry no key and no algorithm that is believed: the accepted key alone says how to verify.
 */
import { createHash, KeyObject, verify } from 'node:crypto';
import { importPublicKey } from '../manifest/public-key.ts';

export interface AcceptedKey {
  /** For people: a person, a role or a file. */
  readonly name: string;
  /** SHA-256 of SubjectPublicKeyInfo, base64: what cosign writes as a bundle's hint. Two keys are one when this is the same. */
  readonly fingerprint: string;
  readonly key: KeyObject;
}

/** @throws KwamError USAGE  not the PEM of such a public key; a private key is none. */
export async function acceptedKey(name: string, pem: string): Promise<AcceptedKey> {
  return keyAccepted(name, await importPublicKey(pem));
}

/** @param imported  by manifest/public-key.ts. */
export function keyAccepted(name: string, imported: CryptoKey): AcceptedKey {
  const key = KeyObject.from(imported);
  const spki = key.export({ type: 'spki', format: 'der' });
  return { name, key, fingerprint: createHash('sha256').update(spki).digest('base64') };
}

/** The keys under which this is a signature over exactly these bytes. */
export function keysThatSigned(
  keys: readonly AcceptedKey[],
  bytes: Uint8Array,
  signature: Uint8Array,
): readonly AcceptedKey[] {
  return keys.filter(({ key }) => {
    const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    return verify(hash, bytes, key, signature);
  });
}
