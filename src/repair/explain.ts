/**
 * Why packs that lack copies or shards are being restored, or are not.
 * In: the packs that this node is responsible for, who holds what, and the orchestrator. Out: for each pack that lacks something what is
 * missing, how many losses it survives, the verdict on each absent node, and what happens next, in words.
 * Restores nothing.
 */
import type { DigestHex } from '../digest.ts';
import { surveyHolders } from '../replication/holders.ts';
import { holdersOf, missingOf, spareOf, storedIdsOf } from '../replication/redundancy.ts';
import type { Orchestrator } from './orchestrator.ts';
import type { Verdict } from './reconstruction.ts';
import type { RepairServices } from './repair.ts';
import { reachable, responsibleFor } from './responsibility.ts';

export interface Explanation {
  readonly pack: DigestHex;
  readonly missing: number;
  /** How many more losses it survives; below 0: too little is there now. */
  readonly spare: number;
  /** How many of the missing pieces are waited for. */
  readonly waits: number;
  /** Nodes that have pieces and are being emptied: these pieces serve, and count as missing. */
  readonly draining: readonly string[];
  readonly verdicts: readonly Verdict[];
  /** One sentence. */
  readonly next: string;
}

/** @param pack  only this one */
export async function explain(
  { store, peers, catalog, replicate }: RepairServices,
  orchestrator: Orchestrator,
  pack?: DigestHex,
): Promise<Explanation[]> {
  const members = await peers.members();
  const up = await reachable(peers);
  orchestrator.answered(members, up);
  const own = await responsibleFor(catalog, peers.self, up);
  const asked = own.filter(({ id }) => pack === undefined || id === pack);
  const { holders, lasting } = await surveyHolders(peers, store, asked.flatMap(storedIdsOf));
  return asked
    .map((entry) => {
      const [missing, spare] = [missingOf(entry, lasting), spareOf(entry, holders)];
      const shortage = { entry, missing, spare, holders: holdersOf(entry, holders) };
      const staying = holdersOf(entry, lasting);
      const draining = [...shortage.holders].filter((node) => !staying.has(node)).sort();
      const { waits, verdicts, isFresh } = orchestrator.look(shortage, members);
      const isLost = missing === 1 && missingOf(entry, holders) === 1;
      const isLazy = replicate.repair.lazy && entry.stripe !== undefined && isLost && spare > 0;
      const next = nextStep({ missing, spare, waits: isLazy ? missing : waits, isFresh, isLazy });
      return { pack: entry.id, missing, spare, waits, draining, verdicts, next };
    })
    .filter(({ missing }) => missing > 0 || pack !== undefined)
    .sort((a, b) => a.spare - b.spare || (a.pack < b.pack ? -1 : 1));
}

interface Situation {
  readonly missing: number;
  readonly spare: number;
  readonly waits: number;
  readonly isFresh: boolean;
  readonly isLazy: boolean;
}

function nextStep({ missing, spare, waits, isFresh, isLazy }: Situation): string {
  if (missing === 0) return 'nothing is missing';
  if (spare < 0) return 'nothing can be made from what is there; it waits for a node that has more';
  if (isFresh) return 'seen just now; it is restored at the next look if it still lacks something';
  if (isLazy) return 'the plan is lazy: one shard waits until another one is lost';
  if (waits === missing) return 'it waits';
  return waits === 0
    ? 'it is restored at the next look'
    : `${missing - waits} of ${missing} are restored at the next look`;
}
