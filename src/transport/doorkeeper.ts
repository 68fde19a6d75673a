/**
 * Decides which clients may speak to a server.
 * In: TLS sockets whose handshake is done, and later the calls that arrive over them. Out: the peer ID that the SVID
 * check has proven, or KwamError UNAUTHENTICATED.
 */
import type { TLSSocket } from 'node:tls';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import type { CredentialSource } from './credentials.ts';
import { expiresAtMsOf } from './expiry.ts';
import { derChainOf, unauthenticated } from './tls-peer.ts';
import type { PeerId } from './transport.ts';

export interface DoorOptions {
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  readonly refused: (remote: string, error: Error) => void;
}

type KnownCall = Pick<ServerDuplexStream<Buffer, Buffer>, 'getAuthContext' | 'getPeer'>;

/** What the SVID check said about a leaf certificate. Its digest names it, so no address can be taken for a peer. */
interface Admission {
  readonly peer: PeerId;
  readonly expiresAtMs: number;
  sockets: number;
}

/** Decides about clients once per connection, and remembers by certificate while connections with it are open. */
export class Doorkeeper {
  readonly #options: DoorOptions;
  readonly #admitted = new Map<string, Admission>();
  /** Text only, for the answer to a refused client. */
  readonly #refusals = new Map<string, KwamError>();

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** @returns when the client's certificates end; undefined when it is refused. */
  enter(socket: TLSSocket): number | undefined {
    const remote = `${socket.remoteAddress}:${socket.remotePort}`;
    const certificate = socket.getPeerCertificate(true);
    try {
      const admission = this.#admit(derChainOf(certificate), certificate.fingerprint256, socket);
      admission.sockets++;
      socket.once('close', () => {
        if (--admission.sockets === 0) this.#admitted.delete(certificate.fingerprint256);
      });
      return admission.expiresAtMs;
    } catch (cause) {
      const refusal = unauthenticated(
        `${this.#options.credentials.current.spiffeId} refuses this client`,
        cause,
      );
      this.#refusals.set(remote, refusal);
      socket.once('close', () => this.#refusals.delete(remote));
      this.#options.refused(remote, refusal);
      return undefined;
    }
  }

  #admit(chain: Uint8Array[], fingerprint: string, socket: TLSSocket): Admission {
    if (chain.length === 0) {
      throw new KwamError(
        'SVID_INVALID',
        'SVID: expected a client certificate, got none; connect with an identity',
        {
          context: { rule: 'missing' },
        },
      );
    }
    const peer = this.#options.credentials.current.checkPeer(chain, this.#options.clock.now());
    if (!socket.authorized) throw socket.authorizationError;
    const expiresAtMs = expiresAtMsOf(chain);
    const admission = this.#admitted.get(fingerprint) ?? { peer, expiresAtMs, sockets: 0 };
    this.#admitted.set(fingerprint, admission);
    return admission;
  }

  /** @throws KwamError UNAUTHENTICATED  also when the SVID has expired since the connection was made. */
  peerOf(call: KnownCall): PeerId {
    return this.#peerWith(call.getAuthContext().sslPeerCertificate?.fingerprint256, call.getPeer());
  }

  /** The same for a socket that was entered. */
  peerOn(socket: TLSSocket): PeerId {
    const remote = `${socket.remoteAddress}:${socket.remotePort}`;
    return this.#peerWith(socket.getPeerCertificate().fingerprint256, remote);
  }

  #peerWith(fingerprint: string | undefined, remote: string): PeerId {
    const admission = fingerprint === undefined ? undefined : this.#admitted.get(fingerprint);
    if (admission === undefined)
      throw this.#refusals.get(remote) ?? unauthenticated('client refused', 'no SVID');
    if (this.#options.clock.now() > admission.expiresAtMs) {
      const when = new Date(admission.expiresAtMs).toISOString();
      throw unauthenticated(
        `${admission.peer} is refused`,
        `its SVID expired at ${when}; renew it and connect again`,
      );
    }
    return admission.peer;
  }
}
