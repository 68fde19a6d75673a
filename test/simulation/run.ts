/**
 * `npm run simulate -- [--seeds N] [--from SEED] [--jobs N] [--bug NAME] [--verbose] [--json]`: many seeds, and what came of them.
 * Out: a summary, as text or as one JSON document, also of what was done when it is interrupted; for a seed with a violation its options,
 * what led to it, and how to repeat it. Exit 0 none, 1 some violated or a kind of fault never struck, 2 usage.
 * Seeds are spread over processes, because a run uses one core and owns its process's clock.
 */
import { fork } from 'node:child_process';
import { on } from 'node:events';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { BUGS, type Bug } from './bugs.ts';
import { FAULTS, type FaultCounts, type FaultKind, neverStruck, noFaults } from './faults.ts';
import { type SimulationResult, simulate } from './simulate.ts';

const SCHEMA = 'kwam.simulation/v1';
const HOUR_MS = 3_600_000;
const LINES_SHOWN = 60;
/** Set in the processes that work. */
const WORKS = 'KWAM_SIMULATION_WORKS';
/** Memory of buffers and kernels would otherwise make V8 collect its whole heap every 100 ms: a third of the time. */
const HEAP_FLAGS = [
  '--external-memory-accounted-in-global-limit',
  '--initial-heap-size=600',
  '--min-semi-space-size=32',
];

interface Summary {
  readonly schema: typeof SCHEMA;
  seeds: number;
  readonly from: number;
  simulatedHours: number;
  events: number;
  acknowledged: number;
  gets: number;
  readonly faults: FaultCounts;
  /** Kinds of fault that so many seeds should have met. */
  neverStruck: readonly FaultKind[];
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

/** What a process says of a seed. */
type Told = SimulationResult | { readonly seed: number; readonly crash: string };

/** One process: each seed that it is told, until it is told no more. What nothing catches ends it, and is a violation of that seed. */
async function work({ bug, verbose }: Arguments): Promise<void> {
  Error.stackTraceLimit = verbose ? 10 : 0;
  // A terminal or a shell sends them to all processes, and they are meant for the one that leads: what has begun ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
  for await (const [seed] of on(process, 'message', { close: ['disconnect'] }) as AsyncIterable<[number]>) {
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) =>
      process.send!({ seed, crash: String(error.stack ?? error) }, () => process.exit()),
    );
    const result = await simulate(seed, {
      ...(bug && { plant: BUGS[bug] }),
      ...(verbose && { onLine: (line: string) => void process.stderr.write(`${seed}: ${line}\n`) }),
    });
    const recent = result.violations.length > 0 ? result.recent.slice(-LINES_SHOWN) : [];
    process.send!({ ...result, recent });
  }
}

/** Hands the seeds out, until all are done or it is interrupted: then the summary is one of what was done. */
async function lead(args: Arguments): Promise<Summary> {
  const started = performance.now();
  const summary: Summary = {
    schema: SCHEMA,
    seeds: 0,
    from: args.from,
    simulatedHours: 0,
    events: 0,
    acknowledged: 0,
    gets: 0,
    faults: noFaults(),
    neverStruck: [],
    violations: [],
    wallSeconds: 0,
  };
  let next = args.from;
  let end = args.from + args.seeds;
  const interrupt = (): void => {
    end = next;
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupt);
  const seeds = (): number | undefined => (next < end ? next++ : undefined);
  const workers = Array.from({ length: Math.min(args.jobs, args.seeds) }, () =>
    finished(seeds, (told) => add(summary, told)),
  );
  await Promise.all(workers);
  summary.neverStruck = neverStruck(summary.faults, summary.seeds);
  summary.wallSeconds = Math.round((performance.now() - started) / 100) / 10;
  return summary;
}

/** One process after another works at the seeds: a new one where a seed ended the last. */
async function finished(seeds: () => number | undefined, onTold: (told: Told) => void): Promise<void> {
  for (let seed = seeds(); seed !== undefined; seed = seeds()) await lifeOf(seed, seeds, onTold);
}

function lifeOf(first: number, seeds: () => number | undefined, onTold: (told: Told) => void): Promise<void> {
  const env = { ...process.env, [WORKS]: '1' };
  const child = fork(import.meta.filename, process.argv.slice(2), { env, execArgv: HEAP_FLAGS });
  child.on('message', (told: Told) => {
    onTold(told);
    const next = 'crash' in told ? undefined : seeds();
    if (next !== undefined) child.send(next);
    else if (child.connected) child.disconnect();
  });
  child.send(first);
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new Error(`a simulating process ended with ${signal ?? code}; see above`)),
    );
  });
}

function add(summary: Summary, result: Told): void {
  summary.seeds++;
  if ('crash' in result) {
    summary.violations.push({ seed: result.seed, what: [result.crash] });
    console.error(`seed ${result.seed} crashed: ${result.crash}`);
    return;
  }
  summary.simulatedHours += result.simulatedMs / HOUR_MS;
  summary.events += result.events;
  summary.acknowledged += result.acknowledged;
  summary.gets += result.gets;
  for (const [kind, count] of Object.entries(result.faults)) summary.faults[kind as FaultKind] += count;
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
    `${seeds} seeds from ${from} on: ${simulatedHours.toFixed(1)} cluster-hours in ${wallSeconds} s, ${summary.events} events`,
  );
  console.log(`${acknowledged} changes acknowledged, ${gets} gets checked; faults:`);
  for (const [kind, count] of Object.entries(faults))
    console.log(`  ${kind.padEnd(20)}${String(count).padStart(10)}  ${FAULTS[kind as FaultKind]}`);
  for (const kind of summary.neverStruck) console.log(`${kind} never struck`);
  console.log(`${violations.length} seeds with violations`);
  for (const { seed, what } of violations) console.log(`  seed ${seed}: ${what[0]}`);
}

const args = readArguments();
if (process.env[WORKS] === undefined) {
  const summary = await lead(args);
  if (args.json) console.log(JSON.stringify(summary, null, 2));
  else print(summary);
  process.exitCode = summary.violations.length + summary.neverStruck.length > 0 ? 1 : 0;
} else await work(args);
