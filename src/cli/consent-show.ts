/**
 * A consent token for people: what it allows, who has signed, and what is still missing.
 * In: an opened token and, to judge it, what a program's deploy needs and the policy with its keys. Out: the same as values and as rows.
 * Without a policy nobody knows whose the signatures are: then they are only counted.
 */
import { KwamError } from '../errors.ts';
import { type Approvals, approvalsOf } from '../rollout/approvals.ts';
import type { ConsentPolicy } from '../rollout/consent-policy.ts';
import { type ConsentUse, type OpenedConsent, verifyOpened } from '../rollout/consent-verify.ts';

export interface Judged {
  readonly approvals: Approvals;
  /** The first rule that keeps the token from being redeemed; null: none. */
  readonly missing: { readonly rule: string; readonly message: string } | null;
}

/** Everything that the seed will check, but whether the token was used before: that is in the ledger. */
export async function judge(
  opened: OpenedConsent,
  use: ConsentUse,
  policy: ConsentPolicy,
  nowMs: number,
): Promise<Judged> {
  const approvals = await approvalsOf(opened.envelope, policy.keys, opened.token, nowMs);
  try {
    await verifyOpened(opened, use, policy, nowMs);
    return { approvals, missing: null };
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'CONSENT_REFUSED') throw error;
    return { approvals, missing: { rule: String(error.context['rule']), message: error.message } };
  }
}

type Row = readonly [string, string];

export function tokenRows({ token, digest, envelope }: OpenedConsent): readonly Row[] {
  return [
    ['token', token.jti],
    ['digest', digest],
    ['allows', token.capabilities.join(', ')],
    ['within', token.resource],
    ['deploy', `${token.deploy} to ${token.pool}`],
    ['program', token.program],
    ['image', token.image],
    ['redeemed by', token.audience],
    ['asked by', token.requester],
    ['valid', `${token.notBefore} to ${token.expiresAt}`],
    ['signatures', String(envelope.signatures.length)],
  ];
}

export function judgedRows({ approvals, missing }: Judged): readonly Row[] {
  const { counted, faulty, strangers, repeated } = approvals;
  return [
    ...counted.map(({ key, person }): Row => ['signed', `${person} with ${key}`]),
    ...faulty.map(({ key, person, fault }): Row => ['does not count', `${person} with ${key}: ${fault}`]),
    ...count('does not count', strangers, 'by keys that are not in the policy'),
    ...count('does not count', repeated, 'repeated'),
    missing === null
      ? ['missing', 'nothing: the seed may redeem it, once']
      : ['missing', `${missing.rule}: ${missing.message}`],
  ];
}

function count(head: string, number: number, what: string): readonly Row[] {
  return number === 0 ? [] : [[head, `${number} ${what}`]];
}
