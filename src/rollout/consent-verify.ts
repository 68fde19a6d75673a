/**
 * Whether a consent token may be redeemed: here, now, for this.
 * In: the bytes of an envelope, and what the seed is about to do. Out: the token and who agreed to it, or KwamError CONSENT_REFUSED whose
 * `context.rule` names the one check that failed. Every check is a function of its own: taking any of them out turns a test red.
 * Only verifies: there is no private key here, and a server that runs this cannot make what it accepts.
 * Does not look at earlier uses: the ledger does, right after (redeem.ts).
 */
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { type Grant, peerPath } from '../identity/grants.ts';
import type { Capability } from '../language/capability.ts';
import { type Glob, globIncludes, parseGlob } from '../language/glob-inclusion.ts';
import { consentEnvelopeBytesMax } from '../limits.ts';
import { type Envelope, parseEnvelope } from '../manifest/dsse.ts';
import { type Approvals, approvalsOf, checkApprovals } from './approvals.ts';
import type { ConsentPolicy } from './consent-policy.ts';
import { ASK_AGAIN, refuseConsent, shown } from './consent-refusal.ts';
import {
  CONSENT_PAYLOAD_TYPE,
  type ConsentToken,
  consentDigest,
  parseConsentToken,
} from './consent-token.ts';

/** What a seed is about to do, and as whom. */
export interface ConsentUse {
  /** The SPIFFE ID of the seed that redeems. */
  readonly self: string;
  /** Name of the rollout: the only one that may go on with a token that is used up. */
  readonly rollout: string;
  readonly capabilities: readonly Capability[];
  /** A pattern by dots: everything that it matches must be allowed. */
  readonly scope: string;
  readonly program: string;
  readonly image: string;
  readonly deploy: string;
  readonly pool: string;
}

export interface VerifiedConsent {
  readonly token: ConsentToken;
  readonly digest: DigestHex;
  readonly approvals: Approvals;
}

/** An envelope of a token whose signatures nobody has judged yet. */
export interface OpenedConsent {
  readonly envelope: Envelope;
  readonly token: ConsentToken;
  readonly digest: DigestHex;
}

export async function verifyConsent(
  bytes: Uint8Array,
  use: ConsentUse,
  policy: ConsentPolicy,
  nowMs: number,
): Promise<VerifiedConsent> {
  return verifyOpened(openConsent(bytes), use, policy, nowMs);
}

export async function verifyOpened(
  { envelope, token, digest }: OpenedConsent,
  use: ConsentUse,
  policy: ConsentPolicy,
  nowMs: number,
): Promise<VerifiedConsent> {
  checkAudience(token, use);
  checkNotBefore(token, nowMs);
  checkExpiry(token, nowMs);
  checkBinding('program', token, use);
  checkBinding('image', token, use);
  checkBinding('deploy', token, use);
  checkBinding('pool', token, use);
  checkScope(token, use);
  checkAsked(use);
  const approvals = await approvalsOf(envelope, policy.keys, token, nowMs);
  for (const capability of use.capabilities) {
    checkCapability(token, capability);
    checkApprovals(approvals, grantsFor(policy, token, capability), capability, token.requester);
  }
  return { token, digest, approvals };
}

/** Reads without believing: for `consent show` and `consent sign`, and as the first step of verifying. */
export function openConsent(bytes: Uint8Array): OpenedConsent {
  checkEnvelopeBytes(bytes);
  const envelope = readEnvelope(bytes);
  checkPayloadType(envelope);
  return { envelope, token: parseConsentToken(envelope.payload), digest: consentDigest(envelope.payload) };
}

function checkEnvelopeBytes(bytes: Uint8Array): void {
  if (bytes.length <= consentEnvelopeBytesMax) return;
  refuseConsent({
    rule: 'envelope-bytes',
    expected: `an envelope of at most ${consentEnvelopeBytesMax} bytes`,
    actual: `${bytes.length}`,
    remedy: ASK_AGAIN,
  });
}

function readEnvelope(bytes: Uint8Array): Envelope {
  try {
    return parseEnvelope(bytes);
  } catch (cause) {
    if (!(cause instanceof KwamError)) throw cause;
    return refuseConsent({
      rule: 'envelope',
      expected: 'a DSSE envelope',
      actual: `another text (${cause.message})`,
      remedy: 'take the file that `kwam-dp consent sign` wrote, whole',
      cause,
    });
  }
}

function checkPayloadType({ payloadType }: Envelope): void {
  if (payloadType === CONSENT_PAYLOAD_TYPE) return;
  refuseConsent({
    rule: 'envelope-type',
    expected: `a payload of type ${CONSENT_PAYLOAD_TYPE}`,
    actual: shown(payloadType),
    remedy: 'signatures over other documents are no consent; take the right file',
  });
}

function checkAudience({ audience }: ConsentToken, { self }: ConsentUse): void {
  if (audience === self) return;
  refuseConsent({
    rule: 'audience',
    expected: `a token for ${self}`,
    actual: `one for ${audience}`,
    remedy: 'redeem it at the seed that it names, or ask for one for this seed',
  });
}

function checkNotBefore({ notBefore }: ConsentToken, nowMs: number): void {
  if (nowMs >= Date.parse(notBefore)) return;
  refuseConsent({
    rule: 'not-yet-valid',
    expected: `a token that is valid at ${new Date(nowMs).toISOString()}`,
    actual: `one that begins at ${notBefore}`,
    remedy: 'wait, or set the clocks of both machines',
  });
}

export function checkExpiry({ expiresAt }: ConsentToken, nowMs: number): void {
  if (nowMs < Date.parse(expiresAt)) return;
  refuseConsent({
    rule: 'expired',
    expected: `a token that is valid at ${new Date(nowMs).toISOString()}`,
    actual: `one that expired at ${expiresAt}`,
    remedy: ASK_AGAIN,
  });
}

/** What was approved is what runs: not another program, image, deploy or pool. */
function checkBinding(
  name: 'program' | 'image' | 'deploy' | 'pool',
  token: ConsentToken,
  use: ConsentUse,
): void {
  if (token[name] === use[name]) return;
  refuseConsent({
    rule: name,
    expected: `consent to the ${name} ${shown(use[name])}`,
    actual: `consent to ${shown(token[name])}`,
    remedy: `run what was agreed to, or ${ASK_AGAIN}`,
  });
}

function checkScope(token: ConsentToken, use: ConsentUse): void {
  const inclusion = globIncludes(resourceOf(token.resource), scopeOf(use.scope));
  if (inclusion.included) return;
  const { counterExample } = inclusion;
  refuseConsent({
    rule: counterExample === undefined ? 'scope-not-shown' : 'scope',
    expected: `a scope within ${token.resource}`,
    actual:
      counterExample === undefined
        ? `${use.scope}, for which that could not be shown`
        : `${use.scope}, which also matches ${counterExample}`,
    remedy: 'narrow the scope of the deploy, or ask for a token with that resource',
  });
}

function resourceOf(text: string): Glob {
  return parseGlob(text, '.') as Glob;
}

function scopeOf(text: string): Glob {
  const scope = parseGlob(text, '.');
  if (typeof scope !== 'string') return scope;
  return refuseConsent({
    rule: 'scope-form',
    expected: `a scope by dots: ${scope}`,
    actual: shown(text),
    remedy: 'correct `scope` of the deploy',
  });
}

/** Signers are counted for each capability that is used: for none there would be nobody to count. */
function checkAsked({ capabilities }: ConsentUse): void {
  if (capabilities.length > 0) return;
  refuseConsent({
    rule: 'capability-none',
    expected: 'a use of at least one capability',
    actual: 'none',
    remedy: 'name what the token is needed for',
  });
}

function checkCapability({ capabilities }: ConsentToken, capability: Capability): void {
  if (capabilities.includes(capability)) return;
  refuseConsent({
    rule: 'capability',
    expected: `a token for ${capability}`,
    actual: `one for ${capabilities.join(', ')}`,
    remedy: `ask for it with \`kwam-dp consent request --capability ${capability}\``,
  });
}

/** All grants of the seed that hold the capability. Where two overlap, the signers of both are asked for. */
export function grantsFor(
  { grants }: Pick<ConsentPolicy, 'grants'>,
  { audience }: ConsentToken,
  capability: Capability,
): readonly Grant[] {
  const seed = peerPath(audience);
  const found = grants.filter((grant) => grant.matches(seed) && grant.capabilities.has(capability));
  if (found.length > 0) return found;
  return refuseConsent({
    rule: 'grant',
    expected: `a grant of ${capability} to ${audience}`,
    actual: 'none in the policy',
    remedy: 'grant it in the program, or use a seed that has it',
  });
}
