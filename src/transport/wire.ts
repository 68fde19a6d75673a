/**
 * The messages of the wire protocol, the same for every transport that has a wire (ARCHITECTURE.md, "Wire protocol").
 * In and out: JSON in UTF-8. Everything that comes from a peer is checked here and refused as PROTOCOL.
 */
import { type ErrorCode, type ErrorContext, KwamError } from '../errors.ts';
import { callMessageBytesMax, streamCreditBytesMax, wireErrorBytesMax } from '../limits.ts';
import { type JsonValue, PROTOCOL_VERSION } from './transport.ts';

/** First message of a client. `hello` is answered by one JSON message {version}. */
export type Open =
  | { readonly kind: 'hello' }
  | { readonly kind: 'call'; readonly method: string; readonly request: JsonValue }
  | { readonly kind: 'pull'; readonly request: JsonValue; readonly creditBytes: number };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeJson(value: JsonValue, what: string): Uint8Array {
  const bytes = encoder.encode(JSON.stringify(value));
  if (bytes.length > callMessageBytesMax) {
    throw new KwamError(
      'LIMIT_EXCEEDED',
      `expected ${what} of at most ${callMessageBytesMax} bytes, got ${bytes.length}; split it into several messages`,
      { context: { bytes: bytes.length, bytesMax: callMessageBytesMax } },
    );
  }
  return bytes;
}

export function decodeJson(bytes: Uint8Array, what: string): JsonValue {
  try {
    return JSON.parse(decoder.decode(bytes)) as JsonValue;
  } catch (cause) {
    throw violation(`${what} in JSON`, `${bytes.length} other bytes`, cause);
  }
}

function violation(expected: string, actual: string, cause?: unknown): KwamError {
  return new KwamError(
    'PROTOCOL',
    `expected ${expected} from the peer, got ${actual}; run one version on all nodes`,
    {
      context: { expected, actual },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

export function encodeOpen(open: Open): Uint8Array {
  return encodeJson({ version: PROTOCOL_VERSION, ...open }, 'a request');
}

export function decodeOpen(bytes: Uint8Array): Open {
  const fields = objectOf(decodeJson(bytes, 'an open message'), 'an open message');
  if (fields['version'] !== PROTOCOL_VERSION) {
    throw violation(`protocol version ${PROTOCOL_VERSION}`, JSON.stringify(fields['version'] ?? null));
  }
  const { kind, method, request = null, creditBytes } = fields;
  if (kind === 'hello') return { kind };
  if (kind === 'call' && typeof method === 'string') return { kind, method, request };
  if (kind === 'pull') return { kind, request, creditBytes: creditOf(creditBytes, streamCreditBytesMax) };
  throw violation('an open message of kind hello, call or pull', JSON.stringify(kind ?? null));
}

function creditOf(value: JsonValue | undefined, bytesMax: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value <= bytesMax)
    return value;
  throw violation(`a credit of 1 to ${bytesMax} whole bytes`, JSON.stringify(value ?? null));
}

export function encodeCredit(bytes: number): Uint8Array {
  return encoder.encode(`{"credit":${bytes}}`);
}

export function decodeCredit(bytes: Uint8Array): number {
  const { credit } = objectOf(decodeJson(bytes, 'a credit message'), 'a credit message');
  return creditOf(credit, streamCreditBytesMax);
}

export function decodeHello(bytes: Uint8Array): void {
  const { version } = objectOf(decodeJson(bytes, 'a hello'), 'a hello');
  if (version !== PROTOCOL_VERSION) {
    throw violation(`protocol version ${PROTOCOL_VERSION}`, JSON.stringify(version ?? null));
  }
}

function objectOf(value: JsonValue, what: string): { readonly [name: string]: JsonValue } {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as { readonly [name: string]: JsonValue };
  }
  throw violation(`${what} that is an object`, JSON.stringify(value).slice(0, 80));
}

const CODE = /^[A-Z][A-Z_]{0,39}$/;
const MESSAGE_CHARACTERS_MAX = 1500;
const CONTEXT_CHARACTERS_MAX = 200;
const CONTEXT_ENTRIES_MAX = 12;

/** An error that is not a KwamError is a bug on our side: the peer learns that, and our own log keeps the rest. */
export function encodeError(error: unknown): Uint8Array {
  const known =
    error instanceof KwamError
      ? error
      : new KwamError(
          'INTERNAL',
          `the peer failed: ${error instanceof Error ? error.message : String(error)}`,
        );
  const context: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(known.context).slice(0, CONTEXT_ENTRIES_MAX)) {
    if (value !== undefined)
      context[key] = typeof value === 'string' ? value.slice(0, CONTEXT_CHARACTERS_MAX) : value;
  }
  const { code, retryable } = known;
  const message = known.message.slice(0, MESSAGE_CHARACTERS_MAX);
  const bytes = encoder.encode(JSON.stringify({ code, message, retryable, context }));
  if (bytes.length <= wireErrorBytesMax) return bytes;
  return encoder.encode(JSON.stringify({ code, message: message.slice(0, 200), retryable, context: {} }));
}

/** A code that this version does not know keeps its name: exit codes and logs stay meaningful. */
export function decodeError(bytes: Uint8Array, peer: string): KwamError {
  const fields = objectOf(decodeJson(bytes, 'an error'), 'an error');
  const { code, message, retryable, context } = fields;
  if (typeof code !== 'string' || !CODE.test(code) || typeof message !== 'string') {
    return violation('an error with code and message', JSON.stringify(fields).slice(0, 80));
  }
  return new KwamError(code as ErrorCode, message, {
    retryable: retryable === true,
    context: { ...contextOf(context), peer },
  });
}

function contextOf(value: JsonValue | undefined): ErrorContext {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  const scalars = Object.entries(value).filter(([, v]) => ['string', 'number', 'boolean'].includes(typeof v));
  return Object.fromEntries(scalars) as ErrorContext;
}
