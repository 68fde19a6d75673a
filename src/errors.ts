/**
 * The one error class of kwam-dp and the exit codes of its commands.
 * A KwamError is something that can happen to a correct program: its message says what was expected, what was found
 * and what to do. A bug of ours is an assertion instead, and is never caught.
 */
export type ErrorCode =
  | 'USAGE'
  | 'ENVIRONMENT'
  | 'INTEGRITY'
  | 'REFUSED'
  | 'PROGRAM_REFUSED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'UNAVAILABLE'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'LIMIT_EXCEEDED'
  | 'DISK_FULL'
  | 'IO'
  | 'CANCELLED'
  | 'INDEX_FULL'
  | 'STRIPE_TOO_FEW_SHARDS'
  | 'STRIPE_MIXED'
  | 'CHUNK_DIGEST_MISMATCH'
  | 'STREAM_TOO_SHORT'
  | 'STREAM_TOO_LONG'
  | 'ENVELOPE_INVALID'
  | 'SIGNATURE_INVALID'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_SIGNATURE'
  | 'PACK_INVALID'
  | 'SELF_TEST_FAILED'
  | 'WORKER_DIED'
  | 'SVID_INVALID'
  | 'CONSENT_REFUSED'
  | 'AUDIT_INVALID'
  | 'SECRET_UNREADABLE'
  | 'IMAGE_REFUSED'
  | 'IMAGE_DIGEST_MISMATCH'
  | 'PROTOCOL'
  | 'INTERNAL';

export type ErrorContext = Readonly<Record<string, string | number | boolean | undefined>>;

export interface KwamErrorOptions {
  readonly context?: ErrorContext;
  readonly cause?: unknown;
  /** The layer that knows says whether trying again can help. */
  readonly retryable?: boolean;
}

export class KwamError extends Error {
  override readonly name = 'KwamError';
  readonly code: ErrorCode;
  readonly context: ErrorContext;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: KwamErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.context = options.context ?? {};
    this.retryable = options.retryable ?? false;
  }
}

/** Throws when our own reasoning is wrong; never for bad input. */
export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${why}`);
}

export const EXIT = {
  success: 0,
  no: 1,
  usage: 2,
  environment: 3,
  integrity: 4,
  refused: 5,
} as const;

const EXIT_BY_CODE: Partial<Record<ErrorCode, number>> = {
  USAGE: EXIT.usage,
  PROGRAM_REFUSED: EXIT.no,
  NOT_FOUND: EXIT.no,
  ALREADY_EXISTS: EXIT.no,
  INTEGRITY: EXIT.integrity,
  CHUNK_DIGEST_MISMATCH: EXIT.integrity,
  STREAM_TOO_SHORT: EXIT.integrity,
  STREAM_TOO_LONG: EXIT.integrity,
  ENVELOPE_INVALID: EXIT.integrity,
  SIGNATURE_INVALID: EXIT.integrity,
  MANIFEST_INVALID: EXIT.integrity,
  MANIFEST_SIGNATURE: EXIT.integrity,
  PACK_INVALID: EXIT.integrity,
  IMAGE_DIGEST_MISMATCH: EXIT.integrity,
  STRIPE_TOO_FEW_SHARDS: EXIT.integrity,
  STRIPE_MIXED: EXIT.integrity,
  REFUSED: EXIT.refused,
  IMAGE_REFUSED: EXIT.refused,
  PERMISSION_DENIED: EXIT.refused,
  CONSENT_REFUSED: EXIT.refused,
  AUDIT_INVALID: EXIT.integrity,
};

export function exitCodeOf(error: unknown): number {
  return error instanceof KwamError ? (EXIT_BY_CODE[error.code] ?? EXIT.environment) : EXIT.environment;
}
