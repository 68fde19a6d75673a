/** What makes an identity: a key that fits, of the one kind that everything else is made for, and every authority of its bundle. */
import { generateKeyPairSync, KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { pemOfDer } from '../../src/identity/der.ts';
import { bundleOfPem, type Identity, identityFromPems } from '../../src/identity/identity.ts';
import { HeldIdentity } from '../../src/identity/identity-source.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { CA_USAGES, LEAF_USAGES, make } from './certificates.ts';

const DOMAIN = parseTrustDomain('kwam.test');
const ID = parseSpiffeId('spiffe://kwam.test/node/n1');
const NOW = Date.now();
const rule = (name: string) =>
  expect.objectContaining({ code: 'SVID_INVALID', context: expect.objectContaining({ rule: name }) });

let authority: KeyedPem;
let other: KeyedPem;
beforeAll(async () => {
  authority = await createAuthority(DOMAIN, { nowMs: NOW });
  other = await createAuthority(DOMAIN, { nowMs: NOW });
});

async function identityBy(by: KeyedPem, bundlePem = by.certificatePem): Promise<Identity> {
  const { certificatePem, privateKeyPem } = await issueSvid(by, ID, { nowMs: NOW });
  return identityFromPems({ certificateChainPem: certificatePem, privateKeyPem, bundlePem }, NOW);
}

describe('a key', () => {
  it('of another kind is refused, though it is that of the certificate', async () => {
    const window = { notBeforeMs: NOW - 1000, notAfterMs: NOW + 60_000, ed25519: true };
    const name = (value: string) => [{ type: 'url', value }] as const;
    const root = await make({ ...window, ca: true, usages: CA_USAGES, names: name('spiffe://kwam.test') });
    const leaf = await make({ ...window, issuer: root, usages: LEAF_USAGES, names: name(ID) });
    const key = KeyObject.from(leaf.keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
    const pems = {
      certificateChainPem: pemOfDer(leaf.der, 'CERTIFICATE'),
      privateKeyPem: String(key),
      bundlePem: pemOfDer(root.der, 'CERTIFICATE'),
    };
    expect(() => identityFromPems(pems, NOW)).toThrow(rule('key-type'));
  });

  it('of another kind than the certificate has is refused', async () => {
    const { certificatePem } = await issueSvid(authority, ID, { nowMs: NOW });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const privateKeyPem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const pems = { certificateChainPem: certificatePem, privateKeyPem, bundlePem: authority.certificatePem };
    expect(() => identityFromPems(pems, NOW)).toThrow(rule('key-type'));
  });

  it('of an authority that does not parse signs nothing', async () => {
    const broken = { ...authority, privateKeyPem: 'nonsense' };
    await expect(issueSvid(broken, ID, { nowMs: NOW })).rejects.toThrow(rule('key-encoding'));
  });
});

it('a bundle has every authority of a trust domain', async () => {
  const both = authority.certificatePem + other.certificatePem;
  expect(bundleOfPem(both).get(DOMAIN)).toHaveLength(2);
  for (const by of [authority, other]) expect((await identityBy(by, both)).spiffeId).toBe(ID);
});

describe('an identity that is held', () => {
  it('is replaced by what is new in either part, and says so once', async () => {
    const first = await identityBy(authority);
    const held = new HeldIdentity('a test', first);
    let told = 0;
    held.onChange(() => told++);
    const wider = identityFromPems(
      { ...first, privateKeyPem: first.privateKeyPem, bundlePem: first.bundlePem + other.certificatePem },
      NOW,
    );
    const renewed = await identityBy(authority, wider.bundlePem);
    const same = { ...renewed, privateKeyPem: renewed.privateKeyPem };
    expect([held.replace(wider), held.replace(renewed), held.replace(same)]).toEqual([true, true, false]);
    expect([told, held.current]).toEqual([2, renewed]);
  });

  it('is never that of somebody else', async () => {
    const first = await identityBy(authority);
    const held = new HeldIdentity('a test', first);
    const somebody = { ...first, spiffeId: parseSpiffeId('spiffe://kwam.test/node/n2') };
    expect(() => held.replace(somebody)).toThrow(rule('renewed-id'));
    expect(held.current).toBe(first);
  });

  it('tells nobody after it was closed, nor who has gone', async () => {
    const held = new HeldIdentity('a test', await identityBy(authority));
    const told: string[] = [];
    const leave = held.onChange(() => told.push('gone'));
    held.onChange(() => told.push('here'));
    leave();
    held.replace(await identityBy(authority));
    await held.close();
    held.replace(await identityBy(authority));
    expect(told).toEqual(['here']);
  });
});
