/** What every server that speaks TLS to peers has in common: how it shows itself, and that no connection outlives its certificates. */
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { Credentials } from './credentials.ts';
import { untilExpiry } from './expiry.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

export function tlsServerOptions(credentials: Credentials) {
  return {
    cert: credentials.certificateChainPem,
    key: credentials.privateKeyPem,
    ca: credentials.bundlePem,
    requestCert: true,
    // The doorkeeper refuses instead, so that it can say why.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  } as const;
}

/** Neither side's certificate is outlived, whatever the client does. */
export async function endAtExpiry(socket: TLSSocket, clock: Clock, expiresAtMs: number): Promise<void> {
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  if (await untilExpiry(clock, () => expiresAtMs, closed.signal)) socket.destroy();
}
