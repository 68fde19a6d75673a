/**
 * Where an identity comes from, and word that it was renewed.
 * Implementations: polled-identity.ts (files, secrets), workload-identity.ts (the SPIFFE Workload API), and one that only changes when it
 * is told to, here. Holds for all: `current` is always usable as far as we know, and its SPIFFE ID never changes: who is renewed stays who he was.
 */
import { KwamError } from '../errors.ts';
import type { Identity } from './identity.ts';

export interface IdentitySource {
  /** For logs: where it comes from. */
  readonly origin: string;
  /** The newest one. Take it anew for each handshake and each signature. */
  readonly current: Identity;
  /** Calls `listener` after each renewal. Returns how to stop that. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** Told of what a source does by itself. */
export interface IdentityWatcher {
  readonly renewed?: (identity: Identity) => void;
  /** The source goes on trying, and `current` stays what it was. */
  readonly failed?: (error: KwamError) => void;
}

/** The part that all sources share, and the memory twin: renewed by whoever calls `replace`. */
export class HeldIdentity implements IdentitySource {
  readonly origin: string;
  #current: Identity;
  readonly #listeners = new Set<() => void>();

  constructor(origin: string, first: Identity) {
    this.origin = origin;
    this.#current = first;
  }

  get current(): Identity {
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Returns whether anything changed.
   * @throws KwamError SVID_INVALID  the SVID of somebody else; the old one stays.
   */
  replace(next: Identity): boolean {
    const now = this.#current;
    if (next.spiffeId !== now.spiffeId) throw changedId(this.origin, now.spiffeId, next.spiffeId);
    if (next.certificateChainPem === now.certificateChainPem && next.bundlePem === now.bundlePem)
      return false;
    this.#current = next;
    for (const listener of this.#listeners) listener();
    return true;
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}

function changedId(origin: string, expected: string, actual: string): KwamError {
  return new KwamError(
    'SVID_INVALID',
    `identity: expected a renewed SVID of ${expected} from ${origin}, got one of ${actual}; restart the node to give it another name`,
    { context: { rule: 'renewed-id', expected, actual } },
  );
}
