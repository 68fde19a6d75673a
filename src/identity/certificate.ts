/**
 * Reading one X.509 certificate from hostile bytes, and the form of every refusal about it.
 * In: DER. Out: its fields, or KwamError SVID_INVALID with rule `encoding` or `extension-twice`.
 * Does not decide whether a certificate is good: svid.ts does.
 */
import './metadata-reflection.ts';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import { type Extension, SubjectAlternativeNameExtension, X509Certificate } from '@peculiar/x509';
import { KwamError } from '../errors.ts';
import { certificateBytesMax } from '../limits.ts';

export const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';

/** One certificate, read twice: fields by @peculiar/x509, signatures by OpenSSL. */
export interface Certificate {
  readonly node: NodeCertificate;
  readonly extensions: readonly Extension[];
  readonly subject: string;
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** For example ECDSA and SHA-256. */
  readonly algorithm: string;
  readonly hash: string;
}

interface Refusal {
  readonly rule: string;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;
  readonly cause?: unknown;
}

export const REISSUE = 'issue a new SVID with `kwam-dp identity issue`';

export function refusal({ rule, expected, actual, remedy, cause }: Refusal): KwamError {
  return new KwamError('SVID_INVALID', `SVID: expected ${expected}, got ${actual}; ${remedy}`, {
    context: { rule, expected, actual, remedy },
    ...(cause === undefined ? {} : { cause }),
  });
}

export function refuse(why: Refusal): never {
  throw refusal(why);
}

export function readCertificate(der: Uint8Array): Certificate {
  const unreadable = (actual: string): never =>
    refuse({ rule: 'encoding', expected: 'one X.509 certificate in DER', actual, remedy: REISSUE });
  if (der.length > certificateBytesMax) unreadable(`${der.length} bytes, more than ${certificateBytesMax}`);
  const certificate = readable('one X.509 certificate in DER', () => parse(der));
  // OpenSSL re-encodes exactly what it parsed: a difference means that bytes are there which one parser did not see.
  if (!certificate.node.raw.equals(der)) unreadable('a certificate with bytes around it');
  return certificate;
}

/** Everything is read here and now: @peculiar/x509 decodes late, and a damaged field would throw where nobody expects it. */
function parse(der: Uint8Array): Certificate {
  const fields = new X509Certificate(der as Uint8Array<ArrayBuffer>);
  const { extensions, subject, issuer, notBefore, notAfter } = fields;
  const { name: algorithm, hash } = fields.signatureAlgorithm as { name: string; hash?: { name: string } };
  const node = new NodeCertificate(der);
  return { node, extensions, subject, issuer, notBefore, notAfter, algorithm, hash: hash?.name ?? 'no hash' };
}

/** Runs a parser on hostile bytes: whatever it throws is a refusal. */
function readable<T>(expected: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    return refuse({ rule: 'encoding', expected, actual: 'bytes that do not parse', remedy: REISSUE, cause });
  }
}

type ExtensionClass<T> = new (raw: ArrayBuffer) => T;

/** RFC 5280 section 4.2: an extension may occur once. Parsers differ in which one they take, so twice is refused. */
export function extensionOf<T>(
  certificate: Certificate,
  oid: string,
  kind: ExtensionClass<T>,
): T | undefined {
  const found = certificate.extensions.filter((extension) => extension.type === oid);
  if (found.length > 1) {
    refuse({
      rule: 'extension-twice',
      expected: `extension ${oid} once`,
      actual: `${found.length}`,
      remedy: REISSUE,
    });
  }
  const [one] = found;
  if (one === undefined) return undefined;
  return readable(`extension ${oid}`, () => new kind(one.rawData));
}

export function namesOf(certificate: Certificate, type: 'url' | 'dns'): string[] {
  const extension = extensionOf(certificate, SUBJECT_ALTERNATIVE_NAME, SubjectAlternativeNameExtension);
  const names = readable('subject alternative names', () => extension?.names.items ?? []);
  return names.filter((name) => name.type === type).map((name) => name.value);
}

export function hasSigned(issuer: Certificate, subject: Certificate): boolean {
  return readable('the public key of an issuer', () => {
    return subject.node.checkIssued(issuer.node) && subject.node.verify(issuer.node.publicKey);
  });
}
