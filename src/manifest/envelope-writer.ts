/**
 * Signs a payload and writes its DSSE envelope.
 * In: payload bytes, their type, signers. Out: the envelope as canonical JSON, so that the same payload and signatures always
 * give the same bytes. The signature's input and the text are made piece by piece: a large payload is never copied.
 * Source: as dsse.ts, which reads what is written here.
 */
import { KwamError } from '../errors.ts';
import { KIB, signatureCountMax } from '../limits.ts';
import { base64TextBytes, toBase64, writeBase64 } from './base64.ts';
import { canonicalString } from './canonical-json.ts';
import {
  checkPayloadBytes,
  type Envelope,
  type EnvelopeSignature,
  preAuthPrefix,
  SIGNATURE_BYTES,
  type Signer,
} from './dsse.ts';

/** An envelope whose payload is still bytes, not base64. */
export interface SignedPayload {
  readonly head: Uint8Array;
  readonly payload: Uint8Array;
  readonly tail: Uint8Array;
}

/** Payload bytes that are made into text at once; a multiple of 3, so that only the last piece is padded. */
const PIECE_BYTES = 192 * KIB;
const textEncoder = new TextEncoder();

function signatureText({ sig, keyid, certs }: EnvelopeSignature): string {
  const before = certs === undefined ? '' : `"certs":${canonicalString(certs)},`;
  const named = keyid === undefined ? '' : `"keyid":${canonicalString(keyid)},`;
  return `{${before}${named}"sig":"${toBase64(sig)}"}`;
}

async function signatureOf(signer: Signer, preAuth: readonly Uint8Array[]): Promise<EnvelopeSignature> {
  const { keyid, certs } = signer;
  const sig = await signer.sign(preAuth);
  if (sig.length === SIGNATURE_BYTES) return { sig, keyid, ...(certs === undefined ? {} : { certs }) };
  throw new KwamError(
    'USAGE',
    `signer ${keyid}: expected ${SIGNATURE_BYTES} bytes (r ‖ s, not DER), got ${sig.length}`,
  );
}

function checkSignatureCount(count: number): void {
  if (count >= 1 && count <= signatureCountMax) return;
  throw new KwamError('USAGE', `expected 1 to ${signatureCountMax} signers, got ${count}`);
}

function signedPayload(
  payloadType: string,
  payload: Uint8Array,
  signatures: readonly EnvelopeSignature[],
): SignedPayload {
  return {
    head: textEncoder.encode('{"payload":"'),
    payload,
    tail: textEncoder.encode(
      `","payloadType":${canonicalString(payloadType)},"signatures":[${signatures.map(signatureText).join(',')}]}`,
    ),
  };
}

/** `payload` is kept as a view: it must not change before the envelope is written. */
export async function signPayload(
  payloadType: string,
  payload: Uint8Array,
  signers: readonly Signer[],
): Promise<SignedPayload> {
  checkSignatureCount(signers.length);
  checkPayloadBytes(payload.length);
  const preAuth = [preAuthPrefix(payloadType, payload.length), payload];
  const signatures = await Promise.all(signers.map((signer) => signatureOf(signer, preAuth)));
  return signedPayload(payloadType, payload, signatures);
}

function* piecesOf({ head, payload, tail }: SignedPayload): Generator<Uint8Array> {
  yield head;
  const text = new Uint8Array(base64TextBytes(Math.min(PIECE_BYTES, payload.length)));
  for (let at = 0; at < payload.length; at += PIECE_BYTES) {
    yield text.subarray(0, writeBase64(payload.subarray(at, at + PIECE_BYTES), text, 0));
  }
  yield tail;
}

/** The envelope in arrays of `partBytes`, only the last one shorter; each is made when it is asked for and is the caller's. */
export function* envelopeParts(signed: SignedPayload, partBytes: number): Generator<Uint8Array<ArrayBuffer>> {
  let left = signed.head.length + base64TextBytes(signed.payload.length) + signed.tail.length;
  let part = new Uint8Array(Math.min(partBytes, left));
  let filled = 0;
  for (const piece of piecesOf(signed)) {
    for (let at = 0; at < piece.length; ) {
      const count = Math.min(piece.length - at, part.length - filled);
      part.set(piece.subarray(at, at + count), filled);
      at += count;
      filled += count;
      left -= count;
      if (filled < part.length) continue;
      yield part;
      part = new Uint8Array(Math.min(partBytes, left));
      filled = 0;
    }
  }
}

function envelopeBytes(signed: SignedPayload): Uint8Array<ArrayBuffer> {
  const [envelope] = envelopeParts(signed, Number.MAX_SAFE_INTEGER);
  return envelope!;
}

/** The whole envelope at once; for payloads of moderate size. */
export async function signEnvelope(
  payloadType: string,
  payload: Uint8Array,
  signers: readonly Signer[],
): Promise<Uint8Array<ArrayBuffer>> {
  return envelopeBytes(await signPayload(payloadType, payload, signers));
}

/** The same payload with one signature more; those that are there are kept, whether or not anyone trusts them. */
export async function addSignature(envelope: Envelope, signer: Signer): Promise<Uint8Array<ArrayBuffer>> {
  checkSignatureCount(envelope.signatures.length + 1);
  const added = await signatureOf(signer, [envelope.preAuth]);
  return envelopeBytes(
    signedPayload(envelope.payloadType, envelope.payload, [...envelope.signatures, added]),
  );
}
