/**
 * A server as a process of its own that answers as Vault's KV v2 engine does (HTTP API, "Read secret version"), over TLS or plain.
 * In: a JSON file with the token, the secrets and optionally key and certificate. Out: a line of JSON on stdout with its address.
 * Mounts that misbehave: `sealed`, `redirect`, `v1` (an engine of version 1), `slow`, `endless`, `text`; `flaky/N/…` fails N times first.
 */
import * as fs from 'node:fs';
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { VaultContent, VaultVersion } from './vault.ts';

const content = JSON.parse(fs.readFileSync(process.argv[2]!, 'utf8')) as VaultContent;
const failures = new Map<string, number>();
let requests = 0;

function send(response: ServerResponse, status: number, body: object, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function metadataOf(number: number, version: VaultVersion): object {
  return {
    created_time: '2026-01-01T00:00:00.0Z',
    custom_metadata: null,
    deletion_time: version.deletedAt ?? '',
    destroyed: version.destroyed ?? false,
    version: number,
  };
}

function read(path: string, wanted: number | undefined, response: ServerResponse): void {
  const versions = content.secrets[path] ?? [];
  const number = wanted ?? versions.length;
  const version = versions[number - 1];
  if (version === undefined) {
    send(response, 404, { errors: [] });
    return;
  }
  const gone = version.destroyed === true || version.deletedAt !== undefined;
  const data = { data: gone ? null : version.data, metadata: metadataOf(number, version) };
  send(response, gone ? 404 : 200, { request_id: 'r', lease_id: '', lease_duration: 0, data, auth: null });
}

function misbehave(mount: string, path: string, response: ServerResponse): boolean {
  switch (mount) {
    case 'sealed':
      send(response, 503, { errors: ['Vault is sealed'] });
      return true;
    case 'redirect':
      send(response, 307, {}, { location: 'https://192.0.2.1:8200/v1/redirect/data/x' });
      return true;
    case 'v1':
      send(response, 200, { data: { password: 'of version 1' } });
      return true;
    case 'slow':
      return true;
    case 'text':
      response.end('<html>a proxy</html>');
      return true;
    case 'endless':
      response.writeHead(200).write('{');
      response.on('drain', () => response.write(' '.repeat(65_536)));
      while (response.write(' '.repeat(65_536)));
      return true;
    case 'flaky': {
      const left = failures.get(path) ?? Number(path.split('/')[0]);
      failures.set(path, left - 1);
      if (left > 0) send(response, 500, { errors: ['internal error'] });
      return left > 0;
    }
    default:
      return false;
  }
}

function isAllowed({ headers }: IncomingMessage, path: string): boolean {
  const proven = headers['x-vault-token'] === content.token && headers['x-vault-request'] === 'true';
  const namespace = headers['x-vault-namespace'] ?? '';
  return proven && !path.startsWith('denied/') && namespace === (content.namespace ?? '');
}

function answerRead(url: URL, request: IncomingMessage, response: ServerResponse): void {
  const [, mount, path] = /^\/v1\/([^/]+)\/data\/(.+)$/.exec(url.pathname) ?? [];
  const version = url.searchParams.get('version');
  if (mount === undefined || path === undefined) send(response, 404, { errors: [] });
  else if (misbehave(mount, path, response)) return;
  else if (!isAllowed(request, path))
    send(response, 403, { errors: ['1 error occurred:\n\t* permission denied\n\n'] });
  else read(`${mount}/${path}`, version === null ? undefined : Number(version), response);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, 'http://vault');
  if (url.pathname === '/requests') send(response, 200, { requests });
  else {
    requests++;
    answerRead(url, request, response);
  }
}

const { tls } = content;
const server = tls === undefined ? createPlain(answer) : createTls(tls, answer);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ address: `${tls ? 'https' : 'http'}://127.0.0.1:${port}` })}\n`);
});
process.on('disconnect', () => process.exit());
