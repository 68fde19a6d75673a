/**
 * Who holds which pack, asked of the nodes themselves.
 * In: pack ids. Out: for each, the names of nodes that can serve it, this node first, then by placement preference; and which
 * nodes gave no answer, so that "nobody has it" and "nobody was asked" look different.
 * What a node answers is a hint for where to pull from; the pulled bytes are verified.
 */
import type { Member } from '../cluster/membership.ts';
import type { Peers } from '../cluster/peers.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { candidates } from '../placement/placement.ts';
import { Topology } from '../placement/topology.ts';
import type { Store } from '../store/store.ts';
import { PACK_HAVE, PACKS_PER_CALL_MAX } from './protocol.ts';

/** What is asked of the peers. */
type Asking = Pick<Peers, 'self' | 'members' | 'ask'>;

export type Holders = ReadonlyMap<DigestHex, readonly string[]>;

export interface HolderSurvey {
  readonly holders: Holders;
  /** Without nodes that are being emptied: what they hold can be read, and counts for nothing. */
  readonly lasting: Holders;
  /** Known nodes that were asked and gave no answer, by name; what they hold is not known. */
  readonly silent: readonly string[];
}

export async function findHolders(
  peers: Asking,
  store: Store,
  packs: readonly DigestHex[],
): Promise<Holders> {
  return (await surveyHolders(peers, store, packs)).holders;
}

/** Nodes that are up are asked; those whose lease ran out only about packs that nobody else has. */
export async function surveyHolders(
  peers: Asking,
  store: Store,
  packs: readonly DigestHex[],
): Promise<HolderSurvey> {
  const members = await peers.members();
  const held = new Map<string, ReadonlySet<DigestHex>>();
  const silent: string[] = [];
  const askThose = async (state: Member['state'], ids: readonly DigestHex[]): Promise<void> => {
    const asked = members.filter((member) => member.state === state);
    await Promise.all(
      asked.map(async ({ name }) => {
        const answer = await heldBy(peers, store, name, ids);
        if (!answer.isComplete) silent.push(name);
        held.set(name, new Set(answer.held));
      }),
    );
  };
  await askThose('up', packs);
  const orphans = packs.filter((id) => ![...held.values()].some((ids) => ids.has(id)));
  if (orphans.length > 0) await askThose('down', orphans);
  // A node of weight 0 gets no new data; what it holds all the same can be read.
  const order = new Topology(members.map((member) => ({ ...member, weight: Math.max(member.weight, 1e-3) })));
  const holders = new Map(packs.map((id) => [id, inOrder(id, order, peers.self, held)]));
  return { holders, lasting: withoutDrained(holders, members), silent: silent.sort() };
}

function withoutDrained(holders: Holders, members: readonly Member[]): Holders {
  const drained = new Set(members.filter(({ drain }) => drain !== undefined).map(({ name }) => name));
  if (drained.size === 0) return holders;
  return new Map([...holders].map(([id, names]) => [id, names.filter((name) => !drained.has(name))]));
}

function inOrder(
  id: DigestHex,
  topology: Topology,
  self: string,
  held: ReadonlyMap<string, ReadonlySet<DigestHex>>,
): string[] {
  const names = candidates(id, topology).filter((name) => held.get(name)?.has(id));
  return names.toSorted((a, b) => Number(b === self) - Number(a === self));
}

interface Held {
  readonly held: readonly DigestHex[];
  readonly isComplete: boolean;
}

async function heldBy(peers: Asking, store: Store, node: string, packs: readonly DigestHex[]): Promise<Held> {
  if (node !== peers.self) return askAll(peers, node, packs);
  return { held: packs.filter((id) => store.hasPack(id)), isComplete: true };
}

async function askAll(peers: Asking, node: string, packs: readonly DigestHex[]): Promise<Held> {
  const held: DigestHex[] = [];
  for (let at = 0; at < packs.length; at += PACKS_PER_CALL_MAX) {
    const page = packs.slice(at, at + PACKS_PER_CALL_MAX);
    try {
      const { have } = await peers.ask<{ have: DigestHex[] }>(node, PACK_HAVE, { packs: page });
      held.push(...have);
    } catch (error) {
      // A node that cannot answer cannot serve either, for now.
      if (!(error instanceof KwamError)) throw error;
      return { held, isComplete: false };
    }
  }
  return { held, isComplete: true };
}
