/**
 * The development certificate authority: one self-signed ECDSA P-256 key per trust domain that issues SVIDs.
 * In: a trust domain, SPIFFE IDs. Out: PEM texts. Source: SPIFFE X.509-SVID standard, sections 2–4; RFC 5280.
 * For one machine, a laboratory or a test: the key lies in a file. A fleet takes its SVIDs from SPIRE instead.
 * Does not touch files (identity-files.ts).
 */
import './metadata-reflection.ts';
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { KwamError } from '../errors.ts';
import { derOfPem } from './identity.ts';
import {
  authorityIdOf,
  dnsNameOf,
  pathOf,
  type SpiffeId,
  type TrustDomain,
  trustDomainOf,
} from './spiffe-id.ts';
import { readAuthorityId } from './svid.ts';

const HOUR_MS = 3_600_000;
/** SPIRE's default is 1 h with automatic renewal; without renewal a working day must fit. */
export const svidValidMsDefault = 24 * HOUR_MS;
export const authorityValidMsDefault = 365 * 24 * HOUR_MS;
/** Other machines' clocks may be this much behind ours. */
const BACKDATE_MS = 5 * 60_000;

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;

export interface KeyedPem {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface Validity {
  readonly nowMs: number;
  readonly validMs?: number;
}

export async function createAuthority(trustDomain: TrustDomain, validity: Validity): Promise<KeyedPem> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ O: ['kwam-dp'] }, { CN: ['development authority'] }],
    ...window(validity, authorityValidMsDefault),
    signingAlgorithm: ECDSA_SHA256,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      new SubjectAlternativeNameExtension([{ type: 'url', value: authorityIdOf(trustDomain) }]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: pemOf(certificate), privateKeyPem: keys.pem };
}

/** Issues an SVID for `id`, which must lie in the authority's own trust domain. */
export async function issueSvid(authority: KeyedPem, id: SpiffeId, validity: Validity): Promise<KeyedPem> {
  const der = derOfPem(authority.certificatePem, 'the certificate of the authority')[0]!;
  checkDomain(readAuthorityId(der), id);
  const issuer = new X509Certificate(der as Uint8Array<ArrayBuffer>);
  checkLasting(issuer, id, validity.nowMs);
  const keys = await newKeys();
  const { notBefore, notAfter } = window(validity, svidValidMsDefault);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ O: ['kwam-dp'] }, { CN: ['svid'] }],
    issuer: issuer.subjectName,
    notBefore,
    // A leaf that outlives its authority would fail before its own date and puzzle its owner.
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    signingAlgorithm: ECDSA_SHA256,
    publicKey: keys.publicKey,
    signingKey: await signingKeyOf(authority.privateKeyPem),
    extensions: await leafExtensions(id, keys.publicKey, issuer),
  });
  return { certificatePem: pemOf(certificate), privateKeyPem: keys.pem };
}

async function leafExtensions(id: SpiffeId, key: CryptoKey, issuer: X509Certificate): Promise<Extension[]> {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    new SubjectAlternativeNameExtension([
      { type: 'url', value: id },
      { type: 'dns', value: dnsNameOf(id) },
    ]),
    await SubjectKeyIdentifierExtension.create(key),
    await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
  ];
}

function checkDomain(authorityId: SpiffeId, id: SpiffeId): void {
  const own = trustDomainOf(authorityId);
  if (trustDomainOf(id) === own && pathOf(id) !== '') return;
  throw new KwamError(
    'USAGE',
    `identity: expected an ID spiffe://${own}/<path>, got ${id}; this authority vouches for ${own} only`,
    { context: { rule: 'issue-domain', expected: own, actual: id } },
  );
}

function checkLasting({ notAfter }: X509Certificate, id: SpiffeId, nowMs: number): void {
  if (nowMs <= notAfter.getTime()) return;
  const own = trustDomainOf(id);
  throw new KwamError(
    'SVID_INVALID',
    `identity: the authority of ${own} expired at ${notAfter.toISOString()}; make a new one with \`kwam-dp identity init\``,
    { context: { rule: 'authority-validity', expected: own, actual: notAfter.toISOString() } },
  );
}

function window({ nowMs, validMs }: Validity, validMsDefault: number): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + (validMs ?? validMsDefault)),
  };
}

interface Keys {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
  readonly pem: string;
}

async function newKeys(): Promise<Keys> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    publicKey: publicKey.toCryptoKey(ECDSA, true, ['verify']) as CryptoKey,
    privateKey: webKeyOf(privateKey),
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

const webKeyOf = (key: KeyObject): CryptoKey => key.toCryptoKey(ECDSA, false, ['sign']) as CryptoKey;

async function signingKeyOf(pem: string): Promise<CryptoKey> {
  try {
    return webKeyOf(createPrivateKey(pem));
  } catch (cause) {
    throw new KwamError(
      'SVID_INVALID',
      'identity: expected the ECDSA P-256 key of the authority, got text that does not parse; restore ca.key or run `kwam-dp identity init` elsewhere',
      { cause, context: { rule: 'key-encoding' } },
    );
  }
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 bytes; 16 random ones never repeat. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
