/** What is printed where: tables, names with anything in them, progress on a terminal only, errors without stacks. */
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  type Output,
  printError,
  printJson,
  printTable,
  showName,
  startProgress,
} from '../../src/cli/terminal.ts';
import { KwamError } from '../../src/errors.ts';

function caught(isTTY = false): { output: Output; texts: { stdout: string; stderr: string } } {
  const texts = { stdout: '', stderr: '' };
  const sink = (name: keyof typeof texts): Output['stderr'] => {
    const stream = new Writable({
      decodeStrings: false,
      write(text: string, _encoding, done) {
        texts[name] += text;
        done();
      },
    });
    return Object.assign(stream, { isTTY, columns: 60 });
  };
  return { output: { stdout: sink('stdout'), stderr: sink('stderr') }, texts };
}

describe('a table', () => {
  it('aligns texts to the left, numbers to the right, and has no trailing spaces', () => {
    const { output, texts } = caught();
    printTable(output, [
      ['name', 'files', 'x'],
      ['a', 1, ''],
      ['longer', 12345, 'y'],
    ]);
    expect(texts.stdout).toBe('name    files  x\na           1\nlonger  12345  y\n');
  });
});

describe('a name', () => {
  it.each([
    ['step-1000', 'step-1000'],
    ['räum/ünïcode', 'räum/ünïcode'],
    ['two\nlines', '"two\\nlines"'],
    ['esc\u001b[2J', '"esc\\u001b[2J"'],
    ['with space', '"with space"'],
    ['quo"te', '"quo\\"te"'],
    ['', '""'],
  ])('%j is shown as %s', (name, shown) => expect(showName(name)).toBe(shown));
});

describe('progress', () => {
  it('is silent in a pipe', () => {
    const { output, texts } = caught();
    const progress = startProgress(output);
    progress.update('put', 1e6, 2e6);
    progress.end();
    expect(texts.stderr).toBe('');
  });

  it('draws bytes, share and rate in one line of a terminal and wipes it at the end', () => {
    const { output, texts } = caught(true);
    const progress = startProgress(output);
    progress.update('put', 1e6, 2e6);
    progress.end();
    const [before, line, after] = texts.stderr.split('\r\x1b[2K');
    expect([before, after]).toEqual(['', '']);
    expect(line).toMatch(/^put {2}1\.0 MB {2}of 2\.0 MB \(50 %\) {2}/);
    expect(texts.stderr).not.toContain('\n');
  });

  it('counts packs where bytes would be wrong', () => {
    const { output, texts } = caught(true);
    startProgress(output, 'packs').update('repair', 3, 12);
    expect(texts.stderr).toContain('repair  3 packs  of 12 packs (25 %)');
  });
});

describe('results and errors', () => {
  it('prints one document with its schema first', () => {
    const { output, texts } = caught();
    printJson(output, 'kwam.put/v1', { files: 3 });
    expect(JSON.parse(texts.stdout)).toEqual({ schema: 'kwam.put/v1', files: 3 });
    expect(texts.stdout).toMatch(/^\{\n {2}"schema"/);
  });

  it('shows a KwamError as its message and a bug with its stack', () => {
    const { output, texts } = caught();
    printError(output, new KwamError('IO', 'expected a, got b; do c'));
    expect(texts.stderr).toBe('kwam-dp: expected a, got b; do c\n');
    printError(output, new TypeError('a bug'));
    expect(texts.stderr).toContain('internal error, please report it\nTypeError: a bug\n    at ');
  });
});
