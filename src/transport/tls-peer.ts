/**
 * Who is at the other end of a TLS connection.
 * In: certificates as Node's TLS shows them. Out: a checked peer ID, or a KwamError that says what is wrong.
 */
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { KwamError } from '../errors.ts';
import { certificateChainMax } from '../limits.ts';
import { parseAddress } from './address.ts';
import type { Credentials } from './credentials.ts';
import { wrongPeer } from './failures.ts';
import type { PeerId } from './transport.ts';

/** RFC 6066 allows no IP address as server name; the name plays no part in the check. */
export const TLS_SERVER_NAME = 'kwam-dp.internal';
const DIAGNOSIS_TIMEOUT_MS = 3000;

/** Leaf first. Node links a chain through `issuerCertificate`; a root links to itself. */
export function derChainOf(certificate: DetailedPeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let current: DetailedPeerCertificate | undefined = certificate;
  // One more than allowed is taken, so that the check sees that there are too many.
  while (current?.raw !== undefined && chain.length <= certificateChainMax) {
    chain.push(current.raw);
    current = current.issuerCertificate === current ? undefined : current.issuerCertificate;
  }
  return chain;
}

/** @throws KwamError UNAUTHENTICATED  names the address, the ID or the rule, and what to do. */
export function checkServer(
  credentials: Credentials,
  address: string,
  expected: PeerId | undefined,
  chain: readonly Uint8Array[],
  nowMs: number,
): PeerId {
  let actual: PeerId;
  try {
    actual = credentials.checkPeer(chain, nowMs);
  } catch (cause) {
    throw unauthenticated(`the server at ${address} presented an SVID that we refuse`, cause);
  }
  if (expected !== undefined && actual !== expected) throw wrongPeer(address, expected, actual);
  return actual;
}

export function unauthenticated(what: string, cause: unknown): KwamError {
  const rules = cause instanceof KwamError ? cause.context : {};
  const why = cause instanceof Error ? cause.message : String(cause);
  return new KwamError('UNAUTHENTICATED', `${what}: ${why}`, { cause, context: rules });
}

/**
 * Finds out why a connection failed: shakes hands once more without refusing, looks at the server's certificate, and
 * hangs up. No request is ever sent over such a connection.
 * Resolves to undefined when the certificate is not the reason.
 */
export function diagnose(
  credentials: Credentials,
  address: string,
  expected: PeerId | undefined,
  nowMs: number,
): Promise<KwamError | undefined> {
  return new Promise((resolve) => {
    const socket = connect({
      ...parseAddress(address),
      ca: credentials.bundlePem,
      cert: credentials.certificateChainPem,
      key: credentials.privateKeyPem,
      servername: TLS_SERVER_NAME,
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.3',
      rejectUnauthorized: false,
      // The name that we ask for is no SVID's: without this every good server would be called the reason.
      checkServerIdentity: () => undefined,
      timeout: DIAGNOSIS_TIMEOUT_MS,
    });
    const finish = (found?: KwamError) => {
      socket.destroy();
      resolve(found);
    };
    socket.once('secureConnect', () => finish(judge(credentials, address, expected, socket, nowMs)));
    socket.on('error', () => finish());
    socket.once('timeout', () => finish());
    socket.once('close', () => finish());
  });
}

function judge(
  credentials: Credentials,
  address: string,
  expected: PeerId | undefined,
  socket: TLSSocket,
  nowMs: number,
): KwamError | undefined {
  try {
    checkServer(credentials, address, expected, derChainOf(socket.getPeerCertificate(true)), nowMs);
  } catch (error) {
    return error as KwamError;
  }
  if (socket.authorized) return undefined;
  return unauthenticated(
    `the server at ${address} presented a certificate that TLS refuses`,
    socket.authorizationError,
  );
}
