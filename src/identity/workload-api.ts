/**
 * The SPIFFE Workload API: an agent on this machine says who we are, and says it again before that ends.
 * In: the agent's endpoint. Out: every state that it sends, parsed into DER; failures, after which it is asked again with growing pauses.
 * Source: SPIFFE Workload API and SPIFFE Workload Endpoint standards: a stream over a Unix socket (or TCP on an IP address), the metadata
 * `workload.spiffe.io: true` against forged requests, each message the full state, INVALID_ARGUMENT never repeated.
 * Does not check SVIDs (workload-identity.ts) and fetches no JWTs.
 */
import { fileURLToPath } from 'node:url';
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { workloadRetryMsMax, workloadRetryMsMin } from '../limits.ts';

interface SvidMessage {
  readonly spiffeId: string;
  readonly x509Svid: Buffer;
  readonly x509SvidKey: Buffer;
  readonly bundle: Buffer;
}

export interface StateMessage {
  readonly svids: readonly SvidMessage[];
  /** Trust domain (as `spiffe://…`) to its authorities. */
  readonly federatedBundles: Readonly<Record<string, Buffer>>;
}

export interface StateReader {
  /** May throw KwamError: then the state counts as a failure, and the stream goes on. */
  state(message: StateMessage): void;
  failed(error: KwamError): void;
}

interface FetchMethod {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => StateMessage;
}

const definitions = loadSync(fileURLToPath(new URL('./workload-api.proto', import.meta.url)), {
  defaults: true,
});
const FETCH = (definitions['SpiffeWorkloadAPI'] as ServiceDefinition)[
  'FetchX509SVID'
] as unknown as FetchMethod;

/** `unix:///run/agent.sock` or `tcp://127.0.0.1:8081`, as the Workload Endpoint standard writes them. Returns gRPC's target. */
export function parseEndpoint(text: string): string {
  const url = URL.parse(text);
  const isPlain = url !== null && url.search === '' && url.hash === '' && url.username === '';
  if (isPlain && url.protocol === 'unix:' && url.host === '' && url.pathname.length > 1)
    return `unix:${decodeURIComponent(url.pathname)}`;
  const isIp = url !== null && /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\])$/.test(url.hostname);
  if (isPlain && url.protocol === 'tcp:' && isIp && url.port !== '' && url.pathname === '') return url.host;
  throw new KwamError(
    'USAGE',
    `expected the endpoint of a Workload API such as unix:///run/spire/agent.sock, got ${JSON.stringify(text)}`,
  );
}

/** Follows the agent's state until it is closed. */
export class WorkloadApi {
  readonly #endpoint: string;
  readonly #client: Client;
  readonly #reader: StateReader;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  /** The stream that runs, or the last one. */
  #newest: ClientReadableStream<StateMessage> | undefined;

  constructor(endpoint: string, reader: StateReader, clock: Clock) {
    this.#endpoint = endpoint;
    this.#reader = reader;
    this.#client = new Client(parseEndpoint(endpoint), credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': workloadRetryMsMin,
      'grpc.max_reconnect_backoff_ms': workloadRetryMsMin,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
    });
    this.#following = this.#follow(clock);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#newest?.cancel();
    await this.#following;
    this.#client.close();
  }

  async #follow(clock: Clock): Promise<void> {
    const { signal } = this.#closing;
    for (let pauseMs = workloadRetryMsMin; !signal.aborted; pauseMs *= 2) {
      const { error, answered } = await this.#stream();
      if (signal.aborted) return;
      this.#reader.failed(this.#failure(error));
      if (error?.code === status.INVALID_ARGUMENT) return;
      if (answered) pauseMs = workloadRetryMsMin;
      await clock.sleep(Math.min(pauseMs, workloadRetryMsMax), signal).catch(ended(signal));
    }
  }

  /** One stream, to its end. */
  #stream(): Promise<{ error: ServiceError | undefined; answered: boolean }> {
    const metadata = new Metadata();
    metadata.set('workload.spiffe.io', 'true');
    const { path, requestSerialize, responseDeserialize } = FETCH;
    const stream: ClientReadableStream<StateMessage> = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      {},
      metadata,
    );
    this.#newest = stream;
    return new Promise((resolve) => {
      let answered = false;
      const end = (error?: ServiceError): void => resolve({ error, answered });
      stream.on('data', (message: StateMessage) => {
        answered = true;
        this.#read(message);
      });
      stream.on('error', end);
      stream.on('end', () => end());
    });
  }

  #read(message: StateMessage): void {
    try {
      this.#reader.state(message);
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      this.#reader.failed(error);
    }
  }

  #failure(error: ServiceError | undefined): KwamError {
    const denied = error?.code === status.PERMISSION_DENIED;
    const got = error === undefined ? 'the end of the stream' : `${status[error.code]} (${error.details})`;
    const remedy = denied ? 'register this workload with the agent' : 'look whether the agent runs';
    return new KwamError(
      'UNAVAILABLE',
      `identity: expected an SVID from the Workload API at ${this.#endpoint}, got ${got}; ${remedy}`,
      { retryable: error?.code !== status.INVALID_ARGUMENT, cause: error },
    );
  }
}

/** An aborted pause is the end that was asked for. */
function ended(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}
