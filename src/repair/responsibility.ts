/**
 * Which packs are this node's to look after: each pack has one responsible node, the first in its placement order that is up
 * and answers. Nodes that see this differently do the same work twice, which does no harm.
 */
import type { Member } from '../cluster/membership.ts';
import type { Peers } from '../cluster/peers.ts';
import { KwamError } from '../errors.ts';
import { candidates } from '../placement/placement.ts';
import { Topology } from '../placement/topology.ts';
import type { Catalog, PackRecordEntry } from '../replication/catalog.ts';
import { surveyHolders } from '../replication/holders.ts';
import { PACK_HAVE } from '../replication/protocol.ts';
import { missingOf, storedIdsOf } from '../replication/redundancy.ts';
import type { Store } from '../store/store.ts';

export interface ResponsibilityServices {
  readonly store: Store;
  readonly peers: Peers;
  readonly catalog: Catalog;
}

/** Up, and it answers: a lease outlives its node by seconds, and the packs of a dead node would be nobody's until then. */
export async function reachable(peers: Peers): Promise<Member[]> {
  const answers = (await peers.up()).map(async (member) => {
    try {
      if (member.name !== peers.self) await peers.ask(member.name, PACK_HAVE, { packs: [] });
      return [member];
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      return [];
    }
  });
  return (await Promise.all(answers)).flat();
}

export async function responsibleFor(
  catalog: Pick<Catalog, 'packs'>,
  self: string,
  up: readonly Member[],
): Promise<PackRecordEntry[]> {
  const topology = new Topology(up);
  const own: PackRecordEntry[] = [];
  for await (const entry of catalog.packs()) {
    if (candidates(entry.id, topology)[0] === self) own.push(entry);
  }
  return own;
}

/** Of the packs that this node is responsible for: all nodes together count each pack once. */
export async function countUnderReplicated({
  store,
  peers,
  catalog,
}: ResponsibilityServices): Promise<number> {
  const own = await responsibleFor(catalog, peers.self, await reachable(peers));
  const { lasting } = await surveyHolders(peers, store, own.flatMap(storedIdsOf));
  return own.filter((entry) => missingOf(entry, lasting) > 0).length;
}
