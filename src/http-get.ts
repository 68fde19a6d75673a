/**
 * One HTTP GET against a server that may be slow, endless or hostile.
 * In: a URL, headers, a bound on bytes and on time, optionally the authorities to trust instead of the system's. Out: status, headers, the whole body.
 * Holds: https anywhere, http on loopback only; nothing is redirected, decompressed, cached or tried again here. Secrets belong into
 * `headers`, never into the URL: errors name the URL without its query and name no header.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import { isIP } from 'node:net';
import { KwamError } from './errors.ts';
import { KIB } from './limits.ts';

export interface HttpGetOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the body; a longer one is LIMIT_EXCEEDED. */
  readonly bytesMax: number;
  /** From the first packet to the last byte, so that a trickle ends too. */
  readonly timeoutMs: number;
  /** PEM; these authorities instead of the system's. */
  readonly authorities?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  /** Of a header that came once; several are joined as Node joins them. */
  header(name: string): string | undefined;
}

/** What is said beside another status than 200 is for messages only; the rest of it is left unread. */
const errorBytesMax = 64 * KIB;
const BROKEN_TRUST = /^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH)/;

export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Without query, fragment and user: fit for messages. */
export function showUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** @throws KwamError REFUSED  another scheme, http to another machine, or a user in the URL. */
export function checkUrl(url: URL): void {
  const encrypted = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  if (encrypted && url.username === '' && url.password === '') return;
  const expected = 'https without a user in it (http on loopback only)';
  throw new KwamError('REFUSED', `expected ${expected}, got ${showUrl(url)}; use https there`, {
    context: { rule: 'url', expected, actual: showUrl(url) },
  });
}

/**
 * @throws KwamError REFUSED         a URL that must not be asked.
 * @throws KwamError UNAVAILABLE     no answer in time; a try later may help.
 * @throws KwamError LIMIT_EXCEEDED  more than `bytesMax`.
 * @throws KwamError ENVIRONMENT     the server's certificate is not trusted here.
 */
export function httpGet(url: URL, options: HttpGetOptions): Promise<HttpAnswer> {
  checkUrl(url);
  const { headers = {}, authorities, timeoutMs } = options;
  const signal = AbortSignal.timeout(timeoutMs);
  const request = {
    headers,
    signal,
    ...(authorities === undefined ? {} : { ca: authorities }),
    minVersion: 'TLSv1.2',
  } as const;
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => reject(failure(url, cause, timeoutMs));
    const answered = (answer: http.IncomingMessage): void => {
      answer.on('error', failed);
      collect(url, answer, options.bytesMax, resolve, reject);
    };
    const get = url.protocol === 'https:' ? https.get : http.get;
    get(url, request, answered).on('error', failed);
  });
}

function collect(
  url: URL,
  answer: http.IncomingMessage,
  bytesMax: number,
  resolve: (answer: HttpAnswer) => void,
  reject: (error: Error) => void,
): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  const succeeded = answer.statusCode === 200;
  const most = succeeded ? bytesMax : errorBytesMax;
  const header = (name: string): string | undefined => answer.headers[name.toLowerCase()]?.toString();
  const done = (): void =>
    resolve({ status: answer.statusCode!, body: new Uint8Array(Buffer.concat(parts)), header });
  answer.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= most) parts.push(part);
    else {
      if (succeeded) reject(tooLong(url, bytesMax));
      else done();
      answer.destroy();
    }
  });
  answer.on('end', done);
}

function tooLong(url: URL, bytesMax: number): KwamError {
  return new KwamError(
    'LIMIT_EXCEEDED',
    `expected at most ${bytesMax} bytes from ${showUrl(url)}, got more; nothing that we need is that large`,
    { context: { limit: bytesMax } },
  );
}

function failure(url: URL, cause: Error, timeoutMs: number): KwamError {
  const code = (cause as NodeJS.ErrnoException).code ?? cause.name;
  const where = showUrl(url);
  if (BROKEN_TRUST.test(code)) {
    return new KwamError(
      'ENVIRONMENT',
      `expected a certificate of ${where} that is trusted here, got ${code}; name its authority's PEM`,
      { cause, context: { rule: 'server-certificate', errno: code } },
    );
  }
  const got = cause.name === 'TimeoutError' || code === 'ABORT_ERR' ? `none within ${timeoutMs} ms` : code;
  return new KwamError(
    'UNAVAILABLE',
    `expected an answer from ${where}, got ${got}; try again when it is reachable`,
    {
      cause,
      retryable: true,
      context: { errno: code },
    },
  );
}
