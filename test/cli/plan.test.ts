/** plan: what would be placed and run, what it changes, and that secrets stay where they are. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/cli/domain-digest.ts';
import { planDigest } from '../../src/language/plan-digest.ts';
import { canonicalJson } from '../../src/manifest/canonical-json.ts';
import type { Plan } from '../../src/plan.ts';
import { type Ended, mainHere, temporary } from './run.ts';

const ROOT = temporary('plan');
const EXAMPLES = join(import.meta.dirname, '../../examples');
const EXAMPLE = fs.readFileSync(join(EXAMPLES, 'h100.kwam'), 'utf8');
const INVENTORY = join(EXAMPLES, 'inventory.json');
const PROGRAM = join(ROOT, 'program.kwam');

interface Document {
  readonly schema: string;
  readonly digest: string;
  readonly plan: Plan;
  readonly running: { readonly digest: string } | null;
  readonly changes: readonly { readonly path: string; readonly was?: unknown; readonly becomes?: unknown }[];
  readonly copies: {
    readonly count: number;
    readonly domains: Record<string, { nodes: number; copiesMean: number; copiesMost: number }[]>;
  };
}

let directory = '';
beforeEach(() => {
  directory = fs.mkdtempSync(join(ROOT, 'cluster-'));
});
afterAll(() => fs.rmSync(ROOT, { recursive: true }));

function write(text: string): void {
  fs.writeFileSync(PROGRAM, text);
}

function changed(from: string, to: string): string {
  expect(EXAMPLE).toContain(from);
  return EXAMPLE.replace(from, to);
}

function plan(...args: string[]): Promise<Ended> {
  return mainHere(['plan', PROGRAM, '--dir', directory, ...args]);
}

async function document(inventory = INVENTORY): Promise<Document> {
  const { code, stdout, stderr } = await plan('--inventory', inventory, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

describe('plan of the example', () => {
  it('shows what would run, where copies would go, and that all is new', async () => {
    write(EXAMPLE);
    const { code, stdout, stderr } = await plan('--inventory', INVENTORY);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^program +\S+program\.kwam, sha256:[0-9a-f]{64}\nplan +sha256:[0-9a-f]{64}\n/);
    expect(stdout).toContain('h100_pool: 12 nodes');
    expect(stdout).toContain('3 copies, apart by rack, pdu, spine, az');
    expect(stdout).toMatch(/ {2}az az1 +4 +1\.00 +1\n/);
    expect(stdout).toMatch(/ {2}12 × rack +1 +0\.2\d to 0\.2\d +1\n/);
    expect(stdout).toContain(`no cluster in ${directory}: all is new\n`);
    expect(stdout).toContain('  + replicate.factor: 3\n');
  });

  it('is one canonical JSON document with the digest of the plan', async () => {
    write(EXAMPLE);
    const { stdout } = await plan('--inventory', INVENTORY, '--json');
    const read: Document = JSON.parse(stdout);
    expect(stdout).toBe(`${canonicalJson(read)}\n`);
    expect(read).toMatchObject({ schema: 'kwam.plan-document/v1', running: null });
    expect(planDigest(read.plan, digestOf)).toBe(read.digest);
    for (const domains of Object.values(read.copies.domains)) {
      expect(domains.reduce((sum, each) => sum + each.nodes, 0)).toBe(12);
      expect(domains.reduce((sum, each) => sum + each.copiesMean, 0)).toBeCloseTo(3, 9);
      expect(Math.max(...domains.map((each) => each.copiesMost))).toBe(1);
    }
  });

  it('says which domains are too few to keep copies apart', async () => {
    write(changed('factor 3', 'factor 4'));
    const { code, stdout } = await plan('--inventory', INVENTORY);
    expect(code).toBe(0);
    expect(stdout).toMatch(/ {2}az az1 +4 +1\.\d\d +2\n/);
    expect(stdout).toContain('not kept apart, because there are too few: az');
  });
});

describe('changing only the hardware', () => {
  it.each([
    ['tpu', 'libtpu SDK ici_link_health', 'megascale.collective_end_to_end_latencies'],
    ['trainium', 'execution_stats.error_summary.hardware', 'execution_stats.execution_summary.timed_out'],
  ])('to %s leaves a program without errors, planned onto its own telemetry', async (hardware, xid, comm) => {
    write(changed('hardware "h100"', `hardware "${hardware}"`));
    const check = await mainHere(['check', PROGRAM, '--inventory', INVENTORY, '--json']);
    expect([check.code, JSON.parse(check.stdout).ok]).toEqual([0, true]);
    const { code, stdout } = await plan('--inventory', INVENTORY);
    expect(code).toBe(0);
    expect(stdout).toContain(`health signals on ${hardware}`);
    expect(/nvml\.xid_errors .*/.exec(stdout)![0]).toContain(xid);
    expect(/nccl\.comm_status .*/.exec(stdout)![0]).toContain(comm);
    const { profile } = (await document()).plan;
    expect(profile!.signals['nvml.xid_errors']).toContain(xid);
    expect(Object.values(profile!.signals)).not.toContain(null);
  });
});

describe('against what runs', () => {
  async function run(text: string): Promise<Document> {
    write(text);
    const made = await document();
    fs.writeFileSync(join(directory, 'plan.json'), JSON.stringify(made.plan));
    return made;
  }

  it('nothing changes when the program means the same', async () => {
    const { digest } = await run(EXAMPLE);
    write(`# a comment more\n${changed('bake 10m', 'bake 600s')}`);
    expect((await plan('--inventory', INVENTORY)).stdout).toContain(`nothing changes in ${directory}\n`);
    expect(await document()).toMatchObject({ digest, changes: [], running: { digest } });
  });

  it('names each change by its path, with both values', async () => {
    await run(EXAMPLE);
    write(changed('bake 10m', 'bake 20m').replace('sandbox gvisor', 'sandbox kata'));
    const { changes } = await document();
    expect(changes.filter(({ path }) => path !== 'program.digest')).toEqual([
      { path: 'clients.kwam_node.sandbox', was: 'gvisor', becomes: 'kata' },
      { path: 'deploys.rollout_h100.bakeMs', was: 600_000, becomes: 1_200_000 },
    ]);
    const { stdout } = await plan('--inventory', INVENTORY);
    expect(stdout).toMatch(/3 changes in \S+, whose plan is sha256:[0-9a-f]{64}\n/);
    expect(stdout).toContain('  ~ deploys.rollout_h100.bakeMs: 600000 → 1200000\n');
  });

  it('takes the nodes of the cluster when no inventory is given; a node more is one line', async () => {
    await run(EXAMPLE);
    const grown = JSON.parse(fs.readFileSync(INVENTORY, 'utf8'));
    const node = {
      ...grown.pools.h100_pool.nodes[0],
      name: 'n0013',
      spiffe: 'spiffe://kwam/acme/cl-7/az1/pod5/n0013/node',
      address: 'n0013:7400',
    };
    grown.pools.h100_pool.nodes.push(node);
    fs.writeFileSync(join(directory, 'inventory.json'), JSON.stringify(grown));
    const { stdout } = await plan();
    expect(stdout).toContain('  + nodes.n0013: {');
    expect(stdout).not.toContain('nodes.n0001');
  });
});

describe('pools', () => {
  const nodesOf = async (): Promise<string[]> => (await document()).plan.pools.flatMap(({ nodes }) => nodes);

  it('that no block declares come from the inventory', async () => {
    write(EXAMPLE);
    expect(await nodesOf()).toHaveLength(12);
  });

  it('that select by pattern take the nodes whose identities match, of any pool', async () => {
    const pattern = 'pool chosen { select spiffe://kwam/acme/cl-7/*/pod1/*/node }\ndeploy rollout_h100';
    write(changed('deploy rollout_h100', pattern).replace('to h100_pool', 'to chosen'));
    expect(await nodesOf()).toEqual(['n0001', 'n0005', 'n0009']);
  });

  it('that name a file take its nodes, relative to the program, and need no other inventory', async () => {
    fs.mkdirSync(join(ROOT, 'fleet'), { recursive: true });
    fs.copyFileSync(INVENTORY, join(ROOT, 'fleet/h100.json'));
    write(
      changed('deploy rollout_h100', 'pool h100_pool { inventory "fleet/h100.json" }\ndeploy rollout_h100'),
    );
    const { code, stdout } = await plan();
    expect([code, stdout]).toEqual([0, expect.stringContaining('h100_pool: 12 nodes')]);
    fs.rmSync(join(ROOT, 'fleet'), { recursive: true });
    expect(await plan()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('fleet/h100.json, got ENOENT'),
    });
  });

  it('that nobody knows are an error with a suggestion', async () => {
    write(changed('to h100_pool', 'to h100_pol'));
    const { code, stdout } = await plan('--inventory', INVENTORY);
    expect(code).toBe(1);
    expect(stdout).toContain('error KW4012: expected a pool with nodes, got `h100_pol`');
    expect(stdout).toContain('= try: write `h100_pool`');
  });
});

describe('plan refuses', () => {
  it.each<[string, () => string, string]>([
    ['holes', () => fs.readFileSync(join(EXAMPLES, 'tour.kwam'), 'utf8'), 'KW1901'],
    [
      'a claim that the mathematics does not support',
      () => changed('durability 6nines', 'durability 11nines'),
      'KW4005',
    ],
    ['more copies than nodes', () => changed('factor 3', 'factor 13'), 'KW4003'],
    ['two ways to replicate', () => `${EXAMPLE}\nreplicate more { factor 2 anti_affinity [az] }\n`, 'KW4020'],
  ])('%s, as check does', async (_what, text, code) => {
    write(text());
    const shown = await plan('--inventory', INVENTORY);
    expect([shown.code, shown.stdout]).toEqual([1, expect.stringContaining(`error ${code}: `)]);
    expect(shown.stdout).toContain('no plan');
    const json = await plan('--inventory', INVENTORY, '--json');
    const { schema, ok, diagnostics } = JSON.parse(json.stdout);
    expect([json.code, schema, ok]).toEqual([1, 'kwam.check/v1', false]);
    expect(diagnostics.map((each: { code: string }) => each.code)).toContain(code);
  });

  it('to guess the nodes', async () => {
    write(EXAMPLE);
    expect(await plan()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('expected --inventory FILE'),
    });
  });
});

describe('secrets', () => {
  it('are in no output but as the reference where it is due', async () => {
    const planted = changed('let ca =', 'let spare = secret://vault/spare-key\nlet ca =').replace(
      '"keys/acme-ops.pem"',
      'secret://vault/ops-key',
    );
    write(planted);
    const outputs = [await plan('--inventory', INVENTORY), await plan('--inventory', INVENTORY, '--json')];
    for (const { code, stdout, stderr } of outputs) {
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).not.toContain('spare-key');
    }
    const text = canonicalJson(JSON.parse(outputs[1]!.stdout).plan);
    const found = [...text.matchAll(/secret:\/\/[^"]*/g)].map(([uri]) => uri);
    expect(found.sort()).toEqual(['secret://vault/kwam/mtls-ca', 'secret://vault/ops-key']);
  });
});
