/**
 * HTTPS for peers: answers only those whose SVID passes the check.
 * In: credentials that may be renewed, and what answers. Out: a server of Node that does not listen yet. Who asks is proven before the first byte of a
 * request is read; a connection ends with the certificates that it was opened with.
 * Does not decide what a peer may see.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { Doorkeeper, type DoorOptions } from './doorkeeper.ts';
import { endAtExpiry, tlsServerOptions } from './tls-server.ts';
import type { PeerId } from './transport.ts';

/** Who asks, and the address that its connection comes from. */
export interface Asker {
  readonly peer: PeerId;
  readonly address: string | undefined;
}

export type AnswerPeer = (request: IncomingMessage, response: ServerResponse, asker: Asker) => void;

export function createPeerServer(options: DoorOptions, answer: AnswerPeer): Server {
  const { credentials, clock } = options;
  const door = new Doorkeeper(options);
  const server = createServer(tlsServerOptions(credentials.current), (request, response) => {
    const socket = request.socket as TLSSocket;
    answer(request, response, { peer: door.peerOn(socket), address: socket.remoteAddress });
  });
  // Before Node's own listener, which begins to read requests.
  server.prependListener('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    const expiresAtMs = door.enter(socket);
    if (expiresAtMs === undefined) socket.destroy();
    else void endAtExpiry(socket, clock, Math.min(expiresAtMs, credentials.current.expiresAtMs));
  });
  server.on('tlsClientError', (error, socket) => options.refused(socket.remoteAddress ?? 'unknown', error));
  server.once(
    'close',
    credentials.onChange(() => server.setSecureContext(tlsServerOptions(credentials.current))),
  );
  return server;
}
