/** States of a Workload API that must not become an identity. Each has an agent process of its own; all are asked at once. */
import { systemClock } from '../../src/clock.ts';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { parseEndpoint } from '../../src/identity/workload-api.ts';
import { openWorkloadIdentity } from '../../src/identity/workload-identity.ts';
import {
  type AgentOrder,
  type AgentSvid,
  agentSvid,
  derBase64,
  TestAgent,
} from '../identity/workload-agent.ts';
import type { Area, Refusal } from './refusal.ts';

const NODE = parseSpiffeId('spiffe://kwam.test/node/n1');
const SECOND = parseSpiffeId('spiffe://kwam.test/node/n2');
/** Long enough for an agent on a busy machine to say something; a state that is good is taken at once. */
const FIRST_MS = 2_000;

interface World {
  readonly svid: AgentSvid;
  readonly second: AgentSvid;
  readonly authority: KeyedPem;
  readonly other: KeyedPem;
}

async function world(): Promise<World> {
  const now = { nowMs: Date.now() };
  const authority = await createAuthority(parseTrustDomain('kwam.test'), now);
  const other = await createAuthority(parseTrustDomain('other.test'), now);
  const svidOf = async (id: typeof NODE) =>
    agentSvid(id, await issueSvid(authority, id, now), authority.certificatePem);
  return { authority, other, svid: await svidOf(NODE), second: await svidOf(SECOND) };
}

interface Trial {
  readonly input: string;
  readonly code: string;
  readonly order: (world: World) => AgentOrder;
}

const says = (code: string, input: string, change: (world: World) => Partial<AgentSvid>): Trial => ({
  input,
  code: `ENVIRONMENT/${code}`,
  order: (all) => ({ state: { svids: [{ ...all.svid, ...change(all) }] } }),
});

const TRIALS: readonly Trial[] = [
  {
    input: 'a state without an SVID',
    code: 'ENVIRONMENT/workload-svid',
    order: () => ({ state: { svids: [] } }),
  },
  {
    input: 'an SVID of another workload only',
    code: 'ENVIRONMENT/workload-svid',
    order: ({ second }) => ({ state: { svids: [second] } }),
  },
  {
    input: 'an SVID of another workload under our name',
    code: 'ENVIRONMENT/workload-id',
    order: ({ second }) => ({ state: { svids: [{ ...second, spiffeId: NODE }] } }),
  },
  says('key-match', 'the key of another SVID', ({ second }) => ({ key: second.key })),
  says('encoding', 'an empty chain', () => ({ chain: '' })),
  says('encoding', 'a chain that is no DER', () => ({ chain: Buffer.from('leaf').toString('base64') })),
  says('encoding', 'a byte behind the chain', ({ svid }) => ({
    chain: Buffer.concat([Buffer.from(svid.chain, 'base64'), Buffer.of(0)]).toString('base64'),
  })),
  says('encoding', 'seventeen certificates for a chain', ({ svid }) => ({
    chain: Buffer.concat(new Array(17).fill(Buffer.from(svid.chain, 'base64'))).toString('base64'),
  })),
  says('encoding', 'an empty bundle', () => ({ bundle: '' })),
  says('chain', 'the bundle of another trust domain', ({ other }) => ({
    bundle: derBase64(other.certificatePem),
  })),
  {
    input: 'an agent that does not know us',
    code: 'ENVIRONMENT',
    order: () => ({ refuse: 'PERMISSION_DENIED' }),
  },
];

async function attempt(order: AgentOrder): Promise<unknown> {
  const agent = new TestAgent();
  await agent.start(order);
  try {
    const options = { endpoint: agent.endpoint, expected: NODE, clock: systemClock, firstMs: FIRST_MS };
    return await (await openWorkloadIdentity(options)).close();
  } finally {
    await agent.stop();
  }
}

/** One row waits for its time to end: all of them do it together. */
let attempts: Promise<readonly PromiseSettledResult<unknown>[]> | undefined;

async function outcome(at: number): Promise<unknown> {
  attempts ??= world().then((all) => Promise.allSettled(TRIALS.map(({ order }) => attempt(order(all)))));
  const result = (await attempts)[at]!;
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

const endpoint = (input: string, text: string): Refusal => ({
  input,
  code: 'USAGE',
  attempt: () => parseEndpoint(text),
});

export const workload: Area = {
  name: 'workload API',
  accepted: async () => {
    const { svid } = await world();
    await attempt({ state: { svids: [svid] } });
    parseEndpoint('unix:///run/agent.sock');
  },
  rows: [
    ...TRIALS.map(({ input, code }, at) => ({ input, code, attempt: () => outcome(at) })),
    endpoint('an endpoint by a relative path', 'unix:run/agent.sock?x'),
    endpoint('an endpoint by the name of a machine', 'tcp://agent.internal:8081'),
    endpoint('an endpoint without a port', 'tcp://127.0.0.1'),
    endpoint('an endpoint of another scheme', 'http://127.0.0.1:8081'),
    endpoint('an endpoint with a user', 'tcp://root@127.0.0.1:8081'),
  ],
};
