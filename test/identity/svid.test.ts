import '../../src/identity/metadata-reflection.ts';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Extension, KeyUsageFlags } from '@peculiar/x509';
import { beforeAll, describe, expect, test } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import { derOfPem } from '../../src/identity/identity.ts';
import { dnsNameOf, parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { checkSvid, readAuthorityId, type TrustBundle } from '../../src/identity/svid.ts';
import { certificateBytesMax } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { CA_USAGES, LEAF_USAGES, type Made, make, type Recipe, SERVER_AND_CLIENT } from './certificates.ts';

const NOW = Date.parse('2026-11-20T12:00:00Z');
const DAY = 86_400_000;
const ID = parseSpiffeId('spiffe://kwam.test/node/n0001');
const DOMAIN = parseTrustDomain('kwam.test');
const WINDOW = { notBeforeMs: NOW - DAY, notAfterMs: NOW + DAY };
const AUTHORITY: Recipe = {
  ...WINDOW,
  ca: true,
  usages: CA_USAGES,
  names: [{ type: 'url', value: 'spiffe://kwam.test' }],
};
const LEAF: Recipe = {
  ...WINDOW,
  usages: LEAF_USAGES,
  extendedUsages: SERVER_AND_CLIENT,
  names: [
    { type: 'url', value: ID },
    { type: 'dns', value: dnsNameOf(ID) },
  ],
};

let authority: Made;
let bundle: TrustBundle;

beforeAll(async () => {
  authority = await make(AUTHORITY);
  bundle = new Map([[DOMAIN, [authority.der]]]);
});

function refusalOf(chain: Uint8Array[], trusted = bundle, nowMs = NOW): KwamError {
  try {
    checkSvid(chain, trusted, nowMs);
  } catch (error) {
    if (error instanceof KwamError) return error;
    throw error;
  }
  throw new Error('the SVID was accepted');
}

const leafOf = (recipe: Partial<Recipe>) => make({ ...LEAF, issuer: authority, ...recipe });

async function ruleOf(recipe: Partial<Recipe>): Promise<unknown> {
  const error = refusalOf([(await leafOf(recipe)).der]);
  expect(error.code).toBe('SVID_INVALID');
  expect(error.message).toMatch(/expected .+, got .+; .+/);
  return error.context['rule'];
}

const url = (value: string) => [{ type: 'url', value }] as const;

describe('a good SVID', () => {
  test('with our DNS name, without it, and with a foreign one', async () => {
    const names = [
      LEAF.names!,
      url(ID),
      [
        ...url(ID),
        { type: 'dns', value: 'n0001.rack7.example' } as const,
        { type: 'ip', value: '10.0.0.1' } as const,
      ],
    ];
    for (const each of names) expect(checkSvid([(await leafOf({ names: each })).der], bundle, NOW)).toBe(ID);
  });

  test('through intermediates, in any order, with the root or without', async () => {
    const middle = await make({ ...AUTHORITY, issuer: authority, pathLength: 1 });
    const low = await make({ ...AUTHORITY, issuer: middle, pathLength: 0, names: [] });
    const { der } = await leafOf({ issuer: low });
    for (const rest of [
      [low, middle],
      [middle, low],
      [low, middle, authority],
    ]) {
      expect(checkSvid([der, ...rest.map((made) => made.der)], bundle, NOW)).toBe(ID);
    }
    expect(refusalOf([der, middle.der]).context['rule']).toBe('chain');
  });

  test('with keys of Ed25519, whose signatures have no hash of their own', async () => {
    const root = await make({ ...AUTHORITY, ed25519: true });
    const { der } = await leafOf({ issuer: root, ed25519: true });
    expect(checkSvid([der], new Map([[DOMAIN, [root.der]]]), NOW)).toBe(ID);
  });

  test('on the first and the last second', async () => {
    const { der } = await leafOf({});
    expect(checkSvid([der], bundle, NOW - DAY)).toBe(ID);
    expect(checkSvid([der], bundle, NOW + DAY)).toBe(ID);
    expect(refusalOf([der], bundle, NOW - DAY - 1).message).toContain('begins at 2026-11-19T12:00:00.000Z');
    expect(refusalOf([der], bundle, NOW + DAY + 1).message).toContain('expired at 2026-11-21T12:00:00.000Z');
  });
});

describe('each rule of the leaf refuses by its own name', () => {
  const sanTwice = () => new Extension('2.5.29.17', false, new Uint8Array([0x30, 3, 0x86, 1, 0x61]));
  const unknownCritical = () => new Extension('1.2.3.4', true, new Uint8Array([5, 0]));
  const cases: [string, Partial<Recipe>][] = [
    ['uri-san-count', { names: [] }],
    ['uri-san-count', { names: [{ type: 'dns', value: dnsNameOf(ID) }] }],
    ['uri-san-count', { names: [...url(ID), ...url('spiffe://kwam.test/node/n0002')] }],
    ['uri-san-count', { names: [...url(ID), ...url('https://kwam.test/')] }],
    ['id-scheme', { names: url('https://kwam.test/node/n0001') }],
    ['id-path-character', { names: url('spiffe://kwam.test/node/*') }],
    ['leaf-path', { names: url('spiffe://kwam.test') }],
    ['leaf-ca', { ca: true }],
    ['key-usage', { usages: undefined }],
    ['key-usage', { usagesCritical: false }],
    ['digital-signature', { usages: KeyUsageFlags.keyAgreement }],
    ['key-cert-sign', { usages: LEAF_USAGES | KeyUsageFlags.keyCertSign }],
    ['crl-sign', { usages: LEAF_USAGES | KeyUsageFlags.cRLSign }],
    ['extended-key-usage', { extendedUsages: [SERVER_AND_CLIENT[0]!] }],
    ['extended-key-usage', { extendedUsages: [SERVER_AND_CLIENT[1]!] }],
    [
      'dns-name',
      { names: [...url(ID), { type: 'dns', value: dnsNameOf(parseSpiffeId('spiffe://kwam.test/other')) }] },
    ],
    ['dns-name', { names: [...url(ID), { type: 'dns', value: `x.SVID.kwam.INTERNAL` }] }],
    ['extension-twice', { more: [sanTwice()] }],
    ['critical-extension', { more: [unknownCritical()] }],
    ['validity', { notAfterMs: NOW - 1000 }],
    ['validity', { notBeforeMs: NOW + 1000 }],
    ['trust-domain', { names: url('spiffe://other.test/node/n0001') }],
    ['signature-algorithm', { hash: 'SHA-1' }],
  ];
  test.each(cases)('%s (case %#)', async (rule, recipe) => {
    expect(await ruleOf(recipe)).toBe(rule);
  });
});

describe('each rule of the chain refuses by its own name', () => {
  test('no certificate, too many, bytes around it, no certificate at all', async () => {
    const { der } = await leafOf({});
    expect(refusalOf([]).context['rule']).toBe('chain-length');
    expect(refusalOf(Array.from({ length: 6 }, () => der)).context['rule']).toBe('chain-length');
    expect(refusalOf([Buffer.concat([der, Buffer.of(0)])]).context['rule']).toBe('encoding');
    expect(refusalOf([Buffer.from('nonsense')]).context['rule']).toBe('encoding');
    expect(refusalOf([new Uint8Array(1 << 20)]).context['rule']).toBe('encoding');
  });

  test('a certificate with nothing wrong but its size', async () => {
    const filler = new Extension('1.2.3.4', false, new Uint8Array(certificateBytesMax));
    const { der } = await leafOf({ more: [filler] });
    expect(refusalOf([der])).toMatchObject({
      message: expect.stringContaining(`${der.length} bytes, more than`),
      context: { rule: 'encoding' },
    });
  });

  test('another authority, also one with the same name', async () => {
    const stranger = await make(AUTHORITY);
    const twin = await make({ ...AUTHORITY, subject: authority.subject });
    expect(await ruleOf({ issuer: stranger })).toBe('chain');
    expect(await ruleOf({ issuer: twin })).toBe('signature');
    // Presented along with the leaf it is no forgery, but an authority that nobody trusts.
    const { der } = await leafOf({ issuer: twin });
    expect(refusalOf([der, twin.der]).context['rule']).toBe('chain');
  });

  test('an issuer of another name, though it has the key of our authority', async () => {
    const renamed = { ...authority, subject: 'CN=somebody' };
    expect(await ruleOf({ issuer: renamed })).toBe('chain');
  });

  test('an authority names one trust domain', async () => {
    const rule = expect.objectContaining({ context: expect.objectContaining({ rule: 'authority-id' }) });
    for (const names of [[], [...url('spiffe://kwam.test'), ...url('spiffe://other.test')]]) {
      const { der } = await make({ ...AUTHORITY, names });
      expect(() => readAuthorityId(der)).toThrow(rule);
    }
  });

  test('an authority vouches for its own trust domain only', async () => {
    const other = await make({ ...AUTHORITY, names: url('spiffe://other.test') });
    const both: TrustBundle = new Map([...bundle, [parseTrustDomain('other.test'), [other.der]]]);
    const foreign = await leafOf({ issuer: other });
    expect(refusalOf([foreign.der], both).context['rule']).toBe('chain');
    const own = await leafOf({ issuer: other, names: url('spiffe://other.test/a') });
    expect(checkSvid([own.der], both, NOW)).toBe('spiffe://other.test/a');
  });

  const authorities: [string, Partial<Recipe>][] = [
    ['authority-ca', { ca: false }],
    ['authority-key-usage', { usages: undefined }],
    ['authority-id', { names: url('spiffe://kwam.test/node/x') }],
    ['authority-id', { names: url('spiffe://other.test') }],
    ['authority-validity', { notAfterMs: NOW - 1000 }],
    ['critical-extension', { more: [new Extension('1.2.3.4', true, new Uint8Array([5, 0]))] }],
  ];
  test.each(authorities)('%s of a root and of an intermediate (case %#)', async (rule, recipe) => {
    const root = await make({ ...AUTHORITY, ...recipe });
    const { der } = await leafOf({ issuer: root });
    expect(refusalOf([der], new Map([[DOMAIN, [root.der]]])).context['rule']).toBe(rule);
    const middle = await make({ ...AUTHORITY, ...recipe, issuer: authority });
    const below = await leafOf({ issuer: middle });
    expect(refusalOf([below.der, middle.der]).context['rule']).toBe(rule);
  });

  test('a leaf cannot issue, and path length counts', async () => {
    const leaf = await leafOf({});
    const forged = await leafOf({ issuer: leaf, names: url('spiffe://kwam.test/admin') });
    expect(refusalOf([forged.der, leaf.der]).context['rule']).toMatch(/^(chain|authority-ca)$/);
    const root = await make({ ...AUTHORITY, pathLength: 0 });
    const middle = await make({ ...AUTHORITY, issuer: root });
    const { der } = await leafOf({ issuer: middle });
    const refusal = refusalOf([der, middle.der], new Map([[DOMAIN, [root.der]]]));
    expect(refusal.context['rule']).toBe('path-length');
  });

  test('no flipped bit of a leaf is accepted as another identity', async () => {
    const { der } = await leafOf({});
    const random = seededRandom(3);
    const rounds = process.env['KWAM_CAMPAIGN'] === '1' ? der.length * 8 : 300;
    for (let i = 0; i < rounds; i++) {
      const bit = rounds === 300 ? random.below(der.length * 8) : i;
      const bad = der.slice();
      bad[bit >>> 3]! ^= 1 << (bit & 7);
      expect(refusalOf([bad]).code, `bit ${bit}`).toBe('SVID_INVALID');
    }
  });
});

/** OpenSSL as a second issuer: certificates whose encoder shares no code with ours. */
describe('SVIDs made by the openssl command', () => {
  function openssl(leafSan: string, usage: string): { ca: Uint8Array; leaf: Uint8Array } {
    const directory = mkdtempSync(join(tmpdir(), 'kwam-svid-'));
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
    const request = (name: string) =>
      run(
        'req',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${name}`,
      );
    const sign = (name: string, extensions: string, ...by: string[]) => {
      writeFileSync(join(directory, `${name}.ext`), extensions);
      run(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-out',
        `${name}.pem`,
        '-days',
        '2',
        '-sha256',
        '-extfile',
        `${name}.ext`,
        ...by,
      );
      return derOfPem(readFileSync(join(directory, `${name}.pem`), 'utf8'), name)[0]!;
    };
    try {
      request('ca');
      request('leaf');
      const root =
        'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\nsubjectAltName=URI:spiffe://kwam.test\n';
      const ca = sign('ca', root, '-signkey', 'ca.key');
      const leaf = sign(
        'leaf',
        `basicConstraints=CA:false\n${usage}subjectAltName=${leafSan}\n`,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-CAcreateserial',
      );
      return { ca, leaf };
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
  const usage = 'keyUsage=critical,digitalSignature\n';

  test('are accepted when good and refused by the same rules when not', () => {
    const good = openssl(`URI:${ID}`, usage);
    expect(checkSvid([good.leaf], new Map([[DOMAIN, [good.ca]]]), Date.now())).toBe(ID);
    const two = openssl(`URI:${ID},URI:spiffe://kwam.test/b`, usage);
    expect(refusalOf([two.leaf], new Map([[DOMAIN, [two.ca]]]), Date.now()).context['rule']).toBe(
      'uri-san-count',
    );
    // The text form of such a SAN is what CVE-2021-44532 was about: it reads like two names and is one.
    const injected = openssl(`URI:spiffe://kwam.test/a\\, URI:${ID}`, usage);
    const rule = refusalOf([injected.leaf], new Map([[DOMAIN, [injected.ca]]]), Date.now()).context['rule'];
    expect(rule).toMatch(/^(id-path-character|uri-san-count)$/);
    const bare = openssl(`URI:${ID}`, '');
    expect(refusalOf([bare.leaf], new Map([[DOMAIN, [bare.ca]]]), Date.now()).context['rule']).toBe(
      'key-usage',
    );
  });
});
