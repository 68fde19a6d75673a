/** Who may do what: default deny, exact patterns, `discover` only within its networks. */
import { describe, expect, it } from 'vitest';
import { compileGrants, decide } from '../../src/identity/grants.ts';
import type { Capability } from '../../src/language/capability.ts';
import type { GrantPlan } from '../../src/plan.ts';

const SEEDS: GrantPlan = {
  pattern: 'spiffe://kwam/acme/cl-7/*/*/*/seed',
  caps: ['discover', 'replicate', 'deploy'],
  signedBy: 'acme-prod',
  discoverScope: ['10.40.0.0/16', 'fd00:40::/32'],
  dualControl: true,
};
const NODES: GrantPlan = {
  pattern: 'spiffe://kwam/acme/cl-7/**',
  caps: ['replicate'],
  signedBy: 'acme-prod',
  discoverScope: [],
  dualControl: false,
};
const SEED = 'spiffe://kwam/acme/cl-7/az1/pod0/n0000/seed';
const NODE = 'spiffe://kwam/acme/cl-7/az1/pod0/n0001/node';

const asked = (peer: string, capability: Capability, address?: string, grants = [SEEDS, NODES]) => {
  const decision = decide(compileGrants(grants), { peer, capability, address });
  return decision.allowed ? decision.grant : decision.rule;
};

describe('a grant', () => {
  it('allows what it names, to whom its pattern names', () => {
    expect(asked(SEED, 'deploy')).toBe(SEEDS.pattern);
    expect(asked(NODE, 'replicate')).toBe(NODES.pattern);
  });

  it('adds up with others', () => {
    expect(asked(SEED, 'replicate', undefined, [NODES, SEEDS])).toBe(NODES.pattern);
    expect(asked(SEED, 'deploy', undefined, [NODES, SEEDS])).toBe(SEEDS.pattern);
  });

  it.each([
    [NODE, 'deploy', 'grant-capability'],
    [SEED, 'quarantine', 'grant-capability'],
    ['spiffe://kwam/acme/cl-8/az1/pod0/n0000/seed', 'replicate', 'grant-peer'],
    ['spiffe://kwam.example/acme/cl-7/az1/pod0/n0000/seed', 'deploy', 'grant-peer'],
    ['spiffe://kwam/acme/cl-7', 'deploy', 'grant-capability'],
    ['https://kwam/acme/cl-7/az1/pod0/n0000/seed', 'deploy', 'grant-peer'],
    ['spiff3://kwam/acme/cl-7/az1/pod0/n0000/seed', 'deploy', 'grant-peer'],
    [`${SEED}/more`, 'deploy', 'grant-capability'],
    ['', 'replicate', 'grant-peer'],
  ] as const)('does not allow %s to %s: %s', (peer, capability, rule) => {
    expect(asked(peer, capability)).toBe(rule);
  });

  it('is needed: without any, nobody may do anything', () => {
    expect(asked(SEED, 'replicate', '10.40.0.1', [])).toBe('grant-peer');
  });
});

it.each([
  [SEEDS, 'deploy', true],
  [SEEDS, 'replicate', true],
  [NODES, 'deploy', true],
  [NODES, 'override_budget', true],
  [NODES, 'replicate', false],
] as const)('%o takes two people for %s: %s', (plan, capability, isSo) => {
  expect(compileGrants([plan])[0]!.needsTwo(capability)).toBe(isSo);
});

describe('discover', () => {
  it.each(['10.40.0.0', '10.40.255.255', '::ffff:10.40.7.8', 'fd00:40::1'])(
    'is allowed from %s',
    (address) => {
      expect(asked(SEED, 'discover', address)).toBe(SEEDS.pattern);
    },
  );

  it.each([
    '10.41.0.0',
    '10.39.255.255',
    '::ffff:10.41.0.1',
    'fd00:41::1',
    'fe80::1%eth0',
    '010.40.0.1.5',
    'localhost',
    '',
    undefined,
  ])('is not allowed from %s', (address) => {
    expect(asked(SEED, 'discover', address)).toBe('grant-discover-scope');
  });
});

it.each([
  ['spiffe://*/seed', {}],
  ['spiffe://kwam/a', { caps: ['root'] }],
  ['spiffe://kwam/a', { discoverScope: ['10.40.0.1/16'] }],
  ['spiffe://kwam/a', { discoverScope: ['10.40.0.0'] }],
] as const)('a plan with the grant %s, %j is refused', (pattern, changes) => {
  const again = { code: 'USAGE', message: expect.stringContaining('compile the plan again') };
  expect(() => compileGrants([{ ...SEEDS, pattern, ...changes }])).toThrow(expect.objectContaining(again));
});
