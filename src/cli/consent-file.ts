/**
 * The file that goes from desk to desk: first the bare token, which is exactly the bytes that people sign; then a DSSE envelope around the
 * same bytes, with one signature more at each desk.
 */
import { readFileSync } from 'node:fs';
import { KwamError } from '../errors.ts';
import { preAuthEncoding, type Signer, signersOf } from '../manifest/dsse.ts';
import { addSignature } from '../manifest/envelope-writer.ts';
import { importPublicKey } from '../manifest/public-key.ts';
import { CONSENT_PAYLOAD_TYPE, consentDigest, parseConsentToken } from '../rollout/consent-token.ts';
import { checkExpiry, type OpenedConsent, openConsent } from '../rollout/consent-verify.ts';
import type { SigningKey } from './signing-key.ts';

/** Reads without believing any signature. */
export function readConsentFile(path: string): OpenedConsent {
  const bytes = bytesOf(path);
  // No value of a token has a quotation mark, so this name stands in envelopes only.
  if (bytes.includes('"payloadType"')) return openConsent(bytes);
  const token = parseConsentToken(bytes);
  const preAuth = preAuthEncoding(CONSENT_PAYLOAD_TYPE, bytes);
  const envelope = { payloadType: CONSENT_PAYLOAD_TYPE, payload: bytes, preAuth, signatures: [] };
  return { envelope, token, digest: consentDigest(bytes) };
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KwamError(
      'USAGE',
      `expected a consent request or token in ${path}, got ${errno}; check the path`,
      {
        cause,
        context: { path, errno },
      },
    );
  }
}

/** The file's new content. @throws KwamError ALREADY_EXISTS  this key has signed; CONSENT_REFUSED  the token is over. */
export async function signConsent(
  opened: OpenedConsent,
  { signer, publicKeyPem }: SigningKey,
  nowMs: number,
): Promise<Uint8Array> {
  checkExpiry(opened.token, nowMs);
  await checkNotSigned(opened, signer, publicKeyPem);
  return addSignature(opened.envelope, signer);
}

async function checkNotSigned(
  { envelope, token }: OpenedConsent,
  signer: Signer,
  pem: string,
): Promise<void> {
  const signers = await signersOf(envelope, [{ key: await importPublicKey(pem) }]);
  if (signers.every((each) => each === undefined)) return;
  throw new KwamError(
    'ALREADY_EXISTS',
    `expected a token that this key (${signer.keyid}) has not signed yet, got ${token.jti} with its signature; ` +
      'a second one would not count: pass the file on to another person',
  );
}
