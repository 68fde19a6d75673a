/** TLS to a real etcd that asks for client certificates, and what a user reads when the two do not fit. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ControlEntry } from '../../src/control/control-store.ts';
import { EtcdControlStore } from '../../src/control/etcd.ts';
import { parseEtcdUrl } from '../../src/control/etcd-url.ts';
import { EtcdCluster } from '../faults/etcd-cluster.ts';
import { CA_USAGES, LEAF_USAGES, type Made, make, SERVER_AND_CLIENT } from '../identity/certificates.ts';

let directory: string;
let etcd: EtcdCluster;

const path = (name: string): string => join(directory, name);
const query = (names: Record<string, string>): string =>
  Object.entries(names)
    .map(([name, file]) => `${name}=${encodeURIComponent(path(file))}`)
    .join('&');
const fitting = { cacert: 'ca.pem', cert: 'client.pem', key: 'client.key' };

async function write(name: string, made: Made): Promise<void> {
  const pem = (label: string, der: Uint8Array): string =>
    `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;
  fs.writeFileSync(path(`${name}.pem`), pem('CERTIFICATE', made.der));
  const key = new Uint8Array(await crypto.subtle.exportKey('pkcs8', made.keys.privateKey));
  fs.writeFileSync(path(`${name}.key`), pem('PRIVATE KEY', key), { mode: 0o600 });
}

beforeAll(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-etcd-tls-'));
  const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
  const leaf = { ...validity, usages: LEAF_USAGES, extendedUsages: SERVER_AND_CLIENT };
  const [ca, strangers] = await Promise.all(
    ['CN=authority', 'CN=strangers'].map((subject) =>
      make({ ...validity, subject, ca: true, usages: CA_USAGES }),
    ),
  );
  await write('ca', ca!);
  await write('strangers', strangers!);
  await write('server', await make({ ...leaf, issuer: ca!, names: [{ type: 'ip', value: '127.0.0.1' }] }));
  await write('client', await make({ ...leaf, issuer: ca! }));
  await write('stranger', await make({ ...leaf, issuer: strangers! }));
  const [cert, key] = [path('server.pem'), path('server.key')];
  etcd = await EtcdCluster.start({ tls: { ca: path('ca.pem'), cert, key } });
});
afterAll(async () => {
  await etcd.close();
  fs.rmSync(directory, { recursive: true });
});

async function get(url: string, callMs = 1000): Promise<ControlEntry | undefined> {
  const store = new EtcdControlStore({ ...parseEtcdUrl(url), clock: systemClock, callMs });
  try {
    return await store.get('a');
  } finally {
    await store.close();
  }
}

it('reads and writes with a certificate that etcd trusts', async () => {
  const store = new EtcdControlStore({
    ...parseEtcdUrl(`${etcd.url}?${query(fitting)}`),
    clock: systemClock,
  });
  await store.transact([], [{ kind: 'put', key: 'a', value: Buffer.from('secret') }]);
  const events = store.watch('', { signal: new AbortController().signal })[Symbol.asyncIterator]();
  expect((await events.next()).value).toMatchObject({ kind: 'snapshot', entries: [{ key: 'a' }] });
  expect(await store.keepAlive(await store.grantLease(2000))).toBe(true);
  await events.return!();
  await store.close();
});

it('takes up a renewed certificate without being opened again', async () => {
  const own = { ...fitting, cert: 'renewed.pem', key: 'renewed.key' };
  const become = (name: string): void => {
    for (const end of ['pem', 'key']) fs.copyFileSync(path(`${name}.${end}`), path(`renewed.${end}`));
  };
  become('stranger');
  const store = new EtcdControlStore({ ...parseEtcdUrl(`${etcd.url}?${query(own)}`), clock: systemClock });
  await expect(store.get('a')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  become('client');
  await store.get('a');
  await store.close();
});

describe('refuses, and says which side does not trust the other:', () => {
  it.each([
    ['no certificate of ours', { cacert: 'ca.pem' }, 'bad certificate|certificate required'],
    [
      'a certificate of strangers',
      { ...fitting, cert: 'stranger.pem', key: 'stranger.key' },
      'bad certificate|unknown',
    ],
    ['an etcd of strangers', { ...fitting, cacert: 'strangers.pem' }, 'unable to verify'],
    [
      "an etcd that the system's authorities do not know",
      { cert: 'client.pem', key: 'client.key' },
      'unable to verify',
    ],
  ])('%s', async (_what, names, reason) => {
    await expect(get(`${etcd.url}?${query(names as Record<string, string>)}`)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      retryable: false,
      message: expect.stringMatching(new RegExp(`"[^"]*(${reason})[^"]*"; look at cacert=`)),
    });
  });

  it('an etcd whose certificate names another host', async () => {
    const url = `${etcd.url.replace('127.0.0.1', 'localhost')}?${query(fitting)}`;
    await expect(get(url)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('localhost'),
    });
  });

  it('files that are missing or do not belong together', async () => {
    const missing = get(`${etcd.url}?${query({ cacert: 'nowhere.pem' })}`);
    await expect(missing).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringContaining('nowhere.pem (ENOENT)'),
    });
    const mixed = get(`${etcd.url}?${query({ ...fitting, key: 'stranger.key' })}`);
    await expect(mixed).rejects.toMatchObject({ code: 'ENVIRONMENT' });
    const swapped = get(`${etcd.url}?${query({ ...fitting, cert: 'client.key', key: 'client.pem' })}`);
    await expect(swapped).rejects.toMatchObject({ code: 'ENVIRONMENT' });
  });

  it('an etcd with TLS that is asked without', async () => {
    await expect(get(etcd.url.replace('etcds', 'etcd'))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('etcds://'),
    });
  });
});

describe('an etcd with users', () => {
  it('says that it wants to know who we are', async () => {
    const plain = await EtcdCluster.start();
    try {
      await plain.gateway('etcd1', 'auth/user/add', { name: 'root', password: 'r' });
      await plain.gateway('etcd1', 'auth/role/add', { name: 'root' });
      await plain.gateway('etcd1', 'auth/user/grant', { user: 'root', role: 'root' });
      await plain.gateway('etcd1', 'auth/enable');
      await expect(get(plain.url)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        message: expect.stringContaining('etcds://'),
      });
      const withTls = get(`${plain.url.replace('etcd', 'etcds')}?${query(fitting)}`);
      await expect(withTls).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('etcd://'),
      });
    } finally {
      await plain.close();
    }
  });
});
