/**
 * Who has agreed: signatures of a token turned into people, and whether they are the people that the policy asks for.
 * In: an envelope, the policy's keys, the time, the requester. Out: approvals that count, and why others do not.
 * Rules: the grant's named signer is one of them; what is destructive or under dual control takes a second *person* (a key is not a
 *   person: who holds two keys is still one), and that second person is not the one who asked. An expired or revoked key never counts;
 *   a stranger's signature is ignored, because anyone can add one.
 * Source: DSSE counts keys; the rule of distinct people is ours (as Vault's control groups and AWS multi-party approval count identities).
 */
import type { Grant } from '../identity/grants.ts';
import type { Capability } from '../language/capability.ts';
import { personKey } from '../language/person.ts';
import { type Envelope, signersOf } from '../manifest/dsse.ts';
import { KEY_FAULTS, type KeyFault, keyFault } from '../manifest/key-term.ts';
import type { ConsentKey } from './consent-policy.ts';
import { refuseConsent } from './consent-refusal.ts';
import type { ConsentToken } from './consent-token.ts';

export interface Approval {
  /** Name of the key in the policy. */
  readonly key: string;
  readonly person: string;
}

export interface Approvals {
  readonly counted: readonly Approval[];
  readonly faulty: readonly (Approval & { readonly fault: KeyFault })[];
  /** Signatures by no key of the policy. */
  readonly strangers: number;
  /** Signatures by a key that had signed already. */
  readonly repeated: number;
}

const SIGN = 'have it signed with `kwam-dp consent sign`';

export async function approvalsOf(
  envelope: Envelope,
  keys: readonly ConsentKey[],
  token: ConsentToken,
  nowMs: number,
): Promise<Approvals> {
  const signers = await signersOf(envelope, keys);
  const known = signers.filter((signer) => signer !== undefined);
  const distinct = [...new Set(known)];
  const judged = distinct.map((key) => ({
    key: key.name,
    person: key.person,
    // A signature has no time of its own: the key must be good both when the token was issued and now.
    fault: keyFault(key, Date.parse(token.issuedAt), nowMs),
  }));
  return {
    counted: judged.filter(({ fault }) => fault === undefined).map(({ key, person }) => ({ key, person })),
    faulty: judged.flatMap(({ fault, ...approval }) => (fault === undefined ? [] : { ...approval, fault })),
    strangers: signers.length - known.length,
    repeated: known.length - distinct.length,
  };
}

function isSamePerson(a: string, b: string): boolean {
  return personKey(a) === personKey(b);
}

/** @throws KwamError CONSENT_REFUSED  naming who is missing. Every grant given must be satisfied. */
export function checkApprovals(
  approvals: Approvals,
  grants: readonly Grant[],
  capability: Capability,
  requester: string,
): void {
  for (const grant of grants) {
    const signer = checkNamedSigner(approvals, grant);
    if (grant.needsTwo(capability)) checkSecondPerson(approvals, signer, requester);
  }
}

function checkNamedSigner(approvals: Approvals, { signedBy, pattern }: Grant): Approval {
  const signer = approvals.counted.find(({ key }) => key === signedBy);
  if (signer !== undefined) return signer;
  checkFaulty(approvals, ({ key }) => key === signedBy);
  return refuseConsent({
    rule: approvals.counted.length + approvals.faulty.length === 0 ? 'key-unknown' : 'signer-missing',
    expected: `the signature of ${signedBy}, whom grant "${pattern}" names`,
    actual: describe(approvals),
    remedy: SIGN,
  });
}

function checkSecondPerson(approvals: Approvals, signer: Approval, requester: string): void {
  const others = approvals.counted.filter(({ person }) => !isSamePerson(person, signer.person));
  if (others.length === 0) refuseAlone(approvals, signer);
  if (others.some(({ person }) => !isSamePerson(person, requester))) return;
  refuseConsent({
    rule: 'requester-approves',
    expected: `a second approver beside ${signer.person} who is not the requester`,
    actual: `only ${requester}, who asked for it`,
    remedy: SIGN,
  });
}

function refuseAlone(approvals: Approvals, signer: Approval): never {
  checkFaulty(approvals, () => true);
  const rule =
    approvals.counted.length > 1
      ? 'one-person'
      : approvals.repeated > 0
        ? 'signer-twice'
        : 'approver-missing';
  return refuseConsent({
    rule,
    expected: `a second person beside ${signer.person}`,
    actual: describe(approvals),
    remedy: SIGN,
  });
}

/** Somebody did sign, with a key that does not count: that is what to repair. */
function checkFaulty(approvals: Approvals, isMeant: (approval: Approval) => boolean): void {
  const faulty = approvals.faulty.find(isMeant);
  if (faulty === undefined) return;
  refuseConsent({
    rule: faulty.fault,
    expected: `a signature by a key that is valid now and was when the token was issued`,
    actual: `${faulty.key} of ${faulty.person}, ${KEY_FAULTS[faulty.fault]}`,
    remedy: 'sign with a current key, and take the old one out of the policy',
  });
}

function describe({ counted, faulty, strangers, repeated }: Approvals): string {
  const named = counted.map(({ key, person }) => `${key} (${person})`);
  const useless = faulty.map(({ key, person, fault }) => `${key} (${person}), ${KEY_FAULTS[fault]}`);
  const others = strangers === 0 ? [] : [`${strangers} by unknown keys`];
  const again = repeated === 0 ? [] : [`${repeated} repeated`];
  return [...named, ...useless, ...others, ...again].join('; ') || 'no signature';
}
