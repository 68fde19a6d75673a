/** The metrics port: plain on loopback, for peers with an SVID elsewhere. */
import { once } from 'node:events';
import { get as getSecurely } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { KwamError } from '../src/errors.ts';
import { createAuthority, issueSvid, type KeyedPem } from '../src/identity/authority.ts';
import { type Identity, identityFromPems } from '../src/identity/identity.ts';
import { HeldIdentity } from '../src/identity/identity-source.ts';
import { parseSpiffeId, parseTrustDomain } from '../src/identity/spiffe-id.ts';
import { createMetrics } from '../src/metrics.ts';
import { type MetricsServer, type Readiness, startMetricsServer } from '../src/metrics-server.ts';
import type { Asker } from '../src/transport/peer-server.ts';

const DOMAIN = parseTrustDomain('kwam.test');
const SERVER = parseSpiffeId('spiffe://kwam.test/node/server');
const CLIENT = parseSpiffeId('spiffe://kwam.test/client/prometheus');
let authority: KeyedPem;
let identity: HeldIdentity;
let client: Identity;
let mayLook = true;
let looked: Asker[] = [];
let refused: string[] = [];

async function identityOf(id: typeof SERVER, by: KeyedPem): Promise<Identity> {
  const { certificatePem, privateKeyPem } = await issueSvid(by, id, { nowMs: Date.now() });
  const pems = { certificateChainPem: certificatePem, privateKeyPem, bundlePem: by.certificatePem };
  return identityFromPems(pems, Date.now());
}

function admit(asker: Asker): void {
  if (!mayLook) throw new KwamError('PERMISSION_DENIED', 'expected a grant');
  looked.push(asker);
}

beforeAll(async () => {
  authority = await createAuthority(DOMAIN, { nowMs: Date.now() });
  identity = new HeldIdentity('a test', await identityOf(SERVER, authority));
  client = await identityOf(CLIENT, authority);
});

interface Seen {
  readonly status: number | undefined;
  readonly body: string;
  /** Who the server has proven to be. */
  readonly server: string;
  readonly serial: string;
}

/** As a peer, which checks the server too; undefined shows no certificate. */
function getAs(who: Identity | undefined, address: string, path = '/metrics'): Promise<Seen> {
  const shown = who && { cert: who.certificateChainPem, key: who.privateKeyPem };
  const tls = { ...shown, ca: client.bundlePem, checkServerIdentity: () => undefined, agent: false };
  return new Promise((resolve, reject) => {
    getSecurely(`https://${address}${path}`, tls, (response) => {
      const { raw, serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
      const server = client.checkPeer([raw], Date.now());
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode, body, server, serial: serialNumber }));
    }).on('error', reject);
  });
}

describe('the metrics server', () => {
  const servers: MetricsServer[] = [];
  let state: Readiness = { ready: true, reasons: [] };
  const start = async (address = '127.0.0.1:0') => {
    const server = await startMetricsServer({
      address,
      metrics: createMetrics({ node: 'n1' }, { version: '1.2.3', codecId: 'c0dec' }),
      readiness: () => state,
      door: { credentials: identity, clock: systemClock, refused: (_, error) => refused.push(error.message) },
      admit,
    });
    servers.push(server);
    return server.address;
  };
  const get = async (address: string, path: string, method = 'GET') => {
    const response = await fetch(`http://${address}${path}`, { method });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
    };
  };

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    state = { ready: true, reasons: [] };
    [mayLook, looked, refused] = [true, [], []];
  });

  it('serves the exposition format with its content type', async () => {
    const { status, type, body } = await get(await start(), '/metrics?x=1');
    expect(status).toBe(200);
    expect(type).toContain('text/plain; version=0.0.4');
    expect(body).toContain('\nkwam_silent_corruption_count_total{node="n1"} 0\n');
  });

  it('tells life from readiness', async () => {
    const address = await start();
    expect(await get(address, '/readyz')).toMatchObject({ status: 200, body: 'ready\n' });
    state = { ready: false, reasons: ['no lease', 'the store is still being checked'] };
    expect(await get(address, '/readyz')).toMatchObject({
      status: 503,
      body: 'not ready\nno lease\nthe store is still being checked\n',
    });
    expect(await get(address, '/healthz')).toMatchObject({ status: 200 });
  });

  it('answers 404 and 405 in text', async () => {
    const address = await start();
    expect(await get(address, '/')).toMatchObject({ status: 404, type: 'text/plain; charset=utf-8' });
    expect((await get(address, '/metrics', 'POST')).status).toBe(405);
  });

  it('names the port and the remedy when the port is in use', async () => {
    const address = await start();
    await expect(start(address)).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringMatching(new RegExp(`${address}: the port is in use .*choose another port`)),
    });
  });

  it.each(['9000', 'localhost', '127.0.0.1:99999', ''])('refuses %j as an address', async (address) => {
    await expect(start(address)).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('gives its port back at once when closed', async () => {
    const address = await start();
    await get(address, '/healthz');
    await servers.pop()!.close();
    expect(await start(address)).toBe(address);
  });

  describe('beyond loopback', () => {
    const anywhere = async (): Promise<string> => `127.0.0.1:${(await start('0.0.0.0:0')).split(':')[1]}`;

    it('answers a peer with an SVID, whose check is the one of every call', async () => {
      const address = await anywhere();
      expect(await getAs(client, address)).toMatchObject({ status: 200, server: SERVER });
      expect((await getAs(client, address, '/readyz')).body).toBe('ready\n');
      expect(looked).toEqual([CLIENT, CLIENT].map((peer) => ({ peer, address: '127.0.0.1' })));
    });

    it('answers nobody without one, or by http', async () => {
      const address = await anywhere();
      await expect(get(address, '/metrics')).rejects.toThrow();
      await expect(getAs(undefined, address)).rejects.toThrow(/ECONNRESET|socket hang up|alert/);
      expect(refused).toEqual([
        expect.anything(),
        expect.stringContaining('got none; connect with an identity'),
      ]);
      expect(looked).toEqual([]);
    });

    it('does not answer those of another authority', async () => {
      const stranger = await identityOf(CLIENT, await createAuthority(DOMAIN, { nowMs: Date.now() }));
      const shown = { ...stranger, privateKeyPem: stranger.privateKeyPem, bundlePem: client.bundlePem };
      await expect(getAs(shown, await anywhere())).rejects.toThrow(/ECONNRESET|socket hang up|alert/);
      expect(refused).toEqual([expect.stringContaining('expected a chain from')]);
      expect(looked).toEqual([]);
    });

    it('says why somebody may not look', async () => {
      mayLook = false;
      expect(await getAs(client, await anywhere())).toMatchObject({
        status: 403,
        body: 'expected a grant\n',
      });
    });

    it('shows its renewed SVID to the next one who asks, and its open connections stay', async () => {
      const address = await anywhere();
      const [host, port] = address.split(':');
      const { certificateChainPem: cert, privateKeyPem: key, bundlePem: ca } = client;
      const to = { host, port: Number(port), cert, key, ca, checkServerIdentity: () => undefined };
      const open = connect(to);
      await once(open, 'secureConnect');
      const { serial } = await getAs(client, address);
      identity.replace(await identityOf(SERVER, authority));
      expect((await getAs(client, address)).serial).not.toBe(serial);
      open.write('GET /readyz HTTP/1.1\r\nHost: a-test\r\n\r\n');
      expect(String((await once(open, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      open.destroy();
    });
  });
});
