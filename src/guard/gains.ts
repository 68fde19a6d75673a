/**
 * What would raise the nines of a guard most.
 * In: the inputs of its durability. Out: single changes (one rate or time halved, one copy or parity shard more, no sharing of a domain), each
 *   computed anew with the same bound, best first. Only changes that help are listed.
 * Does not know what a change costs, and tries one at a time.
 */
import type { Domain } from '../plan.ts';
import {
  type Durability,
  type DurabilityInput,
  durability,
  type LossRate,
  problemsOf,
  type Scheme,
  type Sharing,
  worstLossPerYear,
} from './durability.ts';
import { compare, hundredthsOfNines, type Ratio, ratio, times, toNumber } from './ratio.ts';

export interface Gain {
  /** What to change, in words: "recover a lost rack in half the time". */
  readonly change: string;
  readonly nines: number;
  readonly ninesGained: number;
  readonly lossPerYear: number;
}

interface Change {
  readonly change: string;
  readonly input: DurabilityInput;
}

export function gains(input: DurabilityInput, now: Durability = durability(input)): Gain[] {
  return changesOf(input)
    .filter((each) => problemsOf(each.input).length === 0)
    .map(({ change, input: changed }) => ({ change, loss: worstLossPerYear(changed) }))
    .filter(({ loss }) => compare(loss, now.worst.lossPerYearExact) < 0)
    .sort((a, b) => compare(a.loss, b.loss))
    .map(({ change, loss }) => gainOf(change, loss, now.worst.nines));
}

function gainOf(change: string, loss: Ratio, ninesNow: number): Gain {
  const nines = hundredthsOfNines(loss) / 100;
  const ninesGained = Math.round((nines - ninesNow) * 100) / 100;
  return { change, nines, ninesGained, lossPerYear: toNumber(loss) };
}

function changesOf(input: DurabilityInput): Change[] {
  const { node, domains, unmodelledPerYear } = input;
  const ofNode = halves('node', node).map(({ change, rate }) => ({
    change,
    input: { ...input, node: rate },
  }));
  const ofDomains = domains.flatMap((each, index) =>
    halves(each.domain, each).map(({ change, rate }) => ({
      change,
      input: { ...input, domains: domains.with(index, { ...rate, domain: each.domain }) },
    })),
  );
  const ofRest =
    unmodelledPerYear === undefined
      ? []
      : [
          {
            change: 'halve the unmodelled rate',
            input: { ...input, unmodelledPerYear: half(unmodelledPerYear) },
          },
        ];
  return [
    ...ofNode,
    ...ofDomains,
    ...ofRest,
    ...longer(input),
    ...domains.flatMap((each) => spread(input, each.domain)),
  ];
}

function halves(name: string, rate: LossRate): { change: string; rate: LossRate }[] {
  const one = `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
  return [
    { change: `lose ${one} half as often`, rate: { ...rate, lossPerYear: half(rate.lossPerYear) } },
    {
      change: `recover a lost ${name} in half the time`,
      rate: { ...rate, recoveryYears: half(rate.recoveryYears) },
    },
  ];
}

/** One shard more that may be lost, for each scheme by itself, in the domains that are there. */
function longer(input: DurabilityInput): Change[] {
  return input.schemes.flatMap((scheme, index) => {
    if (scheme.isLongest) return [];
    const what = scheme.toleratedLosses + 1 === scheme.shards ? 'copy' : 'parity shard';
    const schemes = input.schemes.with(index, withOneMore(scheme));
    return [{ change: `one ${what} more than ${scheme.name}`, input: { ...input, schemes } }];
  });
}

function withOneMore(scheme: Scheme): Scheme {
  const shards = scheme.shards + 1;
  const fitted = Object.entries(scheme.sharing ?? {}).map(([domain, held]) => [
    domain,
    heldWithOneMore(held, shards),
  ]);
  return {
    ...scheme,
    shards,
    toleratedLosses: scheme.toleratedLosses + 1,
    sharing: Object.fromEntries(fitted),
  };
}

/** Into the emptiest domain, when the ones that are there cannot hold it otherwise. */
function heldWithOneMore(held: Sharing, shards: number): Sharing {
  if (held.reduce((all, most) => all + most, 0) >= shards) return held;
  return held.with(held.indexOf(Math.min(...held)), Math.min(...held) + 1);
}

function spread(input: DurabilityInput, domain: Domain): Change[] {
  if (!input.schemes.some((scheme) => scheme.sharing?.[domain]?.some((most) => most > 1))) return [];
  const schemes = input.schemes.map((scheme): Scheme => {
    const { [domain]: _, ...others } = scheme.sharing ?? {};
    return { ...scheme, sharing: others };
  });
  return [{ change: `no two shards of a stripe in one ${domain}`, input: { ...input, schemes } }];
}

function half(rate: Ratio): Ratio {
  return times(rate, ratio(1n, 2n));
}
