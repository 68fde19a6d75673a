import { describe, expect, it } from 'vitest';
import { createMetrics } from '../src/metrics.ts';

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
