/**
 * `npm run simulate -- [--seeds N] [--from SEED] [--jobs N] [--bug NAME] [--verbose] [--json]`: many seeds, and what came of them.
 * Out: a summary, as text or as one JSON document; for a seed with a violation its options, what led to it, and how to repeat it.
 * Exit 0 none, 1 some violated, 2 usage. Seeds are spread over processes, because a run uses one core and owns its process's clock.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { BUGS, type Bug } from './bugs.ts';
import { type SimulationResult, simulate } from './simulate.ts';

const SCHEMA = 'kwam.simulation/v1';
const HOUR_MS = 3_600_000;
const LINES_SHOWN = 60;

interface Summary {
  readonly schema: typeof SCHEMA;
  readonly seeds: number;
  readonly from: number;
  simulatedHours: number;
  events: number;
  acknowledged: number;
  gets: number;
  readonly faults: Record<string, number>;
  readonly violations: { readonly seed: number; readonly what: readonly string[] }[];
  wallSeconds: number;
}

interface Arguments {
  readonly seeds: number;
  readonly from: number;
  readonly jobs: number;
  readonly bug?: Bug;
  readonly verbose: boolean;
  readonly json: boolean;
}

function usage(problem: string): never {
  console.error(
    `${problem}\nusage: npm run simulate -- [--seeds N] [--from SEED] [--jobs N] [--bug NAME] [--verbose] [--json]`,
  );
  process.exit(2);
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: 'string', default: '200' },
        from: { type: 'string', default: '1' },
        jobs: { type: 'string', default: String(availableParallelism()) },
        bug: { type: 'string' },
        verbose: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const [seeds, from, jobs] = [values.seeds, values.from, values.jobs].map(countOf);
    if (values.bug !== undefined && !Object.hasOwn(BUGS, values.bug))
      usage(`expected --bug to be one of ${Object.keys(BUGS).join(', ')}, got ${values.bug}`);
    const bug = values.bug === undefined ? {} : { bug: values.bug as Bug };
    return { seeds: seeds!, from: from!, jobs: jobs!, ...bug, verbose: values.verbose, json: values.json };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

function countOf(text: string): number {
  const count = Number(text);
  return Number.isSafeInteger(count) && count > 0
    ? count
    : usage(`expected a whole number above 0, got ${text}`);
}

/** One process's share: each result is sent as soon as there is one. */
async function work({ seeds, from, bug, verbose }: Arguments, share: number, shares: number): Promise<void> {
  Error.stackTraceLimit = 3;
  for (let seed = from + share; seed < from + seeds; seed += shares) {
    const result = await simulate(seed, {
      ...(bug && { plant: BUGS[bug] }),
      ...(verbose && { onLine: (line: string) => void process.stderr.write(`${seed}: ${line}\n`) }),
    });
    const recent = result.violations.length > 0 ? result.recent.slice(-LINES_SHOWN) : [];
    await new Promise<void>((resolve) => process.send!({ ...result, recent }, () => resolve()));
  }
  process.disconnect();
}

function lead(args: Arguments): Promise<Summary> {
  const started = performance.now();
  const summary: Summary = {
    schema: SCHEMA,
    seeds: args.seeds,
    from: args.from,
    simulatedHours: 0,
    events: 0,
    acknowledged: 0,
    gets: 0,
    faults: {},
    violations: [],
    wallSeconds: 0,
  };
  const jobs = Math.min(args.jobs, args.seeds);
  const children = Array.from({ length: jobs }, (_, share) =>
    finished(
      fork(import.meta.filename, process.argv.slice(2), {
        env: { ...process.env, KWAM_SIMULATION_SHARE: `${share}/${jobs}` },
      }),
      (result) => add(summary, result),
    ),
  );
  return Promise.all(children).then(() => {
    summary.wallSeconds = Math.round((performance.now() - started) / 100) / 10;
    return summary;
  });
}

function finished(child: ChildProcess, onResult: (result: SimulationResult) => void): Promise<void> {
  child.on('message', (result) => onResult(result as SimulationResult));
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new Error(`a simulating process ended with ${signal ?? code}; see above`)),
    );
  });
}

function add(summary: Summary, result: SimulationResult): void {
  summary.simulatedHours += result.simulatedMs / HOUR_MS;
  summary.events += result.events;
  summary.acknowledged += result.acknowledged;
  summary.gets += result.gets;
  for (const [kind, count] of Object.entries(result.faults))
    summary.faults[kind] = (summary.faults[kind] ?? 0) + count;
  if (result.violations.length === 0) return;
  const { seed } = result.options;
  summary.violations.push({ seed, what: result.violations });
  const again = `npm run simulate -- --seeds 1 --from ${seed} --verbose`;
  console.error(
    `${result.recent.join('\n')}\n${JSON.stringify(result.options)}\nseed ${seed} violated; again: ${again}`,
  );
}

function print(summary: Summary): void {
  const { seeds, from, simulatedHours, acknowledged, gets, faults, violations, wallSeconds } = summary;
  console.log(
    `seeds ${from} to ${from + seeds - 1}: ${simulatedHours.toFixed(1)} cluster-hours in ${wallSeconds} s`,
  );
  console.log(`${acknowledged} changes acknowledged, ${gets} gets checked`);
  for (const [kind, count] of Object.entries(faults).sort()) console.log(`  ${kind} ${count}`);
  console.log(`${violations.length} seeds with violations`);
  for (const { seed, what } of violations) console.log(`  seed ${seed}: ${what[0]}`);
}

const args = readArguments();
const share = process.env['KWAM_SIMULATION_SHARE'];
if (share === undefined) {
  const summary = await lead(args);
  if (args.json) console.log(JSON.stringify(summary, null, 2));
  else print(summary);
  process.exitCode = summary.violations.length > 0 ? 1 : 0;
} else {
  const [own, all] = share.split('/').map(Number);
  await work(args, own!, all!);
}
