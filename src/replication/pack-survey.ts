/**
 * What packs and shards there are, asked of the nodes and not of the catalog.
 * In: the nodes that should exist. Out: for each pack the catalog entry that what was found amounts to, or why there is none; which nodes
 * gave no answer; and whether any of them doubts its catalog (lineage.ts).
 * A shard pack names its pack and its place in the stripe in its header, so that entries follow from the packs alone. The ids of shards that
 * are missing do not: such a stripe needs to be made anew. Reads no payloads and changes nothing.
 */
import type { Peers } from '../cluster/peers.ts';
import { asDigest, type DigestHex, toHex } from '../digest.ts';
import { lossesLeft } from '../erasure/survival.ts';
import { KwamError } from '../errors.ts';
import type { ErasureScheme } from '../plan.ts';
import type { PackInfo } from '../store/index-tables.ts';
import { openPack } from '../store/pack-reader.ts';
import type { Store } from '../store/store.ts';
import type { JsonValue } from '../transport/transport.ts';
import type { PackRecordEntry } from './catalog.ts';
import type { Lineage } from './lineage.ts';
import { isLost } from './pack-access.ts';
import { PACK_LIST } from './protocol.ts';
import type { StripedEntry } from './stripe-identity.ts';

/** Some 350 bytes of JSON each: well below one message of answers. */
const PACKS_PER_PAGE = 250;
/** The better ones first. */
const STATES = ['whole', 'torn', 'lost'] as const;
/** In the place of a shard whose id nobody knows; no pack has it. */
const UNKNOWN_SHARD = toHex(asDigest(new Uint8Array(32)));

interface ListedPack {
  readonly id: DigestHex;
  readonly bytes: number;
  /** Of a shard, as its header says. */
  readonly stripe?: ErasureScheme & {
    readonly codecId: DigestHex;
    readonly pack: DigestHex;
    readonly packBytes: number;
    readonly shardIndex: number;
  };
}

export interface PackPage {
  readonly packs: readonly ListedPack[];
  /** Give it as `after` to continue; absent on the last page. */
  readonly next?: DigestHex;
  readonly isInDoubt: boolean;
}

/** What a node answers to PACK_LIST: packs that it can serve. */
export function listPacks(
  store: Store,
  lineage: Pick<Lineage, 'doubt'>,
  after: DigestHex | undefined,
): PackPage {
  const page = store.listPacks(after, PACKS_PER_PAGE);
  const packs = page.filter(({ state }) => state === 'present').flatMap((info) => listed(store, info) ?? []);
  const isInDoubt = lineage.doubt !== undefined;
  return page.length < PACKS_PER_PAGE ? { packs, isInDoubt } : { packs, isInDoubt, next: page.at(-1)!.id };
}

/** Undefined for a shard that cannot be opened. */
function listed(store: Store, { id, bytes, stripe }: PackInfo): ListedPack | undefined {
  if (stripe === undefined) return { id, bytes };
  try {
    const { codecId } = openPack(store.fileSystem, store.packFile(id), id).header;
    return { id, bytes, stripe: { ...stripe, codecId: toHex(codecId), pack: toHex(stripe.pack) } };
  } catch (error) {
    if (error instanceof KwamError && isLost(error)) return undefined;
    throw error;
  }
}

export interface SurveyedPack {
  readonly entry: Omit<PackRecordEntry, 'records'>;
  /** `torn`: enough shards to make the pack, but not all, so that the entry cannot be used as it is. `lost`: not even those. */
  readonly state: (typeof STATES)[number];
}

export interface PackSurvey {
  readonly packs: ReadonlyMap<DigestHex, SurveyedPack>;
  readonly silent: readonly string[];
  readonly isInDoubt: boolean;
}

interface Stripe {
  /** The same for all its shards. */
  readonly identity: string;
  readonly entry: Omit<StripedEntry, 'records'>;
  /** The list of the entry. */
  readonly shards: DigestHex[];
}

interface Found {
  readonly copies: Map<DigestHex, number>;
  /** Several of one pack where its scheme was being changed. */
  readonly stripes: Map<DigestHex, Stripe[]>;
}

export interface SurveyServices {
  readonly peers: Pick<Peers, 'self' | 'ask'>;
  readonly store: Store;
  readonly lineage: Pick<Lineage, 'doubt'>;
  /** How many of a pack that is not a stripe the plan asks for. */
  readonly copies: number;
}

export async function surveyPacks(services: SurveyServices, nodes: readonly string[]): Promise<PackSurvey> {
  const found: Found = { copies: new Map(), stripes: new Map() };
  const silent: string[] = [];
  let isInDoubt = false;
  for (const node of nodes) {
    try {
      for await (const page of pagesOf(services, node)) {
        isInDoubt ||= page.isInDoubt;
        for (const pack of page.packs) note(found, pack);
      }
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      silent.push(node);
    }
  }
  return { packs: entriesOf(found, services.copies), silent, isInDoubt };
}

async function* pagesOf({ peers, store, lineage }: SurveyServices, node: string): AsyncGenerator<PackPage> {
  let after: DigestHex | undefined;
  do {
    const request: JsonValue = after === undefined ? {} : { after };
    const isSelf = node === peers.self;
    const page = isSelf
      ? listPacks(store, lineage, after)
      : await peers.ask<PackPage>(node, PACK_LIST, request);
    yield page;
    after = page.next;
  } while (after !== undefined);
}

function note({ copies, stripes }: Found, { id, bytes, stripe }: ListedPack): void {
  if (stripe === undefined) {
    copies.set(id, bytes);
    return;
  }
  const { pack, packBytes, shardIndex, ...rest } = stripe;
  const identity = JSON.stringify([packBytes, rest.codecId, ...Object.entries(rest).sort()]);
  const known = stripes.get(pack) ?? [];
  let found = known.find((one) => one.identity === identity);
  if (found === undefined) {
    const shards = new Array<DigestHex>(rest.dataShards + rest.parityShards).fill(UNKNOWN_SHARD);
    found = { identity, shards, entry: { id: pack, bytes: packBytes, stripe: { ...rest, shards } } };
    stripes.set(pack, [...known, found]);
  }
  found.shards[shardIndex] = id;
}

function entriesOf({ copies, stripes }: Found, wanted: number): Map<DigestHex, SurveyedPack> {
  const packs = new Map<DigestHex, SurveyedPack>();
  for (const [id, found] of stripes) {
    const surveyed = found.map(({ entry }): SurveyedPack => ({ entry, state: stateOf(entry) }));
    packs.set(id, surveyed.toSorted((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state))[0]!);
  }
  for (const [id, bytes] of copies) {
    if (packs.get(id)?.state === 'whole') continue;
    packs.set(id, { entry: { id, bytes, copies: wanted }, state: 'whole' });
  }
  return packs;
}

function stateOf({ stripe }: Stripe['entry']): SurveyedPack['state'] {
  const present = stripe.shards.map((shard) => shard !== UNKNOWN_SHARD);
  if (present.every(Boolean)) return 'whole';
  return lossesLeft(stripe, present) >= 0 ? 'torn' : 'lost';
}
