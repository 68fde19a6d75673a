/**
 * What a failed call to etcd means.
 * In: the gRPC status that grpc-js or etcd gave. Out: a KwamError, whether etcd can have acted on the request, and whether the
 * connection is at fault.
 * Source: etcd's rpctypes/error.go (its texts are how its own client tells errors apart); the gRPC status codes.
 */
import { type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, KwamError } from '../errors.ts';
import { controlTransactionBytesMax, controlTransactionOperationsMax, MIB } from '../limits.ts';

export interface EtcdFailure {
  readonly error: KwamError;
  /** False: the request reached no state machine, so it may be sent again whatever it is. */
  readonly mayHaveActed: boolean;
  /** This member cannot serve us just now; another one, or this one later, may. */
  readonly passing: boolean;
}

/** The message limit that an etcd needs for our largest transaction: values, keys and prefix, and protobuf around them. */
const requestBytesMax = controlTransactionBytesMax + 8 * MIB;

const raiseLimits =
  `start etcd with --max-request-bytes=${requestBytesMax} --max-txn-ops=${controlTransactionOperationsMax}, ` +
  'or put smaller objects';

interface Meaning {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retryable?: boolean;
}

/** By etcd's text, without its "etcdserver: ". */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  'requested lease not found': { code: 'NOT_FOUND', remedy: 'grant a new lease and put the keys again' },
  'too many operations in txn request': { code: 'LIMIT_EXCEEDED', remedy: raiseLimits },
  'request is too large': { code: 'LIMIT_EXCEEDED', remedy: raiseLimits },
  'mvcc: database space exceeded': {
    code: 'DISK_FULL',
    remedy:
      'compact and defragment etcd or raise its --quota-backend-bytes, then disarm its alarm (etcdctl alarm disarm)',
    retryable: true,
  },
  'user name is empty': {
    code: 'UNAUTHENTICATED',
    remedy:
      'etcd asks who we are: use etcds:// with cert= and key= of a certificate whose common name is an etcd user',
  },
  'permission denied': {
    code: 'PERMISSION_DENIED',
    remedy: "give our user's role read and write on the prefix /kwam/ (etcdctl role grant-permission)",
  },
};

const STRANGE: Meaning = { code: 'PROTOCOL', remedy: 'is it an etcd, version 3.4 or later?' };

const BY_STATUS: Partial<Record<status, Meaning>> = {
  [status.UNAUTHENTICATED]: {
    code: 'UNAUTHENTICATED',
    remedy: 'use etcds:// with cert= and key= of a client that etcd knows',
  },
  [status.PERMISSION_DENIED]: MEANINGS['permission denied']!,
  [status.DATA_LOSS]: {
    code: 'INTEGRITY',
    remedy:
      'etcd says that its members differ: stop using it, keep the members as evidence and restore a snapshot of etcd',
  },
  [status.UNIMPLEMENTED]: STRANGE,
  [status.INVALID_ARGUMENT]: STRANGE,
  [status.FAILED_PRECONDITION]: STRANGE,
  [status.OUT_OF_RANGE]: STRANGE,
};

/** grpc-js says so of calls that never got a connection. */
const NEVER_SENT = [
  'No connection established',
  'Name resolution failed',
  'Channel closed before call started',
];

/** etcd says so before it hands a request to Raft, and at no other time (its v3rpc/interceptor.go). */
const REFUSED_AT_THE_DOOR = ['no leader', 'not capable', 'rpc not supported for learner'];

const ETCD = 'etcdserver: ';

/** One side refused to carry a message of this length; grpc-go and grpc-js word it alike. */
function tooLarge(details: string): boolean {
  return /(received|sent|send) message larger than max/i.test(details);
}

function meaningOf({ code, details }: ServiceError): Meaning | undefined {
  if (code === status.RESOURCE_EXHAUSTED && tooLarge(details)) return MEANINGS['request is too large'];
  return MEANINGS[details.slice(ETCD.length)] ?? BY_STATUS[code];
}

export function failureOf(cause: ServiceError, endpoint: string): EtcdFailure {
  const { code, details } = cause;
  const meaning = meaningOf(cause);
  const context = { endpoint, status: status[code] };
  if (meaning !== undefined) {
    const message = `etcd at ${endpoint} says "${details}"; ${meaning.remedy}`;
    const options = { cause, context, retryable: meaning.retryable ?? false };
    return { error: new KwamError(meaning.code, message, options), mayHaveActed: true, passing: false };
  }
  const sent = !NEVER_SENT.some((text) => details.startsWith(text));
  const refused = REFUSED_AT_THE_DOOR.includes(details.slice(ETCD.length));
  return { error: unreachable(endpoint, details, cause), mayHaveActed: sent && !refused, passing: true };
}

/** grpc-js wraps the words of the system or of OpenSSL, and appends a time and a note. */
function reasonOf(details: string): string {
  const last =
    /Last error: (?:Error: )?(.*?)(?: \([-\d:.TZ]+\))?\.? Resolution note/s.exec(details)?.[1] ?? details;
  return /SSL routines:[^:]*:([^:]+):/.exec(last)?.[1] ?? last;
}

/** One side speaks TLS and the other does not; grpc-js's words for it do not say so. */
const MISMATCHES: readonly (readonly [RegExp, string])[] = [
  [/^Failed to connect$/, 'if it speaks TLS, write etcds:// instead of etcd://'],
  [/before secure TLS connection/, 'if it speaks no TLS, write etcd:// instead of etcds://'],
];

function remedyOf(reason: string): string {
  const mismatch = MISMATCHES.find(([words]) => words.test(reason))?.[1];
  return mismatch ?? 'see that etcd runs there and that its members have a leader';
}

export function away(endpoint: string, reason: string, cause?: unknown): KwamError {
  return new KwamError(
    'UNAVAILABLE',
    `expected an answer of etcd at ${endpoint}, got "${reason}"; ${remedyOf(reason)}`,
    { cause, retryable: true, context: { endpoint } },
  );
}

/** What TLS says when one side does not trust the other; no second try helps. */
const DISTRUST = /certificate|unknown ca|ALTNAME/i;

function unreachable(endpoint: string, details: string, cause: ServiceError): KwamError {
  const reason = reasonOf(details);
  if (DISTRUST.test(reason)) {
    return new KwamError(
      'UNAUTHENTICATED',
      `expected etcd at ${endpoint} and us to trust each other, got "${reason}"; look at cacert=, cert= and key= of --control: ` +
        "cacert= must have issued etcd's certificate, etcd's --trusted-ca-file ours, and etcd's must name this host",
      { cause, context: { endpoint } },
    );
  }
  return away(endpoint, reason, cause);
}
