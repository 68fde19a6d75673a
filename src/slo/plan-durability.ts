/**
 * The nines that a running plan's guard supports, with the times and rates that it declares or with others that were observed.
 * In: the guard, the scheme and the nodes of a plan. Out: the input of the durability mathematics (guard/durability.ts) and its result. The same
 * as the checker's for the same program and inventory, except that a plan has one set of nodes and not several pools.
 */
import { localGroupsOf } from '../erasure/scheme.ts';
import {
  copies,
  type Durability,
  type DurabilityInput,
  durability,
  erasureCoded,
  type LossRate,
  locallyCoded,
  lossRate,
  problemsOf,
  type Scheme,
} from '../guard/durability.ts';
import { spreadIn } from '../language/guard-verdict.ts';
import { DOMAINS, type GuardPlan, type Plan } from '../plan.ts';

/** Means in milliseconds; what is absent is taken as declared. */
export interface ObservedMeans {
  readonly nodeMtbfMs?: number;
  readonly restoreMs?: number;
  readonly recoveryMs?: number;
}

/** Undefined where the numbers make no sense together: a recovery that takes longer than things stay whole. */
export function planDurability(
  plan: Pick<Plan, 'nodes' | 'replicate'>,
  guard: GuardPlan,
  observed: ObservedMeans = {},
): Durability | undefined {
  const input = inputOf(plan, guard, observed);
  return problemsOf(input).length === 0 ? durability(input) : undefined;
}

function inputOf(
  { nodes, replicate }: Pick<Plan, 'nodes' | 'replicate'>,
  { mtbf, mttrRestoreMs, recoveryTimeMs }: GuardPlan,
  { nodeMtbfMs = mtbf.node!.ms, restoreMs = mttrRestoreMs, recoveryMs = recoveryTimeMs }: ObservedMeans,
): DurabilityInput {
  const rate = (mtbfMs: number, ms: number): LossRate => lossRate(Math.round(mtbfMs), Math.ceil(ms));
  const domains = DOMAINS.flatMap((domain) => {
    const row = mtbf[domain];
    return row === undefined ? [] : [{ domain, ...rate(row.ms, recoveryMs) }];
  });
  const listed = DOMAINS.filter((domain) => replicate.antiAffinity.includes(domain));
  const spread = spreadIn(nodes, { domains, listed });
  return { node: rate(nodeMtbfMs, restoreMs), domains, schemes: schemesOf(replicate, spread) };
}

function schemesOf({ factor, erasure }: Plan['replicate'], spread: ReturnType<typeof spreadIn>): Scheme[] {
  const full = copies(factor, spread(factor));
  if (erasure === undefined) return [full];
  const { dataShards, parityShards } = erasure;
  const sharing = spread(dataShards + parityShards);
  const groups = localGroupsOf(erasure);
  const coded =
    groups === undefined
      ? erasureCoded(dataShards, parityShards, sharing)
      : locallyCoded(dataShards, groups.count, groups.globalParities, sharing);
  return [full, coded];
}
