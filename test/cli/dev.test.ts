/** Development clusters from programs: refused like by check, forgiving only about their own size, and changed by another program. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mainHere, temporary } from './run.ts';

const ROOT = temporary('dev');
const DIR = join(ROOT, 'cluster');
const PROGRAM = join(ROOT, 'program.kwam');
const EXAMPLE = fs.readFileSync(join(import.meta.dirname, '../../examples/h100.kwam'), 'utf8');

const dev = (...args: string[]) => mainHere(['dev', ...args, '--dir', DIR]);

function write(from: string, to: string): void {
  expect(EXAMPLE).toContain(from);
  fs.writeFileSync(PROGRAM, EXAMPLE.replace(from, to));
}

afterAll(async () => {
  await dev('down');
  fs.rmSync(ROOT, { recursive: true });
});

describe('dev up refuses', () => {
  it.each([
    ['a claim that does not hold', 'durability 6nines', 'durability 11nines', 'KW4005'],
    ['a hole', 'mttr_restore 30m', 'mttr_restore …', 'KW1901'],
  ])('%s, with the frame, and leaves nothing', async (_what, from, to, code) => {
    write(from, to);
    const { code: exit, stdout, stderr } = await dev('up', PROGRAM, '--nodes', '3');
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`error ${code}: `);
    expect(stderr).toContain(to);
    expect(stderr).toMatch(/\nkwam-dp: expected a program without errors, \S+ has 1; [^\n]*\n$/);
    expect(fs.existsSync(DIR)).toBe(false);
  });

  it('other errors than those of its size, however small it is', async () => {
    write('sandbox gvisor', 'sandbox runc');
    const { code, stderr } = await dev('up', PROGRAM, '--nodes', '1');
    expect([code, stderr]).toEqual([1, expect.stringContaining('error KW3012: ')]);
    expect(stderr).not.toContain('KW4003');
  });
});

describe('a cluster that is smaller than its program', () => {
  beforeAll(async () => {
    write('bake 10m', 'bake 11m');
    const { code, stderr } = await dev('up', PROGRAM, '--nodes', '1', '--memory', '256mib');
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(
        /^kwam-dp: \S+ declares factor 3, 6nines; this cluster has factor 1, 0\.\d+ nines; a development cluster is no promise\n$/,
      ),
    ]);
  });

  const plan = () => JSON.parse(fs.readFileSync(join(DIR, 'plan.json'), 'utf8'));

  it('runs from the program as written, with the redundancy that it can have', () => {
    expect(plan()).toMatchObject({
      trustDomain: 'kwam',
      replicate: { factor: 1, repair: { delayMs: 300_000 } },
      guard: { declaredNines: 6 },
      deploys: [{ pool: 'h100_pool', bakeMs: 660_000 }],
      pools: [{ name: 'h100_pool', nodes: ['n0001'] }],
      memoryBytes: 256 * 2 ** 20,
    });
  });

  it('is shown by plan with the nodes of the cluster, and refused there: plan promises', async () => {
    const { code, stdout } = await mainHere(['plan', PROGRAM, '--dir', DIR]);
    expect([code, stdout]).toEqual([1, expect.stringContaining('error KW4003: ')]);
  });

  it('takes another program only when it is stopped, and keeps its nodes and its memory', async () => {
    write('bake 10m', 'bake 12m');
    const running = await dev('up', PROGRAM);
    expect([running.code, running.stderr]).toEqual([1, expect.stringContaining('got a running one')]);
    expect(plan().deploys[0].bakeMs).toBe(660_000);
    await dev('down');
    const other = await dev('up', PROGRAM, '--nodes', '2');
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('expected --nodes 1')]);
    const { code, stderr } = await dev('up', PROGRAM);
    expect([code, stderr]).toEqual([0, expect.stringContaining('declares factor 3')]);
    expect(plan()).toMatchObject({ memoryBytes: 256 * 2 ** 20, deploys: [{ bakeMs: 720_000 }] });
  });

  it('grows by a node of the same pool', async () => {
    expect((await dev('add')).code).toBe(0);
    expect(plan().pools).toEqual([{ name: 'h100_pool', nodes: ['n0001', 'n0002'] }]);
    const inventory = JSON.parse(fs.readFileSync(join(DIR, 'inventory.json'), 'utf8'));
    expect(inventory.pools.h100_pool.nodes.map(({ name }: { name: string }) => name)).toEqual([
      'n0001',
      'n0002',
    ]);
  });
});

describe('a pool that selects by pattern', () => {
  const SELECTED = join(ROOT, 'selected');
  const inSelected = (...args: string[]) => mainHere(['dev', ...args, '--dir', SELECTED]);
  const ids = () =>
    JSON.parse(fs.readFileSync(join(SELECTED, 'plan.json'), 'utf8')).nodes.map(
      ({ spiffe }: { spiffe: string }) => spiffe,
    );
  afterAll(() => inSelected('down'));

  it('gets nodes that match it, and they work together', async () => {
    const pool = 'pool h100_pool { select spiffe://kwam/acme/cl-7/**/pod*/*/node }';
    const scope = 'discover_scope [10.40.0.0/16]\n    }\n    "spiffe://kwam/dev';
    write(scope, scope.replace('10.40.0.0/16', '10.40.0.0/16, 127.0.0.0/8'));
    fs.appendFileSync(PROGRAM, `\n${pool}\n`);
    const up = await inSelected('up', PROGRAM, '--nodes', '2', '--memory', '256mib');
    expect([up.code, up.stderr]).toEqual([0, expect.stringContaining('a development cluster is no promise')]);
    expect(ids()).toEqual(
      ['n0001', 'n0002'].map((name) => `spiffe://kwam/acme/cl-7/${name}/pod${name}/${name}/node`),
    );
    const put = await mainHere(['put', PROGRAM, '--dir', SELECTED, '--json']);
    expect([put.code, put.stderr]).toEqual([0, '']);
    const status = await mainHere(['status', '--dir', SELECTED, '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({ objects: 1, underReplicated: 0 });
  });
});
