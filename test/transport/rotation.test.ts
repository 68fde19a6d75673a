/** SVIDs are renewed while nodes speak: new handshakes show the new one, and no stream notices. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { derOfPem, type Identity, identityFromPems } from '../../src/identity/identity.ts';
import { initAuthority, issueIdentity, loadIdentity } from '../../src/identity/identity-files.ts';
import { HeldIdentity } from '../../src/identity/identity-source.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { collect, handlerOf } from '../suites/transport.suite.ts';
import { connectionsTo } from './connections.ts';

const DOMAIN = parseTrustDomain('kwam.test');
const SERVER = parseSpiffeId('spiffe://kwam.test/node/server');
const CLIENT = parseSpiffeId('spiffe://kwam.test/node/client');
const MIB = 1 << 20;
/** Four times the credit: the server cannot be done before the client goes on. */
const PULLED = 32 * MIB;
const WAIT = { timeout: 20_000, interval: 50 };
const ignore = (): void => undefined;

const directory = mkdtempSync(join(tmpdir(), 'kwam-rotation-'));
const open: Transport[] = [];
let first: KeyedPem;
let second: KeyedPem;

beforeAll(async () => {
  first = await createAuthority(DOMAIN, { nowMs: Date.now() });
  second = await createAuthority(DOMAIN, { nowMs: Date.now() });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((transport) => transport.close()));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function issued(id: typeof SERVER, by: KeyedPem, bundle = by.certificatePem): Promise<Identity> {
  const { certificatePem, privateKeyPem } = await issueSvid(by, id, { nowMs: Date.now() });
  const pems = { certificateChainPem: certificatePem, privateKeyPem, bundlePem: bundle };
  return identityFromPems(pems, Date.now());
}

const printOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');
const ownPrint = ({ certificateChainPem }: Identity): string =>
  printOf(derOfPem(certificateChainPem, 'a chain')[0]!);

/** The same identity, that notes every leaf which it checks: one a handshake. */
function noting(identity: Identity, seen: string[]): Identity {
  const checkPeer: Identity['checkPeer'] = (chain, nowMs) => {
    seen.push(printOf(chain[0]!));
    return identity.checkPeer(chain, nowMs);
  };
  return { ...identity, privateKeyPem: identity.privateKeyPem, checkPeer };
}

function transportOf(credentials: Identity | HeldIdentity): Transport {
  const transport = grpcTransport({ credentials });
  open.push(transport);
  return transport;
}

/** Sends as many bytes as asked for, a mebibyte at a time, as grpc-peer.ts does. */
const handler = handlerOf({
  async *call(method) {
    yield method;
  },
  async *pull(request) {
    for (let left = Number(request); left > 0; left -= MIB) yield new Uint8Array(Math.min(left, MIB));
  },
});

async function rest(bytes: AsyncIterator<Uint8Array>): Promise<number> {
  let total = 0;
  for (let next = await bytes.next(); next.done !== true; next = await bytes.next())
    total += next.value.length;
  return total;
}

interface Peer {
  readonly child: ChildProcess;
  readonly address: string;
  says(line: string): Promise<unknown>;
}

/** A server process that looks at its files every 20 ms. */
async function startPeer(): Promise<Peer> {
  const program = join(import.meta.dirname, 'grpc-peer.ts');
  const child = spawn(process.execPath, [program, directory, 'server', '20'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface(child.stdout!);
  reader.on('line', (line) => lines.push(line));
  const says = async (line: string): Promise<void> => {
    while (!lines.includes(line)) await once(reader, 'line');
  };
  await once(reader, 'line');
  return { child, address: lines[0]!, says };
}

it('a server process renews its SVID while a pull runs', async () => {
  const validity = { nowMs: Date.now() };
  await initAuthority(directory, DOMAIN, validity);
  await issueIdentity(directory, 'server', SERVER, validity, ignore);
  const old = ownPrint(loadIdentity(directory, 'server', Date.now(), ignore));
  const client = await issueIdentity(directory, 'client', CLIENT, validity, ignore);
  const { child, address, says } = await startPeer();
  const seen: string[] = [];
  const transport = transportOf(noting(client, seen));
  const connection = await transport.connect(address, SERVER);
  const pull = connection.pull(PULLED)[Symbol.asyncIterator]();
  const started = (await pull.next()).value!.length;

  await issueIdentity(directory, 'server', SERVER, validity, ignore);
  await says('renewed');
  const renewed = ownPrint(loadIdentity(directory, 'server', Date.now(), ignore));
  const later = await transport.connect(address, SERVER);
  expect(await collect(later.call('ping', null))).toEqual(['ping']);
  // Calls and the pull of the first connection, then the call of the second one.
  expect(seen).toEqual([old, old, renewed]);

  expect(started + (await rest(pull))).toBe(PULLED);
  expect(await collect(connection.call('still here', null))).toEqual(['still here']);
  expect(seen).toHaveLength(3);
  child.kill();
  await once(child, 'exit');
});

it('a client renews its SVID while a pull runs', async () => {
  const seen: string[] = [];
  const listener = await transportOf(noting(await issued(SERVER, first), seen)).listen(
    '127.0.0.1:0',
    handler,
  );
  const old = await issued(CLIENT, first);
  const source = new HeldIdentity('a test', old);
  const connection = await transportOf(source).connect(listener.address, SERVER);
  const pull = connection.pull(PULLED)[Symbol.asyncIterator]();
  const started = (await pull.next()).value!.length;

  const renewed = await issued(CLIENT, first);
  expect(source.replace(renewed)).toBe(true);
  expect(source.replace(renewed)).toBe(false);
  expect(await collect(connection.call('ping', null))).toEqual(['ping']);
  expect(seen).toEqual([old, old, renewed].map(ownPrint));
  await vi.waitFor(() => expect(connectionsTo(listener.address)).toBe(2), WAIT);
  expect(started + (await rest(pull))).toBe(PULLED);
  expect(await rest(connection.pull(MIB)[Symbol.asyncIterator]())).toBe(MIB);
  expect(seen).toEqual([old, old, renewed, renewed].map(ownPrint));
  // The two old ones have been closed with their last stream.
  await vi.waitFor(() => expect(connectionsTo(listener.address)).toBe(2), WAIT);
});

it('both sides change their authority while a pull runs', async () => {
  const both = first.certificatePem + second.certificatePem;
  const server = new HeldIdentity('a test', await issued(SERVER, first, both));
  const client = new HeldIdentity('a test', await issued(CLIENT, first, both));
  const listener = await transportOf(server).listen('127.0.0.1:0', handler);
  const connection = await transportOf(client).connect(listener.address, SERVER);
  const pull = connection.pull(PULLED)[Symbol.asyncIterator]();
  const started = (await pull.next()).value!.length;
  client.replace(await issued(CLIENT, second, both));
  server.replace(await issued(SERVER, second, both));
  // The old authority is gone: who still has an SVID of it is a stranger now.
  client.replace(await issued(CLIENT, second));
  server.replace(await issued(SERVER, second));
  expect(await collect(connection.call('ping', null))).toEqual(['ping']);
  const late = transportOf(await issued(CLIENT, first, both));
  await expect(late.connect(listener.address, SERVER)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    context: { rule: 'chain' },
  });
  expect(started + (await rest(pull))).toBe(PULLED);
});

it('a renewed SVID of somebody else is refused, and the old one stays', async () => {
  const own = await issued(SERVER, first);
  const source = new HeldIdentity('a test', own);
  const other = await issued(CLIENT, first);
  expect(() => source.replace(other)).toThrow('expected a renewed SVID of spiffe://kwam.test/node/server');
  expect(source.current).toBe(own);
});

it('a connection that was closed renews nothing and leaves nothing open', async () => {
  const listener = await transportOf(await issued(SERVER, first)).listen('127.0.0.1:0', handler);
  const source = new HeldIdentity('a test', await issued(CLIENT, first));
  const connection = await transportOf(source).connect(listener.address, SERVER);
  const pull = connection.pull(PULLED)[Symbol.asyncIterator]();
  await pull.next();
  source.replace(await issued(CLIENT, first));
  await connection.close();
  source.replace(await issued(CLIENT, first));
  await expect(rest(pull)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(collect(connection.call('ping', null))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
