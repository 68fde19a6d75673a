/**
 * The connecting half of the gRPC transport.
 * Two HTTP/2 connections per peer: one for calls, one for pulls, so that bulk bytes in a socket buffer never delay a call.
 * More than one for pulls brought nothing (bench/results): both ends of a stream are one event loop each.
 * Messages are read from the wire as soon as they arrive and wait in the receiver's queue, which the credit bounds; if
 * they waited in HTTP/2 instead, one slow consumer would use up the window that all streams of the connection share.
 */
import { createSecureContext } from 'node:tls';
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  credentials as grpcCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import {
  callCreditBytes,
  callMessageBytesMax,
  connectionWindowBytes,
  messageBytesMax,
  streamCreditBytes,
} from '../limits.ts';
import { parseAddress } from './address.ts';
import { consumeBytes, consumeJson } from './consume-stream.ts';
import type { Credentials } from './credentials.ts';
import { CreditReceiver } from './credit.ts';
import { expiresAtMsOf, untilExpiry } from './expiry.ts';
import { lostPeer } from './failures.ts';
import { ERROR_TRAILER, STREAM_PATH } from './grpc-method.ts';
import { checkServer, derChainOf, diagnose, TLS_SERVER_NAME, unauthenticated } from './tls-peer.ts';
import type { Connection, PeerId, TransportObserver } from './transport.ts';
import { decodeError, decodeHello, encodeCredit, encodeOpen, type Open } from './wire.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;

export interface GrpcClientOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly observer: TransportObserver;
  readonly keepaliveMs: number;
}

type Stream = ClientDuplexStream<Buffer, Buffer>;

const pass = (bytes: Buffer): Buffer => bytes;
const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export async function connectGrpc(
  address: string,
  expected: PeerId | undefined,
  options: GrpcClientOptions,
  closed: (connection: Connection) => void,
): Promise<Connection> {
  parseAddress(address);
  checkOwn(options);
  const server = new ServerSide(address, expected, options);
  const calls = server.client();
  try {
    await hello(calls, server);
  } catch (error) {
    calls.close();
    throw await explain(error as KwamError, server, options);
  }
  return new GrpcConnection(server, calls, options, closed);
}

/** The server would refuse us with less to say. */
function checkOwn({ credentials, clock }: GrpcClientOptions): void {
  if (clock.now() <= credentials.expiresAtMs) return;
  const when = new Date(credentials.expiresAtMs).toISOString();
  throw new KwamError(
    'UNAUTHENTICATED',
    `expected a valid SVID of our own, ${credentials.spiffeId} expired at ${when}; issue a new one with \`kwam-dp identity issue\``,
    { context: { rule: 'own-validity', expiredAt: when } },
  );
}

async function explain(error: KwamError, server: ServerSide, options: GrpcClientOptions): Promise<KwamError> {
  if (error.code !== 'UNAVAILABLE') return error;
  const { credentials, clock } = options;
  return (await diagnose(credentials, server.address, server.expected, clock.now())) ?? error;
}

/** What we know of the server: who it must be, and who it turned out to be. */
class ServerSide {
  readonly address: string;
  readonly #options: GrpcClientOptions;
  #expected: PeerId | undefined;
  #refusal: KwamError | undefined;
  #expiresAtMs: number;

  constructor(address: string, expected: PeerId | undefined, options: GrpcClientOptions) {
    this.address = address;
    this.#expected = expected;
    this.#options = options;
    this.#expiresAtMs = options.credentials.expiresAtMs;
  }

  /** The first end of a certificate, ours or theirs, that any connection to it was opened with. */
  get expiresAtMs(): number {
    return this.#expiresAtMs;
  }

  get expected(): PeerId | undefined {
    return this.#expected;
  }

  client(): Client {
    const { certificateChainPem, privateKeyPem, bundlePem } = this.#options.credentials;
    const secure = createSecureContext({
      ca: bundlePem,
      cert: certificateChainPem,
      key: privateKeyPem,
      minVersion: 'TLSv1.3',
    });
    const checked = grpcCredentials.createFromSecureContext(secure, {
      // Node calls this after its own chain check; what it returns ends the handshake before a byte of ours is sent.
      checkServerIdentity: (_host, certificate) => this.#check(derChainOf(certificate as never)),
    });
    return new Client(this.address, checked, channelOptions(this.#options.keepaliveMs));
  }

  #check(chain: Uint8Array[]): Error | undefined {
    const { credentials, clock } = this.#options;
    try {
      this.#expected = checkServer(credentials, this.address, this.#expected, chain, clock.now());
      this.#refusal = undefined;
      this.#expiresAtMs = Math.min(this.#expiresAtMs, expiresAtMsOf(chain));
      return undefined;
    } catch (error) {
      this.#refusal = error as KwamError;
      return this.#refusal;
    }
  }

  /** What a failed stream means to the caller. */
  errorOf(error: ServiceError): KwamError {
    const [trailer] = error.metadata?.get(ERROR_TRAILER) ?? [];
    if (trailer instanceof Uint8Array) return decodeError(trailer, this.#expected ?? this.address);
    if (error.code === status.UNAUTHENTICATED)
      return unauthenticated(`the server at ${this.address} refused us`, error);
    if (error.code === status.RESOURCE_EXHAUSTED) {
      return new KwamError(
        'LIMIT_EXCEEDED',
        `a message from ${this.address} is too large: ${error.details}`,
        { cause: error },
      );
    }
    if (error.code === status.UNIMPLEMENTED) {
      return new KwamError('PROTOCOL', `the server at ${this.address} is no kwam-dp node: ${error.details}`, {
        cause: error,
      });
    }
    return this.#refusal ?? lostPeer(this.address, error);
  }
}

function channelOptions(keepaliveMs: number): ChannelOptions {
  return {
    'grpc-node.flow_control_window': connectionWindowBytes,
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': callMessageBytesMax,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_MS_MIN,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
    'grpc.ssl_target_name_override': TLS_SERVER_NAME,
    'grpc.use_local_subchannel_pool': 1,
    // A retry inside gRPC would buffer messages that the credit does not count.
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
  };
}

/**
 * Opens a stream whose messages go to `message` and whose end goes to `end`.
 * Complete means that the server's empty last message came. The client closes its half after that, and only then does
 * the server close the stream: a credit that crosses the end on the wire would make grpc-js report an error.
 */
function openStream(
  client: Client,
  server: ServerSide,
  open: Open,
  message: (bytes: Buffer) => void,
  end: (error?: KwamError) => void,
): Stream {
  const stream: Stream = client.makeBidiStreamRequest(STREAM_PATH, pass, pass);
  stream.on('data', (bytes: Buffer) => {
    if (bytes.length > 0) return message(bytes);
    end();
    stream.end();
  });
  stream.on('error', (error: ServiceError) => end(server.errorOf(error)));
  // Comes last, and means something only if the end has not come before.
  stream.on('status', () => end(lostPeer(server.address, new Error('the stream was cut short'))));
  stream.write(bufferOf(encodeOpen(open)));
  return stream;
}

function hello(client: Client, server: ServerSide): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer: Buffer | undefined;
    const finish = (error?: KwamError) => {
      try {
        if (error !== undefined) throw error;
        decodeHello(answer ?? new Uint8Array());
        resolve();
      } catch (refusal) {
        reject(refusal);
      }
    };
    const stream = openStream(client, server, { kind: 'hello' }, (bytes) => (answer = bytes), finish);
    AbortSignal.timeout(CONNECT_TIMEOUT_MS).addEventListener('abort', () => stream.cancel());
  });
}

class GrpcConnection implements Connection {
  readonly peer: PeerId;
  readonly #server: ServerSide;
  readonly #calls: Client;
  readonly #options: GrpcClientOptions;
  readonly #closedHook: (connection: Connection) => void;
  readonly #live = new Set<CreditReceiver>();
  readonly #ending = new AbortController();
  #pulls: Client | undefined;
  #closedFor: string | undefined;

  constructor(
    server: ServerSide,
    calls: Client,
    options: GrpcClientOptions,
    closed: (connection: Connection) => void,
  ) {
    this.peer = server.expected!;
    this.#server = server;
    this.#calls = calls;
    this.#options = options;
    this.#closedHook = closed;
    void this.#endAtExpiry();
  }

  async #endAtExpiry(): Promise<void> {
    const expiresAtMs = (): number => this.#server.expiresAtMs;
    if (!(await untilExpiry(this.#options.clock, expiresAtMs, this.#ending.signal))) return;
    const when = new Date(expiresAtMs()).toISOString();
    this.#close(`an SVID that this connection was opened with expired at ${when}`);
  }

  call: Connection['call'] = (method, request, { signal } = {}) =>
    consumeJson(() => this.#open(this.#calls, { kind: 'call', method, request }, callCreditBytes), signal);

  pull: Connection['pull'] = (request, { creditBytes = streamCreditBytes, signal } = {}) =>
    consumeBytes(() => {
      this.#pulls ??= this.#server.client();
      return this.#open(this.#pulls, { kind: 'pull', request, creditBytes }, creditBytes);
    }, signal);

  #open(client: Client, open: Open, creditBytes: number): CreditReceiver {
    if (this.#closedFor !== undefined) throw lostPeer(this.#server.address, new Error(this.#closedFor));
    const receiver: CreditReceiver = new CreditReceiver(creditBytes, {
      grant: (bytes) => void stream.write(bufferOf(encodeCredit(bytes))),
      cancel: () => stream.cancel(),
    });
    const receive = (bytes: Buffer) => {
      this.#options.observer.received(this.peer, bytes.length);
      receiver.push(bytes);
    };
    const end = (error?: KwamError) => {
      this.#live.delete(receiver);
      if (error === undefined) receiver.end();
      else receiver.fail(error, false);
    };
    const stream = openStream(client, this.#server, open, receive, end);
    this.#live.add(receiver);
    return receiver;
  }

  async close(): Promise<void> {
    this.#close('this connection was closed');
  }

  #close(why: string): void {
    if (this.#closedFor !== undefined) return;
    this.#closedFor = why;
    this.#ending.abort();
    for (const receiver of this.#live) receiver.fail(lostPeer(this.#server.address, new Error(why)));
    this.#live.clear();
    this.#calls.close();
    this.#pulls?.close();
    this.#closedHook(this);
  }
}
