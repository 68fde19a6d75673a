/** Where secrets come from, why they do not, and that they show nowhere. */
import '../../src/identity/metadata-reflection.ts';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { KeyUsageFlags } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { KwamError } from '../../src/errors.ts';
import { secretBytesMax } from '../../src/limits.ts';
import { redacted } from '../../src/secrets/redaction.ts';
import { resolveSecret } from '../../src/secrets/resolve.ts';
import { revealSecret, Secret } from '../../src/secrets/secret.ts';
import { type Made, make } from '../identity/certificates.ts';
import { TestVault } from './vault.ts';

const TOKEN = 'hvs.a-token-of-a-test';
const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-secrets-'));
let vault: TestVault;
let encrypted: TestVault;
let authority: Made;

/** Pauses cost nothing, and are counted. */
const pauses: number[] = [];
const clock: Clock = { ...systemClock, sleep: async (ms) => void pauses.push(ms) };

const pemOf = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;

async function keyOf({ keys }: Made): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
}

const secrets = {
  'kwam/mtls-ca': [{ data: { value: 'first' } }, { data: { value: 'second' } }],
  'kwam/pair/n1': [{ data: { certificate: 'the chain', key: 'the key', serial: 7 } }],
  'kwam/gone': [{ data: { value: 'x' }, deletedAt: '2026-05-01T00:00:00Z' }],
  'kwam/destroyed': [{ data: { value: 'x' }, destroyed: true }],
  'kwam/empty': [{ data: { value: '' } }],
  'kwam/none': [{ data: {} }],
  'flaky/2/soon': [{ data: { value: 'at last' } }],
  'flaky/9/never': [{ data: { value: 'too late' } }],
};

beforeAll(async () => {
  const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
  const usages = KeyUsageFlags.keyCertSign;
  authority = await make({ ...validity, ca: true, usages, subject: 'CN=a test authority' });
  const names = [{ type: 'ip' as const, value: '127.0.0.1' }];
  const server = await make({
    ...validity,
    issuer: authority,
    names,
    usages: KeyUsageFlags.digitalSignature,
  });
  vault = await TestVault.start({ token: TOKEN, secrets });
  const tls = { key: await keyOf(server), cert: pemOf(server.der) };
  encrypted = await TestVault.start({ token: TOKEN, secrets, tls, namespace: 'team-a' });
});
afterAll(async () => {
  await vault.stop();
  await encrypted.stop();
  fs.rmSync(directory, { recursive: true });
});

async function resolved(uri: string, environment: Record<string, string> = {}): Promise<string> {
  const settings = { VAULT_ADDR: vault.address, VAULT_TOKEN: TOKEN, ...environment };
  return revealSecret(await resolveSecret(uri, { environment: settings, clock }));
}

async function refusedBecause(uri: string, environment: Record<string, string> = {}): Promise<unknown> {
  const error = await resolved(uri, environment).then(
    (text) => expect.fail(`resolved to ${text}`),
    (thrown: KwamError) => thrown,
  );
  expect(error.message).toMatch(/expected .+, got .+; .+/);
  return error.context['rule'] ?? error.code;
}

describe('a secret of the environment', () => {
  it('is a variable, or a field of one', async () => {
    const environment = { KWAM_CA: ' as it is \n', PAIR: '{"key":"k","n":1}' };
    expect(await resolved('secret://env/KWAM_CA', environment)).toBe(' as it is \n');
    expect(await resolved('secret://env/PAIR#key', environment)).toBe('k');
  });

  it.each([
    ['secret://env/MISSING', 'secret-missing'],
    ['secret://env/EMPTY', 'secret-missing'],
    ['secret://env/a/b', 'secret-form'],
    ['secret://env/PAIR#other', 'secret-field'],
    ['secret://env/PAIR#n', 'secret-field'],
    ['secret://env/LIST#key', 'secret-field'],
    ['secret://env/TWICE#key', 'secret-field'],
    ['secret://env/EMPTY?version=1', 'secret-form'],
  ])('%s is refused as %s', async (uri, rule) => {
    const environment = {
      EMPTY: '',
      PAIR: '{"key":"k","n":1}',
      LIST: '["key"]',
      TWICE: '{"key":"a","key":"b"}',
    };
    expect(await refusedBecause(uri, environment)).toBe(rule);
  });
});

describe('a secret in a file', () => {
  const write = (name: string, content: string | Buffer, mode = 0o600): string => {
    fs.writeFileSync(join(directory, name), content, { mode });
    return `secret://file${join(directory, name)}`;
  };

  it('is its text without the last line feed, also through a link', async () => {
    const uri = write('password', 'hunter two\n');
    fs.symlinkSync(join(directory, 'password'), join(directory, 'link'));
    expect([await resolved(uri), await resolved(`secret://file${directory}/link`)]).toEqual([
      'hunter two',
      'hunter two',
    ]);
    expect(await resolved(`${write('pair.json', '{"a":"b"}')}#a`)).toBe('b');
  });

  it('that others may read is warned of', async () => {
    const warnings: string[] = [];
    const warn = (line: string): void => void warnings.push(line);
    await resolveSecret(write('open', 'x', 0o644), { environment: {}, warn });
    await resolveSecret(write('closed', 'x', 0o640), { environment: {}, warn });
    expect(warnings).toEqual([expect.stringContaining('got mode 644; chmod 600 it')]);
  });

  it('is refused when there is none, or something else', async () => {
    expect(await refusedBecause(`secret://file${directory}/nothing`)).toBe('secret-missing');
    expect(await refusedBecause(`secret://file${directory}`)).toBe('secret-missing');
    expect(await refusedBecause(`secret://file${directory}/../x`)).toBe('secret-form');
    expect(await refusedBecause(write('large', Buffer.alloc(secretBytesMax + 1, 0x61)))).toBe('secret-size');
    expect(await refusedBecause(write('binary', Buffer.from([0xff, 0xfe])))).toBe('secret-answer');
  });
});

describe('a secret of Vault', () => {
  it('is the latest version, or the one asked for', async () => {
    expect(await resolved('secret://vault/kwam/mtls-ca')).toBe('second');
    expect(await resolved('secret://vault/kwam/mtls-ca?version=1')).toBe('first');
    expect(await resolved('secret://vault/kwam/mtls-ca#value')).toBe('second');
    expect(await resolved('secret://vault/kwam/pair/n1#key')).toBe('the key');
  });

  it('is asked for at each use', async () => {
    const before = await vault.requests();
    await resolved('secret://vault/kwam/mtls-ca');
    await resolved('secret://vault/kwam/mtls-ca');
    expect((await vault.requests()) - before).toBe(2);
  });

  it('comes by TLS from an authority that is named, and within a namespace', async () => {
    const VAULT_CACERT = join(directory, 'vault-ca.pem');
    fs.writeFileSync(VAULT_CACERT, pemOf(authority.der));
    const environment = { VAULT_ADDR: encrypted.address, VAULT_CACERT, VAULT_NAMESPACE: 'team-a' };
    expect(await resolved('secret://vault/kwam/mtls-ca', environment)).toBe('second');
    expect(await refusedBecause('secret://vault/kwam/mtls-ca', { VAULT_ADDR: encrypted.address })).toBe(
      'server-certificate',
    );
    expect(await refusedBecause('secret://vault/kwam/mtls-ca', { ...environment, VAULT_NAMESPACE: '' })).toBe(
      'secret-denied',
    );
  });

  it('comes from OpenBao with its own settings, or those of Vault', async () => {
    const environment = { VAULT_ADDR: '', VAULT_TOKEN: '', BAO_ADDR: vault.address, BAO_TOKEN: TOKEN };
    expect(await resolved('secret://openbao/kwam/mtls-ca', environment)).toBe('second');
    expect(await resolved('secret://openbao/kwam/mtls-ca')).toBe('second');
    expect(await refusedBecause('secret://vault/kwam/mtls-ca', environment)).toBe('secret-address');
  });

  it('takes the token of a file', async () => {
    const VAULT_TOKEN_FILE = join(directory, 'token');
    fs.writeFileSync(VAULT_TOKEN_FILE, `${TOKEN}\n`, { mode: 0o600 });
    expect(await resolved('secret://vault/kwam/mtls-ca', { VAULT_TOKEN: '', VAULT_TOKEN_FILE })).toBe(
      'second',
    );
  });

  it.each([
    ['secret://vault/kwam/nothing', 'secret-missing'],
    ['secret://vault/kwam/mtls-ca?version=3', 'secret-missing'],
    ['secret://vault/kwam/gone', 'secret-deleted'],
    ['secret://vault/kwam/destroyed', 'secret-destroyed'],
    ['secret://vault/kwam/empty', 'secret-missing'],
    ['secret://vault/kwam/none', 'secret-field'],
    ['secret://vault/kwam/pair/n1', 'secret-field'],
    ['secret://vault/kwam/pair/n1#serial', 'secret-field'],
    ['secret://vault/kwam/pair/n1#toString', 'secret-field'],
    ['secret://vault/kwam/denied/x', 'secret-denied'],
    ['secret://vault/sealed/x', 'secret-sealed'],
    ['secret://vault/redirect/x', 'secret-address'],
    ['secret://vault/v1/x', 'secret-answer'],
    ['secret://vault/text/x', 'secret-answer'],
    ['secret://vault/flaky/9/never', 'secret-answer'],
    ['secret://vault/endless/x', 'LIMIT_EXCEEDED'],
    ['secret://vault/kwam', 'secret-form'],
    ['secret://vault/kwam/x?version=0', 'secret-form'],
    ['secret://vault/kwam//x', 'secret-form'],
    ['secret://vault/kwam/../sys/x', 'secret-form'],
    ['secret://aws/kwam/x', 'secret-provider'],
    ['secret://vault', 'secret-form'],
    ['https://vault/kwam/x', 'secret-form'],
  ])('%s is refused as %s', async (uri, rule) => {
    expect(await refusedBecause(uri)).toBe(rule);
  });

  it('is refused with settings that cannot work', async () => {
    const uri = 'secret://vault/kwam/mtls-ca';
    expect(await refusedBecause(uri, { VAULT_ADDR: 'not a URL' })).toBe('secret-address');
    expect(await refusedBecause(uri, { VAULT_ADDR: 'http://192.0.2.1:8200' })).toBe('url');
    expect(await refusedBecause(uri, { VAULT_TOKEN: 'two words' })).toBe('secret-token');
    expect(await refusedBecause(uri, { VAULT_TOKEN: 'hvs.another-token' })).toBe('secret-denied');
    expect(await refusedBecause(uri, { VAULT_TOKEN: '', VAULT_TOKEN_FILE: '/nothing/here' })).toBe(
      'secret-token',
    );
    expect(await refusedBecause(uri, { VAULT_CACERT: '/nothing/here' })).toBe('secret-address');
    expect(await refusedBecause(uri, { VAULT_ADDR: 'http://127.0.0.1:1' })).toBe('UNAVAILABLE');
  });

  it('is asked for again while the server fails, with growing pauses, and not without end', async () => {
    pauses.length = 0;
    expect(await resolved('secret://vault/flaky/2/soon')).toBe('at last');
    expect(pauses).toEqual([200, 400]);
    await expect(resolved('secret://vault/sealed/x')).rejects.toMatchObject({ retryable: true });
    expect(pauses).toEqual([200, 400, 200, 400]);
    await expect(resolved('secret://vault/kwam/denied/x')).rejects.toMatchObject({ retryable: false });
    expect(pauses).toHaveLength(4);
  });
});

describe('a resolved secret', () => {
  const text =
    '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nsecond"line of the key\n-----END PRIVATE KEY-----\n';
  const secret = new Secret(text);

  it('prints nothing of itself', () => {
    const holder = { nested: { secret }, list: [secret] };
    const printed = [
      String(secret),
      `${secret}`,
      JSON.stringify(holder),
      inspect(holder, { depth: 9, showHidden: true, getters: true }),
      inspect(secret, { customInspect: false, showHidden: true }),
      Object.keys(secret).join(),
      JSON.stringify(structuredClone({ ...secret })),
    ].join('\n');
    expect(printed).not.toMatch(/MIGH|second|line/);
    expect(printed.split('[secret]').length).toBeGreaterThan(5);
    expect(revealSecret(secret)).toBe(text);
  });

  it('is found in texts that hold it, a line of it, or an encoding', () => {
    const forms = [
      text,
      'MIGHAgEAMBMGByqGSM49',
      JSON.stringify({ text }),
      Buffer.from(text).toString('base64'),
      encodeURIComponent('second"line of the key'),
      JSON.stringify('second"line of the key'),
    ];
    for (const form of forms) {
      const clean = redacted(`before ${form} after`);
      expect(clean).toMatch(/^before .*\[secret\].* after$/s);
      expect(clean).not.toMatch(/MIGH|second|TUlHSE/);
    }
  });

  it('leaves other texts as they are', () => {
    new Secret('short');
    for (const other of ['-----BEGIN PRIVATE KEY-----', 'a short text', '', '{"level":30}\n'])
      expect(redacted(other)).toBe(other);
  });
});
