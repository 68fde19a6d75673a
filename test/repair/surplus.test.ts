/**
 * Giving up copies that are too many, on nodes that do it at the same time, believe different things about the members, and die
 * in the middle of it: never fewer copies than the plan asks for, and in the end exactly that many.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Member } from '../../src/cluster/membership.ts';
import type { DigestHex } from '../../src/digest.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import { Orphans } from '../../src/repair/orphans.ts';
import { type SurplusServices, trimSurplus } from '../../src/repair/surplus.ts';
import type { PackRecordEntry } from '../../src/replication/catalog.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { flipByte } from '../faults/trees.ts';
import { type Cluster, startCluster, type TestNode } from '../pipeline/memory-cluster.ts';

const seed = chosenSeed('surplus');
const ROUNDS = CAMPAIGN ? 60 : 4;
const FACTOR = 2;
const timeout = CAMPAIGN ? 3600_000 : 60_000;

let cluster: Cluster;
let packs: readonly DigestHex[];
let random: Random;

beforeEach(async () => {
  random = seededRandom(seed);
  cluster = await startCluster({ nodes: 5, factor: FACTOR, packBytesTarget: 128 * 1024 });
  const tree = join(cluster.directory, 'input');
  fs.mkdirSync(tree);
  fs.writeFileSync(join(tree, 'data'), random.fill(new Uint8Array(600_000)));
  await cluster.nodes[0]!.put(tree, 'tree');
  packs = (await cluster.catalog.object('tree')).packs;
});

afterEach(() => cluster?.close());

const holdersOf = (pack: DigestHex): TestNode[] => cluster.nodes.filter(({ store }) => store.hasPack(pack));

/** Every pack on every node. */
async function spreadEverywhere(): Promise<void> {
  for (const pack of packs) {
    const from = holdersOf(pack).map(({ name }) => name);
    for (const node of cluster.nodes) await node.receiver.receive(pack, from);
  }
}

/** Each node sees weights of its own, so that no two agree on whose copies are preferred. */
async function skewedMembers(node: TestNode): Promise<Member[]> {
  const members = await node.peers.members();
  return members.map((member) => ({ ...member, weight: 1 + random.below(1000) }));
}

class Killed extends Error {}

/**
 * @param risk  of 100, how often the node dies after it has announced that it gives a copy up, and before or after it did.
 */
async function servicesOf(node: TestNode, risk = 0): Promise<SurplusServices> {
  const { catalog } = cluster;
  const members = await skewedMembers(node);
  const die = (): void => {
    if (random.below(100) < risk) throw new Killed();
  };
  const pause = (): Promise<void> => delay(random.below(4));
  const { store } = node;
  const lineage = { require: async () => undefined, isKnown: async () => true };
  return {
    store,
    peers: {
      self: node.name,
      members: async () => members,
      ask: (...request) => node.peers.ask(...request),
    },
    catalog: {
      packs: () => catalog.packs(),
      releasedBy: (name) => catalog.releasedBy(name),
      releases: async (...request) => {
        await pause();
        return catalog.releases(...request);
      },
      release: async (...request) => {
        await pause();
        const isReleased = await catalog.release(...request);
        die();
        await pause();
        return isReleased;
      },
      endRelease: async (...request) => {
        die();
        return catalog.endRelease(...request);
      },
    },
    lineage,
    orphans: new Orphans({ store, catalog, lineage, clock: systemClock, graceMs: 0, isMoving: () => false }),
    antiAffinity: [],
    isMoving: () => false,
    clock: systemClock,
    bytesPerSecondMax: 1e12,
  };
}

async function trimAll(risk: number): Promise<number> {
  const trimmed = cluster.nodes.map(async (node) => {
    try {
      return (await trimSurplus(await servicesOf(node, risk))).trimmed;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      return 0;
    }
  });
  return (await Promise.all(trimmed)).reduce((sum, one) => sum + one, 0);
}

/** Who lost a race, or prefers its own copy this time, stays a holder until its next turn. */
async function trimToTheEnd(where: string): Promise<void> {
  for (let turns = 0; packs.some((pack) => holdersOf(pack).length > FACTOR); turns++) {
    expect(turns, where).toBeLessThan(100);
    await trimAll(0);
  }
  for (const pack of packs) expect(holdersOf(pack).length, where).toBe(FACTOR);
}

/** Looks at the files, again and again, until `work` is done. */
async function fewestDuring(work: Promise<unknown>): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  do {
    for (const pack of packs) {
      const there = cluster.nodes.filter(({ store }) => fs.existsSync(store.packFile(pack)));
      fewest = Math.min(fewest, there.length);
    }
    await delay(1);
  } while (!isDone);
  await done;
  return fewest;
}

test('five nodes at once, of five opinions, leave exactly the copies that are asked for', {
  timeout,
}, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const where = `round ${round}, KWAM_SEED=${seed}`;
    await spreadEverywhere();
    expect(await fewestDuring(trimAll(0)), where).toBeGreaterThanOrEqual(FACTOR);
    await trimToTheEnd(where);
    expect((await cluster.nodes[4]!.get('tree')).failures, where).toEqual([]);
  }
  // Nobody's name is left on a list.
  for (const { name } of cluster.nodes) expect(await cluster.catalog.releasedBy(name)).toEqual([]);
});

test('nodes that die in the middle leave no fewer, and it is finished in their next life', {
  timeout,
}, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const where = `round ${round}, KWAM_SEED=${seed}`;
    await spreadEverywhere();
    for (let turns = 0; turns < 4; turns++)
      expect(await fewestDuring(trimAll(40)), where).toBeGreaterThanOrEqual(FACTOR);
    await trimToTheEnd(where);
  }
});

test('a copy is kept while the ones that would stay are not all good', async () => {
  await spreadEverywhere();
  const [pack] = packs;
  for (const { store } of cluster.nodes.slice(1)) flipByte(store.packFile(pack!), random, 200, 300);
  for (let turns = 0; turns < 3; turns++) await trimAll(0);
  const good = cluster.nodes[0]!.store.packFile(pack!);
  expect(fs.existsSync(good), 'the only good copy').toBe(true);
});

test('as many stay as the catalog asks for when the copy is given up, not when the round began', async () => {
  await spreadEverywhere();
  const before = new Map<DigestHex, PackRecordEntry>();
  for await (const entry of cluster.catalog.packs()) before.set(entry.id, entry);
  const more = [...before.values()].map((entry) => ({ ...entry, copies: FACTOR + 2 }));
  const epochs = { packs: await cluster.catalog.packEpoch(), objects: await cluster.catalog.objectEpoch() };
  await cluster.catalog.replacePacks({ retired: [], added: more, objects: [] }, epochs);
  const began = async function* (): AsyncGenerator<PackRecordEntry> {
    yield* before.values();
  };
  for (let turns = 0; turns < 3; turns++) {
    for (const node of cluster.nodes) {
      const services = await servicesOf(node);
      await trimSurplus({ ...services, catalog: { ...services.catalog, packs: began } });
    }
  }
  const counts = packs.map((pack) => holdersOf(pack).length);
  expect(Math.min(...counts)).toBe(FACTOR + 2);
});

test('a pack that no catalog lists any more is not touched, and one with no more than asked for neither', async () => {
  expect(await trimAll(0)).toBe(0);
  await spreadEverywhere();
  const epochs = { packs: await cluster.catalog.packEpoch(), objects: await cluster.catalog.objectEpoch() };
  const services = await servicesOf(cluster.nodes[2]!);
  const releases = await cluster.catalog.releases(packs[0]!, packs[0]!);
  await cluster.catalog.replacePacks({ retired: packs, added: [], objects: [] }, epochs);
  expect(await services.catalog.release(releases, 'n2'), 'the entry it was read with is gone').toBe(false);
  expect(await trimAll(0)).toBe(0);
});
