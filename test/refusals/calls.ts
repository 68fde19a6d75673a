/** Calls that the policy must refuse, at the gate that every call of a node passes. */
import { dirname, join } from 'node:path';
import { Access } from '../../src/cluster/access.ts';
import { checkNotIntoOwn, checkNotOwn } from '../../src/cluster/own-files.ts';
import { compileGrants } from '../../src/identity/grants.ts';
import { GRANT, SEED } from '../rollout/consents.ts';
import type { Area, Refusal } from './refusal.ts';

const NODES = {
  ...GRANT,
  pattern: 'spiffe://kwam/acme/cl-7/*/*/*/node',
  caps: ['replicate'],
  discoverScope: [],
};
const NODE = 'spiffe://kwam/acme/cl-7/az1/pod0/n0001/node';
const here = import.meta.dirname;
const INSIDE = '10.40.7.8';

const accessBy = (grants = [GRANT, NODES]): Access =>
  new Access({ grants: compileGrants(grants), audit: { append: () => undefined } });

function admit(
  peer: string,
  method: string,
  address: string | undefined = INSIDE,
  grants = [GRANT, NODES],
): unknown {
  return accessBy(grants).admit(method, { peer, address });
}

const scrape = (peer: string, address = INSIDE): unknown => accessBy().admitMetrics({ peer, address });

const refused = (rule: string, input: string, attempt: () => unknown): Refusal => ({
  input,
  code: `PERMISSION_DENIED/${rule}`,
  attempt,
});

export const calls: Area = {
  name: 'grants',
  accepted: () => [
    admit(SEED, 'cluster.status'),
    admit(NODE, 'pack.have'),
    admit(SEED, 'consent.redeem'),
    scrape(SEED),
    ...['127.0.0.1', '::ffff:127.8.9.1', '::1'].map((address) => admit(NODE, 'object.put', address)),
  ],
  rows: [
    refused('grant-peer', 'anybody, without any grant', () => admit(SEED, 'pack.have', INSIDE, [])),
    refused('grant-peer', 'a peer of another cluster', () =>
      admit(SEED.replace('cl-7', 'cl-8'), 'pack.have'),
    ),
    refused('grant-peer', 'the same path in another trust domain', () =>
      admit(SEED.replace('//kwam/', '//kwam.example/'), 'pack.have'),
    ),
    refused('grant-peer', 'a path one segment longer', () => admit(`${SEED}/x`, 'pack.have')),
    refused('grant-peer', 'a path one segment shorter', () => admit(SEED.replace('/pod0', ''), 'pack.have')),
    refused('grant-peer', 'an ID that ends like the pattern', () => admit(`${SEED}s`, 'pack.have')),
    refused('grant-capability', 'a node that looks around', () => admit(NODE, 'cluster.status')),
    refused('grant-capability', 'a node that redeems consent', () => admit(NODE, 'consent.redeem')),
    refused('grant-capability', 'a node that looks at the metrics port', () => scrape(NODE)),
    refused('grant-discover-scope', 'the metrics port from outside its networks', () =>
      scrape(SEED, '10.41.0.1'),
    ),
    refused('grant-peer', 'the metrics port for a stranger', () => scrape('spiffe://kwam/client/x')),
    refused('local-path', 'a node elsewhere that has a file of this one read', () =>
      admit(NODE, 'object.put'),
    ),
    refused('local-path', 'a node elsewhere that has a file of this one written', () =>
      admit(NODE, 'object.get'),
    ),
    refused('local-path', 'a path from an address that only begins like our own', () =>
      admit(SEED, 'object.put', '::ffff:126.0.0.1'),
    ),
    refused('grant-peer', 'a stranger elsewhere who names a path', () =>
      admit('spiffe://kwam/client/x', 'object.put'),
    ),
    refused('local-path', 'a path from nobody knows where', () =>
      accessBy().admit('object.put', { peer: NODE, address: undefined }),
    ),
    refused('own-files', 'a tree with the node’s own keys in it', () => checkNotOwn([here], dirname(here))),
    refused('own-files', 'a file among the node’s own keys', () => checkNotOwn([here], join(here, 'ca.key'))),
    refused('own-files', 'a destination among what the node trusts', () =>
      checkNotIntoOwn([here], join(here, 'retired.pem')),
    ),
    refused('local-path', 'a path from the name of this machine', () =>
      admit(SEED, 'object.get', 'localhost'),
    ),
    refused('grant-discover-scope', 'a seed from outside its networks', () =>
      admit(SEED, 'object.list', '10.41.0.1'),
    ),
    refused('grant-discover-scope', 'a seed from outside, IPv4 in IPv6', () =>
      admit(SEED, 'object.list', '::ffff:10.41.0.1'),
    ),
    refused('grant-discover-scope', 'a seed from an IPv6 address that begins alike', () =>
      admit(SEED, 'object.list', '10:40::1'),
    ),
    refused('grant-discover-scope', 'a seed by the name of a machine', () =>
      admit(SEED, 'object.list', 'seed.internal'),
    ),
    {
      input: 'a method that no table has',
      code: 'PROTOCOL/unknown-method',
      attempt: () => admit(SEED, 'node.shutdown'),
    },
    {
      input: 'a method that objects have by themselves',
      code: 'PROTOCOL/unknown-method',
      attempt: () => admit(SEED, 'constructor'),
    },
  ],
};
