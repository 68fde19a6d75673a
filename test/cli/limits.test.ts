/**
 * Hostile files, in real processes: a clear error, in bounded memory, whatever is handed to `check`.
 * The memory is the largest resident set that the kernel saw; an ordinary check takes about 110 MiB.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { run, temporary } from './run.ts';

const work = temporary('limits');
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

const EXAMPLE = 'examples/h100.kwam';
const VERSION = 'apiVersion "kwam.dev/v0.2"\n';
const residentKibMax = 400 * 1024;
const REPORT = 'process.on("exit",()=>process.stderr.write("resident "+process.resourceUsage().maxRSS))';
const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(REPORT)}` };

function file(name: string, text: string): string {
  const path = join(work, name);
  fs.mkdirSync(join(path, '..'), { recursive: true });
  fs.writeFileSync(path, text);
  return path;
}

/** 100 MB of zeros that take no room on the disk. */
function huge(name: string): string {
  const path = file(name, '');
  fs.truncateSync(path, 100_000_000);
  return path;
}

function foreignModule(): string[] {
  huge('modules/acme/huge.kwam');
  const digest = `sha256:${'0'.repeat(64)}`;
  const program = file('importer.kwam', `${VERSION}import "acme/huge" as huge digest "${digest}"\n`);
  return [program, '--from', join(work, 'modules')];
}

test.each<[string, () => string[], RegExp]>([
  ['lists within lists', () => [file('deep.kwam', `${VERSION}let a = ${'['.repeat(100_000)}`)], /KW1009/],
  [
    'braces within braces',
    () => [file('braces.kwam', `${VERSION}profile p ${'{ x '.repeat(50_000)}`)],
    /KW1009/,
  ],
  [
    'a number of a million digits',
    () => [file('number.kwam', `${VERSION}let a = ${'9'.repeat(1e6)}`)],
    /KW1011/,
  ],
  [
    'a string of a million characters',
    () => [file('text.kwam', `${VERSION}let a = "${'x'.repeat(1e6)}"`)],
    /KW1011/,
  ],
  ['a million words', () => [file('words.kwam', `${VERSION}${'x '.repeat(1e6)}`)], /KW1010/],
  ['texts that double', () => [file('doubling.kwam', doubling(60))], /KW1011/],
  [
    'a program of 100 MB',
    () => [huge('huge.kwam')],
    /expected a program of at most 16 MiB in .*huge\.kwam, got 100000000 bytes/,
  ],
  [
    'a device that never ends',
    () => ['/dev/zero'],
    /expected a program of at most 16 MiB in \/dev\/zero, got more bytes/,
  ],
  ['a module of 100 MB', foreignModule, /expected at most \d+ bytes in .*huge\.kwam, got 100000000/],
  [
    'an inventory of 100 MB',
    () => [EXAMPLE, '--inventory', huge('huge.json')],
    /expected an inventory of at most 64 MiB/,
  ],
  [
    'an inventory of brackets',
    () => [EXAMPLE, '--inventory', file('deep.json', '['.repeat(5e6))],
    /within each other, got more/,
  ],
  [
    'an inventory of commas',
    () => [EXAMPLE, '--inventory', file('wide.json', `[${'0,'.repeat(5e6)}0]`)],
    /too many values/,
  ],
])('%s', async (_, args, says) => {
  const { code, stdout, stderr } = await run(['check', ...args()], env);
  const [, resident] = /resident (\d+)$/.exec(stderr) ?? [];
  expect(`${stdout}${stderr}`).toMatch(says);
  expect(`${stdout}${stderr}`).not.toMatch(/internal error|^ {4}at /m);
  expect(code).toBeGreaterThan(0);
  expect(Number(resident)).toBeGreaterThan(30_000);
  expect(Number(resident)).toBeLessThan(residentKibMax);
});

/** Each line is twice the one before. */
function doubling(times: number): string {
  const lines = Array.from({ length: times }, (_, at) => `let a${at + 1} = "\${a${at}}\${a${at}}"\n`);
  return `${VERSION}let a0 = "0123456789abcdef"\n${lines.join('')}`;
}
