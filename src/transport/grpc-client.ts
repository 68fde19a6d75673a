import type { Client, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { KwamError } from '../errors.ts';
import { callCreditBytes, streamCreditBytes } from '../limits.ts';
import { parseAddress } from './address.ts';
import { consumeBytes, consumeJson } from './consume-stream.ts';
import { CreditReceiver } from './credit.ts';
import { lostPeer } from './failures.ts';
import { Line } from './grpc-line.ts';
import { STREAM_PATH } from './grpc-method.ts';
import { type GrpcClientOptions, ServerSide } from './grpc-server-side.ts';
import { diagnose } from './tls-peer.ts';
import type { Connection, PeerId } from './transport.ts';
import { decodeHello, encodeCredit, encodeOpen, type Open } from './wire.ts';

const CONNECT_TIMEOUT_MS = 10_000;

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
  const connection = new GrpcConnection(server, options, closed);
  try {
    await connection.hello();
    return connection;
  } catch (error) {
    await connection.close();
    throw await explain(error as KwamError, server, options);
  }
}

/** The server would refuse us with less to say. */
function checkOwn({ credentials: { current: credentials }, clock }: GrpcClientOptions): void {
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
  return (await diagnose(credentials.current, server.address, server.expected, clock.now())) ?? error;
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
  readonly #server: ServerSide;
  readonly #options: GrpcClientOptions;
  readonly #closedHook: (connection: Connection) => void;
  /** Those in use, and retired ones whose streams have not ended. */
  readonly #lines = new Set<Line>();
  readonly #forgetCredentials: () => void;
  #calls: Line | undefined;
  #pulls: Line | undefined;
  #closedFor: string | undefined;

  constructor(server: ServerSide, options: GrpcClientOptions, closed: (connection: Connection) => void) {
    this.#server = server;
    this.#options = options;
    this.#closedHook = closed;
    this.#forgetCredentials = options.credentials.onChange(() => {
      for (const line of [this.#calls, this.#pulls]) if (line !== undefined) this.#replace(line);
    });
  }

  /** Proven by the first handshake, and required of every later one. */
  get peer(): PeerId {
    return this.#server.expected!;
  }

  async hello(): Promise<void> {
    this.#calls ??= this.#line();
    await hello(this.#calls.client, this.#server);
  }

  #line(): Line {
    const line = new Line(this.#options.clock, {
      ageing: (aged) => this.#replace(aged),
      expired: (old, expiresAtMs) => this.#expired(old, expiresAtMs),
      closed: (ended) => this.#lines.delete(ended),
    });
    this.#lines.add(line);
    return line.over(this.#server.client((expiresAtMs) => line.opened(expiresAtMs)));
  }

  /** The next stream shakes hands anew; those that run finish where they are. */
  #replace(line: Line): void {
    this.#forget(line);
    line.retire();
  }

  #forget(line: Line): void {
    if (this.#calls === line) this.#calls = undefined;
    if (this.#pulls === line) this.#pulls = undefined;
  }

  /** In use until its certificate ended: nobody has renewed it, and whoever still wants the peer connects again. */
  #expired(line: Line, expiresAtMs: number): void {
    const when = new Date(expiresAtMs).toISOString();
    const why = `an SVID that this connection was opened with expired at ${when}`;
    if (line === this.#calls || line === this.#pulls) this.#close(why);
    else line.fail(lostPeer(this.#server.address, new Error(why)));
  }

  call: Connection['call'] = (method, request, { signal } = {}) =>
    consumeJson(() => {
      this.#refuseClosed();
      this.#calls ??= this.#line();
      return this.#open(this.#calls, { kind: 'call', method, request }, callCreditBytes);
    }, signal);

  pull: Connection['pull'] = (request, { creditBytes = streamCreditBytes, signal } = {}) =>
    consumeBytes(() => {
      this.#refuseClosed();
      this.#pulls ??= this.#line();
      return this.#open(this.#pulls, { kind: 'pull', request, creditBytes }, creditBytes);
    }, signal);

  #refuseClosed(): void {
    if (this.#closedFor !== undefined) throw lostPeer(this.#server.address, new Error(this.#closedFor));
  }

  #open(line: Line, open: Open, creditBytes: number): CreditReceiver {
    const receiver: CreditReceiver = new CreditReceiver(creditBytes, {
      grant: (bytes) => void stream.write(bufferOf(encodeCredit(bytes))),
      cancel: () => stream.cancel(),
    });
    const receive = (bytes: Buffer) => {
      this.#options.observer.received(this.peer, bytes.length);
      receiver.push(bytes);
    };
    const end = (error?: KwamError) => {
      if (error === undefined) receiver.end();
      else receiver.fail(error, false);
    };
    const stream = openStream(line.client, this.#server, open, receive, end);
    line.carry(stream, receiver);
    return receiver;
  }

  async close(): Promise<void> {
    this.#close('this connection was closed');
  }

  #close(why: string): void {
    if (this.#closedFor !== undefined) return;
    this.#closedFor = why;
    this.#forgetCredentials();
    for (const line of [...this.#lines]) line.fail(lostPeer(this.#server.address, new Error(why)));
    this.#closedHook(this);
  }
}
