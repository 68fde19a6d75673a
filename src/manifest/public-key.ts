/**
 * Public keys as people have them (PEM, DER, JWK, CryptoKey) turned into the form that signatures are verified with.
 * Source: RFC 5480 and RFC 8410 (the algorithm identifiers at the head of SubjectPublicKeyInfo), RFC 7468 (PEM).
 * Takes ECDSA P-256 and Ed25519 and refuses every other kind by name. Does not read certificates or private keys.
 */
import { KwamError } from '../errors.ts';
import { fromBase64 } from './base64.ts';

/** PEM or base64-free text of SubjectPublicKeyInfo, its DER bytes, a JSON Web Key, or a key that is already imported. */
export type PublicKeyInput = string | Uint8Array | JsonWebKey | CryptoKey;

const PEM = /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/;
const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const ED25519 = { name: 'Ed25519' };
/** SEQUENCE { SEQUENCE { OID … } BIT STRING … } up to the key itself; the lengths are fixed for one kind of key. */
const HEADS: readonly [algorithm: EcKeyImportParams | Algorithm, head: readonly number[]][] = [
  // id-ecPublicKey 1.2.840.10045.2.1, prime256v1 1.2.840.10045.3.1.7
  [
    P256,
    [
      0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
      0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ],
  ],
  // id-Ed25519 1.3.101.112
  [ED25519, [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]],
];

function refuse(found: string, cause?: unknown): never {
  throw new KwamError(
    'USAGE',
    `expected a public key of ECDSA P-256 or Ed25519 (PEM "PUBLIC KEY", SubjectPublicKeyInfo, JWK), got ${found}`,
    { cause },
  );
}

function pemBytes(pem: string): Uint8Array {
  const body = PEM.exec(pem)?.[1];
  return (body && fromBase64(body.replace(/\s/g, ''))) || refuse('a text that is not such a PEM');
}

async function imported(work: Promise<CryptoKey>): Promise<CryptoKey> {
  try {
    return await work;
  } catch (cause) {
    return refuse('a key that does not decode', cause);
  }
}

function fromSpki(der: Uint8Array): Promise<CryptoKey> {
  const kind = HEADS.find(([, head]) => head.every((byte, i) => der[i] === byte));
  if (kind === undefined) return refuse('another kind of key');
  return imported(crypto.subtle.importKey('spki', der as Uint8Array<ArrayBuffer>, kind[0], true, ['verify']));
}

function fromJwk(jwk: JsonWebKey): Promise<CryptoKey> {
  if ('d' in jwk) return refuse('a private key; give its public half only');
  const algorithm = jwk.crv === 'P-256' ? P256 : jwk.crv === 'Ed25519' ? ED25519 : refuse(`curve ${jwk.crv}`);
  return imported(crypto.subtle.importKey('jwk', jwk, algorithm, true, ['verify']));
}

export async function importPublicKey(input: PublicKeyInput): Promise<CryptoKey> {
  if (typeof input === 'string') return fromSpki(pemBytes(input));
  if (input instanceof Uint8Array) return fromSpki(input);
  if (input instanceof CryptoKey) return input;
  return fromJwk(input);
}
