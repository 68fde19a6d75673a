/**
 * The gRPC transport: HTTP/2 over mutually authenticated TLS 1.3 on @grpc/grpc-js, raw byte messages, no protobuf code.
 * Peers are SVIDs; ARCHITECTURE.md, "Wire protocol", has the messages.
 */
import { type Clock, systemClock } from '../clock.ts';
import { type CredentialSource, type Credentials, sourceOf } from './credentials.ts';
import { connectGrpc } from './grpc-client.ts';
import { listenGrpc } from './grpc-server.ts';
import {
  type Connection,
  type Handler,
  type Listener,
  type PeerId,
  silentObserver,
  type Transport,
  type TransportObserver,
} from './transport.ts';

/** A silent peer (power loss, SIGSTOP) is given up after twice this; a killed process is noticed at once by its RST. */
const keepaliveMsDefault = 4_000;

export interface GrpcTransportOptions {
  /** A source may renew them: new handshakes show the new ones, and streams that run are not touched. */
  readonly credentials: Credentials | CredentialSource;
  readonly clock?: Clock;
  readonly observer?: TransportObserver;
  readonly keepaliveMs?: number;
  /** Told of every client that the SVID check or TLS turned away; `remote` is HOST:PORT where known. */
  readonly refused?: (remote: string, error: Error) => void;
}

export function grpcTransport(options: GrpcTransportOptions): Transport {
  const full = {
    credentials: sourceOf(options.credentials),
    clock: options.clock ?? systemClock,
    observer: options.observer ?? silentObserver,
    keepaliveMs: options.keepaliveMs ?? keepaliveMsDefault,
    refused: options.refused ?? (() => undefined),
  };
  const open = new Set<Listener | Connection>();
  return {
    name: 'grpc',
    async listen(address: string, handler: Handler): Promise<Listener> {
      const listener = await listenGrpc(address, handler, full);
      open.add(listener);
      return listener;
    },
    async connect(address: string, expected: PeerId | undefined): Promise<Connection> {
      const connection = await connectGrpc(address, expected, full, (closed) => open.delete(closed));
      open.add(connection);
      return connection;
    },
    async close(): Promise<void> {
      await Promise.all([...open].map((one) => one.close()));
      open.clear();
    },
  };
}
