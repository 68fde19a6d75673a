/**
 * DER certificates back to back, as the Workload API sends chains and bundles; and PEM of DER.
 * Source: SPIFFE Workload API (X509SVID.x509_svid: "ASN.1 DER encoded certificate chain", concatenated); X.690 section 8.1.3 for lengths.
 * Only the outer lengths are read here; each certificate is parsed strictly by certificate.ts.
 */
import { certificateBytesMax } from '../limits.ts';
import { refuse } from './certificate.ts';

const SEQUENCE = 0x30;
const LONG_FORM = 0x80;

/** @throws KwamError SVID_INVALID  not certificates, whole and nothing beside them. */
export function splitDer(bytes: Uint8Array, countMax: number, what: string): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = endOf(bytes, at);
    if (end === undefined || found.length === countMax) return refuseDer(what, countMax, bytes.length);
    found.push(bytes.slice(at, end));
    at = end;
  }
  return found.length > 0 ? found : refuseDer(what, countMax, bytes.length);
}

/** The position after the element at `at`; undefined when it is no SEQUENCE that ends here. */
function endOf(bytes: Uint8Array, at: number): number | undefined {
  if (bytes[at] !== SEQUENCE) return undefined;
  const first = bytes[at + 1] ?? LONG_FORM;
  const digits = first < LONG_FORM ? 0 : first - LONG_FORM;
  // A certificate takes two or three bytes of length at most; zero digits would be BER's indefinite form.
  if (first === LONG_FORM || digits > 3) return undefined;
  let length = digits === 0 ? first : 0;
  for (let i = 0; i < digits; i++) length = length * 256 + (bytes[at + 2 + i] ?? Number.NaN);
  const end = at + 2 + digits + length;
  return length <= certificateBytesMax && end <= bytes.length ? end : undefined;
}

function refuseDer(what: string, countMax: number, bytes: number): never {
  return refuse({
    rule: 'encoding',
    expected: `1 to ${countMax} certificates in DER as ${what}`,
    actual: bytes === 0 ? 'none' : `${bytes} bytes that are something else`,
    remedy: 'look after the agent that sent them',
  });
}

export function pemOfDer(der: Uint8Array, label: 'CERTIFICATE' | 'PRIVATE KEY'): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
