/**
 * An identity: an SVID with its private key, and the bundle it trusts. What a node or client is, to others.
 * In: PEM texts. Out: a value that TLS, signers and the SVID check use. Refuses what could not work later:
 * a key that does not match, an SVID that its own bundle does not accept.
 * Does not read files (identity-files.ts) and does not renew itself.
 */
import { createPrivateKey, createPublicKey, createSign, type KeyObject, X509Certificate } from 'node:crypto';
import { KwamError } from '../errors.ts';
import { parseTrustDomain, type SpiffeId, type TrustDomain, trustDomainOf } from './spiffe-id.ts';
import { checkSvid, expiresAtMsOf, readAuthorityId, type TrustBundle } from './svid.ts';

export interface Identity {
  readonly spiffeId: SpiffeId;
  readonly trustDomain: TrustDomain;
  /** Leaf first, then intermediates. */
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  /** All authorities that TLS may accept; the SVID check then holds each ID to its own domain's. */
  readonly bundlePem: string;
  readonly bundle: TrustBundle;
  readonly expiresAtMs: number;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeySpki: Uint8Array;
  /** ECDSA P-256 over SHA-256 of the parts, one after another; r ‖ s (IEEE P1363, 64 bytes): the form that DSSE and WebCrypto use. */
  sign(parts: readonly Uint8Array[]): Promise<Uint8Array>;
  /** The SVID check against this identity's bundle. */
  checkPeer(chain: readonly Uint8Array[], nowMs: number): SpiffeId;
}

export interface IdentityPems {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly bundlePem: string;
}

export interface IdentityMaterial extends IdentityPems {
  /** The same authorities as in `bundlePem`, by trust domain. */
  readonly bundle: TrustBundle;
}

/** Where the authorities say themselves which trust domain they are of. */
export function identityFromPems(pems: IdentityPems, nowMs: number): Identity {
  return createIdentity({ ...pems, bundle: bundleOfPem(pems.bundlePem) }, nowMs);
}

/** @throws KwamError SVID_INVALID  with `context.rule`; `key-match` when key and certificate are of two pairs. */
export function createIdentity({ bundle, ...pems }: IdentityMaterial, nowMs: number): Identity {
  const chain = derOfPem(pems.certificateChainPem, 'the SVID');
  const spiffeId = checkSvid(chain, bundle, nowMs);
  const key = privateKeyOf(pems.privateKeyPem, spiffeId);
  const publicKeySpki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  if (
    !new X509Certificate(chain[0]!).publicKey.export({ type: 'spki', format: 'der' }).equals(publicKeySpki)
  ) {
    throw refusedKey('key-match', `the private key of the certificate of ${spiffeId}`, 'another key');
  }
  const identity: Identity = {
    ...pems,
    spiffeId,
    trustDomain: trustDomainOf(spiffeId),
    bundle,
    expiresAtMs: expiresAtMsOf(chain[0]!),
    publicKeySpki: new Uint8Array(publicKeySpki),
    sign: async (parts) => signParts(key, parts),
    checkPeer: (peerChain, atMs) => checkSvid(peerChain, bundle, atMs),
  };
  // A logger or JSON.stringify that meets an identity must not print its key.
  return Object.defineProperty(identity, 'privateKeyPem', { enumerable: false });
}

function signParts(key: KeyObject, parts: readonly Uint8Array[]): Uint8Array {
  const signing = createSign('sha256');
  for (const part of parts) signing.update(part);
  return new Uint8Array(signing.sign({ key, dsaEncoding: 'ieee-p1363' }));
}

function refusedKey(rule: string, expected: string, actual: string, cause?: unknown): KwamError {
  return new KwamError(
    'SVID_INVALID',
    `identity: expected ${expected}, got ${actual}; issue both again with \`kwam-dp identity issue\``,
    { context: { rule, expected, actual }, ...(cause === undefined ? {} : { cause }) },
  );
}

function privateKeyOf(pem: string, id: SpiffeId): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw refusedKey('key-encoding', `a private key in PEM for ${id}`, 'text that does not parse', cause);
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    const actual = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'unknown';
    throw refusedKey('key-type', `an ECDSA P-256 key for ${id}`, actual);
  }
  return key;
}

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

export function derOfPem(pem: string, what: string): Uint8Array[] {
  const found = [...pem.matchAll(PEM)].map(([, body]) => new Uint8Array(Buffer.from(body!, 'base64')));
  if (found.length === 0) {
    throw refusedKey('pem', `a PEM certificate in ${what}`, 'none');
  }
  return found;
}

/** Each authority names its trust domain in its URI SAN, so a bundle file is a plain list of certificates. */
export function bundleOfPem(pem: string): TrustBundle {
  const bundle = new Map<TrustDomain, Uint8Array[]>();
  for (const der of derOfPem(pem, 'the bundle')) {
    const domain = parseTrustDomain(trustDomainOf(readAuthorityId(der)));
    bundle.set(domain, [...(bundle.get(domain) ?? []), der]);
  }
  return bundle;
}
