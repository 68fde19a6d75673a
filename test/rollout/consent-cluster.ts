/** Consent on a cluster of real processes: a plan with one deploy and a policy, its public keys as files, and tokens for its first node. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { SpiffeId } from '../../src/identity/spiffe-id.ts';
import type { GrantPlan, Plan } from '../../src/plan.ts';
import type { ConsentToken } from '../../src/rollout/consent-token.ts';
import type { Claim } from '../../src/rollout/ledger.ts';
import type { TestCluster } from '../faults/cluster.ts';
import { ada, envelopeOf, GRANT, keyOf, reto } from './consents.ts';
import { releasedImage } from './released-image.ts';

export const DEPLOY = 'rollout_h100';
const CLIENT = 'kwam_node';
const released = releasedImage();

export const grantOf = (pattern: string, caps: string[], discoverScope = ['127.0.0.0/8']): GrantPlan => ({
  ...GRANT,
  pattern,
  caps,
  discoverScope,
});

const OWN = ['discover', 'replicate', 'deploy'];

/** @param more  grants beside those of the cluster's own nodes and clients. */
export function consentPlan(plan: Plan, more: readonly GrantPlan[] = []): Plan {
  const consent = { grantRef: 'token.json', scope: 'fleet.h100_pool.nodes' };
  return {
    ...plan,
    policy: {
      name: 'trust_root',
      ca: { pem: 'identity/ca.pem' },
      sandboxFloor: 'gvisor',
      grants: [
        grantOf('spiffe://kwam/dev/local/*/*/*/node', OWN),
        grantOf('spiffe://kwam/dev/local/client/*', OWN),
        ...more,
      ],
      trustedKeys: [ada, reto].map((holder) => keyOf(holder, { key: { pem: `keys/${holder.name}.pem` } })),
    },
    clients: [
      { name: CLIENT, image: released.image, sandbox: 'gvisor', health: [], safepoint: 'cooperative' },
    ],
    deploys: [
      {
        ...{ name: DEPLOY, server: 'seed', client: CLIENT, pool: 'h100_pool', strategy: 'canary' as const },
        ...{ waves: ['1/1'], bakeMs: 0, onFailure: 'pause' as const, consent },
      },
    ],
  };
}

export function writeKeys({ directory }: TestCluster): void {
  const keys = join(directory, 'trust/keys');
  fs.mkdirSync(keys, { recursive: true });
  for (const { name, pem } of [ada, reto]) fs.writeFileSync(join(keys, `${name}.pem`), pem);
}

/** Where the cluster's nodes find the image's signatures. */
export function writeImage({ directory }: TestCluster): void {
  released.content.write(join(directory, 'images', CLIENT));
}

export async function tokenFor({ plan }: TestCluster, changes: Partial<ConsentToken> = {}): Promise<string> {
  const now = Date.now();
  const iso = (ms: number): string => new Date(now + ms).toISOString();
  const audience = plan.nodes[0]!.spiffe as SpiffeId;
  const bound = { audience, program: plan.program.digest, image: released.image };
  const time = { issuedAt: iso(-1000), notBefore: iso(-1000), expiresAt: iso(600_000) };
  return Buffer.from(await envelopeOf({ ...bound, ...time, ...changes })).toString();
}

export function redeem(
  cluster: TestCluster,
  token: string,
  rollout: string,
  method = 'consent.redeem',
  node = 'n0001',
): Promise<Claim> {
  return cluster.ask<Claim>(node, method, { token, deploy: DEPLOY, rollout });
}
