/**
 * SPIFFE IDs and patterns over them, as a program writes them.
 * In: text. Out: a sentence that says which rule it breaks, or undefined; a Glob for a pattern.
 * Source: SPIFFE-ID standard, sections 2.1–2.4. A pattern has `*` and `**` in its path only: a wildcard trust domain would trust strangers.
 * Does not look at certificates, and is kept apart from identity/: this runs in a browser too, and says what a writer can repair.
 */
import { spiffeIdBytesMax, trustDomainBytesMax } from '../limits.ts';
import { type Glob, globMatches, parseGlob } from './glob-inclusion.ts';

const SCHEME = 'spiffe://';
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;

interface Form {
  readonly segment: RegExp;
  readonly letters: string;
}
const ID_FORM: Form = { segment: /^[A-Za-z0-9._-]+$/, letters: 'A-Z a-z 0-9 . _ -' };
const PATTERN_FORM: Form = { segment: /^[A-Za-z0-9._*-]+$/, letters: 'A-Z a-z 0-9 . _ - and *' };

export function isSpiffePattern(text: string): boolean {
  return text.includes('*');
}

/** What keeps this from being the ID of a workload: it needs a path. */
export function spiffeIdProblem(text: string): string | undefined {
  return problemOf(text, ID_FORM);
}

export function parseSpiffePattern(text: string): Glob | string {
  const problem = problemOf(text, PATTERN_FORM);
  return problem ?? parseGlob(text.slice(SCHEME.length), '/');
}

/** The pattern is one that parseSpiffePattern returned. */
export function spiffePatternMatches(pattern: Glob, id: string): boolean {
  return id.startsWith(SCHEME) && globMatches(pattern, id.slice(SCHEME.length));
}

function problemOf(text: string, form: Form): string | undefined {
  if (!text.startsWith(SCHEME)) return `it starts with \`${SCHEME}\`, in small letters`;
  // Characters outside ASCII are refused below, so that characters are bytes.
  if (text.length > spiffeIdBytesMax) return `it has at most ${spiffeIdBytesMax} bytes, not ${text.length}`;
  const [domain = '', ...segments] = text.slice(SCHEME.length).split('/');
  return domainProblem(domain) ?? pathProblem(segments, form);
}

function domainProblem(domain: string): string | undefined {
  if (domain === '') return 'a trust domain follows `spiffe://`';
  if (domain.length > trustDomainBytesMax) {
    return `its trust domain has at most ${trustDomainBytesMax} bytes, not ${domain.length}`;
  }
  if (domain.includes('*')) return `its trust domain is one name, not the pattern \`${domain}\``;
  if (domain.includes('@')) return 'it names no user';
  if (domain.includes(':')) return 'it has no port';
  if (!TRUST_DOMAIN.test(domain)) return `its trust domain has only a-z 0-9 . _ -, unlike \`${domain}\``;
  return undefined;
}

function pathProblem(segments: readonly string[], form: Form): string | undefined {
  if (segments.length === 0)
    return 'a path follows the trust domain: the trust domain alone names an authority';
  if (segments.at(-1) === '') return 'it does not end with a slash';
  for (const segment of segments) {
    if (segment === '') return 'no segment of its path is empty';
    if (segment === '.' || segment === '..') return `no segment of its path is \`${segment}\``;
    if (!form.segment.test(segment)) return `its path has only ${form.letters}, unlike \`${segment}\``;
  }
  return undefined;
}
