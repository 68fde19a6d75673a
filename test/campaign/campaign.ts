/**
 * Long runs of the tests that draw their faults from a seed: `npm run campaign -- [--minutes N] [part of a path …]`, and the corruption
 * campaign: `npm run campaign -- --faults N [--seed N] [--canary SITE] [--json]`; exit 1 when a fault was silent.
 * In: for how long (default 30 minutes), and which tests (default: all that know KWAM_CAMPAIGN). Out: one line a run with its
 * seed; exit 1 when any run failed. A failure is repeated with KWAM_CAMPAIGN=1 KWAM_SEED=<seed> npx vitest run <file>.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CANARIES, isCanary, runCorruption } from './corruption/corruption.ts';
import { showReport } from './corruption/report.ts';

const TESTS = new URL('..', import.meta.url).pathname;
const VITEST = new URL('../../node_modules/vitest/vitest.mjs', import.meta.url).pathname;
const MINUTES_DEFAULT = 30;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: String(MINUTES_DEFAULT) },
    faults: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    canary: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (values.faults !== undefined) process.exit(await corruption(values.faults));

async function corruption(wanted: string): Promise<number> {
  const [faults, seed, canary] = [Number(wanted), Number(values.seed), values.canary];
  const isWhole = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;
  if (!isWhole(faults, 1) || !isWhole(seed, 0) || (canary !== undefined && !isCanary(canary))) {
    const sites = CANARIES.join(', ');
    console.error(
      `expected --faults above 0, a whole --seed and a --canary of ${sites}; got ${process.argv.slice(2).join(' ')}`,
    );
    return 2;
  }
  let shown = 0;
  const report = await runCorruption({
    faults,
    seed,
    ...(canary === undefined ? {} : { canary }),
    onProgress(site, done, total) {
      if (!process.stderr.isTTY || performance.now() - shown < 500) return;
      shown = performance.now();
      process.stderr.write(`\r\x1b[K${site} ${done} of ${total}`);
    },
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  console.log(values.json ? JSON.stringify(report) : showReport(report));
  return report.silent === 0 ? 0 : 1;
}

const minutes = Number(values.minutes);
if (!(minutes > 0)) {
  console.error(`expected --minutes above 0, got ${values.minutes}`);
  process.exit(2);
}

function campaignTests(): string[] {
  const files = fs.readdirSync(TESTS, { recursive: true, encoding: 'utf8' });
  const tests = files.filter((file) => file.endsWith('.test.ts')).map((file) => join(TESTS, file));
  const wanted = tests.filter((file) => positionals.every((part) => file.includes(part)));
  return wanted.filter((file) => /\bCAMPAIGN\b|KWAM_CAMPAIGN/.test(fs.readFileSync(file, 'utf8'))).sort();
}

const tests = campaignTests();
if (tests.length === 0) {
  console.error(`expected tests that know KWAM_CAMPAIGN, found none for ${positionals.join(' ') || 'test/'}`);
  process.exit(2);
}

const deadline = performance.now() + minutes * 60_000;
let failures = 0;
let runs = 0;
for (; runs === 0 || performance.now() < deadline; runs++) {
  const file = tests[runs % tests.length]!;
  const seed = Math.floor(Math.random() * 2 ** 31);
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [VITEST, 'run', file], {
    env: { ...process.env, KWAM_CAMPAIGN: '1', KWAM_SEED: String(seed) },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const ok = status === 0;
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${file.slice(TESTS.length)} KWAM_SEED=${seed} ${seconds} s`);
  // What a test says of its own run, such as how many cases it was.
  for (const said of stdout.match(/\bseed \d+: .*$/gm)?.slice(-1) ?? []) console.log(`       ${said}`);
  if (ok) continue;
  failures++;
  console.log(stdout, stderr);
}
console.log(`${runs} runs, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
