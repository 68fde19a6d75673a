/**
 * New homes for copies and shards that are missing.
 * In: the nodes that are up, and those that hold some already. Out: names, best first; rules that could not be kept are
 * reported. Does not ask the nodes.
 */
import type { Member } from '../cluster/membership.ts';
import type { DigestHex } from '../digest.ts';
import { candidates, place } from '../placement/placement.ts';
import type { Domain } from '../plan.ts';

export interface HomeRules {
  readonly antiAffinity: readonly Domain[];
  readonly onRelaxed: (pack: DigestHex, domains: readonly (Domain | 'node')[]) => void;
}

/**
 * First those that share no listed domain with a node of `taken`, by preference; when there is none, the ones that a fresh
 * placement would choose.
 */
export function chooseHomes(
  rules: HomeRules,
  up: readonly Member[],
  pack: DigestHex,
  taken: readonly string[],
  count: number,
): string[] {
  const { antiAffinity, onRelaxed } = rules;
  const byName = new Map(up.map((member) => [member.name, member]));
  const used = taken.flatMap((name) => byName.get(name) ?? []);
  const order = candidates(pack, up).filter((name) => !taken.includes(name));
  const homes: string[] = [];
  for (const name of order) {
    const node = byName.get(name)!;
    const shares = used.some((other) =>
      antiAffinity.some((domain) => other.labels[domain] === node.labels[domain]),
    );
    if (homes.length === count || shares) continue;
    homes.push(name);
    used.push(node);
  }
  if (homes.length < count) {
    const wished = place(pack, up, taken.length + count, antiAffinity, { allowRepeat: true });
    if (wished.relaxed.length > 0) onRelaxed(pack, wished.relaxed);
    for (const name of [...wished.nodes, ...order]) {
      if (homes.length < count && !taken.includes(name) && !homes.includes(name)) homes.push(name);
    }
  }
  return homes;
}

/** A node without a shard of this stripe; when there is none, the one with the fewest. */
export function homeForShard(
  rules: HomeRules,
  up: readonly Member[],
  pack: DigestHex,
  homes: readonly (string | undefined)[],
): string | undefined {
  const taken = homes.filter((home) => home !== undefined);
  const fresh = chooseHomes(rules, up, pack, taken, 1)[0];
  if (fresh !== undefined) return fresh;
  const load = (name: string): number => taken.filter((home) => home === name).length;
  const fewest = candidates(pack, up).toSorted((a, b) => load(a) - load(b))[0];
  if (fewest !== undefined) rules.onRelaxed(pack, ['node']);
  return fewest;
}
