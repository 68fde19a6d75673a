/**
 * DSSE envelopes: a payload, its type, and signatures over both. Here they are read; envelope-writer.ts makes them.
 * In: envelope bytes, the accepted payload types, trusted keys, a threshold. Out: the payload and the keys that signed it.
 * Source: DSSE v1.0.0 (protocol.md, envelope.md of secure-systems-lab/dsse); ECDSA P-256 as r ‖ s (IEEE P1363) with
 * SHA-256, and Ed25519 (RFC 8032), both through WebCrypto, so that browsers and Node run the same code.
 * Ours: an optional `certs` field beside each signature, the signer's certificate chain in PEM; unauthenticated until the
 * caller's trust function has judged it. `keyid` is written for people and never read for a decision.
 * Does not know certificates or manifests, and does not look at the term of a key (key-term.ts): its caller knows the times.
 */
import { KwamError } from '../errors.ts';
import { signatureCountMax, signedPayloadBytesMax } from '../limits.ts';
import { base64Bytes, fromBase64, readBase64, toBase64 } from './base64.ts';
import { JsonCursor } from './json-cursor.ts';
import type { KeyTerm } from './key-term.ts';

export interface Signer {
  readonly keyid: string;
  /** PEM, leaf first; travels beside the signature. */
  readonly certs?: string;
  /** Signs exactly these bytes, one part after another: 64 bytes r ‖ s for ECDSA P-256 with SHA-256, or 64 bytes of Ed25519. */
  sign(parts: readonly Uint8Array[]): Promise<Uint8Array>;
}

export interface EnvelopeSignature {
  readonly sig: Uint8Array;
  readonly keyid?: string;
  readonly certs?: string;
}

export interface Envelope {
  readonly payloadType: string;
  /** A view of `preAuth`. */
  readonly payload: Uint8Array;
  /** What the signatures cover: PAE(payloadType, payload). */
  readonly preAuth: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

export interface TrustedKey extends KeyTerm {
  /** A public key: ECDSA P-256 or Ed25519, usage `verify`, extractable. */
  readonly key: CryptoKey;
  /** Whose key it is, for example a SPIFFE ID; the caller of verifyEnvelope says what follows from it. */
  readonly identity?: string;
}

/** Names the keys that may have made this signature; none when its certificates are missing or not trusted. */
export type TrustFunction = (signature: EnvelopeSignature) => Promise<readonly TrustedKey[]>;

export interface VerifyOptions {
  readonly payloadTypes: readonly string[];
  readonly trust: readonly TrustedKey[] | TrustFunction;
  /** Distinct keys that must have signed; 1 unless given. */
  readonly threshold?: number;
}

export interface VerifiedEnvelope extends Envelope {
  /** Distinct, at least `threshold` of them. */
  readonly acceptedKeys: readonly TrustedKey[];
}

export const SIGNATURE_BYTES = 64;
const textEncoder = new TextEncoder();

/** Pre-Authentication Encoding is this and then the payload. */
export function preAuthPrefix(payloadType: string, payloadBytes: number): Uint8Array {
  const typeBytes = textEncoder.encode(payloadType).length;
  return textEncoder.encode(`DSSEv1 ${typeBytes} ${payloadType} ${payloadBytes} `);
}

export function checkPayloadBytes(bytes: number): void {
  if (bytes <= signedPayloadBytesMax) return;
  throw new KwamError(
    'LIMIT_EXCEEDED',
    `a signed document has at most ${signedPayloadBytesMax} bytes, got ${bytes}; split the object into smaller ones`,
    { context: { bytes, limit: signedPayloadBytesMax } },
  );
}

/** Pre-Authentication Encoding. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  checkPayloadBytes(payload.length);
  const prefix = preAuthPrefix(payloadType, payload.length);
  const all = new Uint8Array(prefix.length + payload.length);
  all.set(prefix);
  all.set(payload, prefix.length);
  return all;
}

type Members = Map<string, () => void>;

/** Reads one object whose members may come in any order, each at most once and none that is not listed. */
function readObject(cursor: JsonCursor, members: Members, required: readonly string[]): void {
  const seen = new Set<string>();
  cursor.expect('{');
  cursor.skipSpaces();
  if (!cursor.accept('}')) {
    do {
      cursor.skipSpaces();
      readMember(cursor, members, seen);
      cursor.skipSpaces();
    } while (cursor.accept(','));
    cursor.expect('}');
  }
  for (const name of required)
    if (!seen.has(name)) cursor.fail(`an object with ${JSON.stringify(name)} before it ends`);
}

function readMember(cursor: JsonCursor, members: Members, seen: Set<string>): void {
  const start = cursor.position;
  const name = cursor.string();
  const read = members.get(name);
  if (read === undefined || seen.has(name)) {
    cursor.position = start;
    cursor.fail(
      `a member of ${[...members.keys()].join(', ')}, each at most once, not ${JSON.stringify(name)}`,
    );
  }
  seen.add(name);
  cursor.skipSpaces();
  cursor.expect(':');
  cursor.skipSpaces();
  read();
}

function readSignature(cursor: JsonCursor): EnvelopeSignature {
  const found: { sig?: Uint8Array; keyid?: string; certs?: string } = {};
  const members: Members = new Map([
    [
      'sig',
      () => {
        found.sig = fromBase64(cursor.rawString(), 'either') ?? cursor.fail('base64 before it');
      },
    ],
    [
      'keyid',
      () => {
        found.keyid = cursor.string();
      },
    ],
    [
      'certs',
      () => {
        found.certs = cursor.string();
      },
    ],
  ]);
  readObject(cursor, members, ['sig']);
  return found as EnvelopeSignature;
}

function readSignatures(cursor: JsonCursor): EnvelopeSignature[] {
  const signatures: EnvelopeSignature[] = [];
  cursor.expect('[');
  do {
    cursor.skipSpaces();
    if (signatures.length === signatureCountMax) cursor.fail(`at most ${signatureCountMax} signatures`);
    signatures.push(readSignature(cursor));
    cursor.skipSpaces();
  } while (cursor.accept(','));
  cursor.expect(']');
  return signatures;
}

/** Parses without verifying anything. Unknown and repeated members, and anything after the envelope, are refused. */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  const cursor = new JsonCursor(bytes, 'envelope', 'ENVELOPE_INVALID');
  let payloadText = new Uint8Array(0) as Uint8Array;
  let payloadType = '';
  let signatures: EnvelopeSignature[] = [];
  const members: Members = new Map([
    [
      'payload',
      () => {
        payloadText = cursor.rawString();
      },
    ],
    [
      'payloadType',
      () => {
        payloadType = cursor.string();
      },
    ],
    [
      'signatures',
      () => {
        signatures = readSignatures(cursor);
      },
    ],
  ]);
  cursor.skipSpaces();
  readObject(cursor, members, [...members.keys()]);
  cursor.skipSpaces();
  cursor.expectEnd();
  return { payloadType, signatures, ...decodePayload(payloadType, payloadText, cursor) };
}

/** Decodes straight behind the PAE prefix, so that a large payload lies in memory once. */
function decodePayload(
  payloadType: string,
  text: Uint8Array,
  cursor: JsonCursor,
): Pick<Envelope, 'payload' | 'preAuth'> {
  const bytes = base64Bytes(text);
  if (bytes < 0) cursor.fail('a payload in base64 before it');
  checkPayloadBytes(bytes);
  const prefix = preAuthPrefix(payloadType, bytes);
  const preAuth = new Uint8Array(prefix.length + bytes);
  preAuth.set(prefix);
  if (!readBase64(text, preAuth, prefix.length, 'either')) cursor.fail('a payload in base64 before it');
  return { preAuth, payload: preAuth.subarray(prefix.length) };
}

function verifyAlgorithm(key: CryptoKey): EcdsaParams | Algorithm {
  const { name, namedCurve } = key.algorithm as EcKeyAlgorithm;
  if (name === 'ECDSA' && namedCurve === 'P-256') return { name, hash: 'SHA-256' };
  if (name === 'Ed25519') return { name };
  throw new KwamError(
    'USAGE',
    `expected a trusted key of ECDSA P-256 or Ed25519, got ${name} ${namedCurve ?? ''}`,
  );
}

/** Two keys are one when their SubjectPublicKeyInfo is the same: the only notion of "distinct" that counts. */
export async function fingerprint(key: CryptoKey): Promise<string> {
  return toBase64(new Uint8Array(await crypto.subtle.exportKey('spki', key)));
}

async function signed(key: CryptoKey, signature: EnvelopeSignature, preAuth: Uint8Array): Promise<boolean> {
  const algorithm = verifyAlgorithm(key);
  if (signature.sig.length !== SIGNATURE_BYTES) return false;
  return crypto.subtle.verify(
    algorithm,
    key,
    signature.sig as Uint8Array<ArrayBuffer>,
    preAuth as Uint8Array<ArrayBuffer>,
  );
}

async function acceptedKeysOf(envelope: Envelope, options: VerifyOptions): Promise<Map<string, TrustedKey>> {
  const { trust } = options;
  const accepted = new Map<string, TrustedKey>();
  for (const signature of envelope.signatures) {
    const keys = typeof trust === 'function' ? await trust(signature) : trust;
    for (const trusted of keys) {
      const name = await fingerprint(trusted.key);
      if (accepted.has(name)) continue;
      if (await signed(trusted.key, signature, envelope.preAuth)) accepted.set(name, trusted);
    }
  }
  return accepted;
}

/** By signature, the one of these keys that made it; undefined for a stranger's. Decides nothing: a caller that counts people does. */
export async function signersOf<Key extends Pick<TrustedKey, 'key'>>(
  { signatures, preAuth }: Envelope,
  keys: readonly Key[],
): Promise<readonly (Key | undefined)[]> {
  const found: (Key | undefined)[] = [];
  for (const signature of signatures) {
    let signer: Key | undefined;
    for (const each of keys) {
      if (signer === undefined && (await signed(each.key, signature, preAuth))) signer = each;
    }
    found.push(signer);
  }
  return found;
}

/** @throws KwamError ENVELOPE_INVALID  not an envelope of an accepted type; SIGNATURE_INVALID  too few trusted keys signed. */
export async function verifyEnvelope(bytes: Uint8Array, options: VerifyOptions): Promise<VerifiedEnvelope> {
  const threshold = options.threshold ?? 1;
  if (!Number.isInteger(threshold) || threshold < 1) {
    throw new KwamError('USAGE', `expected a threshold of at least 1, got ${threshold}`);
  }
  const envelope = parseEnvelope(bytes);
  if (!options.payloadTypes.includes(envelope.payloadType)) {
    throw new KwamError(
      'ENVELOPE_INVALID',
      `expected a payload of type ${options.payloadTypes.join(' or ')}, got ${JSON.stringify(envelope.payloadType)}`,
    );
  }
  const accepted = await acceptedKeysOf(envelope, options);
  if (accepted.size < threshold) {
    throw new KwamError(
      'SIGNATURE_INVALID',
      `expected good signatures by ${threshold} distinct trusted keys, got ${accepted.size} of ${envelope.signatures.length}; ` +
        'the document was changed or its signer is not trusted here',
      { context: { threshold, accepted: accepted.size, signatures: envelope.signatures.length } },
    );
  }
  return { ...envelope, acceptedKeys: [...accepted.values()] };
}
