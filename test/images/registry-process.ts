/**
 * A registry as a process of its own: the GET half of the OCI distribution API over OCI layouts on disk, on loopback.
 * In: the directory that holds one layout a repository. Out: a line of JSON on stdout with its two addresses.
 * The first part of a repository's name says how it behaves, with several words as in `basic-redirect/…`: `bearer` and `basic` ask for
 * that kind of authorisation, `old` has no referrers API, `paged` lists one referrer a page, `redirect` sends blobs to the other host,
 * which asks for nothing; `hostile/WHAT/…` misbehaves. `/seen` lists the requests: path, host and Authorization header.
 */
import * as fs from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PASSWORD, type SeenRequest, TOKEN, USER } from './registry.ts';

interface Request {
  readonly repository: string;
  readonly kind: string;
  readonly name: string;
  readonly url: URL;
}

const directory = process.argv[2]!;
const seen: SeenRequest[] = [];
const is = (mood: string, repository: string): boolean => repository.split('/')[0]!.split('-').includes(mood);
const addresses = { registry: '', storage: '' };

interface Entry {
  readonly mediaType: string;
  readonly digest: string;
  readonly annotations?: Record<string, string>;
}

function layoutOf(repository: string): string {
  return join(directory, repository);
}

function entriesOf(repository: string): Entry[] {
  const text = fs.readFileSync(join(layoutOf(repository), 'index.json'), 'utf8');
  return (JSON.parse(text) as { manifests: Entry[] }).manifests;
}

function blobOf(repository: string, digest: string): Buffer | undefined {
  const path = join(layoutOf(repository), 'blobs/sha256', digest.replace('sha256:', ''));
  return fs.existsSync(path) ? fs.readFileSync(path) : undefined;
}

function entryOf(repository: string, name: string): Entry | undefined {
  const named = (entry: Entry): boolean =>
    entry.digest === name || entry.annotations?.['org.opencontainers.image.ref.name'] === name;
  return entriesOf(repository).find(named);
}

function send(response: ServerResponse, status: number, body: Buffer | string = '', headers = {}): void {
  response.writeHead(status, headers).end(body);
}

function manifest({ repository, name }: Request, response: ServerResponse): void {
  const entry = entryOf(repository, name);
  const bytes = entry && blobOf(repository, entry.digest);
  if (entry === undefined || bytes === undefined) send(response, 404, '{"errors":[]}');
  else send(response, 200, bytes, { 'content-type': entry.mediaType });
}

function blob({ repository, name, url }: Request, response: ServerResponse): void {
  const bytes = blobOf(repository, name);
  const away = is('redirect', repository) && !url.searchParams.has('stored');
  if (bytes === undefined) send(response, 404, '{"errors":[]}');
  else if (!away) send(response, 200, bytes);
  else send(response, 307, '', { location: `http://${addresses.storage}${url.pathname}?stored` });
}

function referrers({ repository, name, url }: Request, response: ServerResponse): void {
  if (is('old', repository)) {
    send(response, 404, 'no such API');
    return;
  }
  const referring = entriesOf(repository).filter((entry) => {
    const value = JSON.parse(blobOf(repository, entry.digest)!.toString()) as { subject?: Entry };
    return value.subject?.digest === name;
  });
  const page = Number(url.searchParams.get('page') ?? 0);
  const paged = is('paged', repository);
  const manifests = paged ? referring.slice(page, page + 1) : referring;
  const more = paged && page + 1 < referring.length;
  const headers = more ? { link: `<${url.pathname}?page=${page + 1}>; rel="next"` } : {};
  send(response, 200, JSON.stringify({ schemaVersion: 2, manifests }), headers);
}

/** Whether the request may go on; answers it otherwise. */
function authorised(
  { repository, url }: Request,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const scheme = ['bearer', 'basic'].find((one) => is(one, repository));
  const wanted = scheme === 'bearer' ? `Bearer ${TOKEN}` : basic();
  if (scheme === undefined || url.host === addresses.storage) return true;
  if (request.headers.authorization === wanted) return true;
  const realm = scheme === 'bearer' ? `http://${addresses.registry}/token` : 'registry';
  const challenge =
    scheme === 'bearer'
      ? `Bearer realm="${realm}",service="test",scope="repository:${repository}:pull,push"`
      : `Basic realm="${realm}"`;
  send(response, 401, '{"errors":[]}', { 'www-authenticate': challenge });
  return false;
}

const basic = (): string => `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;

function token(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.authorization !== basic()) send(response, 401);
  else send(response, 200, JSON.stringify({ token: TOKEN }));
}

const HOSTILE: Record<string, (request: Request, response: ServerResponse) => void> = {
  endless: (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  },
  silent: () => undefined,
  trickle: (_request, response) => {
    const timer = setInterval(() => response.write(' '), 50);
    response.once('close', () => clearInterval(timer));
  },
  broken: (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('{');
    setImmediate(() => response.destroy());
  },
  circle: ({ url }, response) => send(response, 302, '', { location: url.pathname }),
  downgrade: (_request, response) => send(response, 302, '', { location: 'http://192.0.2.1/v2/' }),
  nowhere: (_request, response) => send(response, 302),
  failing: (_request, response) => send(response, 503, 'try later'),
  denied: (_request, response) => send(response, 403, 'no'),
  realm: (_request, response) =>
    send(response, 401, '', { 'www-authenticate': 'Bearer realm="ftp://192.0.2.1/token"' }),
  unknown: (_request, response) => send(response, 401, '', { 'www-authenticate': 'Negotiate' }),
  token: (_request, response) =>
    send(response, 401, '', { 'www-authenticate': `Bearer realm="http://${addresses.registry}/badtoken"` }),
  pages: (request, response) => {
    const page = Number(request.url.searchParams.get('page') ?? 0) + 1;
    if (request.kind === 'manifests') manifest(request, response);
    else send(response, 200, '{"manifests":[]}', { link: `<?page=${page}>; rel="next"` });
  },
};

function parsed(url: URL): Request | undefined {
  const [, repository, kind, name] =
    /^\/v2\/(.+)\/(manifests|blobs|referrers)\/([^/]+)$/.exec(url.pathname) ?? [];
  return repository === undefined ? undefined : { repository, kind: kind!, name: name!, url };
}

/** Every branch answers; what it returns is nothing. */
function answer(request: IncomingMessage, response: ServerResponse): unknown {
  const url = new URL(request.url!, `http://${request.headers.host}`);
  if (url.pathname === '/seen') return send(response, 200, JSON.stringify(seen));
  const { authorization = null } = request.headers;
  seen.push({ host: url.host, path: `${url.pathname}${url.search}`, authorization });
  if (url.pathname === '/token') return token(request, response);
  if (url.pathname === '/badtoken') return send(response, 200, '{"token":"a\\r\\nx-evil: 1"}');
  const wanted = parsed(url);
  if (wanted === undefined) return send(response, 404);
  const hostile = is('hostile', wanted.repository) ? wanted.repository.split('/')[1] : undefined;
  const serve = HOSTILE[hostile ?? ''] ?? { manifests: manifest, blobs: blob, referrers }[wanted.kind]!;
  return authorised(wanted, request, response) && serve(wanted, response);
}

const registry = createServer(answer).listen(0, '127.0.0.1', () => {
  const storage = createServer(answer).listen(0, '127.0.0.1', () => {
    addresses.registry = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
    addresses.storage = `127.0.0.1:${(storage.address() as AddressInfo).port}`;
    process.stdout.write(`${JSON.stringify(addresses)}\n`);
  });
});
process.on('disconnect', () => process.exit());
