/**
 * What the durability mathematics says about each guard of a program.
 * In: a resolved program; an inventory if there is one. Out: per guard the claim, the terms, the nines that they support, and what would gain
 *   the most when the claim is refused; nothing for a guard whose inputs are still open or wrong.
 * Assumed without an inventory: one copy a listed domain. With one: the real maximum per domain, of the worst pool. A domain that has a
 *   row but is not listed keeps no copies apart, so all of them may share one; its losses count as such.
 * Source: DESIGN "Guard"; the bound is guard/durability.ts.
 */
import { localGroupsOf } from '../erasure/scheme.ts';
import {
  accepts,
  copies,
  type DomainLossRate,
  type Durability,
  type DurabilityInput,
  durability,
  erasureCoded,
  type InputProblem,
  type LossRate,
  locallyCoded,
  problemsOf,
  type Scheme,
  type Sharing,
  yearMs,
} from '../guard/durability.ts';
import { type Gain, gains } from '../guard/gains.ts';
import { compare, ratio } from '../guard/ratio.ts';
import { Topology } from '../placement/topology.ts';
import { DOMAINS, type Domain, type ErasureScheme } from '../plan.ts';
import { blocksOf, bodyOf, isComplete, itemsOf, referencedBlock, schemeIn, valueIn } from './access.ts';
import type { CheckContext } from './check-context.ts';
import type { InventoryNode } from './inventory.ts';
import type { BlockIr, ProgramIr, QuantityIr } from './ir.ts';
import { poolsOf } from './pools.ts';

export interface GuardVerdict {
  readonly guard: BlockIr;
  readonly replicate: BlockIr;
  readonly declared: QuantityIr;
  /** The claim follows from the rates, and every copy finds a node. */
  readonly accepted: boolean;
  /** The claim follows from the rates. */
  readonly supported: boolean;
  /** Undefined when the inputs make no sense together; `problems` says why. */
  readonly result: Durability | undefined;
  readonly input: DurabilityInput;
  readonly problems: readonly InputProblem[];
  readonly assumption: string;
  /** Best first; empty for an accepted claim. */
  readonly gains: readonly Gain[];
}

export function guardVerdicts(program: ProgramIr, context: CheckContext): readonly GuardVerdict[] {
  return blocksOf(program, 'guard').flatMap((guard) => verdictOf(program, context, guard) ?? []);
}

/** The `replicate` that a guard speaks of: the one it names, or the only one. */
export function coveredBy(program: ProgramIr, guard: BlockIr): BlockIr | undefined {
  const all = blocksOf(program, 'replicate');
  if (guard.body.attributes.some(({ name }) => name === 'covers'))
    return referencedBlock(program, guard.body, 'covers');
  return all.length === 1 ? all[0] : undefined;
}

function verdictOf(program: ProgramIr, context: CheckContext, guard: BlockIr): GuardVerdict | undefined {
  const replicate = coveredBy(program, guard);
  const declared = valueIn(guard.body, 'durability', 'quantity');
  const rates = replicate && ratesOf(guard, replicate);
  if (replicate === undefined || declared === undefined || rates === undefined) return undefined;
  const { inputs, assumption, placeable } = inputsOf(program, context, replicate, rates);
  const [first] = inputs;
  if (first === undefined) return undefined;
  const problems = problemsOf(first);
  if (problems.length > 0) {
    return {
      guard,
      replicate,
      declared,
      accepted: false,
      supported: false,
      result: undefined,
      input: first,
      problems,
      assumption,
      gains: [],
    };
  }
  const { input, result } = worstOf(inputs);
  const supported = accepts(result, declared.amount);
  return {
    guard,
    replicate,
    declared,
    accepted: supported && placeable,
    supported,
    result,
    input,
    problems,
    assumption,
    gains: supported ? [] : gainsOnce(input),
  };
}

function worstOf(inputs: readonly DurabilityInput[]): { input: DurabilityInput; result: Durability } {
  return inputs
    .map((input) => ({ input, result: durabilityOnce(input) }))
    .reduce((a, b) =>
      compare(b.result.worst.lossPerYearExact, a.result.worst.lossPerYearExact) > 0 ? b : a,
    );
}

/** Equal inputs give equal results, and most edits of a program change no guard: an editor asks again at each keystroke. */
const durabilityOnce = remembered((input) => durability(input));
const gainsOnce = remembered((input) => gains(input, durabilityOnce(input)));
const rememberedMax = 32;

function remembered<T>(compute: (input: DurabilityInput) => T): (input: DurabilityInput) => T {
  const known = new Map<string, T>();
  return (input) => {
    const key = JSON.stringify(input, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    const result = known.get(key) ?? compute(input);
    known.delete(key);
    known.set(key, result);
    if (known.size > rememberedMax) known.delete(known.keys().next().value!);
    return result;
  };
}

interface Rates {
  readonly node: LossRate;
  readonly domains: readonly DomainLossRate[];
  readonly listed: readonly Domain[];
}

/** Undefined while a row, a time or a listed domain is missing, open or wrong: other diagnostics speak of those. */
function ratesOf({ body }: BlockIr, replicate: BlockIr): Rates | undefined {
  const rows = bodyOf(body, 'mtbf');
  const restore = valueIn(body, 'mttr_restore', 'quantity');
  const recovery = valueIn(body, 'recovery_time', 'quantity');
  const node = rows && valueIn(rows, 'node', 'quantity');
  const isListComplete = isComplete(valueIn(replicate.body, 'anti_affinity', 'list'));
  if (rows === undefined || rows.open || !restore || !recovery || !node || !isListComplete) return undefined;
  const listed = new Set(itemsOf(replicate.body, 'anti_affinity', 'word').map(({ word }) => word));
  const named = new Set(rows.attributes.map(({ name }) => name).filter((name) => name !== 'node'));
  const domains: DomainLossRate[] = [];
  for (const name of new Set([...listed, ...named])) {
    const domain = DOMAINS.find((each) => each === name);
    const mtbf = valueIn(rows, name, 'quantity');
    if (domain === undefined || mtbf === undefined) return undefined;
    domains.push({ domain, ...rateOf(mtbf, recovery) });
  }
  return { node: rateOf(node, restore), domains, listed: DOMAINS.filter((domain) => listed.has(domain)) };
}

/** Exact: the quantities are rationals in milliseconds. */
function rateOf({ exact: mtbf }: QuantityIr, { exact: recovery }: QuantityIr): LossRate {
  const year = BigInt(yearMs);
  return {
    lossPerYear: ratio(year * mtbf.denominator, mtbf.numerator),
    recoveryYears: ratio(recovery.numerator, recovery.denominator * year),
  };
}

interface Inputs {
  /** One a pool; one in all without an inventory. */
  readonly inputs: readonly DurabilityInput[];
  readonly assumption: string;
  /** Every scheme finds as many nodes as it needs. */
  readonly placeable: boolean;
}

type Spreader = (shards: number) => NonNullable<Scheme['sharing']>;

function inputsOf(program: ProgramIr, { inventory }: CheckContext, replicate: BlockIr, rates: Rates): Inputs {
  const input = (spread: Spreader): DurabilityInput => ({
    node: rates.node,
    domains: rates.domains,
    schemes: schemesOf(replicate, spread),
  });
  const assumed = input((shards) => sharingAssumed(rates, shards));
  if (assumed.schemes.length === 0) return { inputs: [], assumption: '', placeable: false };
  const pools = inventory === undefined ? [] : poolsOf(program, inventory);
  if (pools.length === 0) {
    return {
      inputs: [assumed],
      assumption: 'Without an inventory, one copy a listed domain is assumed.',
      placeable: true,
    };
  }
  const shardsMost = Math.max(...assumed.schemes.map(({ shards }) => shards));
  const fitting = pools.filter(({ nodes }) => nodes.filter(({ weight }) => weight > 0).length >= shardsMost);
  const inputs = fitting.map(({ nodes }) => input(spreadIn(nodes, rates)));
  return {
    inputs: inputs.length === 0 ? [assumed] : inputs,
    assumption: `Domains as in the inventory: ${pools.map(({ name }) => name).join(', ')}.`,
    placeable: fitting.length === pools.length,
  };
}

function schemesOf({ body }: BlockIr, spread: Spreader): Scheme[] {
  const factor = valueIn(body, 'factor', 'number');
  const scheme = schemeIn(body);
  if (factor === undefined) return [];
  const full = copies(factor.amount, spread(factor.amount));
  return scheme === undefined ? [full] : [full, coded(scheme, spread)];
}

function coded(scheme: ErasureScheme, spread: Spreader): Scheme {
  const { dataShards, parityShards } = scheme;
  const sharing = spread(dataShards + parityShards);
  const groups = localGroupsOf(scheme);
  return groups === undefined
    ? erasureCoded(dataShards, parityShards, sharing)
    : locallyCoded(dataShards, groups.count, groups.globalParities, sharing);
}

function sharingAssumed({ domains, listed }: Rates, shards: number): NonNullable<Scheme['sharing']> {
  const unlisted = domains.filter(({ domain }) => !listed.includes(domain));
  return Object.fromEntries(unlisted.map(({ domain }) => [domain, sharingWithin(shards, shards, shards)]));
}

/** The real maximum: what placement promises for listed domains, and what the counts of nodes allow for others. */
/** What is known of the sharing of domains when shards are spread over these nodes. */
export function spreadIn(
  nodes: PlacedNodes,
  { domains, listed }: Pick<Rates, 'domains' | 'listed'>,
): Spreader {
  const topology = topologyOf(nodes);
  return (shards) => {
    const { caps, classes } = topology.spread(shards, listed);
    const shared = domains.flatMap(({ domain }): [Domain, Sharing][] => {
      const at = listed.indexOf(domain);
      if (at >= 0) {
        const cap = caps[at]!;
        return cap === 1 ? [] : [[domain, sharingWithin(shards, cap, classes.valueCounts[at]!)]];
      }
      const values = new Set(nodes.filter(({ weight }) => weight > 0).map(({ labels }) => labels[domain]));
      return [[domain, sharingWithin(shards, shards, values.size)]];
    });
    return Object.fromEntries(shared);
  };
}

type PlacedNodes = readonly Pick<InventoryNode, 'name' | 'labels' | 'weight'>[];

const topologies = new WeakMap<PlacedNodes, Topology>();

/** An inventory stays while a program is edited; sorting 10,000 nodes for each edit would be felt. */
function topologyOf(nodes: PlacedNodes): Topology {
  const known = topologies.get(nodes) ?? new Topology(nodes);
  topologies.set(nodes, known);
  return known;
}

/** The i-th fullest of the domains holds at most an i-th of all shards, and never more than the cap. */
function sharingWithin(shards: number, cap: number, domainCount: number): Sharing {
  return Array.from({ length: Math.min(domainCount, shards) }, (_, i) =>
    Math.min(cap, Math.floor(shards / (i + 1))),
  );
}

/** An entry of `guards` in `check --json`. */
export interface GuardEntry {
  readonly name: string;
  readonly declaredNines: number;
  readonly accepted: boolean;
  readonly lossPerYear: number;
  readonly nines: number;
  readonly schemes: readonly {
    readonly n: number;
    readonly m: number;
    readonly lossPerYear: number;
    readonly nines: number;
    readonly terms: readonly { readonly name: string; readonly value: number }[];
  }[];
}

/** Guards whose inputs make no sense together have no rate, and no entry: their diagnostic says why. */
export function guardEntries(verdicts: readonly GuardVerdict[]): readonly GuardEntry[] {
  return verdicts.flatMap(({ guard, declared, accepted, result }) => {
    if (result === undefined) return [];
    const schemes = result.schemes.map(({ scheme, lossPerYear, nines, terms }) => ({
      n: scheme.shards,
      m: scheme.toleratedLosses,
      lossPerYear,
      nines,
      terms: terms.map((term) => ({ name: term.name, value: term.lossPerYear })),
    }));
    const { lossPerYear, nines } = result.worst;
    return { name: guard.name, declaredNines: declared.amount, accepted, lossPerYear, nines, schemes };
  });
}
