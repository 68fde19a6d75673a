/**
 * The Plan of a program: everything the run time needs, plain canonical JSON, the same for the same meaning, and no secret in it.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/cli/domain-digest.ts';
import { compile } from '../../src/language/compile.ts';
import { type Inventory, parseInventory } from '../../src/language/inventory.ts';
import { planDigest } from '../../src/language/plan-digest.ts';
import { programDigest } from '../../src/language/program-digest.ts';
import { toPlan } from '../../src/language/to-plan.ts';
import { canonicalJson } from '../../src/manifest/canonical-json.ts';
import type { Plan } from '../../src/plan.ts';
import { faultdomains, versioned } from './front.ts';
import { TABLES } from './standard-tables.ts';

const read = (name: string) => readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
const EXAMPLE = read('h100.kwam');
const INVENTORY = parseInventory(read('inventory.json')).inventory!;

function planned(text: string, inventory: Inventory = INVENTORY): Plan {
  const context = { tables: TABLES, inventory };
  const { program, diagnostics } = compile('h100.kwam', text, { modules: faultdomains(), context });
  expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
  const { plan, problems } = toPlan(program, context, programDigest(program, digestOf));
  expect(problems).toEqual([]);
  return plan!;
}

function changed(from: string, to: string): string {
  expect(EXAMPLE).toContain(from);
  return EXAMPLE.replaceAll(from, to);
}

const digestsOf = (text: string): [string, string] => {
  const plan = planned(text);
  return [plan.program.digest, planDigest(plan, digestOf)];
};

describe('the plan of the example', () => {
  const plan = planned(EXAMPLE);

  test('has every block, in base units and exact', () => {
    expect(plan).toMatchObject({
      schema: 'kwam.plan/v1',
      program: { apiVersion: 'kwam.dev/v0.2', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
      trustDomain: 'kwam',
      profile: { hardware: 'h100', fanout: 8, cacheBytes: 512e6, health: ['dcgm', 'nvml'] },
      policy: { ca: { secret: 'secret://vault/kwam/mtls-ca' }, sandboxFloor: 'gvisor' },
      replicate: {
        factor: 3,
        antiAffinity: ['rack', 'pdu', 'spine', 'az'],
        chunker: { chunkBytesMin: 16_384, chunkBytesTarget: 65_536, chunkBytesMax: 262_144 },
        repair: { delayMs: 300_000, bitsPerSecondMax: 25e9, lazy: false },
      },
      guard: {
        declaredNines: 6,
        mttrRestoreMs: 1_800_000,
        recoveryTimeMs: 43_200_000,
        errorBudget: { allow: '1/1000', windowMs: 2_592_000_000 },
      },
      metrics: [{ observe: 'silent_corruption_count', target: '0/1', targetKind: 'count' }],
      deploys: [
        {
          name: 'rollout_h100',
          server: 'seed',
          client: 'kwam_node',
          pool: 'h100_pool',
          waves: ['1/100', '1/20', '1/4', '1/2', '1/1'],
          bakeMs: 600_000,
          onFailure: 'rollback',
          consent: { grantRef: 'consent/rollout_h100.token.json', scope: 'fleet.h100_pool' },
        },
      ],
    });
    expect(plan.guard!.supportedNines).toBeGreaterThanOrEqual(6);
    expect(Object.keys(plan.guard!.mtbf).sort()).toEqual(['az', 'node', 'pdu', 'rack', 'spine']);
    expect(plan.policy!.grants.find(({ pattern }) => pattern.endsWith('/seed'))).toEqual({
      pattern: 'spiffe://kwam/acme/cl-7/*/*/*/seed',
      caps: ['discover', 'replicate', 'deploy', 'quarantine'],
      signedBy: 'acme-prod',
      discoverScope: ['10.40.0.0/16'],
      dualControl: true,
    });
    expect(plan.policy!.trustedKeys.map(({ name, key, person }) => [name, key, person])).toEqual([
      ['acme-ops', { pem: 'keys/acme-ops.pem' }, 'Reto Keller'],
      ['acme-prod', { pem: 'keys/acme-prod.pem' }, 'Ada Steiner'],
    ]);
    expect(plan.servers[0]).toMatchObject({
      ports: { control: 7400, data: 7401, metrics: 7402 },
      seeds: ['kwam-seed.internal:7400'],
      llm: 'dc_negotiator',
    });
    expect(plan.discoveries[0]!.negotiator).toMatchObject({ endpoint: '127.0.0.1:7410', timeoutMs: 50 });
    expect(plan.clients[0]).toMatchObject({ registry: 'registry.acme.internal', safepoint: 'cooperative' });
  });

  test('says in which time a key counts, to the millisecond, and whether it was revoked', () => {
    const person = 'person "Reto Keller"';
    const dated = `${person} not_before "2026-01-01" not_after "2026-12-31" revoked true`;
    const { trustedKeys } = planned(changed(person, dated)).policy!;
    expect(trustedKeys[0]).toMatchObject({
      notBefore: '2026-01-01T00:00:00.000Z',
      notAfter: '2026-12-31T23:59:59.999Z',
      revoked: true,
    });
    expect(trustedKeys[1]).not.toHaveProperty('revoked');
  });

  test('names the nodes of the pool, where they listen, and the metrics port of the server', () => {
    expect(plan.pools).toEqual([{ name: 'h100_pool', nodes: plan.nodes.map(({ name }) => name) }]);
    expect(plan.nodes).toHaveLength(12);
    expect(plan.nodes[0]).toMatchObject({
      name: 'n0001',
      listen: 'n0001.cl-7.acme.internal:7400',
      metricsListen: 'n0001.cl-7.acme.internal:7402',
      weight: 1,
    });
  });

  test('is JSON as it stands: nothing gets lost on the way to a file and back', () => {
    expect(JSON.parse(canonicalJson(plan))).toEqual(plan);
  });

  test('maps each signal to the source of the hardware; one without a source is null', () => {
    expect(plan.profile!.signals['dcgm.gpu_health']).toBe('h100: dcgm.gpu_health');
    const other = changed('hardware "h100"', 'hardware "trainium"').replace(
      'dcgm.gpu_health,',
      'dcgm.remap,',
    );
    expect(planned(other).profile!.signals).toEqual({
      'dcgm.remap': null,
      'nvml.xid_errors': 'trainium: nvml.xid_errors',
      'nccl.comm_status': 'trainium: nccl.comm_status',
    });
  });
});

describe('digests', () => {
  const same: [string, string][] = [
    ['comments', `# another comment\n${changed('# pinned, signed', '')}`],
    ['layout', EXAMPLE.replaceAll('\n', '\n\n').replaceAll('  ', ' ')],
    ['the name of a let', changed('fanout = 8x', 'width = 8x').replaceAll('${fanout}', '${width}')],
    ['an alias', changed(' as fd ', ' as zones ').replace('use fd.', 'use zones.')],
    ['the spelling of a quantity', changed('mttr_restore 30m', 'mttr_restore 1800s')],
    [
      'a let instead of its value',
      changed('bake 10m', 'bake ${pause}').replace('let fanout', 'let pause = 600s\nlet fanout'),
    ],
  ];
  test.each(same)('do not change with %s', (_what, text) => {
    expect(digestsOf(text)).toEqual(digestsOf(EXAMPLE));
  });

  test('do not change with the order of blocks, nor with that of the inventory', () => {
    const metric = /metric integrity_slo .*\n/.exec(EXAMPLE)![0];
    const moved = EXAMPLE.replace(metric, '').replace('profile h100_dc', `${metric}\nprofile h100_dc`);
    expect(digestsOf(moved)).toEqual(digestsOf(EXAMPLE));
    const pools = new Map([...INVENTORY.pools].map(([name, nodes]) => [name, nodes.toReversed()]));
    expect(planned(EXAMPLE, { ...INVENTORY, pools })).toEqual(planned(EXAMPLE));
  });

  const other: [string, string, string][] = [
    ['a factor', 'factor 3', 'factor 4'],
    ['a bake', 'bake 10m', 'bake 11m'],
    ['a wave', '50percent', '60percent'],
    ['where a secret is kept', 'secret://vault/kwam/mtls-ca', 'secret://vault/kwam/other-ca'],
    ['a person', 'person "Ada Steiner"', 'person "Eva Steiner"'],
    ['the order of preference of a list', '[dcgm, nvml]', '[nvml, dcgm]'],
  ];
  test.each(other)('change with %s', (_what, from, to) => {
    const [program, plan] = digestsOf(changed(from, to));
    expect(program).not.toBe(digestsOf(EXAMPLE)[0]);
    expect(plan).not.toBe(digestsOf(EXAMPLE)[1]);
  });
});

describe('secrets', () => {
  test('appear as references where they are due, and nowhere else', () => {
    const text = changed('"keys/acme-ops.pem"', 'secret://vault/ops-key').replace(
      'let ca =',
      'let unused = secret://vault/unused\nlet ca =',
    );
    const found = [...canonicalJson(planned(text)).matchAll(/secret:\/\/[^"]*/g)].map(([uri]) => uri);
    expect(found.sort()).toEqual(['secret://vault/kwam/mtls-ca', 'secret://vault/ops-key']);
  });
});

describe('a small program', () => {
  const small =
    'import "std/faultdomains" as fd digest "sha256:0"\nuse fd.h100\nreplicate data { factor 2 anti_affinity [az] }';
  const plan = planned(versioned(small.replace('sha256:0', `sha256:${'0'.repeat(64)}`)));

  test('has the documented defaults and no more than it says', () => {
    expect(plan.replicate).toEqual({
      factor: 2,
      antiAffinity: ['az'],
      chunker: { chunkBytesMin: 16_384, chunkBytesTarget: 65_536, chunkBytesMax: 262_144 },
      packBytesTarget: 32 * 2 ** 20,
      repair: { delayMs: 0, lazy: false },
    });
    expect([plan.profile, plan.policy, plan.guard, plan.deploys]).toEqual([
      undefined,
      undefined,
      undefined,
      [],
    ]);
  });

  test('says after how long packs are striped, where it says so', () => {
    const cold = small.replace('[az]', '[az] erasure rs(6, 3) cold_after 7d');
    const { replicate } = planned(versioned(cold.replace('sha256:0', `sha256:${'0'.repeat(64)}`)));
    expect(replicate).toMatchObject({
      erasure: { dataShards: 6, parityShards: 3 },
      coldAfterMs: 7 * 86_400_000,
    });
  });

  test('runs on every pool of the inventory', () => {
    expect(plan.pools.map(({ name }) => name)).toEqual(['h100_pool']);
  });
});
