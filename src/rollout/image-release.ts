/**
 * Whether the image of a deploy was released: signed with cosign by a key of the policy that counts now.
 * In: the client of the plan, the policy's keys, the place where its image lies. Out: the names of the keys that signed, or what
 * images/verify-image.ts throws: IMAGE_REFUSED, IMAGE_DIGEST_MISMATCH, NOT_FOUND, UNAVAILABLE.
 * One key is enough: who may run the image is decided by the people of the consent token, which names its digest.
 */
import { parseImageDigest } from '../images/reference.ts';
import { keyAccepted } from '../images/signing-key.ts';
import { verifyImage } from '../images/verify-image.ts';
import { keyFault } from '../manifest/key-term.ts';
import type { ClientPlan } from '../plan.ts';
import type { ConsentKey } from './consent-policy.ts';
import type { OpenImage } from './image-place.ts';

export async function releasersOf(
  client: ClientPlan,
  keys: readonly ConsentKey[],
  open: OpenImage,
  nowMs: number,
): Promise<readonly string[]> {
  // A signature has no time of its own: the key must be good when the image is about to run.
  const current = keys.filter((key) => keyFault(key, nowMs) === undefined);
  const accepted = current.map(({ name, key }) => keyAccepted(name, key));
  const verified = await verifyImage(open(client), parseImageDigest(client.image), { keys: accepted });
  return [...new Set(verified.accepted.map(({ key }) => key.name))];
}
