/** What a seed says that a deploy does: its own plan, never the request. */
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/plan.ts';
import { ConsentDesk, useOf } from '../../src/rollout/consent-desk.ts';
import { smallPlan } from '../faults/small-plan.ts';
import { SEED } from './consents.ts';

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

it('a refusal is in the audit log, durably, before it is answered', async () => {
  const calls: string[] = [];
  const audit = {
    append: ({ kind, allowed, rule: of }: Record<string, unknown>) =>
      void calls.push(`${kind} ${allowed} ${of}`),
    sync: async () => void calls.push('sync'),
  };
  const parts = { plan, self: SEED, audit, openKey: () => '' } as unknown as ConstructorParameters<
    typeof ConsentDesk
  >[0];
  const request = { token: 'consent!', deploy: 'one', rollout: 'rollout-1' };
  await expect(new ConsentDesk(parts).redeem(request, SEED)).rejects.toThrow();
  expect(calls).toEqual([expect.stringMatching(/^consent false /), 'sync']);
});
