/**
 * The name of a run of bytes: SHA-256, 32 bytes in memory, 64 lower-case hex digits in text.
 * Branded so that a digest cannot be swapped for any other bytes or string. Does not hash: see hashing/.
 */
import { KwamError } from './errors.ts';

export const DIGEST_BYTES = 32;

export type Digest = Uint8Array & { readonly __digest: true };
export type DigestHex = string & { readonly __digestHex: true };

const HEX = /^[0-9a-f]{64}$/;
const BYTE_TO_HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function asDigest(bytes: Uint8Array): Digest {
  if (bytes.length !== DIGEST_BYTES) {
    throw new KwamError('INTEGRITY', `a digest has ${DIGEST_BYTES} bytes, got ${bytes.length}`);
  }
  return bytes as Digest;
}

export function toHex(digest: Uint8Array): DigestHex {
  let text = '';
  for (let i = 0; i < digest.length; i++) text += BYTE_TO_HEX[digest[i]!];
  return text as DigestHex;
}

export function parseDigestHex(text: string): DigestHex {
  if (!HEX.test(text)) {
    throw new KwamError(
      'INTEGRITY',
      `expected a digest of 64 hexadecimal digits, got ${JSON.stringify(text)}`,
    );
  }
  return text as DigestHex;
}

export function fromHex(hex: DigestHex): Digest {
  const bytes = new Uint8Array(DIGEST_BYTES);
  for (let i = 0; i < DIGEST_BYTES; i++) bytes[i] = Number.parseInt(hex.substring(i * 2, i * 2 + 2), 16);
  return bytes as Digest;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
