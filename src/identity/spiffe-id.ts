/**
 * SPIFFE IDs: the names of nodes and clients, for example spiffe://kwam.dev/node/n0001.
 * In: untrusted text. Out: a branded SpiffeId or trust domain, or KwamError SVID_INVALID with `context.rule`.
 * Source: SPIFFE-ID standard, sections 2.1–2.4 (the strict character rules). Parsing is exact: nothing is normalised,
 * so two IDs are the same identity exactly when their strings are equal.
 * Does not know patterns: `*` is refused here.
 */
import { createHash } from 'node:crypto';
import { KwamError } from '../errors.ts';
import { spiffeIdBytesMax, trustDomainBytesMax } from '../limits.ts';

export type SpiffeId = string & { readonly __spiffeId: true };
export type TrustDomain = string & { readonly __trustDomain: true };

const SCHEME = 'spiffe://';
const TRUST_DOMAIN_CHARACTER = /^[a-z0-9._-]$/;
const PATH_CHARACTER = /^[A-Za-z0-9._-]$/;

/** Names inside this suffix are derived, never chosen; `.internal` is reserved for private use (ICANN, 2024). */
export const DNS_SUFFIX = '.svid.kwam.internal';
/** RFC 4648 section 6, lower case: DNS names compare without case. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

function refuse(rule: string, expected: string, actual: string): never {
  throw new KwamError(
    'SVID_INVALID',
    `SPIFFE ID: expected ${expected}, got ${actual}; write it as spiffe://<trust domain>/<path>`,
    { context: { rule, expected, actual } },
  );
}

function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}

function checkTrustDomain(name: string): void {
  if (name === '') refuse('id-trust-domain-empty', 'a trust domain after spiffe://', 'none');
  if (name.length > trustDomainBytesMax) {
    refuse(
      'id-trust-domain-length',
      `a trust domain of at most ${trustDomainBytesMax} bytes`,
      `${name.length}`,
    );
  }
  for (const character of name) {
    if (character === '@') refuse('id-user-info', 'no user information', quote(name));
    if (character === ':') refuse('id-port', 'no port', quote(name));
    if (character === '%') refuse('id-percent-encoding', 'no percent-encoding', quote(name));
    if (!TRUST_DOMAIN_CHARACTER.test(character)) {
      refuse(
        'id-trust-domain-character',
        'only a-z 0-9 . _ - in the trust domain',
        `${quote(character)} in ${quote(name)}`,
      );
    }
  }
}

function checkSegment(segment: string, path: string): void {
  if (segment === '') refuse('id-empty-segment', 'no empty path segment', quote(path));
  if (segment === '.' || segment === '..') refuse('id-dot-segment', 'no . or .. path segment', quote(path));
  for (const character of segment) {
    if (character === '%') refuse('id-percent-encoding', 'no percent-encoding', quote(path));
    if (!PATH_CHARACTER.test(character)) {
      refuse(
        'id-path-character',
        'only A-Z a-z 0-9 . _ - in the path',
        `${quote(character)} in ${quote(path)}`,
      );
    }
  }
}

function checkPath(path: string): void {
  if (path === '') return;
  if (path.endsWith('/')) refuse('id-trailing-slash', 'no trailing slash', quote(path));
  for (const segment of path.slice(1).split('/')) checkSegment(segment, path);
}

/** The ID of a workload has a path; that of an authority is its trust domain alone. Both parse here. */
export function parseSpiffeId(text: string): SpiffeId {
  if (text === '') refuse('id-empty', 'a SPIFFE ID', 'nothing');
  const bytes = Buffer.byteLength(text);
  if (bytes > spiffeIdBytesMax) refuse('id-length', `at most ${spiffeIdBytesMax} bytes`, `${bytes}`);
  if (!text.startsWith(SCHEME)) refuse('id-scheme', `the scheme ${SCHEME}`, quote(text));
  if (text.includes('?')) refuse('id-query', 'no query', quote(text));
  if (text.includes('#')) refuse('id-fragment', 'no fragment', quote(text));
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  checkTrustDomain(slash === -1 ? rest : rest.slice(0, slash));
  checkPath(slash === -1 ? '' : rest.slice(slash));
  return text as SpiffeId;
}

export function parseTrustDomain(name: string): TrustDomain {
  checkTrustDomain(name);
  return name as TrustDomain;
}

export function trustDomainOf(id: SpiffeId): TrustDomain {
  const rest = id.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  return (slash === -1 ? rest : rest.slice(0, slash)) as TrustDomain;
}

/** Begins with a slash, or is empty for the ID of a trust domain. */
export function pathOf(id: SpiffeId): string {
  return id.slice(SCHEME.length + trustDomainOf(id).length);
}

export function authorityIdOf(trustDomain: TrustDomain): SpiffeId {
  return (SCHEME + trustDomain) as SpiffeId;
}

/**
 * The one DNS name that stands for an ID where a TLS client can only ask for a host name:
 * base32(SHA-256(ID)) + ".svid.kwam.internal". The label has 52 characters (limit 63); an ID of up to 2048 case-sensitive
 * bytes could not be spelled out in 253 caseless ones, so the name is one-to-one as far as SHA-256 has no collisions.
 */
export function dnsNameOf(id: SpiffeId): string {
  return base32(createHash('sha256').update(id, 'utf8').digest()) + DNS_SUFFIX;
}

/** Of SHA-256: 51 letters of 5 bits, and one for the bit that is left over. */
function base32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(buffer >>> (bits - 5)) & 31];
    buffer &= (1 << bits) - 1;
  }
  return text + BASE32[(buffer << (5 - bits)) & 31];
}
