/** Consent tokens that must be refused: what they say, who signed them, where and when they are used. */
import { type Clock, systemClock } from '../../src/clock.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { KwamError } from '../../src/errors.ts';
import { parseSpiffeId } from '../../src/identity/spiffe-id.ts';
import { consentNameCharactersMax, trustedKeysMax } from '../../src/limits.ts';
import { canonicalJson } from '../../src/manifest/canonical-json.ts';
import type { TrustedKeyPlan } from '../../src/plan.ts';
import { systemRandom } from '../../src/random.ts';
import type { ConsentPolicy } from '../../src/rollout/consent-policy.ts';
import type { ConsentToken } from '../../src/rollout/consent-token.ts';
import { type ConsentUse, verifyConsent } from '../../src/rollout/consent-verify.ts';
import { redeem, resume } from '../../src/rollout/redeem.ts';
import { FakeClock } from '../control/fake-clock.ts';
import {
  ada,
  adaToo,
  envelopeOf,
  envelopeOver,
  GRANT,
  HOUR,
  type Holder,
  holder,
  iso,
  KEYS,
  keyOf,
  MINUTE,
  mallory,
  NOW,
  policyOf,
  releasers,
  reto,
  TOKEN,
  USE,
} from '../rollout/consents.ts';
import type { Area, Refusal } from './refusal.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Trial {
  readonly envelope?: Uint8Array | Promise<Uint8Array>;
  readonly use?: Partial<ConsentUse>;
  readonly policy?: Promise<ConsentPolicy>;
  readonly nowMs?: number;
}

async function attempt({ envelope, use, policy, nowMs }: Trial = {}): Promise<unknown> {
  const bytes = await (envelope ?? envelopeOf());
  return verifyConsent(bytes, { ...USE, ...use }, await (policy ?? policyOf()), nowMs ?? NOW);
}

const refused = (rule: string, input: string, trial: () => Trial): Refusal => ({
  input,
  code: `CONSENT_REFUSED/${rule}`,
  attempt: () => attempt(trial()),
});

/** A well-signed token whose text is `edit` of the good one's: the signers were careless, or the writer was another program. */
const text = (rule: string, input: string, edit: (json: string) => string): Refusal =>
  refused(rule, input, () => ({ envelope: envelopeOver(bytesOf(edit(canonicalJson({ ...TOKEN })))) }));

const member = (rule: string, input: string, changes: Record<string, unknown>): Refusal =>
  text(rule, input, () => canonicalJson({ ...TOKEN, ...changes }));

const said = (rule: string, input: string, changes: Partial<ConsentToken>, nowMs?: number): Refusal =>
  refused(rule, input, () => ({
    envelope: envelopeOf(changes),
    ...(nowMs === undefined ? {} : { nowMs }),
  }));

const used = (rule: string, input: string, use: Partial<ConsentUse>): Refusal =>
  refused(rule, input, () => ({ use }));

const signedBy = (
  rule: string,
  input: string,
  holders: readonly Holder[],
  keys: readonly TrustedKeyPlan[] = KEYS,
  changes: Partial<ConsentToken> = {},
): Refusal =>
  refused(rule, input, () => ({ envelope: envelopeOf(changes, holders), policy: policyOf(keys) }));

/** Takes a member out of canonical JSON. */
const without =
  (name: string) =>
  (json: string): string => {
    const { [name]: _, ...rest } = JSON.parse(json) as Record<string, unknown>;
    return canonicalJson(rest);
  };

const TEXTS: readonly Refusal[] = [
  text('token-encoding', 'an empty payload', () => ''),
  text('token-encoding', 'a payload that is no JSON', () => 'deploy everything'),
  text('token-encoding', 'a truncated token', (json) => json.slice(0, -20)),
  text('token-encoding', 'bytes after the token', (json) => `${json} `),
  text('token-encoding', 'spaces between members', (json) => json.replaceAll(',"', ', "')),
  text('token-encoding', 'a number for a time', (json) =>
    json.replace(/"expiresAt":"[^"]+"/, '"expiresAt":9999999999'),
  ),
  text('token-encoding', 'null for a pool', (json) => json.replace('"h100_pool"', 'null')),
  text('token-encoding', 'a nested object', (json) => json.replace('"h100_pool"', '{"name":"h100_pool"}')),
  text('token-member-unknown', 'an extra member', (json) => json.replace(/}$/, ',"zone":"az1"}')),
  text('token-member-unknown', 'a member of the prototype', (json) =>
    json.replace(/}$/, ',"__proto__":"x"}'),
  ),
  text('token-member-twice', 'a member written twice', (json) => json.replace('{', `{"pool":"other_pool",`)),
  text('token-member-twice', 'twice, once with an escape', (json) =>
    json.replace('{', `{"po\\u006fl":"other_pool",`),
  ),
  text('token-canonical', 'members in another order', (json) => {
    const { audience, ...rest } = JSON.parse(json) as ConsentToken;
    return JSON.stringify({ ...rest, audience });
  }),
  text('token-canonical', 'an escape that nobody needs', (json) => json.replace('Nina', '\\u004eina')),
  text('token-bytes', 'a token of 20 KB', (json) => json.replace('Nina', 'N'.repeat(20_000))),
  ...Object.keys(TOKEN).map((name) => text('token-member-missing', `no ${name}`, without(name))),
  member('token-schema', 'a token of a later version', { schema: 'kwam.consent/v2' }),
  member('token-audience', 'a pattern as audience', { audience: 'spiffe://kwam/acme/cl-7/*/*/*/seed' }),
  member('token-audience', 'a whole trust domain as audience', { audience: 'spiffe://kwam' }),
  member('token-audience', 'a dot segment in the audience', {
    audience: 'spiffe://kwam/acme/../cl-7/seed',
  }),
  member('token-audience', 'two audiences', { audience: [TOKEN.audience, 'spiffe://kwam/acme/b/seed'] }),
  member('token-jti', 'a short jti', { jti: '0011' }),
  member('token-jti', 'a jti in capitals', { jti: TOKEN.jti.toUpperCase() }),
  member('token-jti', 'a jti with a slash', { jti: `${TOKEN.jti.slice(0, -1)}/` }),
  member('token-issuedAt', 'a time without milliseconds', { issuedAt: '2026-11-20T11:59:00Z' }),
  member('token-notBefore', 'a time in another zone', { notBefore: '2026-11-20T12:59:00.000+01:00' }),
  member('token-expiresAt', 'a day that does not exist', { expiresAt: '2026-11-31T12:00:00.000Z' }),
  member('token-expiresAt', 'a time that is none', { expiresAt: '2026-11-20T12:59:00.000X' }),
  member('token-expiresAt', 'a year of five digits', { expiresAt: '+012026-11-20T12:59:00.000Z' }),
  member('token-capabilities', 'no capability', { capabilities: [] }),
  member('token-capabilities', 'an unknown capability', { capabilities: ['deploy', 'root'] }),
  member('token-capabilities', 'a capability twice', { capabilities: ['deploy', 'deploy'] }),
  member('token-capabilities', 'capabilities out of order', { capabilities: ['quarantine', 'deploy'] }),
  member('token-capabilities', 'capabilities as one text', { capabilities: 'deploy' }),
  member('token-resource', 'an empty resource', { resource: '' }),
  member('token-resource', 'a resource with an empty segment', { resource: 'fleet..h100_pool' }),
  member('token-resource', '`**` inside a segment', { resource: 'fleet.h100**' }),
  member('token-resource', 'a resource with slashes', { resource: 'fleet/h100_pool' }),
  member('token-program', 'a program by name', { program: 'h100.kwam' }),
  member('token-program', 'a digest in capitals', { program: `sha256:${'A'.repeat(64)}` }),
  member('token-image', 'an image by tag', { image: 'registry.acme.internal/node:latest' }),
  member('token-image', 'a digest that is too short', { image: `sha256:${'b'.repeat(63)}` }),
  member('token-deploy', 'a deploy that is a pattern', { deploy: 'rollout_*' }),
  member('token-pool', 'a pool without an end', { pool: 'p'.repeat(consentNameCharactersMax + 1) }),
  member('token-pool', 'a pool that is a pattern', { pool: '*' }),
  member('token-requester', 'no requester', { requester: '' }),
  member('token-requester', 'a requester in two spellings', { requester: 'Zoe\u0308 Frei' }),
  member('token-requester', 'a requester without an end', {
    requester: 'N'.repeat(consentNameCharactersMax + 1),
  }),
  member('token-requester', 'a requester with a hidden space', { requester: 'Nina\u00a0Frei' }),
  member('token-requester', 'a requester with a zero-width letter', { requester: 'Nina\u200b Frei' }),
  member('token-requester', 'a requester with one letter of another script', {
    requester: 'Ret\u043e Keller',
  }),
  member('token-window', 'a token that ends before it begins', {
    notBefore: iso(10 * MINUTE),
    expiresAt: iso(9 * MINUTE),
  }),
  member('token-window', 'a token that is valid before it was issued', { notBefore: iso(-HOUR) }),
  member('token-lifetime', 'a token for two days', { expiresAt: iso(48 * HOUR) }),
];

const ENVELOPES: readonly Refusal[] = [
  refused('envelope', 'no envelope at all', () => ({ envelope: bytesOf('consent!') })),
  refused('envelope', 'the bare token, unsigned', () => ({
    envelope: bytesOf(canonicalJson({ ...TOKEN })),
  })),
  refused('envelope', 'an envelope without signatures', () => ({ envelope: edited(/\[.*\]/, '[]') })),
  refused('envelope', 'a truncated envelope', () => ({
    envelope: envelopeOf().then((bytes) => bytes.subarray(0, bytes.length - 10)),
  })),
  refused('envelope', 'an extra member of the envelope', () => ({
    envelope: edited(/}$/, ',"alg":"none"}'),
  })),
  refused('envelope', 'a payload twice', () => ({ envelope: edited(/^\{/, '{"payload":"e30=",') })),
  refused('envelope-bytes', 'an envelope of 80 KB', () => ({ envelope: edited(/$/, ' '.repeat(80_000)) })),
  refused('envelope-type', 'a signed manifest in its place', () => ({
    envelope: envelopeOver(
      bytesOf(canonicalJson({ ...TOKEN })),
      [ada, reto],
      'application/vnd.kwam.manifest.v1+json',
    ),
  })),
  refused('envelope-type', 'an unknown payload type', () => ({
    envelope: envelopeOver(bytesOf(canonicalJson({ ...TOKEN })), [ada, reto], 'text/plain'),
  })),
  refused('key-unknown', 'a token that was changed after signing', () => ({
    envelope: swapped({ pool: 'other_pool' }),
    use: { pool: 'other_pool' },
  })),
  refused('key-unknown', 'the type swapped after signing', () => ({
    envelope: envelopeOver(bytesOf(canonicalJson({ ...TOKEN })), [ada, reto], 'text/plain').then((bytes) =>
      bytesOf(new TextDecoder().decode(bytes).replace('text/plain', 'application/vnd.kwam.consent.v1+json')),
    ),
  })),
];

async function edited(from: RegExp, to: string): Promise<Uint8Array> {
  return bytesOf(new TextDecoder().decode(await envelopeOf()).replace(from, to));
}

/** The signatures of the good token over another payload. */
async function swapped(changes: Partial<ConsentToken>): Promise<Uint8Array> {
  const payload = Buffer.from(canonicalJson({ ...TOKEN, ...changes })).toString('base64');
  return edited(/"payload":"[^"]+"/, `"payload":"${payload}"`);
}

const PLACES: readonly Refusal[] = [
  used('audience', 'a token for another seed', { self: 'spiffe://kwam/acme/cl-7/az1/pod0/n0001/seed' }),
  said('audience', 'a token for the same seed in another domain', {
    audience: parseSpiffeId('spiffe://kwam.example/acme/cl-7/az1/pod0/n0000/seed'),
  }),
  said('not-yet-valid', 'a token one millisecond early', { notBefore: iso(1) }),
  said('expired', 'a token in its last millisecond plus one', {}, NOW + 59 * MINUTE),
  used('program', 'another program', { program: `sha256:${'c'.repeat(64)}` }),
  used('image', 'another image', { image: `sha256:${'c'.repeat(64)}` }),
  used('deploy', 'another deploy', { deploy: 'rollout_b200' }),
  used('pool', 'another pool', { pool: 'b200_pool' }),
  used('scope', 'a wider scope', { scope: 'fleet.**' }),
  used('scope', 'the pool itself, where its parts are allowed', { scope: 'fleet.h100_pool' }),
  used('scope', 'a pattern that reaches one name too far', { scope: 'fleet.h100_*.nodes' }),
  used('scope-form', 'an empty scope', { scope: '' }),
  used('scope-form', '`**` inside a segment of the scope', { scope: 'fleet.h100_pool.a**' }),
  {
    input: 'a scope too tangled to be compared',
    code: 'CONSENT_REFUSED/scope-not-shown',
    attempt: () => tangledScope(),
  },
  used('capability', 'a capability that was not asked for', { capabilities: ['quarantine'] }),
  used('capability', 'one capability more', { capabilities: ['deploy', 'quarantine'] }),
  used('capability-none', 'no capability at all', { capabilities: [] }),
  refused('grant', 'a capability that the policy does not grant', () => ({
    envelope: envelopeOf({ capabilities: ['override_budget'] }),
    use: { capabilities: ['override_budget'] },
  })),
  refused('grant', 'a seed that no grant names', () => ({
    policy: policyOf(KEYS, [{ ...GRANT, pattern: 'spiffe://kwam/acme/cl-8/*/*/*/seed' }]),
  })),
];

/** Patterns whose comparison takes more steps than it is given: what was not shown counts as not so. */
function tangledScope(): Promise<unknown> {
  return attempt({
    envelope: envelopeOf({ resource: `*${'ab*'.repeat(300)}c*` }),
    use: { scope: `*${'a*b*'.repeat(300)}c*` },
  });
}

const SIGNERS: readonly Refusal[] = [
  signedBy('key-unknown', 'a key of a stranger', [mallory]),
  signedBy('key-unknown', 'strangers only, under the names of the right keys', [mallory, { ...mallory }]),
  signedBy('signer-missing', 'without the signer that the grant names', [reto]),
  signedBy('signer-missing', 'two others, without that signer', [reto, adaToo]),
  signedBy('signer-missing', 'the name of the signer on another key', [mallory, reto]),
  signedBy(
    'signer-missing',
    'an approver whose key has expired, without that signer',
    [reto],
    [keyOf(ada), keyOf(reto, { notAfter: iso(-1) })],
  ),
  signedBy('approver-missing', 'one signature only', [ada]),
  signedBy('approver-missing', 'a stranger as the second', [ada, mallory]),
  signedBy('signer-twice', 'one signer twice', [ada, ada]),
  signedBy('one-person', 'two keys of one person', [ada, adaToo]),
  signedBy('requester-approves', 'the requester as the second approver', [ada, reto], KEYS, {
    requester: 'Reto Keller',
  }),
  signedBy('requester-approves', 'the same in small letters', [ada, reto], KEYS, {
    requester: 'reto keller',
  }),
  signedBy(
    'requester-approves',
    'the same with other signs between the letters',
    [ada, reto],
    [keyOf(ada), keyOf({ ...reto, person: 'Reto Keller\u200b (ops)' })],
    { requester: 'Reto Keller-Ops' },
  ),
  signedBy(
    'one-person',
    'one person whose name has an invisible letter',
    [ada, reto],
    [keyOf(ada), keyOf({ ...reto, person: 'Ada\u200dSteiner' })],
  ),
  signedBy(
    'key-revoked',
    'the signer with a revoked key',
    [ada, reto],
    [keyOf(ada, { revoked: true }), keyOf(reto)],
  ),
  signedBy(
    'key-revoked',
    'the approver with a revoked key',
    [ada, reto],
    [keyOf(ada), keyOf(reto, { revoked: true })],
  ),
  signedBy(
    'key-expired',
    'a key that has expired',
    [ada, reto],
    [keyOf(ada), keyOf(reto, { notAfter: iso(-1) })],
  ),
  signedBy(
    'key-expired',
    'the signer with an expired key',
    [ada, reto],
    [keyOf(ada, { notAfter: iso(-HOUR) }), keyOf(reto)],
  ),
  signedBy(
    'key-not-yet-valid',
    'a key that begins tomorrow',
    [ada, reto],
    [keyOf(ada), keyOf(reto, { notBefore: iso(24 * HOUR) })],
  ),
  signedBy(
    'key-not-yet-valid',
    'a key that began after the token was issued',
    [ada, reto],
    [keyOf(ada), keyOf(reto, { notBefore: iso(-1) })],
  ),
  {
    input: 'two people by a grant without dual control that deploys',
    code: 'CONSENT_REFUSED/approver-missing',
    attempt: () =>
      attempt({
        envelope: envelopeOf({}, [ada]),
        policy: policyOf(KEYS, [{ ...GRANT, dualControl: false }]),
      }),
  },
  {
    input: 'a second grant over the same seed, whose signer is missing',
    code: 'CONSENT_REFUSED/signer-missing',
    attempt: () =>
      attempt({
        policy: policyOf(KEYS, [
          GRANT,
          { ...GRANT, pattern: 'spiffe://kwam/acme/**', signedBy: 'acme-prod-2' },
        ]),
      }),
  },
  {
    input: 'a policy with more keys than can be tried',
    code: 'USAGE/policy-keys',
    attempt: () => {
      const many = Array.from({ length: trustedKeysMax }, (_, at) => keyOf(holder(`k${at}`, `P ${at}`)));
      return policyOf([...many, keyOf(ada)]);
    },
  },
  {
    input: 'a policy with one key under two names',
    code: 'USAGE/policy-keys',
    attempt: () => policyOf([keyOf(ada), keyOf({ ...ada, name: 'acme-ops', person: 'Reto Keller' })]),
  },
  {
    input: 'a policy with two keys of the name that a grant asks for',
    code: 'USAGE/policy-keys',
    attempt: () => policyOf([keyOf(ada), keyOf(reto), keyOf(mallory)]),
  },
  ...['\u0410da Steiner', '\u200b', 'P'.repeat(consentNameCharactersMax + 1)].map((person) => ({
    input: `a policy with a person named ${JSON.stringify(person.slice(0, 12))}`,
    code: 'USAGE/policy-keys',
    attempt: () => policyOf([keyOf(ada), keyOf({ ...reto, person })]),
  })),
  {
    input: 'a policy with a key that is nobody’s',
    code: 'USAGE/policy-keys',
    attempt: () => {
      const { person: _, ...anonymous } = keyOf(reto);
      return policyOf([keyOf(ada), anonymous]);
    },
  },
  {
    input: 'a policy whose signer has no key',
    code: 'USAGE/policy-keys',
    attempt: () => policyOf([keyOf(reto)]),
  },
];

const ledgerOf = (control: Pick<ControlStore, 'get' | 'transact'>, clock: Clock = new FakeClock(NOW)) => ({
  control,
  clock,
  random: systemRandom,
  used: new Set<string>(),
});

const store = (): MemoryControlStore => new MemoryControlStore({ clock: systemClock });

async function redeemTwice(second: Partial<ConsentUse>, act = redeem): Promise<unknown> {
  const services = { policy: await policyOf(), ledger: ledgerOf(store()), releasers };
  const envelope = await envelopeOf();
  await redeem(services, envelope, USE);
  return act(services, envelope, { ...USE, ...second });
}

/** Time passes as fast as it is slept away. */
function hastyClock(): Clock {
  let nowMs = NOW;
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
    },
  };
}

async function redeemWithout(): Promise<unknown> {
  const down = async (): Promise<never> => {
    throw new KwamError('UNAVAILABLE', 'the store does not answer', { retryable: true });
  };
  const ledger = ledgerOf({ get: down, transact: down }, hastyClock());
  return redeem({ policy: await policyOf(), ledger, releasers }, await envelopeOf(), USE);
}

const LEDGER: readonly Refusal[] = [
  {
    input: 'a token that another rollout has used',
    code: 'CONSENT_REFUSED/replayed',
    attempt: () => redeemTwice({ rollout: 'rollout-2' }),
  },
  {
    input: 'a token redeemed twice by the same rollout',
    code: 'CONSENT_REFUSED/replayed',
    attempt: () => redeemTwice({}),
  },
  {
    input: 'another rollout that resumes',
    code: 'CONSENT_REFUSED/replayed',
    attempt: () => redeemTwice({ rollout: 'rollout-2' }, resume),
  },
  {
    input: 'the same rollout that resumes with another program',
    code: 'CONSENT_REFUSED/program',
    attempt: () => redeemTwice({ program: `sha256:${'c'.repeat(64)}` }, resume),
  },
  {
    input: 'a resume without a claim',
    code: 'CONSENT_REFUSED/not-claimed',
    attempt: async () =>
      resume({ policy: await policyOf(), ledger: ledgerOf(store()), releasers }, await envelopeOf(), USE),
  },
  {
    input: 'another token under a jti that was used',
    code: 'CONSENT_REFUSED/replayed',
    attempt: async () => {
      const services = { policy: await policyOf(), ledger: ledgerOf(store()), releasers };
      await redeem(services, await envelopeOf(), USE);
      return resume(services, await envelopeOf({ requester: 'Otto Vogt' }), USE);
    },
  },
  {
    input: 'a token whose claim the control store has lost',
    code: 'CONSENT_REFUSED/replayed',
    attempt: async () => {
      const [first, second] = [ledgerOf(store()), ledgerOf(store())];
      const services = { policy: await policyOf(), releasers };
      const envelope = await envelopeOf();
      await redeem({ ...services, ledger: first }, envelope, USE);
      return redeem({ ...services, ledger: { ...second, used: first.used } }, envelope, USE);
    },
  },
  {
    input: 'a token while the control store is down',
    code: 'CONSENT_REFUSED/ledger-unavailable',
    attempt: redeemWithout,
  },
];

export const tokens: Area = {
  name: 'consent',
  accepted: () => attempt(),
  rows: [...TEXTS, ...ENVELOPES, ...PLACES, ...SIGNERS, ...LEDGER],
};
