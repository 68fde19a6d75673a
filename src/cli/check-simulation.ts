/**
 * `check --simulate`: the closed form of each guard beside a seeded simulation of the same inputs, with its interval.
 * In: verdicts, a seed, perhaps years. Out: one entry a scheme, as lines for people and as values for `--json`.
 */
import type { SchemeDurability } from '../guard/durability.ts';
import { planSampling, type Sampling, type SamplingPlan, sampling } from '../guard/sampling.ts';
import type { GuardVerdict } from '../language/guard-verdict.ts';
import { seededRandom } from '../random.ts';
import { showCount } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printLine, startProgress } from './terminal.ts';

/** An entry of `simulations` in `check --json --simulate`. Rates are losses of one stripe a year. */
export interface SimulationEntry {
  readonly guard: string;
  readonly n: number;
  readonly m: number;
  readonly seed: number;
  readonly outcome: 'agrees' | 'disagrees' | 'too rare';
  /** All loss rates were multiplied by this; 1 for the rates as declared. */
  readonly acceleration: number;
  readonly years: number;
  readonly closedForm: number;
  readonly lossesExpected: number;
  readonly simulated?: {
    readonly lossPerYear: number;
    readonly interval: { readonly low: number; readonly high: number; readonly level: number };
    readonly losses: number;
    readonly unitLosses: number;
  };
}

export interface SimulationOptions {
  readonly seed: number;
  readonly years?: number | undefined;
}

const intervalLevel = 0.95;

export async function simulateGuards(
  shell: Shell,
  verdicts: readonly GuardVerdict[],
  options: SimulationOptions,
): Promise<readonly SimulationEntry[]> {
  const entries: SimulationEntry[] = [];
  for (const { guard, input, result } of verdicts) {
    for (const each of result?.schemes ?? []) {
      const plan = planSampling(input, each.scheme, { years: options.years });
      const seen = plan.isPossible ? await run(shell, plan, options.seed) : undefined;
      entries.push(entryOf(guard.name, each, plan, options.seed, seen));
    }
  }
  return entries;
}

/** In steps, so that progress can be drawn and Ctrl-C is heard. */
async function run(shell: Shell, plan: SamplingPlan, seed: number): Promise<Sampling> {
  const progress = startProgress(shell.output, 'years');
  const steps = sampling(plan, seededRandom(seed));
  try {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      progress.update(`simulating ${plan.scheme.name}`, step.value.years, plan.years);
      await new Promise((done) => setImmediate(done));
    }
  } finally {
    progress.end();
  }
}

function entryOf(
  guard: string,
  { scheme }: SchemeDurability,
  { acceleration, years, boundPerYear, lossesExpected }: SamplingPlan,
  seed: number,
  seen: Sampling | undefined,
): SimulationEntry {
  const common = {
    guard,
    n: scheme.shards,
    m: scheme.toleratedLosses,
    seed,
    acceleration,
    years,
    closedForm: boundPerYear,
    lossesExpected,
  };
  if (seen === undefined) return { ...common, outcome: 'too rare' };
  const { lossPerYear, interval, stripeLosses, unitLosses, agrees } = seen;
  const simulated = {
    lossPerYear,
    interval: { ...interval, level: intervalLevel },
    losses: stripeLosses,
    unitLosses,
  };
  return { ...common, outcome: agrees ? 'agrees' : 'disagrees', simulated };
}

export function printSimulation({ output }: Shell, entry: SimulationEntry): void {
  const { guard, n, m, seed, acceleration, years, closedForm, lossesExpected, simulated } = entry;
  printLine(output, `guard ${guard}: ${n} shards, ${m} may be lost; simulation, seed ${seed}`);
  printLine(output, `  ${worldOf(acceleration)}`);
  printLine(output, `  closed form  ${rate(closedForm)} losses a year`);
  if (simulated === undefined) {
    printLine(
      output,
      `  simulation   none: ${years.toPrecision(2)} years would show ${lossesExpected.toPrecision(2)} losses, too few to compare\n`,
    );
    return;
  }
  const { interval, losses, lossPerYear, unitLosses } = simulated;
  const percent = `${100 * interval.level} %`;
  printLine(
    output,
    `  simulation   ${rate(lossPerYear)} losses a year, ${percent} between ${rate(interval.low)} and ${rate(interval.high)}`,
  );
  printLine(
    output,
    `  ${showCount(losses)} stripes lost in ${showCount(Math.round(years))} years, ${showCount(unitLosses)} nodes and domains`,
  );
  printLine(
    output,
    entry.outcome === 'agrees'
      ? `  agrees: the closed form is not below what was seen, ${(closedForm / lossPerYear).toFixed(2)} times the mean\n`
      : '  DISAGREES: more was lost than the closed form allows; please report this program and seed\n',
  );
}

function worldOf(acceleration: number): string {
  if (acceleration === 1) return 'with the loss rates as declared';
  return `losses as declared are too rare to be seen: all loss rates are multiplied by ${acceleration.toPrecision(4)}, on both sides`;
}

function rate(value: number): string {
  return value.toExponential(3);
}
