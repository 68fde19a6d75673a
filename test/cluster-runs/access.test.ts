/**
 * Who may do what, over real mTLS between real processes: grants, consent tokens and the audit log that tells of both.
 * The tests run in order on one cluster.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditFiles } from '../../src/audit/audit-tail.ts';
import { issueIdentity } from '../../src/identity/identity-files.ts';
import type { SpiffeId } from '../../src/identity/spiffe-id.ts';
import type { Plan } from '../../src/plan.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import type { JsonValue } from '../../src/transport/transport.ts';
import { mainHere } from '../cli/run.ts';
import { TestCluster } from '../faults/cluster.ts';
import { makeTree } from '../faults/trees.ts';
import {
  consentPlan,
  DEPLOY,
  grantOf,
  redeem,
  tokenFor,
  writeImage,
  writeKeys,
} from '../rollout/consent-cluster.ts';

let cluster: TestCluster;
let seed: string;

beforeAll(async () => {
  const more = [
    grantOf('spiffe://kwam/client/reader', ['discover']),
    grantOf('spiffe://kwam/client/far', ['discover', 'replicate'], ['10.40.0.0/16']),
  ];
  const adapt = (plan: Plan): Plan => consentPlan(plan, more);
  cluster = await TestCluster.start({ nodes: 2, factor: 2, adapt });
  seed = cluster.plan.nodes[0]!.spiffe;
  writeKeys(cluster);
});

afterAll(() => cluster?.close());

/** Calls as somebody of the cluster's own trust domain. */
async function callAs(id: string, method: string, request: JsonValue = {}): Promise<JsonValue | undefined> {
  const validity = { nowMs: Date.now() };
  const identities = join(cluster.directory, 'identity');
  const identity = await issueIdentity(identities, 'somebody', id as SpiffeId, validity, console.warn);
  const transport = grpcTransport({ credentials: identity });
  try {
    const connection = await transport.connect(cluster.node('n0001').address, undefined);
    let last: JsonValue | undefined;
    for await (const answer of connection.call(method, request)) last = answer;
    return last;
  } finally {
    await transport.close();
  }
}

const refusal = (rule: string) => expect.objectContaining({ context: expect.objectContaining({ rule }) });

function decisions(node: string): Record<string, unknown>[] {
  const directory = join(cluster.directory, node, 'audit');
  const texts = auditFiles(directory).map((name) => fs.readFileSync(join(directory, name), 'utf8'));
  return texts.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
}

describe('grants', () => {
  it('let nodes replicate and people put, and are asked for every call', async () => {
    const tree = join(cluster.directory, 'input');
    makeTree(tree, 1, 300_000);
    await cluster.ask('n0001', 'object.put', { path: tree, name: 'tree' });
    const received = decisions('n0002').filter(({ method }) => method === 'pack.receive');
    expect(received.length).toBeGreaterThan(0);
    expect(received[0]).toMatchObject({
      allowed: true,
      capability: 'replicate',
      peer: seed,
      address: '127.0.0.1',
      grant: 'spiffe://kwam/dev/local/*/*/*/node',
    });
    expect(decisions('n0001').filter(({ method }) => method === 'pull')).not.toEqual([]);
  });

  it.each([
    ['spiffe://kwam/client/reader', 'object.remove', 'grant-capability'],
    ['spiffe://kwam/client/reader', 'consent.redeem', 'grant-capability'],
    ['spiffe://kwam/client/far', 'cluster.status', 'grant-discover-scope'],
    ['spiffe://kwam/client/stranger', 'node.status', 'grant-peer'],
    ['spiffe://kwam/dev/local/az1/pod1/n0001/node/more', 'pack.have', 'grant-peer'],
  ])('%s may not call %s: %s', async (id, method, rule) => {
    await expect(callAs(id, method)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      context: { rule },
      message: expect.stringMatching(/expected .+, got .+; grant it in the policy/),
    });
    expect(decisions('n0001').at(-1)).toMatchObject({ peer: id, method, allowed: false, rule });
  });

  it('let the reader look, and nobody call what is not there', async () => {
    expect(await callAs('spiffe://kwam/client/reader', 'cluster.status')).toMatchObject({
      result: { objects: 1 },
    });
    await expect(callAs('spiffe://kwam/client/reader', 'toString')).rejects.toMatchObject({
      code: 'PROTOCOL',
    });
    expect(decisions('n0001').at(-1)).toMatchObject({ rule: 'unknown-method', allowed: false });
  });
});

describe('a consent token', () => {
  it('is redeemed once, by the seed that it names, and resumed by its rollout only', async () => {
    const token = await tokenFor(cluster);
    await expect(redeem(cluster, token, 'r1', 'consent.resume')).rejects.toEqual(refusal('not-claimed'));
    await expect(redeem(cluster, token, 'r1', 'consent.redeem', 'n0002')).rejects.toEqual(
      refusal('audience'),
    );
    await expect(redeem(cluster, token, 'r1')).rejects.toEqual(refusal('image-place'));
    writeImage(cluster);
    const claim = await redeem(cluster, token, 'r1');
    expect(claim).toMatchObject({ rollout: 'r1', redeemer: seed, approvedBy: ['acme-prod', 'acme-ops'] });
    expect(claim.releasedBy).toEqual(['acme-prod']);
    await expect(redeem(cluster, token, 'r2')).rejects.toEqual(refusal('replayed'));
    await expect(redeem(cluster, token, 'r2', 'consent.resume')).rejects.toEqual(refusal('replayed'));
    await cluster.kill('n0001');
    await cluster.startNode('n0001');
    expect(await redeem(cluster, token, 'r1', 'consent.resume')).toEqual(claim);
    const told = decisions('n0001').filter(({ kind }) => kind === 'consent');
    expect(told.map(({ allowed, rule }) => rule ?? allowed)).toEqual([
      'not-claimed',
      'image-place',
      true,
      'replayed',
      'replayed',
      true,
    ]);
  });

  it.each([
    ['another program', { program: `sha256:${'0'.repeat(64)}` }, 'program'],
    ['a pool of another name', { pool: 'b200_pool' }, 'pool'],
    ['a narrower resource', { resource: 'fleet.h100_pool.n1' }, 'scope'],
  ])('for %s is refused', async (_, changes, rule) => {
    await expect(
      redeem(cluster, await tokenFor(cluster, { jti: 'a'.repeat(32), ...changes }), 'r3'),
    ).rejects.toEqual(refusal(rule));
  });

  it.each([
    [{ deploy: 'nothing', rollout: 'r4' }, 'deploy-unknown'],
    [{ deploy: DEPLOY, rollout: '../r4' }, 'rollout-name'],
  ])('used as %j is refused', async (named, rule) => {
    const token = await tokenFor(cluster, { jti: 'b'.repeat(32) });
    await expect(cluster.ask('n0001', 'consent.redeem', { token, ...named })).rejects.toEqual(refusal(rule));
  });
});

describe('audit verify', () => {
  const verify = async () => {
    const { code, stdout } = await mainHere(['audit', 'verify', '--dir', cluster.directory, '--json']);
    return {
      code,
      logs: JSON.parse(stdout).logs as { name: string; problem: { rule: string } | null; anchor: object }[],
    };
  };

  it('finds the logs of running and killed nodes whole', async () => {
    const { code, logs } = await verify();
    expect(logs.map(({ name, problem }) => [name, problem])).toEqual([
      ['n0001', null],
      ['n0002', null],
    ]);
    expect(code).toBe(0);
  });

  it('finds records that were cut off behind the back of a stopped node, and the node tells of it for ever', async () => {
    await cluster.stop('n0002');
    const file = join(cluster.directory, 'n0002/audit/000000000000.log');
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    fs.writeFileSync(file, `${lines.slice(0, -3).join('\n')}\n`);
    const cut = await verify();
    expect(cut.code).toBe(4);
    expect(cut.logs[1]!.problem!.rule).toBe('audit-truncated');
    await cluster.startNode('n0002');
    await cluster.stop('n0002');
    expect((await verify()).logs[1]!.problem!.rule).toBe('audit-gap');
    const text = await mainHere(['audit', 'verify', '--dir', cluster.directory]);
    expect(text.stdout).toMatch(
      /n0002: \d+ records, .+ allowed, \d+ refused\n {2}audit-gap: audit: expected/,
    );
  });
});

it('a node whose program has no policy does not start', async () => {
  const plan = join(cluster.directory, 'plan.json');
  const { policy: _, ...rest } = JSON.parse(fs.readFileSync(plan, 'utf8'));
  fs.writeFileSync(plan, JSON.stringify(rest));
  await expect(cluster.startNode('n0002')).rejects.toMatchObject({
    log: expect.stringContaining('nobody may do anything'),
  });
});
