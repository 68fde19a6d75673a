/**
 * The public library: `import { verifyChunk, verifyStream, verifyManifest, chunkStream } from 'kwam-dp'`.
 * Checks that bytes are those that their producer signed, in Node and in browsers, without a node, a store or a network.
 * Everything is streaming and asynchronous; failures are KwamErrors whose `code` and `context` say what, where, expected and actual.
 * No Node built-in lies on its import path (test/verify/import-path.test.ts). Imports pure layers only.
 */
import { type DigestHex, fromHex, parseDigestHex, sameBytes, toHex } from './digest.ts';
import { KwamError } from './errors.ts';
import type { TrustedKey, TrustFunction } from './manifest/dsse.ts';
import type { Manifest } from './manifest/manifest.ts';
import { importPublicKey, type PublicKeyInput } from './manifest/public-key.ts';
import { verifySignedManifest } from './manifest/signed-manifest.ts';
import { engineBytesMax, verifyEngine } from './verify/engine.ts';

export type { Digest, DigestHex } from './digest.ts';
export { fromHex, toHex } from './digest.ts';
export { type ErrorCode, type ErrorContext, KwamError } from './errors.ts';
export type { EnvelopeSignature, TrustedKey, TrustFunction } from './manifest/dsse.ts';
export type { EntryPath } from './manifest/entry-path.ts';
export type { Manifest, ManifestEntry } from './manifest/manifest.ts';
export { importPublicKey, type PublicKeyInput } from './manifest/public-key.ts';
export {
  type ChunkRange,
  chunkAt,
  chunkDigest,
  chunksOfEntry,
  entryAt,
  type StreamLayout,
  streamLayout,
} from './manifest/stream-layout.ts';
export type { ChunkerSizes } from './plan.ts';
export type { ByteSource } from './verify/byte-source.ts';
export { chunkStream, type StreamChunk } from './verify/chunk-stream.ts';
export { useKernels } from './verify/engine.ts';
export { verifyStream } from './verify/verify-stream.ts';
export type { KernelSource } from './wasm/load-verify.ts';

/** A key that stands alone signs for any producer; one with an identity signs for that producer only. */
export type TrustedKeyInput =
  | PublicKeyInput
  | (Omit<TrustedKey, 'key'> & {
      readonly key: PublicKeyInput;
    });

export interface VerifyManifestOptions {
  /** Who may have signed. Give these, or `trust`. */
  readonly trustedKeys?: readonly TrustedKeyInput[];
  /** Judges each signature's certificate chain against a trust bundle and names the keys it vouches for. */
  readonly trust?: TrustFunction;
  /** Distinct keys that must have signed; 1 unless given. */
  readonly threshold?: number;
  /** The manifest's own digest, where the caller knows it. */
  readonly digest?: Uint8Array | string;
}

function digestBytes(digest: Uint8Array | string): Uint8Array {
  return typeof digest === 'string' ? fromHex(parseDigestHex(digest) as DigestHex) : digest;
}

/**
 * @param expectedDigest  SHA-256: 32 bytes, or 64 hexadecimal digits.
 * @throws KwamError CHUNK_DIGEST_MISMATCH  the bytes are others; LIMIT_EXCEEDED  too many to be a chunk.
 */
export async function verifyChunk(bytes: Uint8Array, expectedDigest: Uint8Array | string): Promise<void> {
  const expected = digestBytes(expectedDigest);
  if (bytes.length > engineBytesMax) {
    throw new KwamError('LIMIT_EXCEEDED', `a chunk has at most ${engineBytesMax} bytes, got ${bytes.length}`);
  }
  const [digest] = (await verifyEngine()).hash([bytes]);
  if (sameBytes(digest!, expected)) return;
  const context = { expected: toHex(expected), actual: toHex(digest!), length: bytes.length };
  throw new KwamError(
    'CHUNK_DIGEST_MISMATCH',
    `chunk of ${bytes.length} bytes: expected ${context.expected}, got ${context.actual}; fetch it from another copy`,
    { context },
  );
}

async function trustedKey(input: TrustedKeyInput): Promise<TrustedKey> {
  if (typeof input === 'object' && 'key' in input) return { ...input, key: await importPublicKey(input.key) };
  return { key: await importPublicKey(input) };
}

function whomToTrust(options: VerifyManifestOptions): Promise<readonly TrustedKey[]> | TrustFunction {
  const { trustedKeys, trust } = options;
  if (trust !== undefined && trustedKeys === undefined) return trust;
  if (trust === undefined && trustedKeys !== undefined) return Promise.all(trustedKeys.map(trustedKey));
  throw new KwamError('USAGE', 'expected either trustedKeys or trust: a signature alone proves nothing');
}

/**
 * @param envelope  the signed manifest as `put` stored it: a DSSE envelope.
 * @throws KwamError ENVELOPE_INVALID, MANIFEST_SIGNATURE, MANIFEST_INVALID, LIMIT_EXCEEDED, USAGE.
 */
export async function verifyManifest(
  envelope: Uint8Array | string,
  options: VerifyManifestOptions,
): Promise<Manifest> {
  const bytes = typeof envelope === 'string' ? new TextEncoder().encode(envelope) : envelope;
  const trust = await whomToTrust(options);
  const { threshold, digest } = options;
  const { manifest } = await verifySignedManifest(bytes, {
    trust,
    ...(threshold === undefined ? {} : { threshold }),
    ...(digest === undefined ? {} : { digest: digestBytes(digest) }),
  });
  return manifest;
}
