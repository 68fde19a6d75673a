/** Identities from an agent process over its Unix socket: first, renewed, taken back, wrong, and from an agent that comes and goes. */
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { KwamError } from '../../src/errors.ts';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { pemOfDer, splitDer } from '../../src/identity/der.ts';
import { derOfPem } from '../../src/identity/identity.ts';
import type { IdentitySource, IdentityWatcher } from '../../src/identity/identity-source.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { parseEndpoint } from '../../src/identity/workload-api.ts';
import { openWorkloadIdentity, type WorkloadIdentityOptions } from '../../src/identity/workload-identity.ts';
import { type AgentState, agentSvid, derBase64, TestAgent } from './workload-agent.ts';

const DOMAIN = parseTrustDomain('kwam.test');
const OTHER = parseTrustDomain('other.test');
const NODE = parseSpiffeId('spiffe://kwam.test/node/n1');
const SECOND = parseSpiffeId('spiffe://kwam.test/node/n2');
const WAIT = { timeout: 20_000, interval: 20 };

let authority: KeyedPem;
let other: KeyedPem;
let agent: TestAgent | undefined;
const open: IdentitySource[] = [];
const failures: KwamError[] = [];
const renewals: string[] = [];

beforeAll(async () => {
  authority = await createAuthority(DOMAIN, { nowMs: Date.now() });
  other = await createAuthority(OTHER, { nowMs: Date.now() });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((source) => source.close()));
  failures.length = 0;
  renewals.length = 0;
  await agent?.stop();
  agent = undefined;
});

const watcher: IdentityWatcher = {
  renewed: ({ spiffeId }) => renewals.push(spiffeId),
  failed: (error) => failures.push(error),
};

async function source(more: Partial<WorkloadIdentityOptions> = {}): Promise<IdentitySource> {
  const options = { endpoint: agent!.endpoint, clock: systemClock, watcher, ...more };
  const opened = await openWorkloadIdentity(options);
  open.push(opened);
  return opened;
}

async function stateOf(...ids: (typeof NODE)[]): Promise<AgentState> {
  const svids = ids.map(async (id) => {
    const pair = await issueSvid(authority, id, { nowMs: Date.now() });
    return agentSvid(id, pair, authority.certificatePem);
  });
  return { svids: await Promise.all(svids) };
}

async function started(order: Parameters<TestAgent['start']>[0]): Promise<void> {
  agent = new TestAgent();
  await agent.start(order);
}

describe('an identity from the Workload API', () => {
  it('is the first of several, or the one that is expected', async () => {
    await started({ state: await stateOf(NODE, SECOND) });
    expect((await source()).current.spiffeId).toBe(NODE);
    expect((await source({ expected: SECOND })).current.spiffeId).toBe(SECOND);
  });

  it('is checked by the bundle that came with it, not by that of another SVID', async () => {
    const foreign = parseSpiffeId('spiffe://other.test/node/n1');
    const pair = await issueSvid(other, foreign, { nowMs: Date.now() });
    const { svids } = await stateOf(NODE);
    await started({ state: { svids: [agentSvid(foreign, pair, other.certificatePem), ...svids] } });
    expect((await source({ expected: NODE })).current.spiffeId).toBe(NODE);
  });

  it('works: signs, and accepts peers of its own and of federated trust domains, each by its own bundle', async () => {
    const state = await stateOf(NODE);
    const federated = { [`spiffe://${OTHER}`]: derBase64(other.certificatePem) };
    await started({ state: { ...state, federated } });
    const { current } = await source();
    expect(await current.sign([new Uint8Array(3)])).toHaveLength(64);
    const peer = parseSpiffeId('spiffe://other.test/node/x');
    const chainOf = async (by: KeyedPem, id: typeof peer) =>
      derOfPem((await issueSvid(by, id, { nowMs: Date.now() })).certificatePem, 'a chain');
    expect(current.checkPeer(await chainOf(other, peer), Date.now())).toBe(peer);
    expect(current.checkPeer(await chainOf(authority, SECOND), Date.now())).toBe(SECOND);
    const forged = await createAuthority(OTHER, { nowMs: Date.now() });
    expect(() => current.checkPeer(derOfPem(forged.certificatePem, 'x'), Date.now())).toThrow('SVID');
  });

  it('is renewed by the next message', async () => {
    await started({ state: await stateOf(NODE) });
    const opened = await source();
    const first = opened.current;
    let told = 0;
    opened.onChange(() => told++);
    agent!.say({ state: await stateOf(NODE) });
    await vi.waitFor(() => expect(opened.current).not.toBe(first), WAIT);
    expect([told, renewals]).toEqual([1, [NODE]]);
  });

  it('stays when the agent takes its SVIDs back, sends bad ones, or those of somebody else; each is told', async () => {
    const state = await stateOf(NODE);
    await started({ state });
    const opened = await source();
    const { current } = opened;
    const [svid] = state.svids;
    const [fresh] = (await stateOf(NODE)).svids;
    const bad: AgentState[] = [
      { svids: [] },
      await stateOf(SECOND),
      { svids: [{ ...svid!, spiffeId: SECOND }] },
      { svids: [{ ...svid!, key: fresh!.key }] },
      { svids: [{ ...fresh!, bundle: derBase64(other.certificatePem) }] },
      { svids: [{ ...svid!, chain: 'AAAA' }] },
      { svids: [{ ...svid!, bundle: '' }] },
      { svids: [svid!], federated: { 'Not A Domain': derBase64(other.certificatePem) } },
    ];
    for (const [i, state] of bad.entries()) {
      agent!.say({ state });
      await vi.waitFor(() => expect(failures).toHaveLength(i + 1), WAIT);
    }
    expect(failures.map(({ context }) => context['rule'])).toEqual([
      'workload-svid',
      'renewed-id',
      'workload-id',
      'key-match',
      'chain',
      'encoding',
      'encoding',
      'id-trust-domain-character',
    ]);
    expect(opened.current).toBe(current);
  });

  it('outlives its agent, and is renewed by the next one', async () => {
    await started({ state: await stateOf(NODE) });
    const opened = await source();
    const first = opened.current;
    await agent!.kill();
    await vi.waitFor(() => expect(failures.length).toBeGreaterThan(0), WAIT);
    expect(opened.current).toBe(first);
    expect(failures[0]).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    await agent!.start({ state: await stateOf(NODE) });
    await vi.waitFor(() => expect(opened.current).not.toBe(first), WAIT);
  });

  it('is asked for again when the stream ends', async () => {
    const state = await stateOf(NODE);
    await started({ state });
    const opened = await source();
    const first = opened.current;
    agent!.say({ state: await stateOf(NODE), end: true });
    await vi.waitFor(() => expect(opened.current).not.toBe(first), WAIT);
    await vi.waitFor(() => expect(agent!.streams).toBe(1), WAIT);
    expect(failures[0]!.message).toContain('got the end of the stream');
  });

  it('is waited for, until the workload is registered', async () => {
    await started({ refuse: 'PERMISSION_DENIED' });
    const opening = source();
    await systemClock.sleep(100);
    agent!.say({ state: await stateOf(NODE) });
    expect((await opening).current.spiffeId).toBe(NODE);
  });

  it('is not waited for without end; the last reason is told', async () => {
    await started({ refuse: 'PERMISSION_DENIED' });
    await expect(source({ firstMs: 700 })).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringMatching(/expected an SVID .*, got PERMISSION_DENIED .*; register this workload/),
    });
    await expect(source({ firstMs: 700, expected: SECOND })).rejects.toMatchObject({ code: 'ENVIRONMENT' });
  });

  it('is not asked for again after INVALID_ARGUMENT', async () => {
    await started({ refuse: 'INVALID_ARGUMENT' });
    await expect(source()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: false });
  });

  it('of no agent says so', async () => {
    await started({ refuse: 'UNAVAILABLE' });
    const endpoint = `${agent!.endpoint}.nothing`;
    await expect(source({ endpoint, firstMs: 700 })).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringMatching(/UNAVAILABLE .*; look whether the agent runs/),
    });
  });

  it('can be held to authorities that a policy pins', async () => {
    await started({ state: await stateOf(NODE) });
    const pinned = new Map([[DOMAIN, derOfPem(authority.certificatePem, 'x')]]);
    expect((await source({ authorities: pinned })).current.spiffeId).toBe(NODE);
    const stranger = await createAuthority(DOMAIN, { nowMs: Date.now() });
    const wrong = new Map([[DOMAIN, derOfPem(stranger.certificatePem, 'x')]]);
    await expect(source({ authorities: wrong, firstMs: 500 })).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      context: { rule: 'chain' },
    });
  });

  it('leaves no stream open when it was not usable', async () => {
    await started({ state: await stateOf(NODE) });
    const opening = source({ expected: SECOND, firstMs: 500 });
    const refused = expect(opening).rejects.toMatchObject({ context: { rule: 'workload-svid' } });
    await vi.waitFor(() => expect(agent!.streams).toBe(1), WAIT);
    await refused;
    await vi.waitFor(() => expect(agent!.streams).toBe(0), WAIT);
  });

  it('waits no longer once it is there', async () => {
    await started({ state: await stateOf(NODE) });
    const waits: (AbortSignal | undefined)[] = [];
    const sleep: Clock['sleep'] = (ms, signal) => {
      waits.push(signal);
      return systemClock.sleep(ms, signal);
    };
    await source({ clock: { ...systemClock, sleep } });
    expect(waits.map((signal) => signal?.aborted)).toEqual([true]);
  });

  it('leaves no stream open when it is closed', async () => {
    await started({ state: await stateOf(NODE) });
    const opened = await source();
    await vi.waitFor(() => expect(agent!.streams).toBe(1), WAIT);
    await opened.close();
    await vi.waitFor(() => expect(agent!.streams).toBe(0), WAIT);
  });
});

describe('the endpoint', () => {
  it.each([
    ['unix:///run/spire/agent.sock', 'unix:/run/spire/agent.sock'],
    ['unix:///run/a b/agent.sock', 'unix:/run/a b/agent.sock'],
    ['tcp://127.0.0.1:8081', '127.0.0.1:8081'],
    ['tcp://[::1]:8081', '[::1]:8081'],
  ])('%s is %s to gRPC', (text, target) => expect(parseEndpoint(text)).toBe(target));

  it.each([
    'unix://run/agent.sock',
    'unix:///',
    'tcp://agent:8081',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:8081/x',
    'tcp://127.0.0.1:8081?x',
    'udp://127.0.0.1:8081',
    'http://127.0.0.1:1',
    'unix:///run/agent.sock#x',
    'unix:///run/agent.sock?x',
    'file:///run/agent.sock',
    'x',
  ])('%s is refused', (text) =>
    expect(() => parseEndpoint(text)).toThrow('expected the endpoint of a Workload API'),
  );
});

describe('certificates back to back', () => {
  const der = (pem: string): Uint8Array => derOfPem(pem, 'a test')[0]!;

  it('are taken apart and put into PEM', () => {
    const both = Buffer.concat([der(authority.certificatePem), der(other.certificatePem)]);
    const parts = splitDer(both, 2, 'a test');
    expect(parts.map((part) => pemOfDer(part, 'CERTIFICATE'))).toEqual(
      [authority, other].map(({ certificatePem }) => `${certificatePem.trim()}\n`),
    );
  });

  it.each<[string, (whole: Uint8Array) => Uint8Array]>([
    ['nothing', () => new Uint8Array()],
    ['a cut one', (whole) => whole.subarray(0, -1)],
    ['bytes after it', (whole) => Buffer.concat([whole, Buffer.from([0])])],
    ['one too many', (whole) => Buffer.concat([whole, whole, whole])],
    ['another tag', (whole) => Buffer.concat([Buffer.from([0x31]), whole.subarray(1)])],
    ['an indefinite length', () => Buffer.from([0x30, 0x80, 0, 0])],
    ['a length of four gigabytes', () => Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])],
    ['a length that is cut', () => Buffer.from([0x30, 0x82, 0x01])],
  ])('%s is refused', (_what, damage) => {
    const bytes = damage(der(authority.certificatePem));
    expect(() => splitDer(bytes, 2, 'a test')).toThrow('expected 1 to 2 certificates in DER as a test');
  });
});
