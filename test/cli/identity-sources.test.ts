/**
 * Nodes whose identities come from Vault, the environment and an agent, in real processes; and that nothing which was secret shows:
 * every output, log, store file and report of the run is searched for the planted keys and token.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import type { Plan } from '../../src/plan.ts';
import { smallPlan } from '../faults/small-plan.ts';
import { agentSvid, TestAgent } from '../identity/workload-agent.ts';
import { TestVault } from '../secrets/vault.ts';
import { begin, type Ended, type Running, run, temporary } from './run.ts';

const TOKEN = 'hvs.planted-token-that-nobody-may-see';
const ROOT = temporary('sources');
const CLUSTER = join(ROOT, 'cluster');
const REPORTS = join(ROOT, 'reports');
/** The one place that holds a key in the clear: that of the person at the command line. */
const PRIVATE = join(ROOT, 'private');
const PLAN = join(ROOT, 'plan.json');

const plan = smallPlan({ nodes: 3, factor: 2 });
const outputs: string[] = [];
const nodes: Running[] = [];
let authority: KeyedPem;
let vault: TestVault;
const pairs = new Map<string, KeyedPem>();
const agent = new TestAgent();

const pinned: Plan = {
  ...plan,
  policy: { ...plan.policy!, ca: { secret: 'secret://vault/kwam/mtls-ca' } },
};

const textOf = ({ certificatePem, privateKeyPem }: KeyedPem): string => `${certificatePem}\n${privateKeyPem}`;
const environment = (): Record<string, string> => ({
  VAULT_ADDR: vault.address,
  VAULT_TOKEN: TOKEN,
  KWAM_TEST_NODE: textOf(pairs.get('n0002')!),
  SPIFFE_ENDPOINT_SOCKET: agent.endpoint,
  NODE_OPTIONS: `--report-on-signal --report-directory=${REPORTS}`,
});

/** What no output may hold: each line of each private key but the armour, and the token. */
function planted(): string[] {
  const keys = [...pairs].filter(([name]) => name !== 'admin').map(([, pair]) => pair.privateKeyPem);
  const lines = keys.flatMap((key) => key.split('\n')).filter((line) => line !== '' && !line.startsWith('-'));
  return [TOKEN, ...lines];
}

async function issue(name: string, spiffe: string): Promise<KeyedPem> {
  const pair = await issueSvid(authority, parseSpiffeId(spiffe), { nowMs: Date.now() });
  pairs.set(name, pair);
  return pair;
}

async function agentState() {
  const { name, spiffe } = plan.nodes[2]!;
  const pair = await issue(name, spiffe);
  return { state: { svids: [agentSvid(spiffe, pair, authority.certificatePem)] } };
}

const readyFile = (name: string): string => join(ROOT, `${name}.ready`);

async function start(name: string, ...more: string[]): Promise<Running> {
  const args = [
    'serve',
    PLAN,
    '--dir',
    CLUSTER,
    '--node',
    name,
    '--memory',
    '256mib',
    '--log-level',
    'trace',
  ];
  const node = begin([...args, '--ready-file', readyFile(name), ...more], environment());
  nodes.push(node);
  while (!fs.existsSync(readyFile(name)))
    await Promise.race([
      sleep(20),
      node.ended.then(({ stderr }) => Promise.reject(new Error(`${name}: ${stderr}`))),
    ]);
  return node;
}

const addressOf = (name: string): string => JSON.parse(fs.readFileSync(readyFile(name), 'utf8')).address;

async function command(...args: string[]): Promise<Ended> {
  const identity = ['--connect', addressOf('n0001'), '--identity', join(PRIVATE, 'admin')];
  const ended = await run([...args, ...identity], environment());
  outputs.push(ended.stdout, ended.stderr);
  return ended;
}

function* filesUnder(directory: string): Generator<string> {
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) yield join(entry.parentPath, entry.name);
}

beforeAll(async () => {
  for (const directory of [CLUSTER, REPORTS, PRIVATE, join(ROOT, 'tree')]) fs.mkdirSync(directory);
  authority = await createAuthority(parseTrustDomain('kwam'), { nowMs: Date.now() });
  for (const { name, spiffe } of plan.nodes) await issue(name, spiffe);
  const admin = await issue('admin', 'spiffe://kwam/dev/local/client/admin');
  fs.writeFileSync(join(PRIVATE, 'admin.pem'), admin.certificatePem);
  fs.writeFileSync(join(PRIVATE, 'admin.key'), admin.privateKeyPem, { mode: 0o600 });
  fs.writeFileSync(join(PRIVATE, 'ca.pem'), authority.certificatePem);
  fs.writeFileSync(PLAN, JSON.stringify(pinned));
  fs.writeFileSync(join(ROOT, 'tree/weights.bin'), Buffer.alloc(300_000, 7));
  vault = await TestVault.start({
    token: TOKEN,
    secrets: {
      'kwam/mtls-ca': [{ data: { value: authority.certificatePem } }],
      'kwam/n0001': [{ data: { pem: textOf(pairs.get('n0001')!) } }],
      'kwam/half': [{ data: { pem: pairs.get('n0001')!.certificatePem } }],
    },
  });
  await agent.start(await agentState());
});
afterAll(async () => {
  for (const { child } of nodes) child.kill();
  await Promise.all(nodes.map(({ ended }) => ended));
  await vault.stop();
  await agent.stop();
  fs.rmSync(ROOT, { recursive: true });
});

describe('nodes with identities from Vault, the environment and an agent', () => {
  it('form a cluster that stores, verifies and restores', async () => {
    await start('n0001', '--identity', 'secret://vault/kwam/n0001');
    await start('n0002', '--identity', 'secret://env/KWAM_TEST_NODE');
    // No files and no --identity: the agent of SPIFFE_ENDPOINT_SOCKET.
    await start('n0003');
    const ends = [
      await command('put', join(ROOT, 'tree'), '--name', 'tree', '--json'),
      await command('verify', 'tree', '--json'),
      await command('get', 'tree', join(ROOT, 'back'), '--json'),
      await command('status', '--json'),
      await command('ls'),
    ];
    expect(ends.map(({ code, stderr }) => [code, stderr])).toEqual(ends.map(() => [0, '']));
    const back = fs.readFileSync(join(ROOT, 'back/weights.bin'));
    expect(back.equals(fs.readFileSync(join(ROOT, 'tree/weights.bin')))).toBe(true);
  });

  it('take a renewed SVID of the agent without a restart', async () => {
    const before = nodes[2]!;
    agent.say(await agentState());
    await before.says('SVID renewed');
    const args = ['verify', 'tree', '--json', '--identity', join(PRIVATE, 'admin')];
    const ended = await run([...args, '--connect', addressOf('n0003')], environment());
    outputs.push(ended.stdout, ended.stderr);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
  });

  it('answer who asks by the same agent', async () => {
    const args = ['ls', '--json', '--connect', addressOf('n0001'), '--identity', agent.endpoint];
    const ended = await run(args, environment());
    outputs.push(ended.stdout, ended.stderr);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(JSON.parse(ended.stdout).objects).toHaveLength(1);
  });

  it.each([
    [
      'secret://vault/kwam/nothing',
      /secret:\/\/vault\/kwam\/nothing: expected the secret .*, got no secret at/,
    ],
    ['secret://vault/kwam/half', /expected certificates and a private key in PEM .*, got no key there/],
    ['secret://env/KWAM_TEST_NODE', /expected an SVID of .*n0001\/node, .* got one of .*n0002\/node/],
    ['unix://run/agent.sock', /expected the endpoint of a Workload API/],
    [join(PRIVATE, 'nobody'), /expected a readable .*nobody\.pem, got no such file/],
  ])('do not start with %s, and say why', async (source, why) => {
    const args = ['serve', PLAN, '--dir', join(ROOT, 'other'), '--node', 'n0001', '--memory', '256mib'];
    const ended = await run([...args, '--identity', source], environment());
    outputs.push(ended.stdout, ended.stderr);
    expect([ended.code === 3 || ended.code === 2, ended.stderr]).toEqual([true, expect.stringMatching(why)]);
  });
});

it('a plan whose policy names a file is served with the copy in trust/ beside it, and says so where there is none', async () => {
  const saved = join(ROOT, 'saved');
  const trusted = join(saved, 'trust/keys/ca.pem');
  fs.mkdirSync(join(saved, 'trust/keys'), { recursive: true });
  const policy = { ...plan.policy!, ca: { pem: 'keys/ca.pem' } };
  fs.writeFileSync(join(saved, 'plan.json'), JSON.stringify({ ...plan, policy }));
  const args = ['serve', join(saved, 'plan.json'), '--dir', saved, '--node', 'n0001', '--memory', '256mib'];
  const served = () => run([...args, '--identity', 'secret://env/KWAM_TEST_NODE'], environment());
  const without = await served();
  expect([without.code, without.stderr]).toEqual([
    3,
    expect.stringContaining(
      `expected the authorities of the policy (its ca "keys/ca.pem") in ${trusted}, got`,
    ),
  ]);
  expect(without.stderr).toContain('copy them there');
  fs.writeFileSync(trusted, authority.certificatePem);
  // The authorities are there now; what is refused is the SVID, of another node.
  expect((await served()).stderr).toMatch(/expected an SVID of .*n0001\/node, .* got one of .*n0002\/node/);
});

describe('planted keys and tokens', () => {
  it('are not told by a program that is planned with them', async () => {
    const example = join(import.meta.dirname, '../../examples');
    const inventory = ['--inventory', join(example, 'inventory.json')];
    for (const more of [[], ['--json']]) {
      const ended = await run(['plan', join(example, 'h100.kwam'), ...inventory, ...more], environment());
      outputs.push(ended.stdout, ended.stderr);
      expect(ended.code).toBe(0);
    }
    expect(outputs.at(-2)).toContain('secret://vault/kwam/mtls-ca');
  });

  it('are not told by a diagnostic report', async () => {
    nodes[0]!.child.kill('SIGUSR2');
    await vi.waitFor(() => expect(fs.readdirSync(REPORTS)).toHaveLength(1), {
      timeout: 20_000,
      interval: 50,
    });
    const report = join(REPORTS, fs.readdirSync(REPORTS)[0]!);
    await vi.waitFor(() => expect(() => JSON.parse(fs.readFileSync(report, 'utf8'))).not.toThrow(), {
      timeout: 20_000,
    });
    expect(fs.readFileSync(report, 'utf8')).toContain('"javascriptStack"');
  });

  it('are not told by a crash that quotes them', async () => {
    const source = join(import.meta.dirname, '../../src');
    const script = `
      const { crashWithoutSecrets } = await import('${source}/cli/crash.ts');
      const { resolveSecret } = await import('${source}/secrets/resolve.ts');
      const { revealSecret } = await import('${source}/secrets/secret.ts');
      crashWithoutSecrets();
      const secret = await resolveSecret('secret://env/KWAM_TEST_NODE', { environment: process.env });
      setTimeout(() => {
        throw new Error('a library quotes ' + revealSecret(secret), { cause: { secret, text: revealSecret(secret) } });
      });`;
    const { spawnSync } = await import('node:child_process');
    const crashed = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, ...environment(), NODE_OPTIONS: '' },
    });
    outputs.push(crashed.stdout, crashed.stderr);
    expect(crashed.status).toBe(3);
    expect(crashed.stderr).toContain('internal error, please report it\nError: a library quotes ');
    expect(crashed.stderr).toContain('[secret]');
  });

  it('stand in no output, log, store or report of the whole run', async () => {
    for (const { child } of nodes) child.kill('SIGTERM');
    const ends = await Promise.all(nodes.map(({ ended }) => ended));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
    const texts = [...outputs, ...ends.flatMap(({ stdout, stderr }) => [stdout, stderr])];
    expect(ends[0]!.stderr).toContain('"msg":"SVID loaded"');
    const files = [CLUSTER, REPORTS, join(ROOT, 'back')].flatMap((directory) => [...filesUnder(directory)]);
    expect(files.length).toBeGreaterThan(5);
    const all: [string, Buffer][] = [
      ...texts.map((text, i): [string, Buffer] => [`output ${i}`, Buffer.from(text)]),
      ...files.map((file): [string, Buffer] => [file, fs.readFileSync(file)]),
    ];
    const found = all.flatMap(([where, bytes]) =>
      planted()
        .filter((secret) => bytes.includes(secret))
        .map((secret) => `${secret.slice(0, 8)}… in ${where}`),
    );
    expect(found).toEqual([]);
    // The search finds what is there.
    expect(planted().some((secret) => Buffer.from(environment()['KWAM_TEST_NODE']!).includes(secret))).toBe(
      true,
    );
  });
});
