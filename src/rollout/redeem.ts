/**
 * Redeeming: a token is verified, then the image that it is for, then the token is claimed, and only then may anything be done.
 * In: the envelope and what is about to be done. Out: the claim. `resume` is for the same rollout after a crash: everything is verified
 * again as of the time of the claim, because a rollout may outlive its token; a key that was revoked since does not count even so.
 */
import type { ConsentPolicy } from './consent-policy.ts';
import { type ConsentUse, openConsent, verifyConsent } from './consent-verify.ts';
import { type Claim, checkOwner, claimConsent, claimOf, type Ledger } from './ledger.ts';

export interface Redemption {
  readonly policy: ConsentPolicy;
  readonly ledger: Ledger;
  /** Who released the image of the use. @throws KwamError  nobody who counts did: then the token is not used up. */
  readonly releasers: () => Promise<readonly string[]>;
}

/** @throws KwamError CONSENT_REFUSED  naming the rule, or what `releasers` throws; nothing may then be done. */
export async function redeem(
  { policy, ledger, releasers }: Redemption,
  envelope: Uint8Array,
  use: ConsentUse,
): Promise<Claim> {
  const consent = await verifyConsent(envelope, use, policy, ledger.clock.now());
  return claimConsent(ledger, consent, use, await releasers());
}

/** @throws KwamError CONSENT_REFUSED  `replayed` for every rollout but the one that claimed it, at the seed where it did. */
export async function resume(
  { policy, ledger, releasers }: Redemption,
  envelope: Uint8Array,
  use: ConsentUse,
): Promise<Claim> {
  const claim = await claimOf(ledger, openConsent(envelope).token.jti);
  checkOwner(claim, await verifyConsent(envelope, use, policy, Date.parse(claim.claimedAt)), use);
  await releasers();
  // The crash may have come before the claim was noted.
  ledger.used.add(claim.jti);
  return claim;
}
