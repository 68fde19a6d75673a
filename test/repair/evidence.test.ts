/**
 * What is removed for good because a catalog does not list it: only on the word of a catalog that is whole and known when it was read.
 * A real embedded control store, one bit of which flips while it is open: a key in an index page rots, and its entry is not found any more.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { controlFile, EmbeddedControlStore } from '../../src/control/embedded.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { DedupIndex } from '../../src/dedup/dedup-index.ts';
import { KwamError } from '../../src/errors.ts';
import { type CompactServices, compact } from '../../src/pipeline/compact.ts';
import { systemRandom } from '../../src/random.ts';
import { Orphans } from '../../src/repair/orphans.ts';
import { Catalog } from '../../src/replication/catalog.ts';
import { Lineage } from '../../src/replication/lineage.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { type Cluster, startCluster, type TestNode } from '../pipeline/memory-cluster.ts';

let directory: string;
let control: EmbeddedControlStore;
let cluster: Cluster;
let node: TestNode;
let lineage: Lineage;
let packs: number;

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-evidence-'));
  control = EmbeddedControlStore.open({ directory, clock: systemClock });
  cluster = await startCluster({ control });
  [node] = cluster.nodes as [TestNode];
  const { store, name } = node;
  lineage = new Lineage({ control, store, node: name, random: systemRandom, onJudged: () => undefined });
  await lineage.witness();
  const tree = join(directory, 'tree');
  fs.writeFileSync(tree, 'what the kept object is made of');
  await node.put(tree, 'kept');
  packs = store.statistics().packs;
  expect(packs).toBeGreaterThan(0);
});

afterEach(async () => {
  await cluster.close();
  await control.close();
  fs.rmSync(directory, { recursive: true });
});

/** Flips a bit of a key in the index of keys on the disk; a write of another process has the page read again. */
function rot(key: string): void {
  const file = controlFile(directory);
  const other = new DatabaseSync(file);
  try {
    other.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    const bytes = fs.readFileSync(file);
    bytes[bytes.lastIndexOf(key) + 3]! ^= 1;
    fs.writeFileSync(file, bytes);
    other.exec("INSERT INTO control VALUES (x'7a', x'00')");
  } finally {
    other.close();
  }
}

const orphansOf = (catalog: Catalog, known: Pick<Lineage, 'require'>): Orphans =>
  new Orphans({
    store: node.store,
    catalog,
    lineage: known,
    clock: systemClock,
    graceMs: 0,
    isMoving: () => false,
  });

function compactServices(catalog: Catalog): CompactServices {
  const { distributor, known, codecId } = node.services;
  const createIndex = (): DedupIndex => new DedupIndex(loadKernels(), { entriesMax: 1000 });
  const parts = { catalog, control, lineage, distributor, known, codecId, createIndex };
  return { ...node.restore, ...parts, packBytesTarget: 1 << 20 };
}

test('compaction takes no chunk for garbage because the name of its object rotted', async () => {
  // After compaction has begun, and before it reads.
  let isRotten = false;
  const catalog = new Catalog(control, async () => {
    if (!isRotten) rot('eobjects/kept');
    isRotten = true;
  });
  const compacting = compact(compactServices(catalog), new AbortController().signal);
  await expect(compacting).rejects.toMatchObject({ code: 'INTEGRITY' });
  expect(await catalog.hasObject('kept'), 'a read does not show it').toBe(false);
  expect(node.store.statistics().packs).toBe(packs);
});

test('a pack is no orphan because its entry rotted', async () => {
  const [pack] = (await cluster.catalog.object('kept')).packs;
  rot(`epacks/${pack}`);
  expect(await cluster.catalog.pack(pack!), 'a read does not show it').toBeUndefined();
  await expect(orphansOf(cluster.catalog, lineage).sweep()).rejects.toMatchObject({ code: 'INTEGRITY' });
  expect(node.store.statistics().packs).toBe(packs);
});

test('what a catalog does not list is kept when another one took its place while it was read', async () => {
  const empty = new Catalog(new MemoryControlStore({ clock: systemClock }));
  let looks = 0;
  const known = {
    require: async (): Promise<void> => {
      if (looks++ > 0) throw new KwamError('INTEGRITY', 'another catalog by now');
    },
  };
  await expect(orphansOf(empty, known).sweep()).rejects.toMatchObject({ code: 'INTEGRITY' });
  expect(node.store.statistics().packs).toBe(packs);
  // The same, on the word of one that stays.
  const sweep = orphansOf(empty, { require: async () => undefined }).sweep();
  expect(await sweep).toMatchObject({ packsRetired: packs });
});
