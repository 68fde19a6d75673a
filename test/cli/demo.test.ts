/** The demo on a small tree, its own look at disks, and that it leaves nothing behind, cut short or not. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeOddTree } from './odd-tree.ts';
import { begin, isAlive, run, temporary } from './run.ts';

const ROOT = temporary('demo');
const SOURCE = join(ROOT, 'source');

/** The demo's directories under our own TMPDIR, so that others' demos are not ours. */
const env = (name: string): Record<string, string> => {
  const directory = join(ROOT, name);
  fs.mkdirSync(directory);
  return { TMPDIR: directory, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
};

beforeAll(() => makeOddTree(SOURCE, 5_000_000));
afterAll(() => fs.rmSync(ROOT, { recursive: true }));

describe('demo', () => {
  it('survives a lost node and flipped bytes, and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await run(['demo', SOURCE, '--nodes', '4', '--json'], env('whole'));
    expect([code, stderr]).toEqual([0, expect.stringContaining('10. compare byte for byte')]);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ schema: 'kwam.demo/v1', silent: 0, identical: true, differences: [] });
    expect(report.injected).toBeGreaterThanOrEqual(4);
    expect([report.detected, report.repaired]).toEqual([report.injected, report.injected]);
    expect(report.copiesRestored).toBeGreaterThan(0);
    expect(report.bytes).toBeGreaterThan(5_000_000);
    expect(report.putSeconds).toBeGreaterThan(0);
    expect(report.dedupRatio).toBeGreaterThan(0.9);
    expect(report.chunks).toBeGreaterThan(0);
    expect(fs.readdirSync(join(ROOT, 'whole'))).toEqual([]);
  });

  it('stops its processes and removes its directory at Ctrl-C', async () => {
    const running = begin(['demo', SOURCE, '--nodes', '4'], env('cut'));
    await running.says('2. put');
    const [directory] = fs.readdirSync(join(ROOT, 'cut'));
    const file = join(ROOT, 'cut', directory!, 'cluster/processes.json');
    const { processes } = JSON.parse(fs.readFileSync(file, 'utf8')) as { processes: { pid: number }[] };
    expect(processes.map(({ pid }) => isAlive(pid))).toEqual([true, true, true, true]);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([3, expect.stringContaining('cancelled')]);
    expect(processes.filter(({ pid }) => isAlive(pid))).toEqual([]);
    expect(fs.readdirSync(join(ROOT, 'cut'))).toEqual([]);
  });
});
