/**
 * The policy of a development cluster whose program has none: the nodes on this machine and their owner do everything but what takes two
 * people. Nobody's signature counts, so no consent token can be redeemed under it. A cluster that is no development cluster has no such
 * policy: without one of its own, its nodes do not start.
 */
import type { PolicyPlan } from '../plan.ts';

const LOOPBACK = ['127.0.0.0/8', '::1/128'];

export function devPolicy(trustDomain: string): PolicyPlan {
  const grant = (path: string) => ({
    pattern: `spiffe://${trustDomain}/${path}`,
    caps: ['discover', 'replicate'],
    signedBy: 'nobody',
    discoverScope: LOOPBACK,
    dualControl: true,
  });
  return {
    name: 'development',
    // Paths of a saved plan are relative to D/trust.
    ca: { pem: '../identity/ca.pem' },
    sandboxFloor: 'gvisor',
    grants: [grant('client/*'), grant('dev/local/**')],
    trustedKeys: [],
  };
}
