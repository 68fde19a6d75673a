/**
 * Who holds which pack, asked of the nodes themselves.
 * In: pack ids. Out: for each, the names of up nodes that can serve it, this node first, then by placement preference.
 * What a node answers is a hint for where to pull from; the pulled bytes are verified.
 */
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { candidates } from '../placement/placement.ts';
import type { Store } from '../store/store.ts';
import { PACK_HAVE, PACKS_PER_CALL_MAX } from './protocol.ts';

export type Holders = ReadonlyMap<DigestHex, readonly string[]>;

export async function findHolders(peers: Peers, store: Store, packs: readonly DigestHex[]): Promise<Holders> {
  const members = await peers.up();
  const answers = new Map(
    await Promise.all(
      members.map(async ({ name }): Promise<[string, ReadonlySet<DigestHex>]> => {
        const held =
          name === peers.self ? packs.filter((id) => store.hasPack(id)) : await askAll(peers, name, packs);
        return [name, new Set(held)];
      }),
    ),
  );
  const weighted = members.map((member) => ({ ...member, weight: Math.max(member.weight, 1e-3) }));
  return new Map(
    packs.map((id) => {
      const order = candidates(id, weighted).filter((name) => answers.get(name)?.has(id));
      const here = order.includes(peers.self) ? [peers.self] : [];
      return [id, [...here, ...order.filter((name) => name !== peers.self)]];
    }),
  );
}

async function askAll(peers: Peers, node: string, packs: readonly DigestHex[]): Promise<DigestHex[]> {
  const held: DigestHex[] = [];
  for (let at = 0; at < packs.length; at += PACKS_PER_CALL_MAX) {
    const page = packs.slice(at, at + PACKS_PER_CALL_MAX);
    try {
      const { have } = await peers.ask<{ have: DigestHex[] }>(node, PACK_HAVE, { packs: page });
      held.push(...have);
    } catch (error) {
      // A node that cannot answer cannot serve either.
      if (!(error instanceof KwamError)) throw error;
      return held;
    }
  }
  return held;
}
