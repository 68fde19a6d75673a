/** A registry that asks for authorisation, sends us elsewhere, or means us harm. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { readManifest, readReferrers } from '../../src/images/content.ts';
import { Registry, type RegistryOptions } from '../../src/images/registry.ts';
import { acceptedKey } from '../../src/images/signing-key.ts';
import { verifyImage } from '../../src/images/verify-image.ts';
import { newKey, OciContent, signSimply } from './oci-content.ts';
import { PASSWORD, TestRegistry, TOKEN, USER } from './registry.ts';

const key = newKey();
const content = new OciContent();
const image = content.addImage();
signSimply(content, image, key);
const credentials = { username: USER, password: async () => PASSWORD };
let server: TestRegistry;

beforeAll(async () => {
  server = await TestRegistry.start();
  for (const mood of ['open', 'bearer', 'basic', 'basic-redirect', 'bearer-redirect', 'hostile/pages'])
    server.push(`${mood}/seed`, content);
});
afterAll(() => server.stop());

const open = (repository: string, options: RegistryOptions = { credentials }): Registry =>
  new Registry({ registry: server.address, repository }, options);

const verify = async (repository: string, options?: RegistryOptions) =>
  verifyImage(open(repository, options), image, { keys: [await acceptedKey('release', key.pem)] });

describe('authorisation', () => {
  it('is not offered before it is asked for', async () => {
    await verify('open/seed');
    expect((await server.seen('open/seed')).map(({ authorization }) => authorization)).not.toContain(TOKEN);
    expect(new Set((await server.seen('open/seed')).map((one) => one.authorization))).toEqual(
      new Set([null]),
    );
  });

  it('by token asks for this repository once, and for pulling only', async () => {
    await verify('bearer/seed');
    const seen = await server.seen('bearer/seed');
    expect(seen[0]!.authorization).toBeNull();
    expect(new Set(seen.slice(1).map((one) => one.authorization))).toEqual(new Set([`Bearer ${TOKEN}`]));
    const asked = await server.tokens();
    expect(asked.map(({ path }) => decodeURIComponent(path))).toEqual([
      '/token?scope=repository:bearer/seed:pull&service=test',
    ]);
  });

  it.each(['bearer', 'basic'])('by %s that is not given is said to be missing', async (mood) => {
    await expect(verify(`${mood}/seed`, {})).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const wrong = { username: USER, password: async () => 'wrong' };
    await expect(verify(`${mood}/seed`, { credentials: wrong })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      context: { status: 401 },
    });
  });

  it.each(['basic-redirect', 'bearer-redirect'])(
    'by %s never follows a blob to another host',
    async (mood) => {
      await verify(`${mood}/seed`);
      const seen = await server.seen(`${mood}/seed`);
      const elsewhere = seen.filter(({ host }) => host === server.storage);
      expect(elsewhere.map(({ authorization }) => authorization)).toEqual([null]);
      expect(seen.filter(({ authorization }) => authorization !== null).length).toBeGreaterThan(1);
    },
  );
});

describe('a hostile registry', () => {
  const short = { timeoutMs: 300 };

  it.each([
    ['endless', { code: 'LIMIT_EXCEEDED' }],
    ['silent', { code: 'UNAVAILABLE', retryable: true }],
    ['trickle', { code: 'UNAVAILABLE', retryable: true }],
    ['broken', { code: 'UNAVAILABLE', retryable: true }],
    ['failing', { code: 'UNAVAILABLE', retryable: true, context: { status: 503 } }],
    ['denied', { code: 'PERMISSION_DENIED', retryable: false }],
    ['unknown', { code: 'PERMISSION_DENIED' }],
    ['circle', { code: 'IMAGE_REFUSED', context: { rule: 'image-redirect' } }],
    ['downgrade', { code: 'IMAGE_REFUSED', context: { rule: 'image-redirect' } }],
    ['nowhere', { code: 'IMAGE_REFUSED', context: { rule: 'image-redirect' } }],
    ['realm', { code: 'IMAGE_REFUSED', context: { rule: 'image-token' } }],
    ['token', { code: 'IMAGE_REFUSED', context: { rule: 'image-token' } }],
  ])('that is %s is refused', async (mood, expected) => {
    const slow = mood === 'silent' || mood === 'trickle';
    await expect(verify(`hostile/${mood}/seed`, slow ? short : {})).rejects.toMatchObject(expected);
  });

  it('with referrers without end is refused', async () => {
    const registry = open('hostile/pages/seed');
    await expect(readReferrers(registry, image)).rejects.toMatchObject({
      context: { rule: 'image-signature-count' },
    });
  });

  it('that is not there is told to be unavailable', async () => {
    const gone = new Registry({ registry: '127.0.0.1:1', repository: 'seed' });
    await expect(readManifest(gone, image)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('on another machine is asked by https only', () => {
    const digest = 'a'.repeat(64) as DigestHex;
    const registry = new Registry({ registry: 'registry.invalid', repository: 'seed' });
    return expect(readManifest(registry, digest)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('https://registry.invalid/v2/seed/manifests/'),
    });
  });
});
