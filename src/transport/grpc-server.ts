/**
 * The listening half of the gRPC transport.
 * TLS ends in our own server, which runs the SVID check on every client's chain; only then are the decrypted bytes
 * handed to grpc-js (createConnectionInjector), which speaks HTTP/2 and gRPC framing and nothing else.
 *
 * A client that is refused still gets one answer, UNAUTHENTICATED with the rule, because a bare TLS alert helps nobody;
 * its streams are never shown to the handler, and its connection is closed soon after.
 */
import { isIP } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import {
  type ChannelOptions,
  type ConnectionInjector,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { callMessageBytesMax, messageBytesMax, streamCountMax } from '../limits.ts';
import { formatAddress, parseAddress } from './address.ts';
import type { CredentialSource, Credentials } from './credentials.ts';
import { CreditGate } from './credit.ts';
import { Doorkeeper } from './doorkeeper.ts';
import { lostPeer, portTaken } from './failures.ts';
import { ERROR_TRAILER, STREAM_PATH } from './grpc-method.ts';
import { creditBytesOf, type Send, serveStream } from './serve-stream.ts';
import { endAtExpiry, tlsServerOptions } from './tls-server.ts';
import {
  type Handler,
  type Listener,
  type PeerId,
  PROTOCOL_VERSION,
  type TransportObserver,
} from './transport.ts';
import { decodeCredit, decodeOpen, encodeError, encodeJson } from './wire.ts';

/** A refused client needs one round trip to hear why. */
const REFUSED_LINGER_MS = 2_000;

export interface GrpcServerOptions {
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  readonly observer: TransportObserver;
  readonly keepaliveMs: number;
  readonly refused: (remote: string, error: Error) => void;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

export async function listenGrpc(
  address: string,
  handler: Handler,
  options: GrpcServerOptions,
): Promise<Listener> {
  const gate = new Doorkeeper(options);
  const grpc = new Server(serverOptions(options.keepaliveMs));
  const handle = (call: Call) => new ServedCall(call, handler, gate, options).start();
  const pass = (bytes: Buffer) => bytes;
  grpc.register(STREAM_PATH, handle as never, pass, pass, 'bidi');
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<TLSSocket>();
  const tls = createServer(tlsOptions(options.credentials.current), (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    admit(socket, gate, injector, options);
  });
  tls.on('tlsClientError', (error, socket) => options.refused(socket.remoteAddress ?? 'unknown', error));
  // Who is connected stays: a TLS session does not look at its certificates again.
  const forget = options.credentials.onChange(() =>
    tls.setSecureContext(tlsOptions(options.credentials.current)),
  );
  const actual = await bind(tls, address);
  let closing: Promise<void> | undefined;
  const close = () => {
    forget();
    closing ??= shutDown(tls, grpc, sockets);
    return closing;
  };
  return { address: actual, close };
}

function serverOptions(keepaliveMs: number): ChannelOptions {
  return {
    'grpc.max_concurrent_streams': streamCountMax,
    'grpc.max_receive_message_length': callMessageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
    'grpc.enable_channelz': 0,
  };
}

const tlsOptions = (credentials: Credentials) =>
  ({ ...tlsServerOptions(credentials), ALPNProtocols: ['h2'] }) as const;

function admit(
  socket: TLSSocket,
  gate: Doorkeeper,
  injector: ConnectionInjector,
  { clock, credentials }: GrpcServerOptions,
): void {
  socket.setNoDelay(true);
  // grpc-js listens for errors only once it has a session.
  socket.on('error', () => socket.destroy());
  const expiresAtMs = gate.enter(socket);
  if (expiresAtMs === undefined) setTimeout(() => socket.destroy(), REFUSED_LINGER_MS).unref();
  else void endAtExpiry(socket, clock, Math.min(expiresAtMs, credentials.current.expiresAtMs));
  injector.injectConnection(socket);
}

function bind(tls: TlsServer, address: string): Promise<string> {
  const wanted = parseAddress(address);
  return new Promise((resolve, reject) => {
    tls.once('error', (cause: NodeJS.ErrnoException) => reject(bindError(address, cause)));
    tls.listen(wanted.port, wanted.host, () => {
      const bound = tls.address();
      tls.removeAllListeners('error');
      const port = bound !== null && typeof bound === 'object' ? bound.port : wanted.port;
      resolve(formatAddress({ host: wanted.host, port }));
    });
  });
}

function bindError(address: string, cause: NodeJS.ErrnoException): KwamError {
  if (cause.code === 'EADDRINUSE') return portTaken(address);
  return new KwamError(
    'ENVIRONMENT',
    `expected to listen on ${address}, got ${cause.code}; choose an address of this machine and a port that you may use`,
    { cause, context: { address, errno: cause.code } },
  );
}

async function shutDown(tls: TlsServer, grpc: Server, sockets: Set<TLSSocket>): Promise<void> {
  const closed = new Promise<void>((resolve) => tls.close(() => resolve()));
  grpc.forceShutdown();
  for (const socket of sockets) socket.destroy();
  await closed;
}

/** `10.0.0.1:443`, `fd00::1:443`: what comes before the port. */
function hostOf(peer: string): string | undefined {
  const host = /^\[?([0-9A-Fa-f.:%a-z]+?)\]?:[0-9]+$/.exec(peer)?.[1];
  return host === undefined || isIP(host) === 0 ? undefined : host;
}

/** One stream: turns grpc-js events into the shared server half and back. */
class ServedCall {
  readonly #call: Call;
  readonly #handler: Handler;
  readonly #door: Doorkeeper;
  readonly #options: GrpcServerOptions;
  readonly #left = new AbortController();
  #gate: CreditGate | undefined;
  #complete = false;

  constructor(call: Call, handler: Handler, door: Doorkeeper, options: GrpcServerOptions) {
    this.#call = call;
    this.#handler = handler;
    this.#door = door;
    this.#options = options;
  }

  start(): void {
    let peer: PeerId;
    try {
      peer = this.#door.peerOf(this.#call);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#call.on('cancelled', () => this.#leave(lostPeer(peer)));
    this.#call.on('data', (message: Buffer) => this.#receive(peer, message));
    this.#call.on('end', () => this.#halfClosed());
  }

  #receive(peer: PeerId, message: Buffer): void {
    try {
      if (this.#gate === undefined) this.#open(peer, message);
      else this.#gate.grant(decodeCredit(message));
    } catch (error) {
      this.#leave(error);
      this.#fail(error);
    }
  }

  #open(peer: PeerId, message: Buffer): void {
    const open = decodeOpen(message);
    if (open.kind === 'hello') {
      this.#call.write(Buffer.from(encodeJson({ version: PROTOCOL_VERSION }, 'a hello')));
      this.#finish();
      return;
    }
    const { clock, observer } = this.#options;
    const gate = new CreditGate(creditBytesOf(open), clock, (ms) => observer.waitedForCredit(peer, ms));
    this.#gate = gate;
    const context = { peer, address: hostOf(this.#call.getPeer()), signal: this.#left.signal };
    serveStream(open, this.#handler, context, gate, this.#sender(), observer).then(
      () => this.#finish(),
      (error: unknown) => this.#fail(error),
    );
  }

  /**
   * Lets one message be under way while the handler makes the next. grpc-js copies a message when it starts to write it,
   * which it does at once because the one before has been written: the handler's buffer is free when this resolves.
   */
  #sender(): Send {
    let previous: Promise<void> = Promise.resolve();
    return async (message) => {
      await previous;
      this.#left.signal.throwIfAborted();
      previous = this.#write(message);
    };
  }

  /** grpc-js never calls back for a stream that was cancelled, so leaving has to end the wait. */
  #write(message: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#left.signal.removeEventListener('abort', done);
        resolve();
      };
      this.#left.signal.addEventListener('abort', done);
      this.#call.write(Buffer.from(message.buffer, message.byteOffset, message.byteLength), done);
    });
  }

  #leave(error: unknown): void {
    this.#gate?.fail(error);
    this.#left.abort(error);
  }

  /** The client closes its half when it has everything; before that it must not. */
  #halfClosed(): void {
    if (this.#complete) this.#call.end();
    else this.#leave(lostPeer(this.#call.getPeer()));
  }

  /** An empty message says that all has been sent: nothing else is empty. */
  #finish(): void {
    this.#complete = true;
    if (!this.#call.destroyed) this.#call.write(Buffer.alloc(0));
  }

  #fail(error: unknown): void {
    if (this.#call.destroyed) return;
    const trailers = new Metadata();
    trailers.set(ERROR_TRAILER, Buffer.from(encodeError(error)));
    const refused = error instanceof KwamError && error.code === 'UNAUTHENTICATED';
    const code = refused ? status.UNAUTHENTICATED : status.ABORTED;
    this.#call.emit(
      'error',
      Object.assign(new Error('see trailer'), { code, details: ERROR_TRAILER, metadata: trailers }),
    );
  }
}
