import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { systemClock } from '../../src/clock.ts';
import type { KwamError } from '../../src/errors.ts';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { type Identity, identityFromPems } from '../../src/identity/identity.ts';
import { initAuthority, issueIdentity } from '../../src/identity/identity-files.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { diagnose } from '../../src/transport/tls-peer.ts';
import type { PeerId, Transport } from '../../src/transport/transport.ts';
import { collect, errorOf, handlerOf, transportSuite } from '../suites/transport.suite.ts';

const HOUR_MS = 3_600_000;
const NOW = Date.now();
const DOMAIN = parseTrustDomain('kwam.test');
const SERVER = parseSpiffeId('spiffe://kwam.test/node/server');
const CLIENT = parseSpiffeId('spiffe://kwam.test/node/client');

let authority: KeyedPem;
let stranger: KeyedPem;
let server: Identity;
let client: Identity;

interface Variation {
  readonly by?: KeyedPem;
  readonly bundle?: string;
  readonly validMs?: number;
}

/** Identities are made a minute ago, so that one which is expired now could be made at all. */
const MADE = NOW - 60_000;

async function identityOf(
  id: typeof SERVER,
  { by = authority, bundle, validMs }: Variation = {},
): Promise<Identity> {
  const validity = validMs === undefined ? { nowMs: MADE } : { nowMs: MADE, validMs };
  const { certificatePem, privateKeyPem } = await issueSvid(by, id, validity);
  const bundlePem = bundle ?? by.certificatePem;
  return identityFromPems({ certificateChainPem: certificatePem, privateKeyPem, bundlePem }, MADE);
}

beforeAll(async () => {
  authority = await createAuthority(DOMAIN, { nowMs: NOW });
  stranger = await createAuthority(DOMAIN, { nowMs: NOW });
  server = await identityOf(SERVER);
  client = await identityOf(CLIENT);
});

transportSuite('grpc', async (observer) => ({
  server: grpcTransport({ credentials: server, observer }),
  client: grpcTransport({ credentials: client }),
  serverId: server.spiffeId,
  clientId: client.spiffeId,
  address: '127.0.0.1:0',
}));

describe('bad certificates', () => {
  const open: Transport[] = [];
  /** One list a test: a connection that hangs up late must not be counted in the next one. */
  let refusals: string[] = [];
  let handled = 0;

  afterEach(async () => {
    await Promise.all(open.splice(0).map((transport) => transport.close()));
    refusals = [];
    handled = 0;
  });

  function transportOf(credentials: Identity, clock: Clock = systemClock): Transport {
    const own = refusals;
    const refused = (_remote: string, error: Error) => void own.push(error.message);
    const transport = grpcTransport({ credentials, clock, refused });
    open.push(transport);
    return transport;
  }

  async function listenAs(credentials: Identity, clock?: Clock): Promise<string> {
    const handler = handlerOf({
      async *call(method) {
        handled++;
        yield method;
      },
    });
    return (await transportOf(credentials, clock).listen('127.0.0.1:0', handler)).address;
  }

  const connectAs = (credentials: Identity, address: string, expected: PeerId = SERVER, clock?: Clock) =>
    errorOf(transportOf(credentials, clock).connect(address, expected));

  test('the server is of another authority', async () => {
    const address = await listenAs(await identityOf(SERVER, { by: stranger }));
    const error = await connectAs(client, address);
    expect(error.code).toBe('UNAUTHENTICATED');
    expect(error.context['rule']).toBe('chain');
    expect(error.message).toContain(`the server at ${address} presented an SVID that we refuse`);
  });

  test("the server's SVID has expired", async () => {
    const address = await listenAs(await identityOf(SERVER, { validMs: 30_000 }));
    const error = await connectAs(client, address);
    expect(error.code).toBe('UNAUTHENTICATED');
    expect(error.context['rule']).toBe('validity');
    expect(error.message).toMatch(/expired at 20.*identity issue/);
  });

  test('a server with a good SVID is not called the reason when a connection fails for another', async () => {
    const address = await listenAs(server);
    expect(await diagnose(client, address, SERVER, NOW)).toBeUndefined();
    expect(await diagnose(client, address, CLIENT, NOW)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('the client is of another authority: the server says so', async () => {
    const address = await listenAs(server);
    const both = authority.certificatePem + stranger.certificatePem;
    const error = await connectAs(await identityOf(CLIENT, { by: stranger, bundle: both }), address);
    expect(error.code).toBe('UNAUTHENTICATED');
    expect(error.context['rule']).toBe('chain');
    expect(error.message).toContain(`${SERVER} refuses this client`);
    expect(refusals).toHaveLength(1);
    expect(handled).toBe(0);
  });

  test("the client's own SVID has expired: known before anything is sent", async () => {
    const address = await listenAs(server);
    const error = await connectAs(await identityOf(CLIENT, { validMs: 30_000 }), address);
    expect(error.code).toBe('UNAUTHENTICATED');
    expect(error.context['rule']).toBe('own-validity');
    expect(refusals).toEqual([]);
  });

  test("the client's SVID has expired, and its clock is wrong: the server says so", async () => {
    const address = await listenAs(server);
    const slow: Clock = { ...systemClock, now: () => MADE };
    const error = await connectAs(await identityOf(CLIENT, { validMs: 30_000 }), address, SERVER, slow);
    expect(error.code).toBe('UNAUTHENTICATED');
    expect(error.context['rule']).toBe('validity');
    expect(handled).toBe(0);
  });

  test('an SVID that expires while its connection is open opens no further streams', async () => {
    let shiftMs = 0;
    const address = await listenAs(server, { ...systemClock, now: () => Date.now() + shiftMs });
    const connection = await transportOf(await identityOf(CLIENT, { validMs: HOUR_MS })).connect(
      address,
      SERVER,
    );
    expect(await collect(connection.call('before', null))).toEqual(['before']);
    shiftMs = 2 * HOUR_MS;
    const error = await errorOf(collect(connection.call('after', null)));
    expect(error.code).toBe('UNAUTHENTICATED');
    expect(error.message).toContain('expired at');
    expect(handled).toBe(1);
  });

  describe('a stream that is open when an SVID expires', () => {
    /** Certificates end at whole seconds. */
    const soon = (): Variation => ({ validMs: Date.now() - MADE + 2500 });
    const stopped: Clock = { ...systemClock, now: () => MADE + 60_000 };

    /** A call that answers for ever, until it breaks; what was said then. */
    async function streamUntilItBreaks(
      on: { readonly credentials: Identity; readonly clock?: Clock },
      as: { readonly credentials: Identity; readonly clock?: Clock },
    ): Promise<{ readonly answers: number; readonly first: KwamError; readonly again: KwamError }> {
      const handler = handlerOf({
        async *call(_method, _request, { signal }) {
          for (; !signal.aborted; await delay(50)) yield 'tick';
        },
      });
      const listener = await transportOf(on.credentials, on.clock).listen('127.0.0.1:0', handler);
      const transport = transportOf(as.credentials, as.clock);
      const connection = await transport.connect(listener.address, SERVER);
      let answers = 0;
      const stream = async (): Promise<void> => {
        for await (const _ of connection.call('ticks', null)) answers++;
      };
      const first = await errorOf(stream());
      return { answers, first, again: await errorOf(transport.connect(listener.address, SERVER)) };
    }

    test("the server's: its client hangs up, though the server would go on, and is refused by name after", async () => {
      const credentials = await identityOf(SERVER, soon());
      const { answers, first, again } = await streamUntilItBreaks(
        { credentials, clock: stopped },
        { credentials: client },
      );
      expect(answers).toBeGreaterThan(1);
      expect(first).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      expect(first.message).toMatch(/an SVID that this connection was opened with expired at 20/);
      expect(again).toMatchObject({ code: 'UNAUTHENTICATED', context: { rule: 'validity' } });
    });

    test("the client's: the server hangs up, though the client would go on", async () => {
      const credentials = await identityOf(CLIENT, soon());
      const { answers, first, again } = await streamUntilItBreaks(
        { credentials: server },
        { credentials, clock: stopped },
      );
      expect(answers).toBeGreaterThan(1);
      expect(first).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      expect(again).toMatchObject({ code: 'UNAUTHENTICATED', context: { rule: 'validity' } });
    });
  });

  test('a client without a certificate, and one without TLS, reach no handler', async () => {
    const address = await listenAs(server);
    const [host, port] = [address.split(':')[0]!, Number(address.split(':')[1])];
    const bare = tlsConnect({
      host,
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.3',
    });
    bare.resume().on('error', () => undefined);
    await new Promise<void>((resolve) => bare.once('close', () => resolve()));
    await expect(fetch(`http://${address}/`)).rejects.toThrow();
    expect(handled).toBe(0);
  });

  test('another service at that port is no peer', async () => {
    const other: Server = createServer((socket) => socket.end('220 mail.example ESMTP\r\n'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    expect(await connectAs(client, `127.0.0.1:${port}`)).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
    other.close();
  });

  test('proxies of the environment are not asked', async () => {
    process.env['https_proxy'] = 'http://127.0.0.1:1';
    try {
      const connection = await transportOf(client).connect(await listenAs(server), SERVER);
      expect(connection.peer).toBe(SERVER);
    } finally {
      delete process.env['https_proxy'];
    }
  });
});

describe('a peer in another process', () => {
  let directory: string;
  let child: ChildProcess;
  let transport: Transport;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kwam-transport-'));
    const validity = { nowMs: NOW };
    await initAuthority(directory, DOMAIN, validity);
    await issueIdentity(directory, 'server', SERVER, validity, console.error);
    const credentials = await issueIdentity(directory, 'client', CLIENT, validity, console.error);
    transport = grpcTransport({ credentials, keepaliveMs: 200 });
  });

  afterEach(() => void child.kill('SIGKILL'));

  afterAll(async () => {
    await transport.close();
    rmSync(directory, { recursive: true });
  });

  async function startPeer(): Promise<string> {
    const script = fileURLToPath(new URL('grpc-peer.ts', import.meta.url));
    child = spawn(process.execPath, [script, directory, 'server'], { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout! })) return line;
    throw new Error('the peer printed no address');
  }

  // SIGKILL resets the connection; SIGSTOP leaves it open and silent, like a machine that lost power.
  test.each(['SIGKILL', 'SIGSTOP'] as const)('%s in the middle of a stream is noticed', async (signal) => {
    const address = await startPeer();
    const connection = await transport.connect(address, SERVER);
    const stream = connection.pull(0)[Symbol.asyncIterator]();
    for (let i = 0; i < 5; i++) await stream.next();
    child.kill(signal);
    const drained = (async () => {
      while ((await stream.next()).done !== true);
    })();
    expect(await errorOf(drained)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await errorOf(collect(connection.call('x', null)))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
  });

  test('serves calls and pulls across processes', async () => {
    const address = await startPeer();
    const connection = await transport.connect(address, undefined);
    expect(connection.peer).toBe(SERVER);
    expect(await collect(connection.call('hello', null))).toEqual(['hello']);
    const bytes = Buffer.concat(await collect(connection.pull(3_000_000)));
    expect(bytes.equals(Buffer.alloc(3_000_000))).toBe(true);
  });
});
