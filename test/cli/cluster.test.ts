/**
 * One cluster of three real processes, used the way a user does: up, put, list, get, verify, damage, scrub, repair,
 * a dead node, remove, add, down. The steps build on each other, so they run in order.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareTrees } from '../../src/cli/compare-trees.ts';
import { makeOddTree } from './odd-tree.ts';
import { isAlive, mainHere, run, runJson, temporary } from './run.ts';

const ROOT = temporary('cluster');
const DIR = join(ROOT, 'cluster');
const SOURCE = join(ROOT, 'source');

interface NodeLine {
  readonly name: string;
  readonly state: string;
  readonly pid: number | null;
  readonly address: string;
  readonly packs: number | null;
  readonly dir: string;
  readonly [field: string]: unknown;
}
interface Nodes {
  readonly nodes: readonly NodeLine[];
}

const cluster = (...args: string[]): string[] => [...args, '--dir', DIR];
const nodesNow = async (): Promise<readonly NodeLine[]> =>
  JSON.parse((await mainHere([...cluster('dev', 'status'), '--json'])).stdout).nodes;

async function expectSameTree(destination: string): Promise<void> {
  const { signal } = new AbortController();
  const { differences } = await compareTrees(SOURCE, destination, () => undefined, signal);
  expect(differences).toEqual([]);
}

let bystander: number;

beforeAll(async () => {
  makeOddTree(SOURCE, 2_000_000);
  const up = await runJson<Nodes>(cluster('dev', 'up', '--nodes', '3', '--memory', '256mib'));
  expect(up.schema).toBe('kwam.dev/v1');
  expect(up.nodes.map(({ name, state }) => [name, state])).toEqual([
    ['n0001', 'running'],
    ['n0002', 'running'],
    ['n0003', 'running'],
  ]);
  bystander = process.pid;
});

afterAll(async () => {
  await mainHere(cluster('dev', 'down'));
  fs.rmSync(ROOT, { recursive: true });
});

describe('a cluster that runs', () => {
  it('says so when it is started again, and refuses another shape', async () => {
    const again = await mainHere(cluster('dev', 'up'));
    expect([again.code, again.stdout]).toEqual([1, '']);
    expect(again.stderr).toContain('is running already');
    const other = await mainHere(cluster('dev', 'up', '--nodes', '5'));
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('expected --nodes 3');
  });

  it('stores, lists, verifies and gives back a tree with odd names', async () => {
    const put = await runJson<Record<string, unknown>>(
      cluster('put', SOURCE, '--name', 'tree\nof "odd" names'),
    );
    expect(put.schema).toBe('kwam.put/v1');
    expect(put).toMatchObject({ name: 'tree\nof "odd" names', problems: [], files: 12 });
    for (const field of ['bytes', 'chunks', 'newChunks', 'newBytes', 'seconds'])
      expect(put[field]).toBeGreaterThan(0);

    const { objects } = await runJson<{ objects: Record<string, unknown>[] }>(cluster('ls'));
    expect(objects).toMatchObject([{ name: put['name'], manifest: put['manifest'], bytes: put['bytes'] }]);
    expect((await mainHere(cluster('ls'))).stdout.split('\n')[1]).toMatch(
      /^"tree\\nof \\"odd\\" names" +12 /,
    );

    const verified = await runJson(cluster('verify', 'tree\nof "odd" names', '--node', 'n0002'));
    expect(verified).toMatchObject({ schema: 'kwam.verify/v1', ok: true, failures: [], bytes: put['bytes'] });

    const restored = join(ROOT, 'restored');
    const got = await runJson(cluster('get', 'tree\nof "odd" names', restored));
    expect(got).toMatchObject({ schema: 'kwam.get/v1', files: 12, destination: restored });
    await expectSameTree(restored);
  });

  it('names what it cannot do: a taken destination, an unknown object, an unknown node', async () => {
    const taken = await run(cluster('get', 'tree\nof "odd" names', join(ROOT, 'restored')));
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain('expected nothing at');
    const unknown = await mainHere(cluster('verify', 'nothing'));
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      'kwam-dp: no object is named "nothing"; kwam-dp ls shows the names\n',
    ]);
    const nowhere = await mainHere(cluster('ls', '--node', 'n0009'));
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toContain('n0001 (up)');
  });

  it('reports entries that are not stored and exits with 1', async () => {
    const tree = join(ROOT, 'with-fifo');
    fs.mkdirSync(tree);
    fs.writeFileSync(join(tree, 'good'), 'good');
    const { spawnSync } = await import('node:child_process');
    expect(spawnSync('mkfifo', [join(tree, 'pipe')]).status).toBe(0);
    const { code, stdout, stderr } = await run([...cluster('put', tree), '--json']);
    expect(code).toBe(1);
    expect(stderr).toContain('not stored: "pipe": unsupported');
    expect(JSON.parse(stdout)).toMatchObject({
      files: 1,
      problems: [{ path: '"pipe"', reason: 'unsupported' }],
    });
  });

  it('answers one node by --connect with an identity', async () => {
    const [first] = await nodesNow();
    const remote = ['--connect', first!.address, '--identity', join(DIR, 'identity/admin')];
    const status = await runJson<Nodes>(['status', ...remote]);
    expect(status.nodes.map(({ name }) => name)).toEqual(['n0001']);
    expect((await mainHere(['ls', ...remote])).code).toBe(0);
  });

  it('finds flipped bytes with scrub, restores them with repair, and says so by exit code', async () => {
    const packs = join(DIR, 'n0002/packs');
    const [pack] = fs.readdirSync(packs);
    const file = fs.openSync(join(packs, pack!), 'r+');
    fs.writeSync(file, Buffer.from('flipped'), 0, 7, 5000);
    fs.closeSync(file);

    const scrubbed = await run([...cluster('scrub'), '--json']);
    expect(scrubbed.code).toBe(4);
    expect(JSON.parse(scrubbed.stdout)).toMatchObject({
      schema: 'kwam.scrub/v1',
      corrupt: 1,
      quarantined: 1,
    });
    const status = await runJson<Nodes & Record<string, unknown>>(cluster('status'));
    expect(status).toMatchObject({
      schema: 'kwam.status/v1',
      objects: 2,
      underReplicated: 1,
      quarantined: 1,
    });

    const why = await mainHere(cluster('repair', '--explain'));
    expect([why.code, why.stdout]).toEqual([1, expect.stringContaining('1 copy or shard missing')]);
    expect(why.stdout).toContain('it is restored at the next look if it still lacks something');
    const repaired = await runJson(cluster('repair'));
    expect(repaired).toMatchObject({ schema: 'kwam.repair/v1', repaired: 1, remaining: 0, unrepairable: [] });
    expect(repaired).toHaveProperty('bytes');
    expect(await mainHere(cluster('repair', '--explain'))).toMatchObject({
      code: 0,
      stdout: 'nothing is missing\n',
    });
    expect(await mainHere(cluster('repair', '--explain', 'xyz'))).toMatchObject({ code: 2 });
    const clean = await mainHere(cluster('scrub'));
    expect([clean.code, clean.stdout]).toEqual([0, expect.stringContaining('nothing is corrupt')]);
  });

  it('goes on without a node that was killed, and dev up starts exactly that one again', async () => {
    const before = await nodesNow();
    process.kill(before[0]!.pid!, 'SIGKILL');
    const { code, stdout } = await mainHere([...cluster('scrub'), '--json']);
    expect([code, JSON.parse(stdout).nodes]).toEqual([0, ['n0002', 'n0003']]);
    const status = await runJson<Nodes>(cluster('status'));
    expect(status.nodes.map(({ state }) => state)).toEqual(['down', 'up', 'up']);
    expect(status.nodes[0]).toMatchObject({ name: 'n0001', packs: null, dir: join(DIR, 'n0001') });
    expect((await mainHere(cluster('repair'))).code).toBe(4);

    await runJson(cluster('dev', 'up'));
    const after = await nodesNow();
    expect(after[0]!.pid).not.toBe(before[0]!.pid);
    expect(after.slice(1)).toEqual(before.slice(1));
  });

  it('grows by a node that holds nothing, and forgets a removed object', async () => {
    await runJson(cluster('dev', 'add'));
    const status = await runJson<Nodes>(cluster('status'));
    expect(status.nodes.at(-1)).toMatchObject({ name: 'n0004', state: 'up', packs: 0 });
    expect(await runJson(cluster('rm', 'with-fifo'))).toMatchObject({
      schema: 'kwam.rm/v1',
      name: 'with-fifo',
    });
    expect((await mainHere(cluster('rm', 'with-fifo'))).code).toBe(1);
    expect(await runJson(cluster('compact'))).toMatchObject({ schema: 'kwam.compact/v1' });
    const restored = join(ROOT, 'restored-on-fresh');
    await runJson(cluster('get', 'tree\nof "odd" names', restored, '--node', 'n0004'));
    await expectSameTree(restored);
  });

  it('names the files that are lost for good, and the checkpoint before them', async () => {
    const checkpoint = join(ROOT, 'checkpoint');
    fs.mkdirSync(checkpoint);
    const packs = (): string[] => fs.globSync('n*/packs/*.pack', { cwd: DIR }).map((path) => join(DIR, path));
    fs.writeFileSync(join(checkpoint, 'weights'), 'earlier '.repeat(5000));
    await runJson(cluster('put', checkpoint, '--name', 'run/step-900'));
    const before = new Set(packs());
    fs.writeFileSync(join(checkpoint, 'weights'), 'later '.repeat(5000));
    await runJson(cluster('put', checkpoint, '--name', 'run/step-1000'));
    for (const path of packs()) if (!before.has(path)) fs.rmSync(path);

    expect((await mainHere(cluster('scrub'))).code).toBe(4);
    const { code, stderr, stdout } = await mainHere([...cluster('repair'), '--json']);
    const [one, ...others] = JSON.parse(stdout).affected;
    expect([code, others]).toEqual([4, []]);
    expect(one).toMatchObject({
      object: 'run/step-1000',
      lastGood: 'run/step-900',
      damage: { isWhole: true },
    });
    expect(stderr).toContain('run/step-1000 lost data: its manifest, and with it every file');
    expect(stderr).toContain('the last good one before it is run/step-900');
    await runJson(cluster('rm', 'run/step-1000'));
  });

  it('stops exactly its own processes and starts again with its data', async () => {
    const pids = (await nodesNow()).map(({ pid }) => pid!);
    const { code, stdout } = await mainHere(cluster('dev', 'down'));
    expect([code, stdout]).toEqual([0, 'stopped n0001, n0002, n0003, n0004\n']);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(isAlive(bystander)).toBe(true);

    expect((await mainHere(cluster('dev', 'status'))).code).toBe(1);
    const stopped = await run(cluster('put', SOURCE));
    expect([stopped.code, stopped.stdout]).toEqual([3, '']);
    expect(stopped.stderr).toMatch(/^kwam-dp: expected a running node in [^\n]*kwam-dp dev up [^\n]*\n$/);

    await runJson(cluster('dev', 'up'));
    expect((await mainHere(cluster('verify', 'tree\nof "odd" names'))).code).toBe(0);
  });
});
