/** Tokens with which all is well, for images that must not run: nobody who counts has released them. */
import { parseImageDigest } from '../../src/images/reference.ts';
import type { ClientPlan, TrustedKeyPlan } from '../../src/plan.ts';
import { openImagesIn } from '../../src/rollout/image-place.ts';
import { addSimpleSignatures, payloadOf, signedPayload } from '../images/oci-content.ts';
import { ada, adaToo, HOUR, iso, KEYS, keyOf, mallory } from '../rollout/consents.ts';
import { deskFor, type ReleasedImage, releasedImage } from '../rollout/released-image.ts';
import type { Area, Refusal } from './refusal.ts';

async function redeemed(
  { image, source }: ReleasedImage,
  keys: readonly TrustedKeyPlan[] = KEYS,
): Promise<unknown> {
  return (await deskFor(image, () => source, keys)).redeem();
}

const row = (code: string, input: string, attempt: () => Promise<unknown>): Refusal => ({
  code,
  input,
  attempt,
});

const TWO_PEOPLE = KEYS.slice(0, 2);
const refused = (rule: string, input: string, attempt: () => Promise<unknown>): Refusal =>
  row(`IMAGE_REFUSED/${rule}`, input, attempt);

/** Signed by the second key of somebody, which is good for these times. */
const byKey = (input: string, term: Partial<TrustedKeyPlan>): Refusal =>
  refused('image-key', input, () => redeemed(releasedImage([adaToo]), [...TWO_PEOPLE, keyOf(adaToo, term)]));

async function otherImage(): Promise<unknown> {
  const released = releasedImage([]);
  const digest = parseImageDigest(released.image);
  const other = parseImageDigest(`sha256:${'c'.repeat(64)}`);
  addSimpleSignatures(released.content, digest, [signedPayload(ada, payloadOf(other))]);
  return redeemed(released);
}

async function swappedImage(): Promise<unknown> {
  const released = releasedImage();
  released.content.blobs.set(parseImageDigest(released.image), Buffer.from('{}'));
  return redeemed(released);
}

async function missingImage(): Promise<unknown> {
  return (await deskFor(`sha256:${'c'.repeat(64)}`, () => releasedImage().source)).redeem();
}

async function openedAt(place: Partial<ClientPlan>): Promise<unknown> {
  const { image } = releasedImage();
  const open = openImagesIn('no such directory', {});
  return (await deskFor(image, (client) => open({ ...client, ...place }))).redeem();
}

async function resumedWithout(): Promise<unknown> {
  const { content, image, source } = releasedImage();
  const desk = await deskFor(image, () => source);
  await desk.redeem();
  content.tags.clear();
  return desk.resume();
}

export const releases: Area = {
  name: 'consent to images',
  accepted: () => redeemed(releasedImage()),
  rows: [
    refused('image-unsigned', 'an image that nobody signed', () => redeemed(releasedImage([]))),
    refused('image-key', 'an image that a stranger signed', () => redeemed(releasedImage([mallory]))),
    byKey('an image by a revoked key', { revoked: true }),
    byKey('an image by a key that has expired', { notAfter: iso(-1) }),
    byKey('an image by a key that begins tomorrow', { notBefore: iso(24 * HOUR) }),
    refused('image-other-image', 'the signature of another image', otherImage),
    row('IMAGE_DIGEST_MISMATCH/image-digest', 'other bytes under the digest of the image', swappedImage),
    row('NOT_FOUND', 'an image that is not there', missingImage),
    row('CONSENT_REFUSED/image-place', 'an image that no place has', () => openedAt({})),
    refused('image-tag', 'a registry with a tag', () => openedAt({ registry: 'registry.acme/node:latest' })),
    refused('image-reference', 'a registry without a host', () => openedAt({ registry: 'acme/node' })),
    refused('image-unsigned', 'a rollout that resumes after the signature was withdrawn', resumedWithout),
  ],
};
