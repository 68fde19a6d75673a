/**
 * `npm run mutation [-- PATH …] [--match TEXT] [--jobs N] [--list]`: takes every single check out of the trust code, one at a time, and runs the tests.
 * In: which sources (default: src/identity, src/rollout and the files of others that decide about trust), perhaps only the mutants whose name holds TEXT. Out: each mutant that no test noticed, and a score. Exit 1 when one of them
 * is not explained in survivors.ts, or one that is explained there was killed; 2 for a wrong argument; 3 when a canary is wrong.
 * Canaries: a source without a change must pass, a source that throws must fail, and a check that no test knows must survive.
 * Runs in copies of the repository (scratch.ts), at a low priority.
 */
import * as fs from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Mutant, mutantsOf } from './mutants.ts';
import { type Outcome, Scratch } from './scratch.ts';
import { SURVIVORS } from './survivors.ts';
import { SOURCES_COVERED, stagesOf } from './tests-of.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SOURCES_DEFAULT = SOURCES_COVERED.filter((path) => !/^src\/(?:images|secrets)$/.test(path));
const LOW_PRIORITY = 2;

interface Trial {
  readonly source: string;
  readonly mutant: Mutant;
}

type Result = Trial & Outcome;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    match: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
    list: { type: 'boolean', default: false },
  },
});
const jobs = Number(values.jobs);

function usage(message: string): never {
  console.error(message);
  process.exit(2);
}

function sourcesUnder(path: string): readonly string[] {
  if (!fs.existsSync(ROOT + path) || !SOURCES_COVERED.some((each) => path.startsWith(each)))
    return usage(`expected a path under ${SOURCES_COVERED.join(', ')}, got ${path}`);
  if (!fs.statSync(ROOT + path).isDirectory()) return [path];
  return fs
    .readdirSync(ROOT + path)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${path.replace(/\/$/, '')}/${name}`);
}

const textOf = (source: string): string => fs.readFileSync(ROOT + source, 'utf8');

function trialsOf(source: string): readonly Trial[] {
  const mutants = mutantsOf(textOf(source)).filter(({ name }) => name.includes(values.match));
  return mutants.map((mutant) => ({ source, mutant }));
}

const CANARY = 'src/rollout/approvals.ts';
const insertion = (text: string): Mutant => {
  const end = Buffer.byteLength(textOf(CANARY));
  return { name: 'canary', line: 0, start: end, end, replacement: text };
};
const CANARIES: readonly (readonly [string, Mutant, Outcome['verdict']])[] = [
  ['a comment', insertion('\n// Nothing changed.\n'), 'survived'],
  ['a source that throws', insertion("\nthrow new Error('canary');\n"), 'killed'],
  [
    'a check that no test knows',
    insertion('\nif (process.argv.length > 9000) throw new Error();\n'),
    'survived',
  ],
];

/** Silence means health only if a change that matters is noticed, and one that does not is not. */
async function checkCanaries(scratch: Scratch, sources: readonly string[]): Promise<void> {
  for (const [what, mutant, expected] of CANARIES) {
    const { verdict, output } = await scratch.try(CANARY, mutant, stagesOf(CANARY).slice(0, 1));
    if (verdict !== expected) failCanary(what, expected, verdict, output);
  }
  const files = new Set(sources.flatMap((source) => stagesOf(source).flat()));
  const [, nothing] = CANARIES[0]!;
  const all = [...files].filter((each) => each.endsWith('.ts'));
  const { verdict, output } = await scratch.try(CANARY, nothing, [all]);
  if (verdict !== 'survived') failCanary('all tests, without a change', 'survived', verdict, output);
}

function failCanary(what: string, expected: string, verdict: string, output: string): never {
  process.exitCode = 3;
  throw new Error(`canary: expected that ${what} is ${expected}, got ${verdict}\n${output}`);
}

/** Takes trials in turn, each job in a copy of its own. */
async function runAll(trials: readonly Trial[], scratches: readonly Scratch[]): Promise<readonly Result[]> {
  const results: Result[] = [];
  const queue = trials.values();
  const work = async (scratch: Scratch): Promise<void> => {
    for (const trial of queue) {
      const result = { ...trial, ...(await scratch.try(trial.source, trial.mutant, stagesOf(trial.source))) };
      results.push(result);
      report(result, results.length, trials.length);
    }
  };
  await Promise.all(scratches.map(work));
  return results;
}

function reasonOf({ source, mutant }: Trial): string | undefined {
  return SURVIVORS.find((each) => each.source === source && each.mutant === mutant.name)?.why;
}

function report(result: Result, done: number, all: number): void {
  const { source, mutant, verdict } = result;
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${all} `);
  else if (done % 50 === 0) console.error(`${done} of ${all}`);
  if (verdict === 'killed') return;
  const why = reasonOf(result);
  const remark = verdict === 'timeout' ? '' : `   ${why === undefined ? 'UNEXPLAINED' : why}`;
  console.log(`${verdict.padEnd(8)}  ${source}:${mutant.line}  ${mutant.name}${remark}`);
}

function summarise(results: readonly Result[]): number {
  const count = (verdict: Outcome['verdict']): number =>
    results.filter((each) => each.verdict === verdict).length;
  const survivors = results.filter(({ verdict }) => verdict === 'survived');
  const unexplained = survivors.filter((each) => reasonOf(each) === undefined).length;
  const stale = results.filter((each) => each.verdict !== 'survived' && reasonOf(each) !== undefined);
  for (const { source, mutant } of stale) console.log(`killed, though explained  ${source}  ${mutant.name}`);
  const noticed = results.length - survivors.length;
  const score = ((100 * noticed) / (results.length - survivors.length + unexplained)).toFixed(1);
  console.log(
    `\n${results.length} mutants: ${count('killed')} killed, ${count('timeout')} by time, ${survivors.length} survived ` +
      `(${survivors.length - unexplained} explained, ${unexplained} not); score ${score} % of those that can be killed`,
  );
  return results.length > 0 && unexplained === 0 && stale.length === 0 ? 0 : 1;
}

if (!Number.isInteger(jobs) || jobs < 1) usage(`expected --jobs of at least 1, got ${values.jobs}`);
const sources = (positionals.length > 0 ? positionals : SOURCES_DEFAULT).flatMap(sourcesUnder).sort();
const trials = sources.flatMap(trialsOf);
if (values.list) {
  for (const { source, mutant } of trials) console.log(`${source}:${mutant.line}  ${mutant.name}`);
  console.log(`\n${trials.length} mutants`);
} else {
  setPriority(LOW_PRIORITY);
  const scratches = Array.from({ length: jobs }, () => new Scratch());
  const remove = (): void => {
    for (const scratch of scratches) scratch.remove();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      remove();
      process.exit(130);
    });
  }
  try {
    await checkCanaries(scratches[0]!, sources);
    process.exitCode = summarise(await runAll(trials, scratches));
  } finally {
    remove();
  }
}
