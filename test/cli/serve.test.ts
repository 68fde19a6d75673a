/** A node that cannot start says why in one line and exits with 2 or 3; one that runs stops cleanly. */
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../../src/plan.ts';
import { smallPlan } from '../faults/small-plan.ts';
import { writeExpired } from '../identity/expired.ts';
import { begin, type Ended, run, runHere, temporary } from './run.ts';

const ROOT = temporary('serve');
const PLAN = join(ROOT, 'plan.json');
const EXAMPLE = fs.readFileSync(join(import.meta.dirname, '../../examples/h100.kwam'), 'utf8');

const serve = (...args: string[]): string[] => ['serve', PLAN, '--dir', ROOT, '--memory', '256mib', ...args];
const spiffeOf = (name: string): string =>
  smallPlan({ nodes: 2 }).nodes.find((node) => node.name === name)!.spiffe;
const issue = (name: string, ...more: string[]) =>
  runHere(['identity', 'issue', name, '--dir', ROOT, '--id', spiffeOf(name), ...more]);

function writePlan(change: (plan: Plan) => unknown): void {
  fs.writeFileSync(PLAN, JSON.stringify(change(smallPlan({ nodes: 2 }))));
}

/** What people read: the lines that are not the log. */
function complaints({ stderr }: Ended): string[] {
  return stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
}

beforeAll(async () => {
  writePlan((plan) => plan);
  await runHere(['identity', 'init', '--dir', ROOT]);
  await issue('n0001');
  await issue('n0002');
});
afterAll(() => fs.rmSync(ROOT, { recursive: true }));

describe('serve refuses', () => {
  it('a port in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    writePlan((plan) => ({
      ...plan,
      nodes: plan.nodes.map((node) => ({ ...node, listen: `127.0.0.1:${port}` })),
    }));
    const ended = await run(serve('--node', 'n0001'));
    writePlan((plan) => plan);
    server.close();
    expect(ended.code).toBe(3);
    expect(complaints(ended)).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);
  });

  it('an expired certificate', async () => {
    await writeExpired(join(ROOT, 'identity'), 'n0002', spiffeOf('n0002'));
    const ended = await run(serve('--node', 'n0002'));
    expect(ended.code).toBe(3);
    expect(complaints(ended)).toEqual([expect.stringMatching(/expired|not valid|validity/)]);
  });

  it("an SVID of somebody else than the plan's node", async () => {
    await issue('n0002', '--id', 'spiffe://kwam/somebody/else');
    const ended = await run(serve('--node', 'n0002'));
    expect(ended.code).toBe(3);
    expect(complaints(ended)).toEqual([
      expect.stringMatching(/expected an SVID of .*n0002.*, got one of spiffe:\/\/kwam\/somebody\/else/),
    ]);
  });

  it('a node without identity', async () => {
    fs.rmSync(join(ROOT, 'identity/n0002.pem'));
    const ended = await run(serve('--node', 'n0002'));
    expect(ended.code).toBe(3);
    expect(complaints(ended)).toEqual([expect.stringContaining('n0002.pem, got no such file')]);
  });

  it.each<[string, () => void, string]>([
    ['no plan', () => fs.rmSync(PLAN, { force: true }), 'got ENOENT'],
    ['JSON that is cut off', () => fs.writeFileSync(PLAN, '{"schema":'), 'does not parse'],
    ['another schema', () => writePlan((plan) => ({ ...plan, schema: 'kwam.plan/v9' })), '"kwam.plan/v9"'],
    ['a plan without nodes', () => writePlan((plan) => ({ ...plan, nodes: [] })), 'without nodes'],
    ['a broken node', () => writePlan((plan) => ({ ...plan, nodes: [{ name: 'n0001' }] })), 'lacks fields'],
  ])('%s', async (_what, arrange, expected) => {
    arrange();
    const ended = await run(serve('--node', 'n0001'));
    writePlan((plan) => plan);
    expect([ended.code, complaints(ended)]).toEqual([2, [expect.stringContaining(expected)]]);
  });

  it('a node that the plan does not have, too little memory and an unknown level', async () => {
    const unknown = await run(serve('--node', 'n0007'));
    expect([unknown.code, complaints(unknown)]).toEqual([2, [expect.stringContaining('(n0001, n0002)')]]);
    const small = await run(['serve', PLAN, '--dir', ROOT, '--node', 'n0001', '--memory', '16mib']);
    expect([small.code, complaints(small)]).toEqual([2, [expect.stringContaining('at least 256mib')]]);
    const watch = await run(serve('--node', 'n0001', '--watch', join(ROOT, 'nowhere')));
    expect([watch.code, complaints(watch)]).toEqual([2, [expect.stringContaining('--watch')]]);
    const level = await run(serve('--node', 'n0001', '--log-level', 'loud'));
    expect([level.code, complaints(level)]).toEqual([2, [expect.stringContaining('--log-level')]]);
  });
});

describe('dev up', () => {
  it('shows the log of the node that could not start, and stops those that did', async () => {
    const directory = join(ROOT, 'half');
    fs.mkdirSync(directory);
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const plan = smallPlan({ nodes: 2, memoryBytes: 256 * 2 ** 20 });
    const nodes = [plan.nodes[0]!, { ...plan.nodes[1]!, listen: `127.0.0.1:${port}` }];
    fs.writeFileSync(join(directory, 'plan.json'), JSON.stringify({ ...plan, nodes }));
    const { code, stderr } = await run(['dev', 'up', '--dir', directory]);
    server.close();
    expect([code, stderr]).toEqual([3, expect.stringMatching(/^kwam-dp: expected n0002 to get ready/)]);
    expect(stderr).toContain('its log ends:');
    expect(stderr).toContain(`127.0.0.1:${port}`);
    const { nodes: left } = JSON.parse((await run(['dev', 'status', '--dir', directory, '--json'])).stdout);
    expect(left.map(({ state }: { state: string }) => state)).toEqual(['stopped', 'stopped']);
  });
});

describe('serve', () => {
  const PROGRAM = join(ROOT, 'small.kwam');
  const INVENTORY = join(ROOT, 'inventory.json');

  function writeProgram(text: string): void {
    const [imported] = /^import "std\/faultdomains".*$/m.exec(EXAMPLE)!;
    fs.writeFileSync(PROGRAM, `apiVersion "kwam.dev/v0.2"\n${imported}\nuse fd.h100\n${text}\n`);
  }

  function writeInventory(): void {
    const node = (name: string) => ({
      name,
      spiffe: spiffeOf(name),
      address: '127.0.0.1:0',
      labels: { az: name, spine: name, pdu: name, rack: name },
    });
    const pools = { small: { nodes: [node('n0001'), node('n0002')] } };
    fs.writeFileSync(INVENTORY, JSON.stringify({ schema: 'kwam.inventory/v1', pools }));
  }

  it('runs a node from a program and an inventory, and from the plan of both', async () => {
    writeInventory();
    const grant = '{ caps [discover, replicate] signed_by "ops" discover_scope [127.0.0.0/8] }';
    const policy = `ca "ca.pem" sandbox_floor gvisor grants { "spiffe://kwam/**" ${grant} }`;
    writeProgram(`policy trust { ${policy} } replicate data { factor 2 anti_affinity [az] }`);
    const planned = await runHere(['plan', PROGRAM, '--inventory', INVENTORY, '--dir', ROOT, '--json']);
    const document = join(ROOT, 'document.json');
    fs.writeFileSync(document, planned.stdout);
    for (const source of [[PROGRAM, '--inventory', INVENTORY], [document]]) {
      const ready = join(ROOT, 'run/program.json');
      const args = ['--dir', ROOT, '--node', 'n0001', '--memory', '256mib', '--ready-file', ready];
      const node = begin(['serve', ...source, ...args]);
      while (!fs.existsSync(ready)) {
        await Promise.race([sleep(20), node.ended.then(({ stderr }) => Promise.reject(new Error(stderr)))]);
      }
      node.child.kill('SIGTERM');
      expect((await node.ended).code).toBe(0);
    }
  });

  it('refuses a program with errors, one without nodes, and a plan that was changed', async () => {
    writeInventory();
    writeProgram('replicate data { factor 3 anti_affinity [az] }');
    const args = ['--dir', ROOT, '--node', 'n0001', '--memory', '256mib'];
    const refused = await run(['serve', PROGRAM, '--inventory', INVENTORY, ...args]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('error KW4003: ')]);
    expect(refused.stderr).toContain('factor 3 anti_affinity [az]');
    const alone = await run(['serve', PROGRAM, ...args]);
    expect([alone.code, complaints(alone)]).toEqual([
      2,
      [expect.stringContaining('expected --inventory FILE')],
    ]);
    const document = join(ROOT, 'document.json');
    fs.writeFileSync(document, fs.readFileSync(document, 'utf8').replace('"factor":2', '"factor":1'));
    const edited = await run(['serve', document, ...args]);
    expect([edited.code, complaints(edited)]).toEqual([2, [expect.stringContaining('it was changed')]]);
  });

  it('runs under its heap bound, refuses a second one, and ends cleanly at SIGTERM', async () => {
    const ready = join(ROOT, 'run/n0001.json');
    const node = begin(serve('--node', 'n0001', '--ready-file', ready));
    while (!fs.existsSync(ready)) {
      await Promise.race([sleep(20), node.ended.then(({ stderr }) => Promise.reject(new Error(stderr)))]);
    }
    const { pid, metricsAddress } = JSON.parse(fs.readFileSync(ready, 'utf8'));
    expect(pid).toBe(node.child.pid);
    expect(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('--max-old-space-size=');
    expect((await fetch(`http://${metricsAddress}/readyz`)).status).toBe(200);

    const second = await run(serve('--node', 'n0001'));
    expect(second.code).toBe(3);
    expect(complaints(second)).toEqual([expect.stringContaining('stop')]);

    node.child.kill('SIGTERM');
    const ended = await node.ended;
    expect(ended.code).toBe(0);
    expect(ended.stdout).toBe('');
    for (const line of ended.stderr.trim().split('\n'))
      expect(JSON.parse(line)).toHaveProperty('node', 'n0001');
    expect(fs.existsSync(ready)).toBe(false);
  });
});
