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
