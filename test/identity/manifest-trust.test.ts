/** Who vouches for a manifest: the authorities that are trusted now and those that have retired; and that these do nothing else. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { derOfPem, type Identity, identityFromPems } from '../../src/identity/identity.ts';
import { listIdentities, loadRetired } from '../../src/identity/identity-files.ts';
import { signerOf, trustOf } from '../../src/identity/manifest-trust.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import type { TrustBundle } from '../../src/identity/svid.ts';
import { verifySignedManifest } from '../../src/manifest/signed-manifest.ts';
import { sampleWith, signWhole } from '../manifest/samples.ts';

const DOMAIN = parseTrustDomain('kwam.test');
const PRODUCER = parseSpiffeId('spiffe://kwam.test/node/n1');
const NOW = Date.now();
const YEAR = 365 * 86_400_000;
/** A day's SVID of three years ago, by an authority that is gone. */
const THEN = NOW - 3 * YEAR;
const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-retired-'));

let old: KeyedPem;
let signer: Identity;
let current: Identity;
let envelope: Uint8Array;

async function identityOf(authority: KeyedPem, nowMs: number): Promise<Identity> {
  const { certificatePem, privateKeyPem } = await issueSvid(authority, PRODUCER, { nowMs });
  return identityFromPems(
    { certificateChainPem: certificatePem, privateKeyPem, bundlePem: authority.certificatePem },
    nowMs,
  );
}

async function signedAt(identity: Identity, createdMs: number): Promise<Uint8Array> {
  const manifest = sampleWith({ producer: PRODUCER, createdAt: new Date(createdMs).toISOString() });
  return (await signWhole(manifest, [signerOf(identity)])).envelope;
}

const archive = (...pems: string[]): void => fs.writeFileSync(join(directory, 'retired.pem'), pems.join(''));
const read = (bytes = envelope) =>
  verifySignedManifest(bytes, { trust: trustOf({ current }, () => loadRetired(directory)) });
const refused = expect.objectContaining({ code: 'MANIFEST_SIGNATURE' });

beforeAll(async () => {
  old = await createAuthority(DOMAIN, { nowMs: THEN });
  signer = await identityOf(old, THEN);
  current = await identityOf(await createAuthority(DOMAIN, { nowMs: NOW }), NOW);
  envelope = await signedAt(signer, THEN + 1000);
});
afterAll(() => fs.rmSync(directory, { recursive: true }));

describe('a manifest of an authority that has left the bundle', () => {
  it('is refused without an archive, and by an archive of others', async () => {
    fs.rmSync(join(directory, 'retired.pem'), { force: true });
    await expect(read()).rejects.toThrow(refused);
    archive((await createAuthority(DOMAIN, { nowMs: THEN })).certificatePem);
    await expect(read()).rejects.toThrow(refused);
    archive((await createAuthority(parseTrustDomain('other.test'), { nowMs: THEN })).certificatePem);
    await expect(read()).rejects.toThrow(refused);
  });

  it('is read when the archive has it, though it and its SVID have expired', async () => {
    archive((await createAuthority(DOMAIN, { nowMs: THEN })).certificatePem, old.certificatePem);
    expect((await read()).acceptedKeys).toMatchObject([{ identity: PRODUCER }]);
  });

  it('is refused when it was made outside the time of its SVID', async () => {
    archive(old.certificatePem);
    await expect(read(await signedAt(signer, THEN + 2 * 86_400_000))).rejects.toThrow(refused);
    await expect(read(await signedAt(signer, THEN - 86_400_000))).rejects.toThrow(refused);
  });

  it('makes a damaged archive known', async () => {
    fs.writeFileSync(join(directory, 'retired.pem'), 'to be filled in');
    await expect(read()).rejects.toThrow(/expected a PEM certificate in the bundle, got none/);
  });
});

describe('a retired authority', () => {
  it('vouches for no peer, also while its SVIDs last', async () => {
    archive(old.certificatePem);
    expect(loadRetired(directory).get(DOMAIN)).toHaveLength(1);
    const chain = derOfPem(signer.certificateChainPem, 'a test');
    expect(() => current.checkPeer(chain, THEN + 1000)).toThrow(
      expect.objectContaining({ context: expect.objectContaining({ rule: 'chain' }) }),
    );
    expect(current.bundlePem).not.toContain(old.certificatePem.split('\n')[3]);
  });

  it('is no identity of the directory', () => {
    archive(old.certificatePem);
    expect(listIdentities(directory)).toEqual([]);
  });
});

it('a manifest of a trusted authority does not look into the archive', async () => {
  const trust = trustOf({ current }, () => expect.fail('the archive was opened'));
  const own = await signedAt(current, NOW);
  expect((await verifySignedManifest(own, { trust })).acceptedKeys).toHaveLength(1);
});

describe('a signature', () => {
  const trust = trustOf(
    {
      get current() {
        return current;
      },
    },
    () => expect.fail('the archive was opened'),
  );
  const sig = new Uint8Array(64);

  it('without certificates is nobody’s, and no archive is opened for it', async () => {
    expect(await trust({ sig })).toEqual([]);
  });

  it('that a bug of ours keeps from being judged is not nobody’s', async () => {
    const get = () => {
      throw new TypeError('a bug');
    };
    const broken = trustOf({ current: { ...current, bundle: { get } as unknown as TrustBundle } });
    const certs = current.certificateChainPem;
    await expect(broken({ sig, certs })).rejects.toThrow('a bug');
  });

  it.each([
    ['no PEM', 'nonsense'],
    ['PEM of no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('with %s is nobody’s', async (_, certs) => {
    const nobody = trustOf({
      get current() {
        return current;
      },
    });
    expect(await nobody({ sig, certs })).toEqual([]);
    const bytes = JSON.parse(Buffer.from(envelope).toString());
    bytes.signatures[0].certs = certs;
    const forged = Buffer.from(JSON.stringify(bytes));
    await expect(verifySignedManifest(forged, { trust: nobody })).rejects.toThrow(refused);
  });
});
