/** What may be redeemed, and that it may be once. What may not: test/refusals/tokens.ts, row by row. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ControlStore, TransactionResult } from '../../src/control/control-store.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { KwamError } from '../../src/errors.ts';
import { CAPABILITIES } from '../../src/language/capability.ts';
import { canonicalBytes } from '../../src/manifest/canonical-json.ts';
import { systemRandom } from '../../src/random.ts';
import { compileConsentPolicy } from '../../src/rollout/consent-policy.ts';
import {
  type ConsentToken,
  consentDigest,
  encodeConsentToken,
  parseConsentToken,
} from '../../src/rollout/consent-token.ts';
import { verifyConsent } from '../../src/rollout/consent-verify.ts';
import { type Redemption, redeem, resume } from '../../src/rollout/redeem.ts';
import { FakeClock } from '../control/fake-clock.ts';
import {
  ada,
  adaToo,
  envelopeOf,
  envelopeOver,
  GRANT,
  HOUR,
  iso,
  KEYS,
  keyOf,
  mallory,
  NOW,
  policyOf,
  releasers,
  reto,
  TOKEN,
  USE,
} from './consents.ts';

type Store = Pick<ControlStore, 'get' | 'transact'>;
const memory = () => new MemoryControlStore({ clock: systemClock });

async function redemption(control: Store, nowMs = NOW): Promise<Redemption> {
  const ledger = { control, clock: new FakeClock(nowMs), random: systemRandom, used: new Set<string>() };
  return { policy: await policyOf(), ledger, releasers };
}

describe('a token', () => {
  it('has one text, and its digest names it', () => {
    const bytes = encodeConsentToken(TOKEN);
    expect(parseConsentToken(bytes)).toEqual(TOKEN);
    expect(new TextDecoder().decode(bytes)).toMatch(
      /^\{"audience":"spiffe:\/\/kwam\/acme\/cl-7\/az1\/pod0\/n0000\/seed","capabilities":\["deploy"\],"deploy":/,
    );
    // The vector of ARCHITECTURE.md.
    expect(consentDigest(bytes)).toBe('03a5f9803bc25724a979987a3f49391595c09aec5d973bca55771de61b38dbc9');
  });

  it('is accepted in exactly the bytes that the writer makes', () => {
    const bytes = encodeConsentToken(TOKEN);
    const flip = fc.record({
      at: fc.integer({ min: 0, max: bytes.length - 1 }),
      bit: fc.integer({ min: 0, max: 7 }),
    });
    fc.assert(
      fc.property(flip, ({ at, bit }) => {
        const changed = bytes.slice();
        changed[at]! ^= 1 << bit;
        let parsed: ConsentToken;
        try {
          parsed = parseConsentToken(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(KwamError);
          expect((error as KwamError).context['rule']).toMatch(/^token-/);
          return;
        }
        expect(encodeConsentToken(parsed)).toEqual(changed);
      }),
    );
  });
});

describe('people', () => {
  const verified = async (holders = [ada, reto], changes: Partial<ConsentToken> = {}, keys = KEYS) =>
    verifyConsent(await envelopeOf(changes, holders), USE, await policyOf(keys), NOW);

  it('agree in any order, among strangers and their own spare keys', async () => {
    expect((await verified([reto, ada])).approvals.counted.map(({ key }) => key)).toEqual([
      'acme-ops',
      'acme-prod',
    ]);
    const { approvals } = await verified([mallory, adaToo, ada, ada, reto]);
    expect(approvals).toMatchObject({ strangers: 1, repeated: 1, faulty: [] });
    expect(approvals.counted).toHaveLength(3);
  });

  it('may ask for what they then sign as the named signer, with a second person', async () => {
    await verified([ada, reto], { requester: 'Ada Steiner' });
  });

  it('rotate their keys: the old one and the new one overlap', async () => {
    const renewed = [keyOf(ada), keyOf(reto, { notAfter: iso(HOUR) }), keyOf(adaToo)];
    await verified([ada, reto], {}, renewed);
    await verified([ada, reto], {}, [keyOf(ada, { notBefore: iso(-HOUR), notAfter: iso(0) }), keyOf(reto)]);
  });

  it('are one where nothing is destroyed and the grant does not ask for two', async () => {
    const grant = { ...GRANT, caps: ['replicate'], dualControl: false };
    const envelope = await envelopeOf({ capabilities: ['replicate'] }, [ada]);
    const use = { ...USE, capabilities: ['replicate'] as const };
    await verifyConsent(envelope, use, await policyOf(KEYS, [grant]), NOW);
  });

  it('agree to several capabilities at once', async () => {
    const capabilities = [...CAPABILITIES].sort();
    const envelope = await envelopeOf({ capabilities });
    const policy = await policyOf(KEYS, [{ ...GRANT, caps: capabilities }]);
    await verifyConsent(envelope, { ...USE, capabilities }, policy, NOW);
  });
});

describe('a refusal', () => {
  const messageOf = async (envelope: Uint8Array): Promise<string> =>
    verifyConsent(envelope, USE, await policyOf(), NOW).then(
      () => expect.fail('the token was accepted'),
      ({ message }: KwamError) => message,
    );

  it('says who has signed, and how many signatures were of no use', async () => {
    expect(await messageOf(await envelopeOf({}, [reto]))).toContain('got acme-ops (Reto Keller); have it');
    expect(await messageOf(await envelopeOf({}, [reto, reto, mallory]))).toContain(
      'got acme-ops (Reto Keller); 1 by unknown keys; 1 repeated; have it',
    );
  });

  it('shows what a stranger wrote, and no more than a line of it', async () => {
    const typed = (type: string) => envelopeOver(encodeConsentToken(TOKEN), [ada], type);
    expect(await messageOf(await typed('text/plain'))).toContain('got "text/plain"; signatures');
    expect((await messageOf(await typed('x'.repeat(5000)))).length).toBeLessThan(500);
  });
});

it('a policy without grants and keys is a policy: nobody may do anything', async () => {
  const policy = await compileConsentPolicy({ grants: [], trustedKeys: [] }, () => '');
  await expect(verifyConsent(await envelopeOf(), USE, policy, NOW)).rejects.toMatchObject({
    code: 'CONSENT_REFUSED',
    context: { rule: 'grant' },
  });
});

describe('time', () => {
  it('holds from the first millisecond to the last', async () => {
    const envelope = await envelopeOf();
    const policy = await policyOf();
    await verifyConsent(envelope, USE, policy, Date.parse(TOKEN.notBefore));
    await verifyConsent(envelope, USE, policy, Date.parse(TOKEN.expiresAt) - 1);
  });

  it('may be a day and no longer', async () => {
    await envelopeOf({ expiresAt: new Date(Date.parse(TOKEN.issuedAt) + 24 * HOUR).toISOString() });
  });
});

describe('redeeming', () => {
  it('records who used it, for what and by whose consent', async () => {
    const claim = await redeem(await redemption(memory()), await envelopeOf(), USE);
    expect(claim).toMatchObject({
      jti: TOKEN.jti,
      token: consentDigest(encodeConsentToken(TOKEN)),
      rollout: 'rollout-1',
      redeemer: USE.self,
      claimedAt: iso(0),
      approvedBy: ['acme-prod', 'acme-ops'],
      releasedBy: ['acme-prod'],
    });
  });

  it('is resumed by the same rollout, also when the token has expired meanwhile', async () => {
    const control = memory();
    const envelope = await envelopeOf();
    const claim = await redeem(await redemption(control), envelope, USE);
    expect(await resume(await redemption(control, NOW + 24 * HOUR), envelope, USE)).toEqual(claim);
  });

  it('is noted when it is resumed, in case that the crash came before', async () => {
    const { policy, ledger } = await redemption(memory());
    const envelope = await envelopeOf();
    await redeem({ policy, ledger, releasers }, envelope, USE);
    const crashed = { ...ledger, used: new Set<string>() };
    await resume({ policy, ledger: crashed, releasers }, envelope, USE);
    expect([...crashed.used]).toEqual([TOKEN.jti]);
  });

  it('is resumed nowhere but where it was redeemed', async () => {
    const control = memory();
    const envelope = await envelopeOf();
    const claim = await redeem(await redemption(control), envelope, USE);
    // Nobody but a seed with the same name could have made this entry: a store that two clusters share.
    const elsewhere = { ...claim, redeemer: 'spiffe://kwam/acme/cl-8/az1/pod0/n0000/seed' };
    const value = canonicalBytes(elsewhere);
    await control.transact([], [{ kind: 'put', key: `consent/${TOKEN.jti}`, value }]);
    await expect(resume(await redemption(control), envelope, USE)).rejects.toMatchObject({
      context: { rule: 'replayed' },
    });
  });

  it('is not possible again when the control store has forgotten the claim, for nobody', async () => {
    const { policy, ledger } = await redemption(memory());
    const envelope = await envelopeOf();
    await redeem({ policy, ledger, releasers }, envelope, USE);
    const restored = { policy, releasers, ledger: { ...ledger, control: memory() } };
    const other = { ...USE, rollout: 'rollout-2' };
    const refused = (rule: string, message: string) => ({
      context: { rule },
      message: expect.stringContaining(message),
    });
    for (const use of [USE, other])
      await expect(redeem(restored, envelope, use)).rejects.toMatchObject(
        refused('replayed', 'forgotten it'),
      );
    for (const use of [USE, other])
      await expect(resume(restored, envelope, use)).rejects.toMatchObject(refused('not-claimed', ''));
    await expect(redeem({ policy, ledger, releasers }, envelope, other)).rejects.toMatchObject(
      refused('replayed', 'claimed by rollout rollout-1'),
    );
  });

  it('is the store’s to decide when several ask at once, none of whom has redeemed it before', async () => {
    const { policy, ledger } = await redemption(memory());
    const envelope = await envelopeOf();
    const attempts = ['r1', 'r2', 'r3', 'r4'].map((rollout) =>
      redeem({ policy, releasers, ledger: { ...ledger, used: new Set() } }, envelope, { ...USE, rollout }),
    );
    const outcomes = await Promise.allSettled(attempts);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(3);
    for (const outcome of refused)
      expect(outcome).toMatchObject({ reason: { context: { rule: 'replayed' } } });
  });

  it('leaves other tokens alone', async () => {
    const services = await redemption(memory());
    await redeem(services, await envelopeOf(), USE);
    await redeem(services, await envelopeOf({ jti: 'f'.repeat(32) }), USE);
  });

  /** What etcd does while it changes its leader: the answer is lost, the transaction may have taken place. */
  function losing(control: Store, isDone: boolean): Store {
    let lost = false;
    return {
      get: (key) => control.get(key),
      async transact(compares, operations): Promise<TransactionResult> {
        if (lost) return control.transact(compares, operations);
        lost = true;
        if (isDone) await control.transact(compares, operations);
        throw new KwamError('UNAVAILABLE', 'the answer was lost', { retryable: true });
      },
    };
  }

  it.each([true, false])('finds its claim again when the answer is lost (done: %s)', async (isDone) => {
    const services = await redemption(losing(memory(), isDone));
    const awake = {
      ...services.ledger,
      clock: { ...systemClock, now: () => NOW, sleep: async () => undefined },
    };
    const claim = await redeem({ ...services, ledger: awake }, await envelopeOf(), USE);
    expect(claim.rollout).toBe('rollout-1');
  });

  it('does not take a damaged ledger for an empty one', async () => {
    const control = memory();
    const value = new TextEncoder().encode('{"schema":"kwam.consent-claim/v9"}');
    await control.transact([], [{ kind: 'put', key: `consent/${TOKEN.jti}`, value }]);
    await expect(redeem(await redemption(control), await envelopeOf(), USE)).rejects.toMatchObject({
      code: 'INTEGRITY',
    });
  });
});
