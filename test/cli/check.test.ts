/** What `check` prints to whom: colours on a terminal only, progress beside results, and the simulation beside the closed form. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import type { SimulationEntry } from '../../src/cli/check-simulation.ts';
import { runProgram } from '../../src/cli/program.ts';
import { mainHere } from './run.ts';

const work = mkdtempSync(join(tmpdir(), 'kwam-check-'));
const EXAMPLE = 'examples/h100.kwam';
const TOUR = 'examples/tour.kwam';

afterAll(() => rmSync(work, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

/** Runs with terminals or pipes on each side. */
async function shown(args: readonly string[], terminals: { stdout: boolean; stderr: boolean }) {
  const texts = { stdout: '', stderr: '' };
  const sink = (name: keyof typeof texts) =>
    Object.assign(
      new Writable({
        decodeStrings: false,
        write(text: string, _encoding, done) {
          texts[name] += text;
          done();
        },
      }),
      { isTTY: terminals[name] },
    );
  await runProgram(args, { stdout: sink('stdout'), stderr: sink('stderr') });
  return texts;
}

const ESCAPE = '\u001b';

describe('colour', () => {
  test('on a terminal', async () => {
    vi.stubEnv('NO_COLOR', '');
    const { stdout } = await shown(['check', TOUR], { stdout: true, stderr: true });
    expect(stdout).toContain(`${ESCAPE}[31;1merror KW1901`);
  });

  test.each([
    ['NO_COLOR on a terminal', '1', { stdout: true, stderr: true }],
    ['results in a pipe', '', { stdout: false, stderr: true }],
  ])('none with %s', async (_, noColor, terminals) => {
    vi.stubEnv('NO_COLOR', noColor);
    const { stdout } = await shown(['check', TOUR], terminals);
    expect(stdout).toContain('error KW1901');
    expect(stdout).not.toContain(ESCAPE);
  });
});

/** The example with losses that come often enough to be seen, or with other changes. */
function changed(name: string, ...changes: readonly (readonly [string, string])[]): string {
  let text = readFileSync(EXAMPLE, 'utf8');
  for (const [from, to] of changes) {
    expect(text).toContain(from);
    text = text.replaceAll(from, to);
  }
  const file = join(work, name);
  writeFileSync(file, text);
  return file;
}

const FREQUENT = [
  ['node 5y', 'node 60d'],
  ['rack 50y', 'rack 200d'],
  ['mttr_restore 30m', 'mttr_restore 2d'],
  ['durability 6nines', 'durability 1nines'],
] as const;

async function simulations(...args: readonly string[]): Promise<readonly SimulationEntry[]> {
  const { stdout } = await mainHere(['check', ...args, '--simulate', '--json']);
  return (JSON.parse(stdout) as { simulations: SimulationEntry[] }).simulations;
}

describe('--simulate', () => {
  test('where losses are frequent, simulates them as declared: the closed form is close above what is seen', async () => {
    const file = changed('frequent.kwam', ...FREQUENT);
    const [entry, ...others] = await simulations(file, '--seed', '5');
    expect(others).toEqual([]);
    expect(entry).toMatchObject({ guard: 'sla', n: 3, m: 2, seed: 5, acceleration: 1, outcome: 'agrees' });
    const { lossPerYear, interval, losses } = entry!.simulated!;
    expect(losses).toBeGreaterThan(500);
    expect(interval.low).toBeLessThan(lossPerYear);
    expect(interval.high).toBeGreaterThan(lossPerYear);
    expect(entry!.closedForm / lossPerYear).toBeGreaterThan(0.95);
    expect(entry!.closedForm / lossPerYear).toBeLessThan(1.5);
  });

  test('where they are rare, says by how much it made them frequent', async () => {
    const { code, stdout } = await mainHere(['check', EXAMPLE, '--simulate', '--years', '300']);
    expect(stdout).toMatch(/all loss rates are multiplied by \d+\.\d, on both sides/);
    expect(stdout).toMatch(/closed form {2}\d\.\d{3}e[+-]\d+ losses a year/);
    expect(stdout).toMatch(/95 % between/);
    expect(stdout).toContain('agrees:');
    expect(code).toBe(0);
  });

  test('the same seed gives the same document, another one another', async () => {
    const file = changed('seeds.kwam', ...FREQUENT);
    const of = (seed: string) => simulations(file, '--years', '600', '--seed', seed);
    expect(await of('1')).toEqual(await of('1'));
    expect((await of('1'))[0]!.simulated).not.toEqual((await of('2'))[0]!.simulated);
  });

  test('refuses to compare what cannot be seen', async () => {
    const file = changed('rare.kwam', ['factor 3', 'factor 16']);
    const { stdout } = await mainHere(['check', file, '--simulate']);
    expect(stdout).toMatch(/simulation {3}none: .* too few to compare/);
    const [entry] = await simulations(file);
    expect(entry).toMatchObject({ outcome: 'too rare' });
    expect(entry).not.toHaveProperty('simulated');
  });

  test('draws progress beside the results, on a terminal only', async () => {
    const file = changed('progress.kwam', ...FREQUENT);
    const seen = await shown(['check', file, '--simulate', '--years', '600'], {
      stdout: false,
      stderr: true,
    });
    expect(seen.stderr).toContain('simulating factor 3');
    const unseen = await shown(['check', file, '--simulate', '--years', '600'], {
      stdout: false,
      stderr: false,
    });
    expect(unseen.stderr).toBe('');
    expect(unseen.stdout).toBe(seen.stdout);
  });

  test('needs whole numbers', async () => {
    const { code, stderr } = await mainHere(['check', EXAMPLE, '--simulate', '--seed', 'x']);
    expect(stderr).toContain('expected a whole number, got "x"');
    expect(code).toBe(2);
  });
});

test('--timings names every stage on stderr, in order, and leaves stdout as it is', async () => {
  const [plain, timed] = [
    await mainHere(['check', EXAMPLE]),
    await mainHere(['check', EXAMPLE, '--timings']),
  ];
  expect(timed.stdout).toBe(plain.stdout);
  const stages = ['process start', 'load code', 'verify modules', 'parse', 'resolve', 'check', 'render'];
  const line = stages.map((stage) => `${stage} [0-9.]+ ms`).join(', ');
  expect(timed.stderr).toMatch(new RegExp(`^timings: ${line}; [0-9.]+ ms in all\n$`));
});
