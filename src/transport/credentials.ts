/**
 * What TLS needs from an identity; identity/ provides it. Kept as an interface because identity/ is a peer layer, and so
 * that every TLS transport asks the same one check.
 */
import type { PeerId } from './transport.ts';

export interface Credentials {
  readonly spiffeId: PeerId;
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly bundlePem: string;
  readonly expiresAtMs: number;
  /** The SVID check. @throws KwamError SVID_INVALID  with `context.rule`. */
  checkPeer(chain: readonly Uint8Array[], nowMs: number): PeerId;
}

/** Credentials that may be renewed; an identity source of identity/ is one. */
export interface CredentialSource {
  /** Taken anew for each handshake. */
  readonly current: Credentials;
  /** Calls `listener` after each renewal. Returns how to stop that. */
  onChange(listener: () => void): () => void;
}

/** Credentials that stay are a source that never changes. */
export function sourceOf(credentials: Credentials | CredentialSource): CredentialSource {
  if ('current' in credentials) return credentials;
  return { current: credentials, onChange: () => () => undefined };
}
