/** The rules, as Debian's promtool and a real Prometheus read them. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '../../src/clock.ts';
import { initAuthority, issueIdentity } from '../../src/identity/identity-files.ts';
import { dnsNameOf, parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { createMetrics } from '../../src/metrics.ts';
import { startMetricsServer } from '../../src/metrics-server.ts';
import { type AlertRule, ruleFile } from '../../src/slo/prometheus-rules.ts';
import { sourceOf } from '../../src/transport/credentials.ts';
import { ensureDebianPackage } from '../setup/debian.ts';
import { OBJECTIVES } from './objectives.ts';

const NODE = parseSpiffeId('spiffe://kwam.test/node/n1');
const PROMETHEUS = parseSpiffeId('spiffe://kwam.test/client/prometheus');
const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-rules-'));
const rules = join(directory, 'rules.yml');
let promtool: string;

beforeAll(async () => {
  promtool = await ensureDebianPackage('prometheus', '/usr/bin/promtool');
  fs.writeFileSync(rules, stringify(ruleFile(OBJECTIVES)));
}, 300_000);
afterAll(() => fs.rmSync(directory, { recursive: true }));

function run(...args: readonly string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(promtool, args, { encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

interface Series {
  readonly series: string;
  readonly values: string;
}

interface AlertTest {
  readonly eval_time: string;
  readonly alertname: string;
  readonly fires: boolean;
}

/** promtool compares labels and annotations too: taken from the rule itself, so that only "fires" is in question. */
function expected(alertname: string): object {
  const all = ruleFile(OBJECTIVES).groups.flatMap((group) => group.rules);
  const found = all.filter((rule) => 'alert' in rule && rule.alert === alertname);
  expect(found.length, alertname).toBe(1);
  const { labels: exp_labels, annotations: exp_annotations } = found[0] as AlertRule;
  return { exp_labels, exp_annotations };
}

function promtoolTest(
  input: readonly Series[],
  alerts: readonly AlertTest[],
  values: readonly object[] = [],
) {
  const file = join(directory, 'test.yml');
  fs.writeFileSync(
    file,
    stringify({
      rule_files: [rules],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: input,
          alert_rule_test: alerts.map(({ eval_time, alertname, fires }) => ({
            eval_time,
            alertname,
            exp_alerts: fires ? [expected(alertname)] : [],
          })),
          promql_expr_test: values,
        },
      ],
    }),
  );
  return run('test', 'rules', file);
}

const at = (eval_time: string, alertname: string, fires: boolean): AlertTest => ({
  eval_time,
  alertname,
  fires,
});
const SILENT = 'kwam_silent_corruption_count_total{node="n1"}';
const OTHER = 'kwam_silent_corruption_count_total{node="n2"}';
const DETECTED = 'kwam_corruption_detected_total{node="n1",site="scrub"}';
const VERIFIED = 'kwam_verified_chunks_total{node="n1",site="scrub"}';
const RESTARTS = 'kwam_worker_restarts_total{node="n1"}';

const passes = { status: 0, said: expect.stringContaining('SUCCESS') };

describe('promtool', () => {
  it('finds the rules well formed', () => {
    expect(run('check', 'rules', rules)).toEqual(passes);
  });

  it('would say so if they were not', () => {
    const broken = join(directory, 'broken.yml');
    fs.writeFileSync(
      broken,
      fs.readFileSync(rules, 'utf8').replace('sum(increase(', 'sum(increase('.slice(0, -1)),
    );
    expect(run('check', 'rules', broken).status).not.toBe(0);
    const quiet = promtoolTest(
      [{ series: SILENT, values: '0x60' }],
      [at('30m', 'KwamIntegritySloViolated', true)],
    );
    expect(quiet.status).not.toBe(0);
  });

  it.each<[string, Series[], AlertTest[]]>([
    [
      'no event: silence',
      [{ series: SILENT, values: '0x100' }],
      [
        at('90m', 'KwamIntegritySloViolated', false),
        at('90m', 'KwamIntegritySloExhausted', false),
        at('90m', 'KwamIntegritySloNoData', false),
      ],
    ],
    [
      'one event: a page at once, the budget gone for the window',
      [
        { series: SILENT, values: '0x20 1x180' },
        { series: OTHER, values: '0x200' },
      ],
      [
        at('20m', 'KwamIntegritySloViolated', false),
        at('22m', 'KwamIntegritySloViolated', true),
        at('60m', 'KwamIntegritySloViolated', false),
        at('60m', 'KwamIntegritySloExhausted', true),
        at('110m', 'KwamIntegritySloExhausted', true),
      ],
    ],
    [
      'an event on two nodes at once is one alert, not an error',
      [
        { series: SILENT, values: '0x20 1x40' },
        { series: OTHER, values: '0x20 2x40' },
      ],
      [at('22m', 'KwamIntegritySloViolated', true)],
    ],
    [
      'a counter that is born at 1, which increase() does not see',
      [
        { series: OTHER, values: '0x100' },
        { series: SILENT, values: '_x50 1x50' },
      ],
      [
        at('49m', 'KwamIntegritySloViolated', false),
        at('51m', 'KwamIntegritySloViolated', true),
        at('80m', 'KwamIntegritySloExhausted', true),
      ],
    ],
    [
      'no data: its own alert, and health from none of the others',
      [{ series: 'up{job="kwam"}', values: '0x60' }],
      [
        at('9m', 'KwamIntegritySloNoData', false),
        at('11m', 'KwamIntegritySloNoData', true),
        at('30m', 'KwamIntegritySloViolated', false),
      ],
    ],
    [
      'a share that burns fifteen times too fast: a page',
      [
        { series: DETECTED, values: '0+15x200' },
        { series: VERIFIED, values: '0+1000x200' },
      ],
      [at('75m', 'KwamDetectedBurnsFast', true), at('75m', 'KwamDetectedBurnsSlowly', true)],
    ],
    [
      'a share that is half of what is allowed: silence',
      [
        { series: DETECTED, values: '0+1x200' },
        { series: VERIFIED, values: '0+2000x200' },
      ],
      [
        at('75m', 'KwamDetectedBurnsFast', false),
        at('75m', 'KwamDetectedBurnsSlowly', false),
        at('75m', 'KwamDetectedExhausted', false),
      ],
    ],
    [
      'a share that burned and stopped: the short windows call the page off',
      [
        { series: DETECTED, values: '0+100x60 6000x60' },
        { series: VERIFIED, values: '0+1000x120' },
      ],
      [at('59m', 'KwamDetectedBurnsFast', true), at('110m', 'KwamDetectedBurnsFast', false)],
    ],
    [
      'a count: eleven where ten are allowed',
      [{ series: RESTARTS, values: '0x10 11x90' }],
      [at('90m', 'KwamWorkerDeathsExhausted', true)],
    ],
    [
      'a count: nine of ten, half of them hours ago',
      [{ series: RESTARTS, values: '0x10 5x80 9x30' }],
      [at('115m', 'KwamWorkerDeathsExhausted', false), at('115m', 'KwamWorkerDeathsBurnsFast', true)],
    ],
  ])('%s', (_, input, alerts) => {
    expect(promtoolTest(input, alerts)).toEqual(passes);
  });

  it('gives the records no value while there is no data, and 0 while there are no events', () => {
    const record = 'kwam:slo_events:increase30d{kwam_slo="integrity_slo"}';
    const value = (exp_samples: object[]): object[] => [{ expr: record, eval_time: '60m', exp_samples }];
    expect(promtoolTest([{ series: 'up', values: '1x100' }], [], value([]))).toEqual(passes);
    const zero = value([{ labels: record, value: 0 }]);
    expect(promtoolTest([{ series: SILENT, values: '0x100' }], [], zero)).toEqual(passes);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

interface FiringAlert {
  readonly state: string;
  readonly labels: { readonly alertname: string };
}

describe('a real Prometheus', () => {
  it('scrapes a node, by an SVID of its own, and fires on the first silent corruption', async () => {
    const metrics = createMetrics({ node: 'n1' }, { version: '0', codecId: '0' });
    const validity = { nowMs: Date.now() };
    await initAuthority(directory, parseTrustDomain('kwam.test'), validity);
    const [credentials, prometheusId] = await Promise.all(
      [NODE, PROMETHEUS].map((id, at) =>
        issueIdentity(directory, `svid${at}`, id, validity, () => undefined),
      ),
    );
    const node = await startMetricsServer({
      address: '0.0.0.0:0',
      metrics,
      readiness: () => ({ ready: true, reasons: [] }),
      door: { credentials: sourceOf(credentials!), clock: systemClock, refused: () => undefined },
      admit: ({ peer }) => expect(peer).toBe(prometheusId!.spiffeId),
    });
    const target = `127.0.0.1:${node.address.split(':')[1]}`;
    // The name that a client asks for stands for the node's SPIFFE ID.
    const tls = {
      ca_file: 'ca.pem',
      cert_file: 'svid1.pem',
      key_file: 'svid1.key',
      server_name: dnsNameOf(NODE),
    };
    const config = join(directory, 'prometheus.yml');
    fs.writeFileSync(
      config,
      stringify({
        global: { scrape_interval: '200ms', evaluation_interval: '200ms' },
        rule_files: [rules],
        scrape_configs: [
          { job_name: 'kwam', scheme: 'https', tls_config: tls, static_configs: [{ targets: [target] }] },
        ],
      }),
    );
    const address = `127.0.0.1:${await freePort()}`;
    const prometheus = spawn(
      '/usr/bin/prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(directory, 'tsdb')}`,
        `--web.listen-address=${address}`,
      ],
      { stdio: 'ignore' },
    );
    try {
      const ask = async (path: string): Promise<{ data: Record<string, unknown> }> =>
        (await fetch(`http://${address}/api/v1/${path}`)).json() as never;
      const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
        for (let tries = 0; tries < 300; tries++) {
          if (await holds().catch(() => false)) return;
          await sleep(100);
        }
        throw new Error(`expected ${what} within 30 s`);
      };
      const recorded = encodeURIComponent('kwam:slo_events:increase30d{kwam_slo="integrity_slo"}');
      await until('a recorded value of 0', async () => {
        const { data } = await ask(`query?query=${recorded}`);
        return (data['result'] as { value: [number, string] }[])[0]?.value[1] === '0';
      });
      const firing = async (): Promise<string[]> => {
        const alerts = (await ask('alerts')).data['alerts'] as FiringAlert[];
        return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname);
      };
      expect(await firing()).toEqual([]);
      metrics.silentCorruption.add();
      await until('the alerts to fire', async () => {
        const names = await firing();
        return ['KwamIntegritySloViolated', 'KwamIntegritySloExhausted'].every((name) =>
          names.includes(name),
        );
      });
    } finally {
      prometheus.kill();
      await once(prometheus, 'exit');
      await node.close();
    }
  }, 60_000);
});
