/**
 * The ledger of consent tokens: each may be used once, by one rollout.
 * In: a token that has been verified, and the rollout that wants to act on it. Out: a claim, or KwamError CONSENT_REFUSED.
 * Claim before act: an entry is made under the condition that there is none, in one transaction of the control store, durable before anything
 *   is done. A crash after it burns the token: nobody else can claim it, and only the same rollout may resume.
 * The store answers UNAVAILABLE when it does not know whether a transaction took place (etcd changing its leader), so each attempt
 *   carries a random name: the entry, read again, says whose it is. If it stays unreachable, nothing is done and the token counts as
 *   claimed by whoever the entry will name.
 * A store that was lost or restored from an older copy does not make a token good again: the seed itself knows what it redeemed (used-tokens.ts).
 * Entries are never removed: some hundred bytes for each rollout, and the record of who did what by whose consent.
 */
import type { Clock } from '../clock.ts';
import type { ControlStore } from '../control/control-store.ts';
import { KwamError } from '../errors.ts';
import { consentClaimPatienceMs, consentClaimPauseMs } from '../limits.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import type { Random } from '../random.ts';
import { ASK_AGAIN, refuseConsent } from './consent-refusal.ts';
import type { ConsentUse, VerifiedConsent } from './consent-verify.ts';
import type { UsedTokens } from './used-tokens.ts';

export interface Claim {
  readonly schema: 'kwam.consent-claim/v1';
  readonly jti: string;
  /** SHA-256 of the token's payload. */
  readonly token: string;
  readonly rollout: string;
  /** The seed that redeemed it. */
  readonly redeemer: string;
  readonly claimedAt: string;
  /** Random: tells one try of a transaction from another's. */
  readonly attempt: string;
  /** Who agreed, and who released the image, by the names that the policy gives to keys. */
  readonly approvedBy: readonly string[];
  readonly releasedBy: readonly string[];
}

export interface Ledger {
  readonly control: Pick<ControlStore, 'get' | 'transact'>;
  readonly clock: Clock;
  readonly random: Random;
  /** What this seed has redeemed, whatever the store says. */
  readonly used: UsedTokens;
}

const claimKey = (jti: string): string => `consent/${jti}`;

/** Uses the token up. @throws KwamError CONSENT_REFUSED `replayed`, `ledger-unavailable`. */
export async function claimConsent(
  ledger: Ledger,
  consent: VerifiedConsent,
  use: ConsentUse,
  releasedBy: readonly string[],
): Promise<Claim> {
  const claim = { ...newClaim(ledger, consent, use), releasedBy };
  const { jti } = claim;
  if (ledger.used.has(jti)) refuseForgotten(jti, await claimIn(ledger, jti));
  const key = claimKey(jti);
  const entry = await patiently(ledger, async () => {
    const put = { kind: 'put', key, value: canonicalBytes({ ...claim }) } as const;
    const { committed } = await ledger.control.transact([{ key, modRevision: 0 }], [put]);
    return committed ? claim : readClaim(ledger, jti);
  });
  if (entry?.attempt !== claim.attempt) refuseReplay(jti, entry);
  ledger.used.add(jti);
  return claim;
}

/** The claim that a token has. @throws KwamError CONSENT_REFUSED `not-claimed`. */
export async function claimOf(ledger: Ledger, jti: string): Promise<Claim> {
  const claim = await claimIn(ledger, jti);
  if (claim !== undefined) return claim;
  return refuseConsent({
    rule: 'not-claimed',
    expected: 'a token that this rollout has claimed',
    actual: `${jti}, which nobody has`,
    remedy: 'redeem it first',
  });
}

function newClaim(
  { clock, random }: Ledger,
  { token, digest, approvals }: VerifiedConsent,
  use: ConsentUse,
): Omit<Claim, 'releasedBy'> {
  return {
    schema: 'kwam.consent-claim/v1',
    jti: token.jti,
    token: digest,
    rollout: use.rollout,
    redeemer: use.self,
    claimedAt: new Date(clock.now()).toISOString(),
    attempt: Buffer.from(random.fill(new Uint8Array(16))).toString('hex'),
    approvedBy: approvals.counted.map(({ key }) => key),
  };
}

/** Only the rollout that made the claim may act on it. */
export function checkOwner(claim: Claim, { digest }: VerifiedConsent, { rollout, self }: ConsentUse): void {
  if (claim.rollout === rollout && claim.redeemer === self && claim.token === digest) return;
  refuseReplay(claim.jti, claim);
}

function refuseReplay(jti: string, claim: Claim | undefined): never {
  return refuseConsent({
    rule: 'replayed',
    expected: 'a token that was not used before',
    actual: `${jti}, claimed by rollout ${claim?.rollout} at ${claim?.redeemer} on ${claim?.claimedAt}`,
    remedy: `a token is good for one rollout; ${ASK_AGAIN}`,
  });
}

/** No entry is made: its rollout could resume. */
function refuseForgotten(jti: string, entry: Claim | undefined): never {
  if (entry !== undefined) refuseReplay(jti, entry);
  return refuseConsent({
    rule: 'replayed',
    expected: 'a token that was not used before',
    actual: `${jti}, which this seed has redeemed, though the control store had forgotten it`,
    remedy: `look after the control store; ${ASK_AGAIN}`,
  });
}

function claimIn(ledger: Ledger, jti: string): Promise<Claim | undefined> {
  return patiently(ledger, () => readClaim(ledger, jti));
}

async function readClaim({ control }: Ledger, jti: string): Promise<Claim | undefined> {
  const entry = await control.get(claimKey(jti));
  if (entry === undefined) return undefined;
  const claim = JSON.parse(Buffer.from(entry.value).toString('utf8')) as Claim;
  if (claim.schema === 'kwam.consent-claim/v1') return claim;
  throw new KwamError(
    'INTEGRITY',
    `expected a claim under ${claimKey(jti)}, got another document; a newer kwam-dp may have written it`,
  );
}

/** Tries until the store has answered; a claim may be tried again because its entry names the attempt. */
async function patiently<T>({ clock }: Ledger, act: () => Promise<T>): Promise<T> {
  const deadline = clock.monotonic() + consentClaimPatienceMs;
  for (;;) {
    try {
      return await act();
    } catch (cause) {
      if (!(cause instanceof KwamError) || cause.code !== 'UNAVAILABLE') throw cause;
      if (clock.monotonic() >= deadline) return refuseUnavailable(cause);
      await clock.sleep(consentClaimPauseMs);
    }
  }
}

function refuseUnavailable(cause: KwamError): never {
  return refuseConsent({
    rule: 'ledger-unavailable',
    expected: 'a control store that records the use of the token',
    actual: `none that answers (${cause.message})`,
    remedy:
      'bring the control store back; until then no rollout starts, and only this rollout may try this token again',
    cause,
    retryable: true,
  });
}
