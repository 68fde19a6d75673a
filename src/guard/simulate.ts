/**
 * Seeded Monte Carlo simulation of losses: an independent look at what durability.ts bounds.
 * In: nodes with their domains, stripes as lists of nodes, loss rates and recovery times, years to simulate, a Random. Out: losses a stripe
 *   and year with a 95 % interval; progress on the way. A generator: the caller decides when to go on, show progress, or stop.
 * Model: every node and every domain fails at exponential times while it is up and is whole again after exactly its recovery time; a
 *   shard is down while its node or any of that node's domains is. A loss is the moment when more than the tolerated shards of a stripe become down.
 *   Starts in the stationary state, and goes on after a loss, so that losses over time estimate the rate that the bound is about.
 * Source: exponential variables without a logarithm by von Neumann, "Various techniques used in connection with random digits", 1951;
 *   interval for weighted counts by Bohm and Zech, "Statistics of weighted Poisson events and its applications", NIM A 748, 2014.
 * Holds: the same Random gives the same result on every machine (comparisons and + − × ÷ only). Needs a Random with 53 bits below 2^53:
 *   the seeded one. Does not simulate the unmodelled rate, transient outages, or what a loss costs.
 */
import { KwamError } from '../errors.ts';
import type { Domain, Labels } from '../plan.ts';
import type { Random } from '../random.ts';
import type { DurabilityInput, LossRate, Scheme, Sharing } from './durability.ts';
import { type Interval, poissonInterval } from './poisson-interval.ts';
import { toNumber } from './ratio.ts';

export interface SimulatedMap {
  /** Labels of each node; only the domains with a rate matter, and they must be there. */
  readonly nodes: readonly Partial<Labels>[];
  /** Each stripe's shards, as indices of nodes. */
  readonly stripes: readonly (readonly number[])[];
  readonly toleratedLosses: number;
}

export interface SimulationProgress {
  readonly years: number;
  /** Nodes and domains lost so far. */
  readonly unitLosses: number;
  readonly stripeLosses: number;
}

export interface SimulationResult extends SimulationProgress {
  /** Of one stripe, comparable with the bound. */
  readonly lossPerYear: number;
  readonly interval: Interval;
  /** Moments at which at least one stripe was lost; below about ten the interval says little more than "rare". */
  readonly lossMoments: number;
}

export interface SimulationOptions {
  readonly years: number;
  /** Probability left out of the interval on each side; 0.025 gives 95 %. */
  readonly tail?: number;
}

/** Unit losses between two yields: some milliseconds of work. */
const lossesPerStep = 4096;

/** Runs to the end; `simulation` is the same in steps. */
export function simulate(
  map: SimulatedMap,
  input: DurabilityInput,
  random: Random,
  options: SimulationOptions,
): SimulationResult {
  const steps = simulation(map, input, random, options);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export function* simulation(
  map: SimulatedMap,
  input: DurabilityInput,
  random: Random,
  { years, tail = 0.025 }: SimulationOptions,
): Generator<SimulationProgress, SimulationResult, void> {
  const kinds = kindsOf(map, input);
  if (!(years > 0 && years < Number.POSITIVE_INFINITY)) {
    throw new KwamError(
      'USAGE',
      `expected a number of years above 0, got ${years}; choose how long to simulate`,
    );
  }
  const state = new Stripes(map);
  for (const kind of kinds) startStationary(kind, state, random);
  state.forgetLosses();
  const totalRate = kinds.reduce((sum, kind) => sum + kind.ratePerYear * kind.units.length, 0);
  let unitLosses = 0;
  for (let now = exponential(random) / totalRate; now < years; now += exponential(random) / totalRate) {
    recoverUntil(now, kinds, state);
    const kind = drawKind(kinds, totalRate, random);
    const unit = random.below(kind.units.length);
    if (kind.down[unit] === 0) {
      fail(kind, unit, now + kind.recoveryYears, state);
      unitLosses++;
      if (unitLosses % lossesPerStep === 0) yield { years: now, unitLosses, stripeLosses: state.losses };
    }
  }
  return resultOf(state, map.stripes.length, { years, unitLosses, tail });
}

/**
 * The nodes of one stripe, each shard on a node of its own and domains as full as the scheme says: what the closed form
 * is about when there is no inventory.
 */
export function mapOfScheme(scheme: Scheme, domains: readonly Domain[]): SimulatedMap {
  const nodes = Array.from({ length: scheme.shards }, (_, node): Partial<Labels> => {
    const labels = domains.map((domain) => [domain, `${domainOf(node, scheme.sharing?.[domain])}`]);
    return Object.fromEntries(labels);
  });
  return { nodes, stripes: [nodes.map((_, node) => node)], toleratedLosses: scheme.toleratedLosses };
}

/** Shards in order fill the fullest domain first, as far as it may be filled. */
function domainOf(shard: number, sharing: Sharing = []): number {
  let domain = 0;
  for (let room = sharing[0] ?? 1; shard >= room; room += sharing[domain] ?? 1) domain++;
  return domain;
}

/** Units of one kind that fail alike: all nodes, all racks, … Equal recovery times end in the order in which they began. */
interface Kind {
  readonly ratePerYear: number;
  readonly recoveryYears: number;
  /** The nodes that each unit takes down. */
  readonly units: readonly (readonly number[])[];
  readonly down: Uint8Array;
  readonly recovering: { unit: number; atYears: number }[];
  /** Of `recovering`, how many have ended. */
  ended: number;
}

function kindsOf({ nodes }: SimulatedMap, input: DurabilityInput): Kind[] {
  const ofNodes = kind(
    input.node,
    nodes.map((_, node) => [node]),
  );
  return [ofNodes, ...input.domains.map((rate) => kind(rate, membersOf(nodes, rate.domain)))];
}

function kind({ lossPerYear, recoveryYears }: LossRate, units: readonly (readonly number[])[]): Kind {
  return {
    ratePerYear: toNumber(lossPerYear),
    recoveryYears: toNumber(recoveryYears),
    units,
    down: new Uint8Array(units.length),
    recovering: [],
    ended: 0,
  };
}

function membersOf(nodes: readonly Partial<Labels>[], domain: Domain): number[][] {
  const members = new Map<string, number[]>();
  nodes.forEach((labels, node) => {
    const label = labels[domain];
    if (label === undefined) {
      throw new KwamError(
        'USAGE',
        `expected node ${node} to have a ${domain}, got none; label it in the inventory`,
      );
    }
    members.set(label, [...(members.get(label) ?? []), node]);
  });
  return [...members.values()];
}

/** A unit that fails at rate L while up and is down for t is down with probability Lt/(1+Lt), and then for a uniform rest of t. */
function startStationary(kind: Kind, state: Stripes, random: Random): void {
  const unavailability = kind.ratePerYear * kind.recoveryYears;
  const starts = kind.units
    .map((_, unit) => ({ unit, isDown: uniform(random) * (1 + unavailability) < unavailability }))
    .filter((each) => each.isDown)
    .map(({ unit }) => ({ unit, atYears: uniform(random) * kind.recoveryYears }))
    .sort((a, b) => a.atYears - b.atYears);
  for (const { unit, atYears } of starts) fail(kind, unit, atYears, state);
}

function fail(kind: Kind, unit: number, untilYears: number, state: Stripes): void {
  kind.down[unit] = 1;
  kind.recovering.push({ unit, atYears: untilYears });
  state.takeDown(kind.units[unit]!);
}

/** Order between kinds does not matter here: recoveries only raise stripes, and no loss lies between them. */
function recoverUntil(now: number, kinds: readonly Kind[], state: Stripes): void {
  for (const kind of kinds) {
    const { recovering } = kind;
    for (; kind.ended < recovering.length && recovering[kind.ended]!.atYears <= now; kind.ended++) {
      const { unit } = recovering[kind.ended]!;
      kind.down[unit] = 0;
      state.bringUp(kind.units[unit]!);
    }
    if (kind.ended > lossesPerStep) {
      recovering.splice(0, kind.ended);
      kind.ended = 0;
    }
  }
}

/** Kinds by their share of all losses; a unit that is down ignores its draw, which leaves exponential times while it is up. */
function drawKind(kinds: readonly Kind[], totalRate: number, random: Random): Kind {
  let rest = uniform(random) * totalRate;
  for (const kind of kinds) {
    rest -= kind.ratePerYear * kind.units.length;
    if (rest < 0) return kind;
  }
  return kinds.at(-1)!;
}

/** Which shards are down, and how often stripes were lost. */
class Stripes {
  losses = 0;
  lossMoments = 0;
  /** Σ of squares of stripes lost at one moment: how much they are lost together. */
  squares = 0;
  private readonly toleratedLosses: number;
  private readonly stripesOf: readonly number[][];
  private readonly causes: Uint8Array;
  private readonly shardsDown: Uint16Array;

  constructor({ nodes, stripes, toleratedLosses }: SimulatedMap) {
    this.toleratedLosses = toleratedLosses;
    this.causes = new Uint8Array(nodes.length);
    this.shardsDown = new Uint16Array(stripes.length);
    this.stripesOf = nodes.map(() => []);
    stripes.forEach((stripe, index) => {
      for (const node of stripe) this.stripesOf[node]!.push(index);
    });
  }

  takeDown(nodes: readonly number[]): void {
    let lost = 0;
    for (const node of nodes) {
      if (this.causes[node]!++ > 0) continue;
      for (const stripe of this.stripesOf[node]!) {
        if (this.shardsDown[stripe]!++ === this.toleratedLosses) lost++;
      }
    }
    if (lost === 0) return;
    this.losses += lost;
    this.lossMoments++;
    this.squares += lost * lost;
  }

  bringUp(nodes: readonly number[]): void {
    for (const node of nodes) {
      this.causes[node]!--;
      if (this.causes[node]! > 0) continue;
      for (const stripe of this.stripesOf[node]!) this.shardsDown[stripe]!--;
    }
  }

  forgetLosses(): void {
    this.losses = 0;
    this.lossMoments = 0;
    this.squares = 0;
  }
}

/**
 * Stripes that share nodes are lost together, so their count is no Poisson count. It is taken as w times one, with the mean and variance
 * of the compound: w = Σs²/Σs, count (Σs)²/Σs², rounded outwards. For one stripe w is 1 and the interval exact.
 */
function resultOf(
  { losses, lossMoments, squares }: Stripes,
  stripeCount: number,
  { years, unitLosses, tail }: { years: number; unitLosses: number; tail: number },
): SimulationResult {
  const stripeYears = stripeCount * years;
  const weight = losses === 0 ? stripeCount : squares / losses;
  const count = losses === 0 ? 0 : (losses * losses) / squares;
  const interval = {
    low: (weight * poissonInterval(Math.floor(count), tail).low) / stripeYears,
    high: (weight * poissonInterval(Math.ceil(count), tail).high) / stripeYears,
  };
  return {
    years,
    unitLosses,
    stripeLosses: losses,
    lossMoments,
    lossPerYear: losses / stripeYears,
    interval,
  };
}

function uniform(random: Random): number {
  return random.below(2 ** 53) / 2 ** 53;
}

/** Mean 1. A run u1 > u2 > … > un, broken by the next draw, has odd length with probability e^−u1; each even one adds 1. */
function exponential(random: Random): number {
  for (let whole = 0; ; whole++) {
    const first = uniform(random);
    let length = 1;
    for (let last = first, next = uniform(random); next < last; next = uniform(random)) {
      last = next;
      length++;
    }
    if (length % 2 === 1) return whole + first;
  }
}
