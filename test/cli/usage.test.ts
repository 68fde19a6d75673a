/** Wrong arguments: exit code 2, one clear line, no stack trace. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import { PROGRAM, run, runHere, temporary } from './run.ts';

const DIRECTORY = temporary('usage');
afterAll(() => rmSync(DIRECTORY, { recursive: true }));

describe('the program', () => {
  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['pu', '.'], "unknown command 'pu'", 'Did you mean put?'],
    [['scrup'], "unknown command 'scrup'", 'Did you mean scrub?'],
    [['put', '.', '--jsn'], "unknown option '--jsn'", 'Did you mean --json?'],
    [['dev', 'upp'], "unknown command 'upp'", 'Did you mean up?'],
    [['put'], "missing required argument 'path'", 'See kwam-dp put --help.'],
    [['get', 'name'], "missing required argument 'destination'", 'See kwam-dp get --help.'],
    [['serve', 'plan.json'], "required option '--node <name>' not specified", 'See kwam-dp serve --help.'],
    [['ls', 'extra'], 'too many arguments', 'See kwam-dp ls --help.'],
  ])('%j is refused and helps', async (args, problem, help) => {
    const { code, stdout, stderr } = await runHere(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^kwam-dp: /);
    expect(stderr).toContain(problem);
    expect(stderr).toContain(help);
  });

  it.each([
    [['dev', 'up', '--nodes', 'six'], 'whole number'],
    [['dev', 'up', '--nodes', '65', '--dir', DIRECTORY], '--nodes from 1 to 64'],
    [['dev', 'up', '--erasure', '4'], '--erasure K,M'],
    [['dev', 'up', '--erasure', '0,2'], '--erasure K,M'],
    [['dev', 'up', '--erasure', 'lrc:12,2'], 'lrc:K,L,M'],
    [['dev', 'up', '--erasure', '12,2,2'], 'lrc:K,L,M'],
    [['dev', 'up', '--erasure', 'lrc:12,5,2'], '2 to 17 groups'],
    [['dev', 'up', '--factor', '4', '--nodes', '3', '--dir', DIRECTORY], '--factor from 1'],
    [['dev', 'up', '--memory', '12 parsecs'], '512mb'],
    [['dev', 'up', '--memory', '64mb', '--dir', DIRECTORY], 'at least 256mib'],
    [['identity', 'issue', 'a', '--valid', 'forever'], 'duration'],
    [['demo', '--nodes', '3'], '--nodes of at least 4'],
    [['demo', '/no/such/tree'], 'ENOENT'],
    [['bench', 'kernel'], 'kernels, ingest, transport, control, trust, language or all'],
    [['ls', '--identity', 'x/admin'], 'together with --connect'],
    [['ls', '--connect', '127.0.0.1:1'], '--identity'],
    [['ls', '--connect', 'nonsense', '--identity', 'x/admin'], 'HOST:PORT'],
    [['put', '.', '--connect', '10.0.0.1:7000', '--identity', 'x/admin'], 'sidecar on this machine'],
    [['get', 'a', 'b', '--connect', 'example.com:7000', '--identity', 'x/admin'], 'sidecar on this machine'],
    [['put', '/', '--dir', DIRECTORY], '--name'],
  ])('%j is a usage error', async (args, expected) => {
    const failed = await runHere(args).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(KwamError);
    expect(failed).toMatchObject({ code: 'USAGE', message: expect.stringContaining(expected) });
  });

  it('leaves no plan behind when a new cluster cannot start', async () => {
    await expect(runHere(['dev', 'up', '--memory', '64mb', '--dir', DIRECTORY])).rejects.toThrow('256mib');
    await expect(runHere(['dev', 'status', '--dir', DIRECTORY])).rejects.toThrow('found none');
  });
});

describe('as a process', () => {
  it('exits with 2 and one line, without a stack', async () => {
    const { code, stdout, stderr } = await run(['demo', '--nodes', '3']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^kwam-dp: expected --nodes [^\n]*\n$/);
  });

  it('without arguments shows the help and exits with 2', async () => {
    const { code, stderr } = await run([]);
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: kwam-dp');
  });

  it.each([['ls'], ['status'], ['scrub'], ['put', '.']])(
    '%s without a cluster says in one line how to start one',
    async (...args) => {
      const { code, stdout, stderr } = await run(args, { KWAM_DIR: join(DIRECTORY, 'nothing') });
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(/^kwam-dp: expected a cluster in [^\n]*kwam-dp dev up [^\n]*\n$/);
    },
  );
});

describe('a Node that is too old', () => {
  it('gets one clear line', async () => {
    const pretend =
      'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
    const args = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, PROGRAM, '--version'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^kwam-dp: expected Node 24\.15 or newer, .*\n$/);
  });

  it('meets no import that it does not have', () => {
    const imports = readFileSync(PROGRAM, 'utf8').match(/^import .*$/gm);
    expect(imports).toEqual(["import { existsSync } from 'node:fs';", "import module from 'node:module';"]);
  });

  it('is not what the scripts run after set-up: a shell remembers where it found node', () => {
    const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    expect(scripts.demo).toBe('node scripts/setup.mjs && node_modules/.bin/node bin/kwam-dp.mjs demo');
  });
});
