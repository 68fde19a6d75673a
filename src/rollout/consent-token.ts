/**
 * A consent token: what people agree to, once, in one text.
 * In: the payload of a DSSE envelope. Out: a ConsentToken, or KwamError CONSENT_REFUSED whose `context.rule` names the rule.
 * The text is RFC 8785 JSON of exactly these members; each has one spelling, so equal tokens have equal bytes and one digest. A member that
 * is unknown, missing or written twice is refused, and so is every spelling that the writer would not have chosen.
 * Does not judge whether the token may be redeemed here and now (consent-verify.ts), and knows no signatures (approvals.ts).
 */
import { createHash } from 'node:crypto';
import { type DigestHex, sameBytes } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { parseSpiffeId, pathOf, type SpiffeId } from '../identity/spiffe-id.ts';
import { CAPABILITIES, type Capability, isCapability } from '../language/capability.ts';
import { parseGlob } from '../language/glob-inclusion.ts';
import { isPersonName } from '../language/person.ts';
import { consentLifetimeMsMax, consentNameCharactersMax, consentTokenBytesMax } from '../limits.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import { JsonCursor } from '../manifest/json-cursor.ts';
import { ASK_AGAIN, refuseConsent, shown } from './consent-refusal.ts';

export const CONSENT_PAYLOAD_TYPE = 'application/vnd.kwam.consent.v1+json';
export const CONSENT_SCHEMA = 'kwam.consent/v1';

export interface ConsentToken {
  readonly schema: typeof CONSENT_SCHEMA;
  /** The one seed that may redeem it. */
  readonly audience: SpiffeId;
  /** Its name in the ledger: 128 random bits in hexadecimal. */
  readonly jti: string;
  /** Times as Date.toISOString writes them. issuedAt ≤ notBefore < expiresAt. */
  readonly issuedAt: string;
  readonly notBefore: string;
  readonly expiresAt: string;
  /** Ascending, each once. */
  readonly capabilities: readonly Capability[];
  /** A pattern by dots, such as fleet.h100_pool: where it may be used. */
  readonly resource: string;
  /** Digests of the program's meaning and of the image, `sha256:` and 64 hexadecimal digits. */
  readonly program: string;
  readonly image: string;
  readonly deploy: string;
  readonly pool: string;
  /** Who asks, by the name that the policy gives to people. */
  readonly requester: string;
}

type Fields = Readonly<Record<string, string | readonly string[]>>;

interface Form {
  readonly rule: string;
  readonly expected: string;
  readonly holds: (text: string) => boolean;
}

const PINNED = /^sha256:[0-9a-f]{64}$/;
/** Years of four digits only, so that times sort as text. */
const TIME_CHARACTERS = 24;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** One form a member; `capabilities` is the only list. */
const FORMS: Readonly<Record<Exclude<keyof ConsentToken, 'capabilities'>, Form>> = {
  schema: { rule: 'token-schema', expected: CONSENT_SCHEMA, holds: (text) => text === CONSENT_SCHEMA },
  audience: { rule: 'token-audience', expected: 'the SPIFFE ID of one seed', holds: isWorkloadId },
  jti: {
    rule: 'token-jti',
    expected: '32 hexadecimal digits',
    holds: (text) => /^[0-9a-f]{32}$/.test(text),
  },
  issuedAt: timeForm('issuedAt'),
  notBefore: timeForm('notBefore'),
  expiresAt: timeForm('expiresAt'),
  resource: { rule: 'token-resource', expected: 'a resource pattern by dots', holds: isResource },
  program: pinnedForm('program'),
  image: pinnedForm('image'),
  deploy: nameForm('deploy'),
  pool: nameForm('pool'),
  requester: {
    rule: 'token-requester',
    expected: 'the name of a person, in letters of one script',
    holds: isPersonName,
  },
};
const MEMBERS: ReadonlySet<string> = new Set([...Object.keys(FORMS), 'capabilities']);

function timeForm(name: string): Form {
  return { rule: `token-${name}`, expected: `${name} as YYYY-MM-DDTHH:MM:SS.mmmZ`, holds: isTime };
}

function pinnedForm(name: string): Form {
  const expected = `${name} as sha256: and 64 hexadecimal digits`;
  return { rule: `token-${name}`, expected, holds: (text) => PINNED.test(text) };
}

function nameForm(name: string): Form {
  const holds = (text: string): boolean => text.length <= consentNameCharactersMax && NAME.test(text);
  return { rule: `token-${name}`, expected: `the name of a ${name}`, holds };
}

function isTime(text: string): boolean {
  const ms = Date.parse(text);
  return text.length === TIME_CHARACTERS && !Number.isNaN(ms) && new Date(ms).toISOString() === text;
}

function isWorkloadId(text: string): boolean {
  try {
    return pathOf(parseSpiffeId(text)) !== '';
  } catch (error) {
    if (error instanceof KwamError) return false;
    throw error;
  }
}

function isResource(text: string): boolean {
  return /^[A-Za-z0-9_.*-]+$/.test(text) && typeof parseGlob(text, '.') !== 'string';
}

/** The bytes that people sign. @throws KwamError CONSENT_REFUSED  a token that nobody could redeem. */
export function encodeConsentToken(token: ConsentToken): Uint8Array<ArrayBuffer> {
  const bytes = canonicalBytes({ ...token });
  parseConsentToken(bytes);
  return bytes;
}

export function parseConsentToken(payload: Uint8Array): ConsentToken {
  checkBytes(payload);
  const fields = readFields(payload);
  checkMissing(fields);
  for (const [name, form] of Object.entries(FORMS)) checkForm(name, form, fields[name]!);
  checkCapabilities(fields['capabilities']!);
  const token = fields as unknown as ConsentToken;
  checkCanonical(token, payload);
  checkWindow(token);
  checkLifetime(token);
  return token;
}

/** SHA-256 of the payload: the token's name wherever it is written down. */
export function consentDigest(payload: Uint8Array): DigestHex {
  return createHash('sha256').update(payload).digest('hex') as DigestHex;
}

function checkBytes(payload: Uint8Array): void {
  if (payload.length <= consentTokenBytesMax) return;
  refuseConsent({
    rule: 'token-bytes',
    expected: `a token of at most ${consentTokenBytesMax} bytes`,
    actual: `${payload.length}`,
    remedy: ASK_AGAIN,
  });
}

/** The members as they are written, which are texts and lists of texts and nothing else. */
function readFields(payload: Uint8Array): Fields {
  const fields: Record<string, string | readonly string[]> = Object.create(null);
  readText(payload, (cursor) => {
    cursor.expect('{');
    do readMember(cursor, fields);
    while (cursor.accept(','));
    cursor.expect('}');
    cursor.expectEnd();
  });
  return fields;
}

function readText(payload: Uint8Array, read: (cursor: JsonCursor) => void): void {
  try {
    read(new JsonCursor(payload, 'the token', 'CONSENT_REFUSED'));
  } catch (cause) {
    if (!(cause instanceof KwamError) || cause.context['rule'] !== undefined) throw cause;
    refuseConsent({
      rule: 'token-encoding',
      expected: 'a token in canonical JSON',
      actual: `another text (${cause.message})`,
      remedy: ASK_AGAIN,
      cause,
    });
  }
}

function readMember(cursor: JsonCursor, fields: Record<string, string | readonly string[]>): void {
  const name = cursor.string();
  checkKnown(name);
  checkOnce(name, fields);
  cursor.expect(':');
  fields[name] = cursor.at('[') ? readList(cursor) : cursor.string();
}

function readList(cursor: JsonCursor): string[] {
  const items: string[] = [];
  cursor.expect('[');
  if (cursor.accept(']')) return items;
  do items.push(cursor.string());
  while (cursor.accept(','));
  cursor.expect(']');
  return items;
}

function checkKnown(name: string): void {
  if (MEMBERS.has(name)) return;
  refuseConsent({
    rule: 'token-member-unknown',
    expected: `only the members ${[...MEMBERS].join(', ')}`,
    actual: shown(name),
    remedy: 'use a kwam-dp that knows this kind of token, or ask for a new one',
  });
}

function checkOnce(name: string, fields: Fields): void {
  if (!(name in fields)) return;
  refuseConsent({
    rule: 'token-member-twice',
    expected: 'each member once',
    actual: `${name} twice`,
    remedy: `somebody made this text by hand; ${ASK_AGAIN}`,
  });
}

function checkMissing(fields: Fields): void {
  const missing = [...MEMBERS].filter((name) => !(name in fields));
  if (missing.length === 0) return;
  refuseConsent({
    rule: 'token-member-missing',
    expected: `the members ${[...MEMBERS].join(', ')}`,
    actual: `none named ${missing.join(', ')}`,
    remedy: ASK_AGAIN,
  });
}

function checkForm(name: string, form: Form, value: string | readonly string[]): void {
  if (typeof value === 'string' && form.holds(value)) return;
  refuseConsent({
    rule: form.rule,
    expected: form.expected,
    actual: `${name} ${typeof value === 'string' ? shown(value) : 'as a list'}`,
    remedy: ASK_AGAIN,
  });
}

function checkCapabilities(value: string | readonly string[]): void {
  const sorted = typeof value === 'string' ? [] : [...new Set(value)].sort();
  const known = sorted.every(isCapability);
  if (known && sorted.length > 0 && sorted.every((word, at) => value[at] === word)) {
    if (sorted.length === value.length) return;
  }
  refuseConsent({
    rule: 'token-capabilities',
    expected: `some of ${[...CAPABILITIES].sort().join(', ')}, each once and in this order`,
    actual: shown(JSON.stringify(value)),
    remedy: ASK_AGAIN,
  });
}

function checkCanonical(token: ConsentToken, payload: Uint8Array): void {
  if (sameBytes(canonicalBytes({ ...token }), payload)) return;
  refuseConsent({
    rule: 'token-canonical',
    expected: 'the canonical text of the token (RFC 8785)',
    actual: 'another spelling of it',
    remedy: `somebody made this text by hand; ${ASK_AGAIN}`,
  });
}

function checkWindow({ issuedAt, notBefore, expiresAt }: ConsentToken): void {
  if (issuedAt <= notBefore && notBefore < expiresAt) return;
  refuseConsent({
    rule: 'token-window',
    expected: 'issuedAt ≤ notBefore < expiresAt',
    actual: `${issuedAt}, ${notBefore}, ${expiresAt}`,
    remedy: ASK_AGAIN,
  });
}

function checkLifetime({ issuedAt, expiresAt }: ConsentToken): void {
  const lifetimeMs = Date.parse(expiresAt) - Date.parse(issuedAt);
  if (lifetimeMs <= consentLifetimeMsMax) return;
  refuseConsent({
    rule: 'token-lifetime',
    expected: `at most ${consentLifetimeMsMax / 3_600_000} hours from issuedAt to expiresAt`,
    actual: `${Math.ceil(lifetimeMs / 3_600_000)} hours`,
    remedy: 'ask for a token when it is needed',
  });
}
