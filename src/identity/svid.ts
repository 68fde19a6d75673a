/**
 * The one check of an X.509-SVID, for every transport.
 * In: a certificate chain in DER, leaf first, as TLS showed it; the bundles that we trust; the time.
 * Out: the SPIFFE ID that the leaf proves, or KwamError SVID_INVALID whose `context.rule` names the rule that failed.
 * Source: SPIFFE X.509-SVID standard, sections 2–5; RFC 5280 section 6 as far as SVIDs use it.
 * TLS has already checked a chain; it does so against a merged pool of authorities and knows nothing of SPIFFE, so this
 * runs again on the DER. Fields are read with @peculiar/x509, signatures are verified by node:crypto; Node's
 * `subjectaltname` string is never looked at (CVE-2021-44531, CVE-2021-44532).
 * Does not check revocation: SVIDs live for hours. Does not decide whether the ID may do anything.
 */
import './metadata-reflection.ts';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
} from '@peculiar/x509';
import type { KwamError } from '../errors.ts';
import { certificateChainMax } from '../limits.ts';
import {
  type Certificate,
  extensionOf,
  hasSigned,
  namesOf,
  REISSUE,
  readCertificate,
  refusal,
  refuse,
  SUBJECT_ALTERNATIVE_NAME,
} from './certificate.ts';
import {
  authorityIdOf,
  DNS_SUFFIX,
  dnsNameOf,
  parseSpiffeId,
  pathOf,
  type SpiffeId,
  type TrustDomain,
  trustDomainOf,
} from './spiffe-id.ts';

/** The authorities of each trust domain, in DER. Never merged: a domain vouches for its own IDs only. */
export type TrustBundle = ReadonlyMap<TrustDomain, readonly Uint8Array[]>;

const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
/** Critical extensions that this check understands; any other one means the certificate asks for more than we do. */
const UNDERSTOOD = new Set([SUBJECT_ALTERNATIVE_NAME, BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE]);
const HASHES = new Set(['SHA-256', 'SHA-384', 'SHA-512']);

/** @throws KwamError SVID_INVALID  names the rule; nothing about the chain may then be believed. */
export function checkSvid(chain: readonly Uint8Array[], bundle: TrustBundle, nowMs: number): SpiffeId {
  if (chain.length === 0 || chain.length > certificateChainMax) {
    refuse({
      rule: 'chain-length',
      expected: `1 to ${certificateChainMax} certificates`,
      actual: `${chain.length}`,
      remedy: 'present the leaf and its intermediates only',
    });
  }
  const [leaf, ...intermediates] = chain.map(readCertificate) as [Certificate, ...Certificate[]];
  const id = leafId(leaf);
  checkLeaf(leaf, id);
  checkValidity(leaf, nowMs, 'validity', id);
  checkPathToBundle(leaf, intermediates, id, bundle, nowMs);
  return id;
}

/** The end of the leaf's validity, for warnings and renewal. */
export function expiresAtMsOf(leafDer: Uint8Array): number {
  return readCertificate(leafDer).notAfter.getTime();
}

/** The trust domain's ID that an authority's certificate carries. Says nothing yet about whether it may be trusted. */
export function readAuthorityId(der: Uint8Array): SpiffeId {
  const uris = namesOf(readCertificate(der), 'url');
  const id = uris.length === 1 ? parseSpiffeId(uris[0]!) : undefined;
  if (id !== undefined && pathOf(id) === '') return id;
  return refuse({
    rule: 'authority-id',
    expected: 'one URI SAN that is a trust domain, spiffe://<trust domain>',
    actual: uris.join(', ') || 'none',
    remedy: 'put only the certificates of authorities into the bundle',
  });
}

function leafId(leaf: Certificate): SpiffeId {
  const uris = namesOf(leaf, 'url');
  if (uris.length !== 1) {
    refuse({
      rule: 'uri-san-count',
      expected: 'exactly one URI SAN',
      actual: uris.length === 0 ? 'none' : uris.join(', '),
      remedy: REISSUE,
    });
  }
  const id = parseSpiffeId(uris[0]!);
  if (pathOf(id) === '') {
    refuse({
      rule: 'leaf-path',
      expected: 'a SPIFFE ID with a path',
      actual: id,
      remedy: 'an authority never authenticates; use an SVID',
    });
  }
  return id;
}

function checkLeaf(leaf: Certificate, id: SpiffeId): void {
  if (extensionOf(leaf, BASIC_CONSTRAINTS, BasicConstraintsExtension)?.ca === true) {
    refuse({
      rule: 'leaf-ca',
      expected: 'a leaf without the CA flag',
      actual: `CA=true for ${id}`,
      remedy: REISSUE,
    });
  }
  checkLeafUsage(leaf, id);
  checkUnderstood(leaf, id);
  const dns = namesOf(leaf, 'dns').find(
    (name) => name.toLowerCase().endsWith(DNS_SUFFIX) && name !== dnsNameOf(id),
  );
  if (dns !== undefined) {
    refuse({
      rule: 'dns-name',
      expected: `the DNS SAN ${dnsNameOf(id)} for ${id}`,
      actual: dns,
      remedy: REISSUE,
    });
  }
}

function checkLeafUsage(leaf: Certificate, id: SpiffeId): void {
  const usage = extensionOf(leaf, KEY_USAGE, KeyUsagesExtension);
  const deny = (rule: string, expected: string, actual: string): never =>
    refuse({ rule, expected, actual: `${actual} for ${id}`, remedy: REISSUE });
  const usages = usage?.critical === true ? usage.usages : 0;
  if (usage?.critical !== true) deny('key-usage', 'a critical key usage extension', 'none');
  if ((usages & KeyUsageFlags.digitalSignature) === 0)
    deny('digital-signature', 'key usage digitalSignature', 'none');
  if ((usages & KeyUsageFlags.keyCertSign) !== 0) deny('key-cert-sign', 'no key usage keyCertSign', 'it');
  if ((usages & KeyUsageFlags.cRLSign) !== 0) deny('crl-sign', 'no key usage cRLSign', 'it');
  const extended = extensionOf(leaf, EXTENDED_KEY_USAGE, ExtendedKeyUsageExtension)?.usages.map(String);
  if (extended !== undefined && !(extended.includes(SERVER_AUTH) && extended.includes(CLIENT_AUTH))) {
    deny('extended-key-usage', 'serverAuth and clientAuth', extended.join(', '));
  }
}

function checkUnderstood(certificate: Certificate, subject: string): void {
  const foreign = certificate.extensions.find(({ critical, type }) => critical && !UNDERSTOOD.has(type));
  if (foreign === undefined) return;
  refuse({
    rule: 'critical-extension',
    expected: 'only critical extensions that this check knows',
    actual: `${foreign.type} in the certificate of ${subject}`,
    remedy: REISSUE,
  });
}

function checkValidity(certificate: Certificate, nowMs: number, rule: string, subject: string): void {
  const { notBefore, notAfter } = certificate;
  if (nowMs >= notBefore.getTime() && nowMs <= notAfter.getTime()) return;
  const late = nowMs > notAfter.getTime();
  refuse({
    rule,
    expected: `a certificate of ${subject} that is valid at ${new Date(nowMs).toISOString()}`,
    actual: late
      ? `one that expired at ${notAfter.toISOString()}`
      : `one that begins at ${notBefore.toISOString()}`,
    remedy: late
      ? rule === 'validity'
        ? REISSUE
        : 'make a new authority with `kwam-dp identity init`'
      : 'set the clocks of both machines',
  });
}

/** Walks leaf → intermediates → an authority of the leaf's own trust domain; every step verifies one signature. */
function checkPathToBundle(
  leaf: Certificate,
  intermediates: Certificate[],
  id: SpiffeId,
  bundle: TrustBundle,
  nowMs: number,
): void {
  const domain = trustDomainOf(id);
  const authorities = (bundle.get(domain) ?? []).map(readCertificate);
  if (authorities.length === 0) {
    refuse({
      rule: 'trust-domain',
      expected: `an ID in ${[...bundle.keys()].join(', ') || 'a trusted domain'}`,
      actual: id,
      remedy: `add the authority of ${domain} to the bundle or use an SVID of a trusted domain`,
    });
  }
  let current = leaf;
  for (let below = 0; ; below++) {
    const issuer = issuerOf(current, [...authorities, ...intermediates.splice(0)]);
    if (issuer === undefined) throw chainRefusal(current, id, domain, authorities);
    checkAuthority(issuer.certificate, domain, below, nowMs);
    if (issuer.index < authorities.length) return;
    intermediates.push(...issuer.others.slice(authorities.length));
    current = issuer.certificate;
  }
}

function chainRefusal(
  current: Certificate,
  id: SpiffeId,
  domain: TrustDomain,
  authorities: Certificate[],
): KwamError {
  // A root of a stranger may have the name of ours, and is signed by itself: that is another authority, not a forgery.
  const forged =
    !current.node.checkIssued(current.node) && authorities.some(({ node }) => current.node.checkIssued(node));
  return refusal({
    rule: forged ? 'signature' : 'chain',
    expected: `a chain from ${id} to an authority in the bundle of ${domain}`,
    actual: forged
      ? 'a signature that its authority did not make'
      : `the issuer "${current.issuer}", which is not in that bundle`,
    remedy: `use an SVID that the authority of ${domain} in ca.pem has issued`,
  });
}

interface Issuer {
  readonly certificate: Certificate;
  readonly index: number;
  readonly others: Certificate[];
}

function issuerOf(subject: Certificate, candidates: Certificate[]): Issuer | undefined {
  const { algorithm, hash } = subject;
  if (algorithm !== 'Ed25519' && !HASHES.has(hash)) {
    refuse({
      rule: 'signature-algorithm',
      expected: [...HASHES].join(', '),
      actual: `${algorithm} with ${hash}`,
      remedy: REISSUE,
    });
  }
  const index = candidates.findIndex((candidate) => hasSigned(candidate, subject));
  if (index === -1) return undefined;
  return { certificate: candidates[index]!, index, others: candidates.filter((_, i) => i !== index) };
}

/** @param below  how many intermediates lie between this authority and the leaf. */
function checkAuthority(authority: Certificate, domain: TrustDomain, below: number, nowMs: number): void {
  const deny = (rule: string, expected: string, actual: string): never =>
    refuse({ rule, expected, actual, remedy: `use an SVID that the authority of ${domain} has issued` });
  const constraints = extensionOf(authority, BASIC_CONSTRAINTS, BasicConstraintsExtension);
  const pathLength = constraints?.pathLength ?? certificateChainMax;
  if (constraints?.ca !== true) deny('authority-ca', 'an issuer with the CA flag', authority.subject);
  if (pathLength < below) deny('path-length', `at most ${pathLength} intermediates`, `${below}`);
  const usages = extensionOf(authority, KEY_USAGE, KeyUsagesExtension)?.usages ?? 0;
  if ((usages & KeyUsageFlags.keyCertSign) === 0) {
    deny('authority-key-usage', 'an issuer with key usage keyCertSign', authority.subject);
  }
  const uris = namesOf(authority, 'url');
  if (uris.some((uri) => uri !== authorityIdOf(domain))) {
    deny('authority-id', `an authority named ${authorityIdOf(domain)}`, uris.join(', '));
  }
  checkUnderstood(authority, `the authority of ${domain}`);
  checkValidity(authority, nowMs, 'authority-validity', `the authority of ${domain}`);
}
