/** What every transport says when the network or a peer is not as it should be. */
import { KwamError } from '../errors.ts';
import type { PeerId } from './transport.ts';

export function lostPeer(address: string, cause?: unknown): KwamError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new KwamError(
    'UNAVAILABLE',
    `expected a live peer at ${address}, lost it${why}; try again or use another peer`,
    {
      retryable: true,
      context: { address },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

export function cancelled(cause?: unknown): KwamError {
  return new KwamError(
    'CANCELLED',
    'the stream was cancelled by its caller',
    cause === undefined ? {} : { cause },
  );
}

export function portTaken(address: string): KwamError {
  return new KwamError(
    'ENVIRONMENT',
    `expected ${address} to be free, it is in use; stop the process that listens there or choose another port (0 picks a free one)`,
    { context: { address } },
  );
}

export function wrongPeer(address: string, expected: PeerId, actual: PeerId): KwamError {
  return new KwamError(
    'UNAUTHENTICATED',
    `expected ${expected}, the server at ${address} presented ${actual}; correct the address or the expected ID`,
    { context: { address, expected, actual } },
  );
}
