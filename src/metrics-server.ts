/**
 * The server that shows what a node measures.
 * In: a registry, readiness. Out: Prometheus text on /metrics, liveness on /healthz, readiness on /readyz.
 * Source: Prometheus' text exposition format 0.0.4.
 * Holds: on loopback by http, to whoever is on this machine; on any other address by https, to peers whose SVID passes the check and who may
 * look. Prometheus takes such an SVID in `tls_config`.
 */
import * as http from 'node:http';
import type { Registry } from 'prom-client';
import { KwamError } from './errors.ts';
import { isLoopback } from './http-get.ts';
import type { Metrics } from './metrics.ts';
import type { DoorOptions } from './transport/doorkeeper.ts';
import { type Asker, createPeerServer } from './transport/peer-server.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Why not; one line each. */
  readonly reasons: readonly string[];
}

export interface MetricsServer {
  /** HOST:PORT that it really listens on. */
  readonly address: string;
  close(): Promise<void>;
}

export interface MetricsServerOptions {
  /** HOST:PORT; port 0 takes a free one. IPv6 hosts in brackets. */
  readonly address: string;
  readonly metrics: Pick<Metrics, 'registry'>;
  readonly readiness: () => Readiness;
  /** Serves beyond loopback: whoever asks has an SVID. */
  readonly door: DoorOptions;
  /** @throws KwamError  this peer may not look. */
  readonly admit: (peer: Asker) => void;
}

export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const { address, metrics, readiness, door, admit } = options;
  const { host, port } = parseAddress(address);
  const respond = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    answer(request, metrics.registry, readiness).then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
      (error: unknown) => response.writeHead(500, plain).end(`could not answer: ${String(error)}\n`),
    );
  };
  const server = isLoopback(host)
    ? http.createServer(respond)
    : createPeerServer(door, (request, response, peer) => {
        if (mayLook(peer, admit, response)) respond(request, response);
      });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotListen(address, cause)));
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

function mayLook(peer: Asker, admit: (peer: Asker) => void, response: http.ServerResponse): boolean {
  try {
    admit(peer);
    return true;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    response.writeHead(403, plain).end(`${error.message}\n`);
    return false;
  }
}

const plainText = 'text/plain; charset=utf-8';
const plain = { 'content-type': plainText };

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function answer(
  request: http.IncomingMessage,
  registry: Registry,
  readiness: () => Readiness,
): Promise<Answer> {
  const text = (status: number, body: string): Answer => ({ status, type: plainText, body: `${body}\n` });
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET and HEAD are served');
  switch (request.url?.split('?', 1)[0]) {
    case '/metrics':
      return { status: 200, type: registry.contentType, body: await registry.metrics() };
    case '/healthz':
      return text(200, 'ok');
    case '/readyz': {
      const { ready, reasons } = readiness();
      return ready ? text(200, 'ready') : text(503, ['not ready', ...reasons].join('\n'));
    }
    default:
      return text(404, 'not found; there are /metrics, /healthz and /readyz');
  }
}

function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw new KwamError('USAGE', `expected a metrics address HOST:PORT, got ${JSON.stringify(address)}`);
  }
  return { host: (match[1] ?? match[2])!, port };
}

function cannotListen(address: string, cause: NodeJS.ErrnoException): KwamError {
  const remedies: Record<string, string> = {
    EADDRINUSE: 'the port is in use by another process; stop it or choose another port (0 takes a free one)',
    EACCES: 'this user may not open that port; choose one above 1023',
    EADDRNOTAVAIL: 'this machine does not have that address; choose one of its own',
  };
  const remedy = remedies[cause.code ?? ''] ?? `${cause.message}; choose another address`;
  return new KwamError('ENVIRONMENT', `cannot serve metrics on ${address}: ${remedy}`, {
    cause,
    context: { address, errno: cause.code },
  });
}
