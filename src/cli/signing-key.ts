/**
 * A private key in a file, ready to sign envelopes: on the machine of the person who holds it, never on a server.
 * In: a path. Out: a signer and the public key, for the policy or the trust store. Ed25519 or ECDSA P-256, without a passphrase.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { KwamError } from '../errors.ts';
import type { Signer } from '../manifest/dsse.ts';
import { textOf } from './read-text.ts';

export interface SigningKey {
  readonly signer: Signer;
  readonly publicKeyPem: string;
}

/** @param name  for people; nothing is decided by it. */
export function signingKey(path: string, name: string): SigningKey {
  const key = privateKeyOf(path);
  return {
    signer: { keyid: name, sign: async (parts) => signatureBytes(key, Buffer.concat(parts)) },
    publicKeyPem: createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string,
  };
}

function signatureBytes(key: KeyObject, bytes: Uint8Array): Uint8Array {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, bytes, key);
  return sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });
}

function privateKeyOf(path: string): KeyObject {
  const remedy = 'make one outside of any repository with `openssl genpkey -algorithm ed25519 -out KEY`';
  let key: KeyObject;
  try {
    key = createPrivateKey(textOf(path, 'a private key'));
  } catch (cause) {
    if (cause instanceof KwamError) throw cause;
    throw new KwamError(
      'USAGE',
      `expected a private key in PEM without a passphrase in ${path}, got something else; ${remedy}`,
      { cause },
    );
  }
  const isP256 = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
  if (key.asymmetricKeyType === 'ed25519' || isP256) return key;
  throw new KwamError(
    'USAGE',
    `expected a key of Ed25519 or ECDSA P-256 in ${path}, got ${key.asymmetricKeyType}; ${remedy}`,
  );
}
