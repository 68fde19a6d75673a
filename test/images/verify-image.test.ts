/** Who is accepted, who is refused and under which rule; and a signature that the real cosign made. */
import { describe, expect, it } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { parseImageReference, showReference } from '../../src/images/reference.ts';
import { acceptedKey } from '../../src/images/signing-key.ts';
import { keysOfPayload } from '../../src/images/simple-signing.ts';
import { verifyImage } from '../../src/images/verify-image.ts';
import {
  addSimpleSignatures,
  attachBundle,
  memorySource,
  messageBundle,
  newKey,
  OciContent,
  payloadOf,
  type SigningKey,
  signedPayload,
  signSimply,
  statementBundle,
  statementOf,
} from './oci-content.ts';

const FORMS: Record<string, (content: OciContent, image: DigestHex, key: SigningKey) => unknown> = {
  'simple-signing': signSimply,
  'bundle with a statement': (content, image, key) =>
    attachBundle(content, image, statementBundle(key, statementOf(image))),
  'bundle with a message signature': (content, image, key) =>
    attachBundle(content, image, messageBundle(key, content.blobs.get(image)!)),
};

describe.each(['P-256', 'Ed25519'] as const)('a signature by a key of %s', (kind) => {
  const forms = Object.keys(FORMS).filter((form) => kind === 'P-256' || !form.includes('message'));

  it.each(forms)('is accepted as %s, and names its key', async (form) => {
    const [key, other] = [newKey(kind), newKey(kind)];
    const content = new OciContent();
    const image = content.addImage();
    FORMS[form]!(content, image, key);
    const keys = [await acceptedKey('other', other.pem), await acceptedKey('release', key.pem)];
    const verified = await verifyImage(memorySource(content), image, { keys });
    expect(verified.accepted.map(({ key, format }) => [key.name, format])).toEqual([
      ['release', form.split(' ')[0]],
    ]);
    expect([verified.refused, verified.image.digest]).toEqual([[], image]);
  });
});

describe('several signatures', () => {
  const [first, second, stranger] = [newKey(), newKey('Ed25519'), newKey()];

  async function policy(threshold: number) {
    return {
      keys: [await acceptedKey('first', first.pem), await acceptedKey('second', second.pem)],
      threshold,
    };
  }

  it('count as many keys as they have, in either format', async () => {
    const content = new OciContent();
    const image = content.addImage();
    signSimply(content, image, first);
    attachBundle(content, image, statementBundle(second, statementOf(image)));
    const { accepted } = await verifyImage(memorySource(content), image, await policy(2));
    expect(accepted.map(({ key }) => key.name)).toEqual(['first', 'second']);
  });

  it('are not spoilt by bad ones beside them, which are told', async () => {
    const content = new OciContent();
    const image = content.addImage();
    addSimpleSignatures(content, image, [
      { payload: payloadOf(image) },
      signedPayload(stranger, payloadOf(image)),
      signedPayload(first, payloadOf(image)),
    ]);
    attachBundle(content, image, Buffer.from('not a bundle'));
    const { accepted, refused } = await verifyImage(memorySource(content), image, await policy(1));
    expect(accepted.map(({ key }) => key.name)).toEqual(['first']);
    expect(refused.map(({ rule }) => rule)).toEqual([
      'image-layer-unsigned',
      'image-key',
      'image-bundle-json',
    ]);
  });

  it('of an index hold for the index', async () => {
    const content = new OciContent();
    const child = content.addImage();
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const manifests = content.manifests.slice(0, 1);
    const image = content.addManifest({ schemaVersion: 2, mediaType, manifests }, mediaType);
    signSimply(content, image, first);
    const source = memorySource(content);
    expect((await verifyImage(source, image, await policy(1))).image.mediaType).toBe(mediaType);
    await expect(verifyImage(source, child, await policy(1))).rejects.toMatchObject({
      context: { rule: 'image-unsigned' },
    });
  });

  it('ask for a policy that can be met', async () => {
    const content = new OciContent();
    const image = content.addImage();
    const key = await acceptedKey('first', first.pem);
    for (const [keys, threshold] of [
      [[], 1],
      [[key], 2],
      [[key, key], 2],
      [[key], 0],
    ] as const)
      await expect(verifyImage(memorySource(content), image, { keys, threshold })).rejects.toMatchObject({
        code: 'USAGE',
      });
  });
});

it('writes a reference as it was read', () => {
  const digest = 'b'.repeat(64);
  for (const name of ['localhost:5000/seed', '[::1]:5000/a/b', 'registry.example/kwam/seed_x--y'])
    expect(showReference(parseImageReference(`${name}@sha256:${digest}`))).toBe(`${name}@sha256:${digest}`);
});

/** Made by cosign 1 in 2021; published in sigstore/sigstore-rs, src/cosign/signature_layers.rs (Apache-2.0). */
it('accepts a signature that cosign made', async () => {
  const pem = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENptdY/l3nB0yqkXLBWkZWQwo6+cu
OSWS1X9vPavpiQOoTTGC0xX57OojUadxF1cdQmrsiReWg2Wn4FneJfa8xw==
-----END PUBLIC KEY-----`;
  const image = 'f3cfc9d0dbf931d3db4685ec659b7ac68e2a578219da4aae65427886e649b06b' as DigestHex;
  const payload = Buffer.from(
    `{"critical":{"identity":{"docker-reference":"registry-testing.svc.lan/busybox"},"image":{"docker-manifest-digest":"sha256:${image}"},"type":"cosign container image signature"},"optional":null}`,
  );
  const signature = Buffer.from(
    'MEUCIQD6q/COgzOyW0YH1Dk+CCYSt4uAhm3FDHUwvPI55zwnlwIgE0ZK58ZOWpZw8YVmBapJhBqCfdPekIknimuO0xH8Jh8=',
    'base64',
  );
  const keys = [await acceptedKey('cosign', pem)];
  expect(keysOfPayload(payload, signature, image, keys)).toEqual(keys);
  const other = 'e'.repeat(64) as DigestHex;
  expect(() => keysOfPayload(payload, signature, other, keys)).toThrow('one of "sha256:f3cf');
});
