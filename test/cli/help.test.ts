/** The words of the command line are a contract too: help as golden files, `vitest run test/cli/help.test.ts -u` renews them. */
import { describe, expect, it } from 'vitest';
import { runHere } from './run.ts';

const COMMANDS = [
  'audit',
  'audit verify',
  'bench',
  'check',
  'compact',
  'consent',
  'consent request',
  'consent sign',
  'consent show',
  'demo',
  'dev',
  'dev up',
  'dev down',
  'dev status',
  'dev add',
  'drain',
  'explain',
  'fmt',
  'get',
  'identity',
  'identity init',
  'identity issue',
  'identity show',
  'image',
  'image verify',
  'ls',
  'lsp',
  'module',
  'module digest',
  'module freeze',
  'module sign',
  'module verify',
  'plan',
  'put',
  'repair',
  'rm',
  'scrub',
  'serve',
  'slo',
  'status',
  'verify',
];

describe('help', () => {
  it('of the program lists every command', async () => {
    const { code, stdout, stderr } = await runHere(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    for (const command of COMMANDS) expect(stdout).toContain(`  ${command.split(' ')[0]} `);
    await expect(stdout).toMatchFileSnapshot('golden/help.txt');
  });

  it.each(COMMANDS)('of %s has examples and a stable text', async (command) => {
    const { code, stdout, stderr } = await runHere([...command.split(' '), '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/\nExamples:\n {2}kwam-dp /);
    await expect(stdout).toMatchFileSnapshot(`golden/${command.replace(' ', '-')}.txt`);
  });

  it('is the same by `help put` and `put --help`', async () => {
    expect(await runHere(['help', 'put'])).toEqual(await runHere(['put', '--help']));
  });

  it('fits on a terminal of 100 columns', async () => {
    for (const command of COMMANDS) {
      const { stdout } = await runHere([...command.split(' '), '--help']);
      expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    }
  });
});
