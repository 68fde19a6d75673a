/** check, explain and fmt as a user meets them: exit codes, documents, files. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { mainHere } from './run.ts';

const work = mkdtempSync(join(tmpdir(), 'kwam-language-'));
const EXAMPLE = 'examples/h100.kwam';
const TOUR = 'examples/tour.kwam';

afterAll(() => rmSync(work, { recursive: true, force: true }));

function changed(name: string, from: string, to: string): string {
  const file = join(work, name);
  const text = readFileSync(EXAMPLE, 'utf8');
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
  return file;
}

describe('check', () => {
  test('accepts the example and says what its nines rest on', async () => {
    const { code, stdout: out } = await mainHere(['check', EXAMPLE]);
    expect(out).toContain('guard sla: 6nines accepted');
    expect(out).toContain('no errors, 0 holes');
    expect(code).toBe(0);
  });

  test('refuses eleven nines with the terms, and says what would help', async () => {
    const { code, stdout: out } = await mainHere([
      'check',
      changed('eleven.kwam', 'durability 6nines', 'durability 11nines'),
    ]);
    expect(code).toBe(1);
    expect(out).toMatch(/error KW4\d{3}/);
    expect(out).toContain('would help:');
  });

  test.each(['tpu', 'trainium'])('the example stays correct on %s', async (hardware) => {
    const { code, stdout: out } = await mainHere([
      'check',
      changed(`${hardware}.kwam`, 'hardware "h100"', `hardware "${hardware}"`),
    ]);
    expect(out).toContain('no errors');
    expect(code).toBe(0);
  });

  test('lists the holes of the tour, and allows them when asked', async () => {
    const { code, stdout: out } = await mainHere(['check', TOUR, '--json']);
    const document = JSON.parse(out) as {
      diagnostics: { code: string; message: string; range: object }[];
      holes: { path: string; expected: string; range: object }[];
    };
    expect(document).toMatchObject({ schema: 'kwam.check/v1', ok: false, guards: [] });
    expect(document.holes.map((hole) => hole.path)).toEqual([
      'import.fd.digest',
      'server.seed.ports.control',
      'server.seed.ports.data',
      'server.seed.ports.metrics',
      'client.kwam_node.image',
      'guard.sla.mttr_restore',
      'guard.sla.recovery_time',
      'guard.sla.mtbf',
      'deploy.rollout_h100.consent.grant_ref',
    ]);
    // Its holes, and nothing else.
    expect(document.diagnostics.map(({ code, message, range }) => ({ code, message, range }))).toEqual(
      document.holes.map(({ path, expected, range }) => ({
        code: 'KW1901',
        message: `\`${path}\` is still open: expected ${expected}`,
        range,
      })),
    );
    expect(code).toBe(1);
    expect(await mainHere(['check', TOUR, '--allow-holes'])).toMatchObject({ code: 0 });
  });

  test('keeps its remarks until nothing is wrong', async () => {
    const right = await mainHere(['check', EXAMPLE]);
    expect(right.stdout.match(/^note KW\d{4}/gm)).toEqual(['note KW4015', 'note KW6009']);
    const wrong = await mainHere(['check', changed('one.kwam', 'bake 10m', 'bake 10mb')]);
    expect(wrong.stdout.match(/^\w+ KW\d{4}/gm)).toEqual(['error KW2004']);
  });

  test('prints SARIF, its file relative to where it was started', async () => {
    const { stdout: out } = await mainHere(['check', resolve(TOUR), '--sarif']);
    const physicalLocation = { artifactLocation: { uri: 'examples/tour.kwam' } };
    expect(JSON.parse(out)).toMatchObject({
      version: '2.1.0',
      runs: [{ tool: { driver: { name: 'kwam-dp' } } }],
    });
    expect(JSON.parse(out).runs[0].results[0].locations[0]).toMatchObject({ physicalLocation });
  });

  test('names a program that is not there', async () => {
    const { code, stderr: err } = await mainHere(['check', join(work, 'none.kwam')]);
    expect(err).toContain('expected a readable program');
    expect(code).toBe(2);
  });
});

describe('explain', () => {
  test('shows why, a failing and a passing program', async () => {
    const { code, stdout: out } = await mainHere(['explain', 'kw4005']);
    expect(out).toMatch(/^KW4005: /);
    expect(out).toContain('This fails:');
    expect(out).toContain('This passes:');
    expect(code).toBe(0);
  });

  test('fails no program for a remark', async () => {
    const { stdout: out } = await mainHere(['explain', 'KW6009']);
    expect(out).toContain('This gets the note:');
    expect(out).not.toContain('This fails:');
  });

  test('pins the standard modules as they are; those made up for a page are said to be', async () => {
    const { stdout: out } = await mainHere(['explain', 'KW4001', '--json']);
    const file = join(work, 'explained.kwam');
    writeFileSync(file, (JSON.parse(out) as { passing: string }).passing);
    expect(await mainHere(['check', file])).toMatchObject({ code: 0 });
    expect((await mainHere(['explain', 'KW3104'])).stdout).toContain('DIGEST stands for');
  });

  test('knows no other codes', async () => {
    expect(await mainHere(['explain', 'KW0000'])).toMatchObject({ code: 1 });
  });
});

describe('fmt', () => {
  test('formats in place once; a second time changes nothing', async () => {
    const file = join(work, 'tour.kwam');
    copyFileSync(TOUR, file);
    expect(await mainHere(['fmt', '--check', file])).toMatchObject({ code: 1 });
    expect(await mainHere(['fmt', file])).toMatchObject({ code: 0 });
    expect(await mainHere(['fmt', '--check', file])).toMatchObject({ code: 0, stdout: '' });
  });

  test('leaves a file with syntax errors alone', async () => {
    const file = join(work, 'broken.kwam');
    writeFileSync(file, 'apiVersion "kwam.dev/v0.2"\nprofile {');
    const { code, stdout: out } = await mainHere(['fmt', file]);
    expect(code).toBe(1);
    expect(out).toMatch(/error KW1/);
    expect(readFileSync(file, 'utf8')).toBe('apiVersion "kwam.dev/v0.2"\nprofile {');
  });
});
