import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics, type MetricsServer, type Readiness, startMetricsServer } from '../src/metrics.ts';

const build = { version: '1.2.3', codecId: 'c0dec' };

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A strict reader of the text exposition format 0.0.4: whatever it does not know is an error. */
function parse(text: string) {
  const help = new Map<string, string>();
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment) {
      (comment[1] === 'HELP' ? help : types).set(comment[2]!, comment[3]!);
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!sample) throw new Error(`not exposition format: ${line}`);
    const labels: Record<string, string> = {};
    const rest = (sample[2] ?? '').replace(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g, (_, name, value) => {
      labels[name] = value;
      return '';
    });
    if (rest !== '' || Number.isNaN(Number(sample[3]))) throw new Error(`not exposition format: ${line}`);
    samples.push({ name: sample[1]!, labels, value: Number(sample[3]) });
  }
  return { help, types, samples };
}

describe('metrics', () => {
  const exposition = async (metrics: ReturnType<typeof createMetrics>) =>
    parse(await metrics.registry.metrics());

  it('shows every series of every counter at 0 from the start', async () => {
    const { samples, types } = await exposition(createMetrics({ node: 'n1' }, build));
    const corruption = samples.filter(({ name }) => name === 'kwam_corruption_detected_total');
    expect(corruption.map(({ labels }) => labels['site'])).toEqual([
      'ingest',
      'receive',
      'read',
      'scrub',
      'repair',
    ]);
    expect(samples.find(({ name }) => name === 'kwam_silent_corruption_count_total')?.value).toBe(0);
    const counters = samples.filter(({ name }) => types.get(name) === 'counter');
    expect(counters.length).toBeGreaterThanOrEqual(30);
    expect(counters.filter(({ value }) => value !== 0)).toEqual([]);
  });

  it('keeps the naming rules: prefix, help, _total on counters and on nothing else', async () => {
    const { samples, types, help } = await exposition(createMetrics({ node: 'n1' }, build));
    for (const { name, labels } of samples) {
      expect(name).toMatch(/^kwam_[a-z_]+$/);
      expect(help.get(name)?.length, name).toBeGreaterThan(10);
      expect(types.get(name) === 'counter', name).toBe(name.endsWith('_total'));
      expect(labels['node']).toBe('n1');
    }
    expect(new Set(samples.map(({ name }) => name)).size).toBe(types.size);
  });

  it('counts what it is told, under the right labels', async () => {
    const metrics = createMetrics({ node: 'n1' }, build);
    metrics.verifiedBytes.add('scrub', 4096);
    metrics.verifiedBytes.add('scrub', 4096);
    metrics.corruptionDetected.add('receive');
    metrics.timeSeconds.add('flow_control_wait', 0.25);
    metrics.dedupChunks.add('hit', 3);
    metrics.storedBytes.set(7);
    const { samples } = await exposition(metrics);
    const value = (name: string, label: string, of: string) =>
      samples.find((sample) => sample.name === name && sample.labels[label] === of)?.value;
    expect(value('kwam_verified_bytes_total', 'site', 'scrub')).toBe(8192);
    expect(value('kwam_verified_bytes_total', 'site', 'read')).toBe(0);
    expect(value('kwam_corruption_detected_total', 'site', 'receive')).toBe(1);
    expect(value('kwam_time_seconds_total', 'kind', 'flow_control_wait')).toBe(0.25);
    expect(value('kwam_dedup_chunks_total', 'result', 'hit')).toBe(3);
    expect(value('kwam_stored_bytes', 'node', 'n1')).toBe(7);
    expect(value('kwam_build_info', 'codec', 'c0dec')).toBe(1);
    expect(value('kwam_memory_resident_bytes', 'node', 'n1')).toBeGreaterThan(1e6);
  });

  it('keeps the nodes of one process apart', async () => {
    const [one, two] = [createMetrics({ node: 'n1' }, build), createMetrics({ node: 'n2' }, build)];
    one.silentCorruption.add();
    const { samples } = await exposition(two);
    expect(samples.find(({ name }) => name === 'kwam_silent_corruption_count_total')?.value).toBe(0);
  });
});

describe('the metrics server', () => {
  const servers: MetricsServer[] = [];
  let state: Readiness = { ready: true, reasons: [] };
  const start = async (address = '127.0.0.1:0') => {
    const server = await startMetricsServer(address, createMetrics({ node: 'n1' }, build), () => state);
    servers.push(server);
    return server.address;
  };
  const get = async (address: string, path: string, method = 'GET') => {
    const response = await fetch(`http://${address}${path}`, { method });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
    };
  };
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    state = { ready: true, reasons: [] };
  });

  it('serves the exposition format with its content type', async () => {
    const { status, type, body } = await get(await start(), '/metrics?x=1');
    expect(status).toBe(200);
    expect(type).toContain('text/plain; version=0.0.4');
    expect(parse(body).samples.length).toBeGreaterThan(30);
  });

  it('tells life from readiness', async () => {
    const address = await start();
    expect(await get(address, '/readyz')).toMatchObject({ status: 200, body: 'ready\n' });
    state = { ready: false, reasons: ['no lease', 'the store is still being checked'] };
    expect(await get(address, '/readyz')).toMatchObject({
      status: 503,
      body: 'not ready\nno lease\nthe store is still being checked\n',
    });
    expect(await get(address, '/healthz')).toMatchObject({ status: 200 });
  });

  it('answers 404 and 405 in text', async () => {
    const address = await start();
    expect(await get(address, '/')).toMatchObject({ status: 404, type: 'text/plain; charset=utf-8' });
    expect((await get(address, '/metrics', 'POST')).status).toBe(405);
  });

  it('names the port and the remedy when the port is in use', async () => {
    const address = await start();
    await expect(start(address)).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringMatching(new RegExp(`${address}: the port is in use .*choose another port`)),
    });
  });

  it.each(['9000', 'localhost', '127.0.0.1:99999', ''])('refuses %j as an address', async (address) => {
    await expect(start(address)).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('gives its port back at once when closed', async () => {
    const address = await start();
    await get(address, '/healthz');
    await servers.pop()!.close();
    expect(await start(address)).toBe(address);
  });
});
