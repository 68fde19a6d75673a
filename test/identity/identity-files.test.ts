import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import { authorityValidMsDefault, svidValidMsDefault } from '../../src/identity/authority.ts';
import type { Identity } from '../../src/identity/identity.ts';
import {
  initAuthority,
  issueIdentity,
  listIdentities,
  loadIdentity,
  loadTrustDomain,
} from '../../src/identity/identity-files.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';

const NOW = Date.now();
const DOMAIN = parseTrustDomain('kwam.test');
const ID = parseSpiffeId('spiffe://kwam.test/node/n0001');

let directory: string;
let warnings: string[];
const warn = (message: string) => void warnings.push(message);
const at = (file: string) => join(directory, file);
const issue = (name: string, nowMs = NOW, validMs = svidValidMsDefault): Promise<Identity> =>
  issueIdentity(directory, name, ID, { nowMs, validMs }, warn);

beforeEach(async () => {
  warnings = [];
  directory = join(fs.mkdtempSync(join(tmpdir(), 'kwam-identity-')), 'identity');
  await initAuthority(directory, DOMAIN, { nowMs: NOW });
});

afterEach(() => fs.rmSync(join(directory, '..'), { recursive: true }));

async function errorOf(act: () => unknown): Promise<KwamError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof KwamError) return error;
    throw error;
  }
  throw new Error('it succeeded');
}

describe('identities on disk', () => {
  test('what is issued can be loaded, and keys are for their owner only', async () => {
    const issued = await issue('n0001');
    const loaded = loadIdentity(directory, 'n0001', NOW, warn);
    expect(loaded.spiffeId).toBe(ID);
    expect(loaded.certificateChainPem).toBe(issued.certificateChainPem);
    expect(loaded.expiresAtMs).toBe(Math.floor((NOW + svidValidMsDefault) / 1000) * 1000);
    expect(loadTrustDomain(directory)).toBe(DOMAIN);
    expect(listIdentities(directory)).toEqual(['n0001']);
    expect(fs.readdirSync(directory).sort()).toEqual(['ca.key', 'ca.pem', 'n0001.key', 'n0001.pem']);
    for (const key of ['ca.key', 'n0001.key']) expect(fs.statSync(at(key)).mode & 0o777).toBe(0o600);
    expect(warnings).toEqual([]);
  });

  test('OpenSSL verifies the chain', async () => {
    await issue('n0001');
    const output = execFileSync('openssl', [
      'verify',
      '-x509_strict',
      '-CAfile',
      at('ca.pem'),
      at('n0001.pem'),
    ]);
    expect(output.toString()).toContain('n0001.pem: OK');
  });

  test('signatures verify in WebCrypto under the public key', async () => {
    const identity = await issue('n0001');
    const bytes = new TextEncoder().encode('what is signed');
    const signature = await identity.sign([bytes.subarray(0, 1), bytes.subarray(1)]);
    expect(signature.length).toBe(64);
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const spki = identity.publicKeySpki as Uint8Array<ArrayBuffer>;
    const key = await crypto.subtle.importKey('spki', spki, algorithm, false, ['verify']);
    expect(await crypto.subtle.verify(algorithm, key, signature as Uint8Array<ArrayBuffer>, bytes)).toBe(
      true,
    );
    bytes[0]! ^= 1;
    expect(await crypto.subtle.verify(algorithm, key, signature as Uint8Array<ArrayBuffer>, bytes)).toBe(
      false,
    );
  });

  test('the private key is not printed', async () => {
    const identity = await issue('n0001');
    expect(identity.privateKeyPem).toContain('PRIVATE KEY');
    expect(inspect(identity) + JSON.stringify(identity)).not.toContain('PRIVATE KEY');
  });

  test('issuing again replaces key and certificate together', async () => {
    const first = await issue('n0001');
    const second = await issue('n0001');
    expect(second.certificateChainPem).not.toBe(first.certificateChainPem);
    expect(loadIdentity(directory, 'n0001', NOW, warn).certificateChainPem).toBe(second.certificateChainPem);
  });

  test('a second authority would orphan the SVIDs of the first', async () => {
    const before = fs.readFileSync(at('ca.pem'), 'utf8');
    expect((await errorOf(() => initAuthority(directory, DOMAIN, { nowMs: NOW }))).code).toBe(
      'ALREADY_EXISTS',
    );
    expect(fs.readFileSync(at('ca.pem'), 'utf8')).toBe(before);
  });

  test('an SVID never outlives its authority', async () => {
    const identity = await issue('n0001', NOW, 10 * authorityValidMsDefault);
    expect(identity.expiresAtMs).toBe(Math.floor((NOW + authorityValidMsDefault) / 1000) * 1000);
    const late = await errorOf(() => issue('n0002', NOW + authorityValidMsDefault + 1000));
    expect(late.message).toContain('expired at');
    expect(late.message).toContain('identity init');
  });
});

describe('what is wrong is said', () => {
  test.each(['n0001.pem', 'n0001.key', 'ca.pem'])('%s is missing', async (file) => {
    await issue('n0001');
    fs.rmSync(at(file));
    const error = await errorOf(() => loadIdentity(directory, 'n0001', NOW, warn));
    expect(error.code).toBe('ENVIRONMENT');
    expect(error.message).toContain(`expected a readable ${at(file)}, got no such file;`);
  });

  test('a directory where a file should be; none where the identities should be', async () => {
    fs.mkdirSync(at('n0001.pem'));
    const error = await errorOf(() => loadIdentity(directory, 'n0001', NOW, warn));
    expect(error.message).toContain(`expected a readable ${at('n0001.pem')}, got EISDIR;`);
    expect(listIdentities(join(directory, 'nothing'))).toEqual([]);
  });

  test('a key that others can read is a warning', async () => {
    await issue('n0001');
    fs.chmodSync(at('n0001.key'), 0o644);
    loadIdentity(directory, 'n0001', NOW, warn);
    expect(warnings).toEqual([expect.stringContaining(`expected mode 600 for ${at('n0001.key')}, got 644`)]);
  });

  test('expired: when, and how to renew', async () => {
    await issue('n0001', NOW, 60_000);
    const error = await errorOf(() => loadIdentity(directory, 'n0001', NOW + 61_000, warn));
    expect(error.context['rule']).toBe('validity');
    expect(error.message).toMatch(/expired at 20\d\d-.*Z; issue a new SVID with `kwam-dp identity issue`/);
  });

  test('key and certificate of two pairs', async () => {
    await issue('n0001');
    await issue('n0002');
    fs.copyFileSync(at('n0002.key'), at('n0001.key'));
    const error = await errorOf(() => loadIdentity(directory, 'n0001', NOW, warn));
    expect(error.context['rule']).toBe('key-match');
  });

  test('a key or certificate that is no PEM, and an empty file', async () => {
    await issue('n0001');
    const rules: Record<string, string> = {
      'n0001.key': 'key-encoding',
      'n0001.pem': 'pem',
      'ca.pem': 'pem',
    };
    for (const [file, rule] of Object.entries(rules)) {
      const good = fs.readFileSync(at(file));
      for (const bad of ['', 'nonsense']) {
        fs.writeFileSync(at(file), bad);
        expect((await errorOf(() => loadIdentity(directory, 'n0001', NOW, warn))).context['rule']).toBe(rule);
      }
      fs.writeFileSync(at(file), good);
    }
  });

  test('an authority that is damaged, or whose key is another one: the SVID that is there stays', async () => {
    const { certificateChainPem } = await issue('n0001');
    const pem = fs.readFileSync(at('ca.pem'));
    const damage: [string, string, string][] = [
      ['ca.pem', 'nonsense', 'pem'],
      ['ca.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'encoding'],
      ['ca.pem', certificateChainPem, 'authority-id'],
      ['ca.key', 'nonsense', 'key-encoding'],
      ['ca.key', fs.readFileSync(at('n0001.key'), 'utf8'), 'signature'],
    ];
    for (const [file, text, rule] of damage) {
      fs.writeFileSync(at(file), text);
      expect((await errorOf(() => issue('n0001'))).context['rule'], `${rule} of ${file}`).toBe(rule);
      fs.writeFileSync(at('ca.pem'), pem);
      expect(loadIdentity(directory, 'n0001', NOW, warn).certificateChainPem).toBe(certificateChainPem);
    }
  });

  test('an SVID of another authority', async () => {
    await issue('n0001');
    const other = join(directory, 'other');
    await initAuthority(other, DOMAIN, { nowMs: NOW });
    fs.copyFileSync(join(other, 'ca.pem'), at('ca.pem'));
    expect((await errorOf(() => loadIdentity(directory, 'n0001', NOW, warn))).context['rule']).toBe('chain');
  });

  test('an ID of another trust domain, and one without a path', async () => {
    for (const id of ['spiffe://other.test/a', 'spiffe://kwam.test']) {
      const error = await errorOf(() =>
        issueIdentity(directory, 'x', parseSpiffeId(id), { nowMs: NOW }, warn),
      );
      expect(error.code).toBe('USAGE');
      expect(error.message).toContain(id);
    }
  });

  test.each(['', 'ca', '../x', 'a/b', 'A', '.x', 'x'.repeat(101)])('%j is no name', async (name) => {
    expect((await errorOf(() => issue(name))).code).toBe('USAGE');
    expect((await errorOf(() => loadIdentity(directory, name, NOW, warn))).code).toBe('USAGE');
  });
});
