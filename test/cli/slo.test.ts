/** slo as a user meets it: on a running cluster, with a node gone, on a program, and as files for other tools. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { mainHere, runJson } from './run.ts';

const work = mkdtempSync(join(tmpdir(), 'kwam-slo-'));
const cluster = join(work, 'cluster');
const EXAMPLE = 'examples/h100.kwam';

interface Report {
  readonly objectives: readonly {
    readonly name: string;
    readonly state: string;
    readonly events: number | null;
  }[];
}

beforeAll(async () => {
  expect(await mainHere(['dev', 'up', '--dir', cluster, '--nodes', '3'])).toMatchObject({ code: 0 });
}, 60_000);
afterAll(async () => {
  await mainHere(['dev', 'down', '--dir', cluster]);
  rmSync(work, { recursive: true, force: true });
}, 60_000);

describe('slo', () => {
  test('says of a running cluster that its budget is kept', async () => {
    const report = await runJson<Report>(['slo', '--dir', cluster]);
    expect(report.schema).toBe('kwam.slo/v1');
    expect(report.objectives).toMatchObject([
      { name: 'integrity_slo', state: 'kept', events: 0, allowed: 0 },
    ]);
    const { code, stdout } = await mainHere(['slo', '--dir', cluster]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/integrity_slo +kept +0 +0 +30d/);
  });

  test('sets what nodes have seen beside the guard, and says so where that is nothing', async () => {
    const { guard } = await runJson<{ guard: Record<string, unknown> }>(['slo', '--dir', cluster]);
    expect(guard).toMatchObject({
      times: [
        { name: 'mttr_restore', verdict: 'no data', meanMs: null },
        { name: 'recovery_time', verdict: 'no data', meanMs: null },
      ],
      rate: { losses: 0, verdict: 'no data' },
      isBelowClaim: false,
    });
    expect(guard['ninesObserved']).toBe(guard['ninesDeclared']);
    const { stdout } = await mainHere(['slo', '--dir', cluster]);
    expect(stdout).toMatch(/mttr_restore +no data +\d+ .* none seen/);
  });

  test('opens the gate of rollouts while budgets are kept', async () => {
    const { code, stdout } = await mainHere(['slo', '--dir', cluster, '--gate']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('rollouts may begin')]);
  });

  test('knows nothing when a node is gone, and says so with exit code 1', async () => {
    await mainHere(['dev', 'down', '--dir', cluster, '--node', 'n0002']);
    const { code, stdout, stderr } = await mainHere(['slo', '--dir', cluster]);
    expect(code).toBe(1);
    expect(stdout).toContain('no data');
    expect(stderr).toContain('nothing is known of n0002: it is down');
    const gate = await mainHere(['slo', '--dir', cluster, '--gate']);
    expect([gate.code, gate.stdout]).toEqual([
      5,
      expect.stringContaining('integrity_slo: nothing is known of it'),
    ]);
  });

  test('writes rules, a dashboard and OpenSLO documents of a program', async () => {
    const emit = async (format: string): Promise<string> => {
      const { code, stdout } = await mainHere(['slo', EXAMPLE, '--emit', format]);
      expect(code).toBe(0);
      return stdout;
    };
    expect(await emit('prometheus')).toContain('alert: KwamIntegritySloViolated');
    expect(JSON.parse(await emit('grafana'))).toMatchObject({ uid: 'kwam-slo' });
    const documents = parseAllDocuments(await emit('openslo')).map((document) => document.toJS());
    expect(documents.map(({ kind }) => kind)).toEqual(['Service', 'SLO']);
  });

  test('takes the numbers of a Prometheus when there is one', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(new URL(request.url!, 'http://x').searchParams.get('query')!);
      response.end(
        JSON.stringify({ status: 'success', data: { result: [{ metric: {}, value: [0, '2'] }] } }),
      );
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stdout } = await mainHere(['slo', EXAMPLE, '--prometheus', url]);
    server.close();
    expect(asked).toEqual(['kwam:slo_events:increase30d{kwam_slo="integrity_slo"}']);
    expect(stdout).toMatch(/integrity_slo +exhausted +2 +0 +30d/);
    expect(code).toBe(1);
  });

  test('refuses a program with errors, one without metrics, and what is no Prometheus', async () => {
    const text = readFileSync(EXAMPLE, 'utf8');
    const wrong = join(work, 'wrong.kwam');
    writeFileSync(wrong, text.replace('observe silent_corruption_count', 'observe silent_corruption'));
    expect(await mainHere(['slo', wrong, '--emit', 'prometheus'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('KW6008'),
    });
    const none = join(work, 'none.kwam');
    writeFileSync(none, text.replace(/^metric .*$/m, ''));
    expect(await mainHere(['slo', none])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('expected a program with a `metric` block, got none'),
    });
    expect(await mainHere(['slo', EXAMPLE, '--prometheus', 'nonsense'])).toMatchObject({ code: 2 });
    const report = await mainHere(['slo', EXAMPLE, '--prometheus', 'http://127.0.0.1:9']);
    expect(report).toMatchObject({ code: 3, stderr: expect.stringContaining('127.0.0.1:9') });
  });
});
