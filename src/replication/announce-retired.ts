/**
 * Tells all nodes that packs are listed no more, so that they give the space back at once.
 * In: ids. Each node asks the catalog itself before it removes anything (repair/orphans.ts). A node that does not hear of it drops them as orphans later.
 */
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { PACK_RETIRE, PACKS_PER_CALL_MAX } from './protocol.ts';

export async function announceRetired(
  peers: Pick<Peers, 'up' | 'ask'>,
  ids: readonly DigestHex[],
): Promise<void> {
  for (const member of await peers.up()) {
    for (let at = 0; at < ids.length; at += PACKS_PER_CALL_MAX) {
      try {
        await peers.ask(member.name, PACK_RETIRE, { packs: ids.slice(at, at + PACKS_PER_CALL_MAX) });
      } catch (error) {
        if (!(error instanceof KwamError)) throw error;
      }
    }
  }
}
