/** What a seed says that a deploy does: its own plan, never the request. */
import { describe, expect, it } from 'vitest';
import { consentNameCharactersMax } from '../../src/limits.ts';
import type { Plan } from '../../src/plan.ts';
import { ConsentDesk, type ConsentDeskParts, useOf } from '../../src/rollout/consent-desk.ts';
import type { OpenKey } from '../../src/rollout/consent-policy.ts';
import type { JsonValue } from '../../src/transport/transport.ts';
import { smallPlan } from '../faults/small-plan.ts';
import { ada, keyOf, SEED } from './consents.ts';

const base = smallPlan({ nodes: 3, factor: 2 });
const client = (name: string, digit: string) => ({ name, image: `sha256:${digit.repeat(64)}` });
const deploy = (name: string, of: string) => ({
  name,
  client: of,
  pool: `${name}_pool`,
  consent: { scope: `fleet.${name}` },
});
const plan = {
  ...base,
  clients: [client('first', 'a'), client('second', 'b')],
  deploys: [deploy('one', 'second'), deploy('lost', 'nobody')],
  policy: { ...base.policy, grants: [], trustedKeys: [keyOf(ada)] },
} as unknown as Plan;
const use = (name: string, rollout = 'rollout-1') => useOf(plan, { self: SEED, deploy: name, rollout });
const rule = (name: string) => expect.objectContaining({ context: expect.objectContaining({ rule: name }) });

describe('a deploy of the plan', () => {
  it('runs the image of its own client, in its own pool and scope', () => {
    expect(use('one')).toEqual({
      self: SEED,
      rollout: 'rollout-1',
      capabilities: ['deploy'],
      scope: 'fleet.one',
      program: plan.program.digest,
      image: client('second', 'b').image,
      deploy: 'one',
      pool: 'one_pool',
    });
  });

  it.each(['two', 'One', '', 'lost'])('%j is none', (name) => {
    expect(() => use(name)).toThrow(rule('deploy-unknown'));
  });

  it.each(['', '-x', 'a b', 'a/b', 'x'.repeat(101)])('is not rolled out as %j', (name) => {
    expect(() => use('one', name)).toThrow(rule('rollout-name'));
  });
});

describe('a refusal', () => {
  /** What the audit log was told, in order. */
  async function told(request: JsonValue, openKey: OpenKey = () => ''): Promise<string[]> {
    const calls: string[] = [];
    const audit = {
      append: ({ kind, allowed, deploy: of, rollout, rule: by }: Record<string, unknown>) =>
        void calls.push(`${kind} ${allowed} ${of} ${rollout} ${by}`),
      sync: async () => void calls.push('sync'),
    };
    const parts = { plan, self: SEED, audit, openKey } as unknown as ConsentDeskParts;
    await expect(new ConsentDesk(parts).redeem(request, SEED)).rejects.toThrow();
    return calls;
  }

  it('is in the audit log, durably, before it is answered', async () => {
    const request = { token: 'consent!', deploy: 'one', rollout: 'rollout-1' };
    expect(await told(request)).toEqual([expect.stringMatching(/^consent false one rollout-1 /), 'sync']);
  });

  it('of what no plan has is there too, as far as it fits', async () => {
    const names = { deploy: 'x'.repeat(70_000), rollout: 'r\ud800' };
    const shown = `consent false ${'x'.repeat(consentNameCharactersMax)} r\ufffd deploy-unknown`;
    expect(await told({ token: 'consent!', ...names })).toEqual([shown, 'sync']);
  });

  it('for a bug of ours says so', async () => {
    const broken = () => {
      throw new TypeError('no key');
    };
    const request = { token: 'consent!', deploy: 'one', rollout: 'rollout-1' };
    expect(await told(request, broken)).toEqual(['consent false one rollout-1 internal', 'sync']);
  });
});
