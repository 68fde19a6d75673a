/** Consent is redeemed for an image that a key of the policy has released, and read from where the program or the machine keeps it. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import { createAuthority } from '../../src/identity/authority.ts';
import { parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import type { ClientPlan } from '../../src/plan.ts';
import { type OpenImage, openImagesIn } from '../../src/rollout/image-place.ts';
import { addSimpleSignatures, payloadOf, signedPayload } from '../images/oci-content.ts';
import { TestRegistry } from '../images/registry.ts';
import { ada, adaToo, HOUR, iso, KEYS, keyOf, mallory, reto } from './consents.ts';
import { deskFor, releasedImage } from './released-image.ts';

const AUTHORITY = (await createAuthority(parseTrustDomain('kwam.test'), { nowMs: Date.now() }))
  .certificatePem;
const refusal = (code: string, rule: string) =>
  expect.objectContaining({ code, context: expect.objectContaining({ rule }) });

describe('an image', () => {
  it('is released by one key of the policy, and the claim and the audit log say by which', async () => {
    const { image, source } = releasedImage([mallory, reto]);
    const desk = await deskFor(image, () => source);
    expect(await desk.redeem()).toMatchObject({ releasedBy: ['acme-ops'] });
    expect(desk.told).toEqual([expect.objectContaining({ allowed: true, releasedBy: 'acme-ops' })]);
  });

  it('names each key once', async () => {
    const { image, source } = releasedImage([reto, ada, reto]);
    const { releasedBy } = await (await deskFor(image, () => source)).redeem();
    expect(releasedBy).toEqual(['acme-ops', 'acme-prod']);
  });

  it('that nobody released does not use the token up', async () => {
    const { content, image, source } = releasedImage([]);
    const desk = await deskFor(image, () => source);
    await expect(desk.redeem()).rejects.toEqual(refusal('IMAGE_REFUSED', 'image-unsigned'));
    expect(desk.told).toEqual([expect.objectContaining({ allowed: false, rule: 'image-unsigned' })]);
    const digest = image.slice('sha256:'.length) as Parameters<typeof payloadOf>[0];
    addSimpleSignatures(content, digest, [signedPayload(ada, payloadOf(digest))]);
    await desk.redeem();
  });

  it('is looked at again before a rollout goes on', async () => {
    const { content, image, source } = releasedImage();
    const desk = await deskFor(image, () => source);
    const claim = await desk.redeem();
    expect(await desk.resume()).toEqual(claim);
    content.tags.clear();
    await expect(desk.resume()).rejects.toEqual(refusal('IMAGE_REFUSED', 'image-unsigned'));
  });

  it('whose registry does not answer may be asked for again', async () => {
    const { image, source } = releasedImage();
    let isUp = false;
    const opens: OpenImage = () => {
      if (isUp) return source;
      throw new KwamError('UNAVAILABLE', 'no answer', { retryable: true });
    };
    const desk = await deskFor(image, opens);
    await expect(desk.redeem()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    isUp = true;
    await desk.redeem();
  });

  it('is released by the keys that count now', async () => {
    const { image, source } = releasedImage([adaToo]);
    const renewed = [...KEYS.slice(0, 2), keyOf(adaToo, { notBefore: iso(-HOUR), notAfter: iso(HOUR) })];
    await (await deskFor(image, () => source, renewed)).redeem();
  });
});

describe('the place of an image', () => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-images-'));
  let registry: TestRegistry;
  const { content, image } = releasedImage();
  const client = (changes: Partial<ClientPlan>): ClientPlan => ({
    ...{ name: 'kwam_node', image, sandbox: 'gvisor', health: [], safepoint: 'cooperative' },
    ...changes,
  });
  const open = openImagesIn(directory, {});

  beforeAll(async () => {
    registry = await TestRegistry.start();
    registry.push('kwam_node', content);
    registry.push('acme/node', content);
    content.write(join(directory, 'kept'));
  });
  afterAll(async () => {
    await registry.stop();
    fs.rmSync(directory, { recursive: true });
  });

  it.each([
    ['acme/node', 'acme/node'],
    [undefined, 'kwam_node'],
  ])('is the registry of its client, with the repository %s', async (repository, seen) => {
    const place = repository === undefined ? registry.address : `${registry.address}/${repository}`;
    const desk = await deskFor(image, (of) => open({ ...of, registry: place }));
    expect(await desk.redeem()).toMatchObject({ releasedBy: ['acme-prod'] });
    expect((await registry.seen(seen)).length).toBeGreaterThan(0);
  });

  it('is the layout of that name first, which needs no registry', async () => {
    const desk = await deskFor(image, (of) => open({ ...of, name: 'kept', registry: '127.0.0.1:1' }));
    expect(await desk.redeem()).toMatchObject({ releasedBy: ['acme-prod'] });
  });

  it('is asked as the node was told to: with authorities, by https', async () => {
    const strict = openImagesIn(directory, { authorities: AUTHORITY });
    const desk = await deskFor(image, (of) => strict({ ...of, registry: registry.address }));
    await expect(desk.redeem()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it.each([
    [{}, 'CONSENT_REFUSED', 'image-place'],
    [{ registry: 'registry.acme.internal/node:latest' }, 'IMAGE_REFUSED', 'image-tag'],
    [{ registry: 'registry.acme.internal', name: 'Kwam_Node' }, 'IMAGE_REFUSED', 'image-reference'],
    [{ registry: 'acme/node' }, 'IMAGE_REFUSED', 'image-reference'],
  ])('of %j is refused: %s/%s', (changes, code, rule) => {
    expect(() => open(client(changes))).toThrow(refusal(code, rule));
  });
});
