/**
 * What the data plane knows of the network: addresses, peers with proven names, and two kinds of stream.
 * The receiver is always the client (it pulls); bulk bytes flow from server to client, bounded by byte credits.
 * Implementations: grpc.ts (mTLS), memory.ts (the twin); test/suites/transport.suite.ts runs against both.
 *
 * Both kinds of stream hold to this:
 * - answers arrive in order, all of them or an error: a stream that was cut short never looks complete;
 * - a stream starts when its first answer is asked for; leaving the loop early cancels it on the server;
 * - an error thrown by the handler arrives as a KwamError with the same code, message, context and `retryable`;
 * - a lost peer is UNAVAILABLE and retryable; a peer that is not who it should be is UNAUTHENTICATED;
 * - the caller's abort signal ends the stream with CANCELLED on its side and aborts the handler's signal.
 * Does not retry, does not verify payload digests, does not decide what a peer may do.
 */

/** Structurally the SpiffeId of identity/, which is a peer layer and so cannot be imported here. */
export type PeerId = string & { readonly __spiffeId: true };

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

export interface Transport {
  readonly name: 'grpc' | 'memory';
  /** @param address  HOST:PORT; port 0 picks a free one. @throws KwamError ENVIRONMENT  the port is taken. */
  listen(address: string, handler: Handler): Promise<Listener>;
  /**
   * Opens, authenticates and agrees on the protocol before it returns. The identity found first, or `expected`, is
   * required of every later reconnection too.
   * @throws KwamError UNAUTHENTICATED  either side refused the other's SVID; the message says which rule.
   * @throws KwamError UNAVAILABLE      nobody answers there; retryable.
   */
  connect(address: string, expected: PeerId | undefined): Promise<Connection>;
  /** Closes every listener and connection of this transport. */
  close(): Promise<void>;
}

export interface Listener {
  /** The actual HOST:PORT. */
  readonly address: string;
  /** Ends running streams (their clients see UNAVAILABLE) and frees the port. */
  close(): Promise<void>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface PullOptions {
  /** The server never has more bytes in flight than this; a consumer that stops taking stops the server. */
  readonly creditBytes?: number;
  readonly signal?: AbortSignal;
}

export interface Connection {
  readonly peer: PeerId;
  /** A stream of JSON answers. A request and each answer are at most `callMessageBytesMax` bytes of JSON. */
  call(method: string, request: JsonValue, options?: CallOptions): AsyncIterable<JsonValue>;
  /** A stream of bytes; where the pieces end carries no meaning. Each piece belongs to the consumer. */
  pull(request: JsonValue, options?: PullOptions): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface CallContext {
  /** Proven by the transport. */
  readonly peer: PeerId;
  /** The IP address that its connection comes from, as the socket names it. Says nothing about who it is. */
  readonly address: string | undefined;
  /** Aborted when the client leaves, the connection is lost or the listener closes. Handlers that wait must heed it. */
  readonly signal: AbortSignal;
}

export interface Handler {
  call(method: string, request: JsonValue, context: CallContext): AsyncIterable<JsonValue>;
  /** Yielded bytes are only read, and only until the next one is asked for: the handler may reuse its buffer. */
  pull(request: JsonValue, context: CallContext): AsyncIterable<Uint8Array>;
}

/** Told of what travels, for metrics. Must not throw. */
export interface TransportObserver {
  sent(peer: PeerId, bytes: number): void;
  received(peer: PeerId, bytes: number): void;
  /** A server had bytes ready and waited this long for its client's credit. */
  waitedForCredit(peer: PeerId, ms: number): void;
}

export const silentObserver: TransportObserver = {
  sent: () => undefined,
  received: () => undefined,
  waitedForCredit: () => undefined,
};

/** Raised when a message changes meaning; a peer with another version is refused by name. */
export const PROTOCOL_VERSION = 1;
