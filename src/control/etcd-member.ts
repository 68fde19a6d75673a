/**
 * One member of an etcd: its connection, and calls on it that end within a time of their own.
 * In: HOST:PORT, TLS files, a clock. Out: answers, or CallFailed with what the failure means.
 * Holds: a call that times out takes the connection and all its streams with it; the next call connects anew. TLS files are
 * read at each new connection, so a renewed certificate is taken up as soon as the old one is refused.
 * Does not choose between members or repeat anything (etcd-client.ts).
 */
import * as fs from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { controlAnswerBytesMax, controlKeepaliveMs } from '../limits.ts';
import { away, type EtcdFailure, failureOf } from './etcd-errors.ts';
import type { Method } from './etcd-protocol.ts';

/** Paths of PEM files. Without `ca` the system's authorities count; without `cert` and `key` we show no certificate. */
export interface EtcdTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export class CallFailed extends Error {
  readonly failure: EtcdFailure;

  constructor(failure: EtcdFailure) {
    super(failure.error.message, { cause: failure.error });
    this.failure = failure;
  }
}

/** The answers of one bidirectional call. */
export interface Stream<Response> {
  readonly first: Response;
  /** Undefined at the end, which is none of ours. Throws CallFailed. */
  next(): Promise<Response | undefined>;
  cancel(): void;
}

interface Connection {
  readonly client: Client;
  readonly lost: AbortController;
}

interface Cancellable {
  cancel(): void;
}

const pass = (bytes: Buffer): Buffer => bytes;

/** Sent where a name must be and an address is not allowed (RFC 6066, section 3); etcd has one certificate for all. */
const NAMELESS = 'etcd';

export class EtcdMember {
  readonly endpoint: string;
  readonly #tls: EtcdTls | undefined;
  readonly #clock: Clock;
  #connection: Connection | undefined;

  constructor(endpoint: string, tls: EtcdTls | undefined, clock: Clock) {
    this.endpoint = endpoint;
    this.#tls = tls;
    this.#clock = clock;
  }

  call<R>(method: Method<never, R>, request: Buffer, limitMs: number): Promise<R> {
    const connection = this.#connected();
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const { path, responseDeserialize } = method;
    const settle = (error: ServiceError | null, answer?: R): void =>
      error === null ? resolve(answer!) : reject(this.#failed(connection, error));
    const call = connection.client.makeUnaryRequest(
      path,
      pass,
      responseDeserialize,
      request,
      metadata(),
      settle,
    );
    return this.#within(limitMs, connection, call, promise);
  }

  /** Sends one message and waits for the first answer to it. */
  async open<R>(method: Method<never, R>, request: Buffer, limitMs: number): Promise<Stream<R>> {
    const connection = this.#connected();
    const { path, responseDeserialize } = method;
    const call = connection.client.makeBidiStreamRequest(path, pass, responseDeserialize, metadata());
    const cancel = (): void => call.cancel();
    connection.lost.signal.addEventListener('abort', cancel, { once: true });
    call.once('close', () => connection.lost.signal.removeEventListener('abort', cancel));
    // Whoever reads gets it; an error event without a listener would end the process.
    call.on('error', () => undefined);
    call.write(request);
    const answers = call[Symbol.asyncIterator]() as AsyncIterator<R, undefined>;
    const next = async (): Promise<R | undefined> => {
      try {
        return (await answers.next()).value;
      } catch (error) {
        throw this.#failed(connection, error as ServiceError);
      }
    };
    const first = await this.#within(limitMs, connection, call, next());
    if (first === undefined) throw this.#late('the end of the stream');
    return { first, next, cancel };
  }

  close(): void {
    if (this.#connection !== undefined) this.#drop(this.#connection);
  }

  #connected(): Connection {
    this.#connection ??= {
      client: new Client(this.endpoint, this.#credentials(), this.#channelOptions()),
      lost: new AbortController(),
    };
    return this.#connection;
  }

  #drop(connection: Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
    connection.client.close();
    connection.lost.abort();
  }

  async #within<R>(
    limitMs: number,
    connection: Connection,
    call: Cancellable,
    answer: Promise<R>,
  ): Promise<R> {
    const ended = new AbortController();
    const late = this.#clock.sleep(limitMs, ended.signal).then(() => {
      this.#drop(connection);
      throw this.#late(`no answer within ${Math.round(limitMs)} ms`);
    });
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      call.cancel();
      throw error;
    } finally {
      ended.abort();
      // Whichever lost the race ends now, and nobody asks how.
      void Promise.allSettled([answer, late]);
    }
  }

  #late(reason: string): CallFailed {
    return new CallFailed({ error: away(this.endpoint, reason), mayHaveActed: true, passing: true });
  }

  #failed(connection: Connection, error: ServiceError): CallFailed {
    const failure = failureOf(error, this.endpoint);
    if (failure.error.code === 'UNAUTHENTICATED') this.#drop(connection);
    return new CallFailed(failure);
  }

  get #host(): string {
    return this.endpoint.slice(0, this.endpoint.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
  }

  #credentials(): ChannelCredentials {
    if (this.#tls === undefined) return credentials.createInsecure();
    const { ca, cert, key } = this.#tls;
    try {
      return credentials.createSsl(pem('cacert', ca), pem('key', key), pem('cert', cert), {
        checkServerIdentity: (_name, certificate) => checkServerIdentity(this.#host, certificate),
      });
    } catch (cause) {
      throw unusable(cause);
    }
  }

  #channelOptions(): ChannelOptions {
    const named = this.#tls === undefined || isIP(this.#host) === 0;
    return {
      'grpc.max_receive_message_length': controlAnswerBytesMax,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': controlKeepaliveMs,
      'grpc.keepalive_timeout_ms': controlKeepaliveMs / 2,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      'grpc.use_local_subchannel_pool': 1,
      // A repeated transaction is another transaction.
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_channelz': 0,
      ...(named ? {} : { 'grpc.ssl_target_name_override': NAMELESS }),
    };
  }
}

/** A member that is cut off from its leader says so instead of answering late, and ends its streams. */
function metadata(): Metadata {
  const asked = new Metadata();
  asked.set('hasleader', 'true');
  return asked;
}

function pem(name: string, path: string | undefined): Buffer | null {
  if (path === undefined) return null;
  try {
    return fs.readFileSync(path);
  } catch (cause) {
    throw new KwamError(
      'ENVIRONMENT',
      `expected ${name}= of the control store to be a PEM file, could not read ${path} (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    );
  }
}

function unusable(cause: unknown): unknown {
  if (cause instanceof KwamError) return cause;
  return new KwamError(
    'ENVIRONMENT',
    `expected cacert=, cert= and key= of the control store to be PEM files that belong together, got "${(cause as Error).message}"`,
    { cause },
  );
}
