/**
 * The server as a client of the gRPC transport knows it.
 * In: its address, who it must be, our credentials. Out: gRPC clients that shake hands with it, the check of its certificates in each
 * handshake, and what a failed stream means.
 */
import { createSecureContext } from 'node:tls';
import {
  type ChannelOptions,
  Client,
  credentials as grpcCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { callMessageBytesMax, connectionWindowBytes, messageBytesMax } from '../limits.ts';
import type { CredentialSource } from './credentials.ts';
import { expiresAtMsOf } from './expiry.ts';
import { lostPeer } from './failures.ts';
import { ERROR_TRAILER } from './grpc-method.ts';
import { checkServer, derChainOf, TLS_SERVER_NAME, unauthenticated } from './tls-peer.ts';
import type { PeerId, TransportObserver } from './transport.ts';
import { decodeError } from './wire.ts';

const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;

export interface GrpcClientOptions {
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  readonly observer: TransportObserver;
  readonly keepaliveMs: number;
}

/** What we know of the server: who it must be, and who it turned out to be. */
export class ServerSide {
  readonly address: string;
  readonly #options: GrpcClientOptions;
  #expected: PeerId | undefined;
  #refusal: KwamError | undefined;

  constructor(address: string, expected: PeerId | undefined, options: GrpcClientOptions) {
    this.address = address;
    this.#expected = expected;
    this.#options = options;
  }

  get expected(): PeerId | undefined {
    return this.#expected;
  }

  /** @param opened  told in each handshake when the first certificate of both sides ends. */
  client(opened: (expiresAtMs: number) => void): Client {
    const { certificateChainPem, privateKeyPem, bundlePem, expiresAtMs } = this.#options.credentials.current;
    const secure = createSecureContext({
      ca: bundlePem,
      cert: certificateChainPem,
      key: privateKeyPem,
      minVersion: 'TLSv1.3',
    });
    const checked = grpcCredentials.createFromSecureContext(secure, {
      // Node calls this after its own chain check; what it returns ends the handshake before a byte of ours is sent.
      checkServerIdentity: (_host, certificate) => {
        const chain = derChainOf(certificate as never);
        const refusal = this.#check(chain);
        if (refusal === undefined) opened(Math.min(expiresAtMs, expiresAtMsOf(chain)));
        return refusal;
      },
    });
    return new Client(this.address, checked, channelOptions(this.#options.keepaliveMs));
  }

  #check(chain: Uint8Array[]): Error | undefined {
    const { credentials, clock } = this.#options;
    try {
      this.#expected = checkServer(credentials.current, this.address, this.#expected, chain, clock.now());
      this.#refusal = undefined;
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
