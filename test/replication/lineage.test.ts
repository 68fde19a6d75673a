/** When a node takes a catalog's silence about its packs for the truth, and when it does not. */
import { beforeEach, expect, test } from 'vitest';
import { MemoryControlStore } from '../../src/control/memory.ts';
import type { KwamError } from '../../src/errors.ts';
import { systemRandom } from '../../src/random.ts';
import { Lineage } from '../../src/replication/lineage.ts';
import { FakeClock } from '../control/fake-clock.ts';

let control: MemoryControlStore;
/** Of the node's store. */
let notes: Map<string, string>;
let packs: number;
let judged: (string | undefined)[];

beforeEach(() => {
  control = newControl();
  notes = new Map();
  packs = 0;
  judged = [];
});

const newControl = (): MemoryControlStore => new MemoryControlStore({ clock: new FakeClock() });

/** The node as it is after a start. */
function lineageOf(catalog = control, node = 'n0001', noted = notes): Lineage {
  return new Lineage({
    control: catalog,
    node,
    random: systemRandom,
    store: {
      getNote: (key) => noted.get(key),
      putDurableNote: (key, text) => void noted.set(key, text),
      presence: () => ({ packs, bytes: 0 }),
    },
    onJudged: (doubt) => judged.push(doubt?.message),
  });
}

/** One that has packs which its catalog knows. */
async function settled(): Promise<Lineage> {
  const lineage = lineageOf();
  await lineage.witness();
  packs = 3;
  await lineage.require();
  return lineage;
}

/** What a snapshot of `control` gives when it is restored: the same keys at the same revisions. */
async function snapshot(): Promise<MemoryControlStore> {
  const entries = await control.list('');
  const copy = newControl();
  for (const { key, value, modRevision } of entries.sort((a, b) => a.modRevision - b.modRevision)) {
    while ((await copy.transact([], [])).revision < modRevision - 1) await write(copy, 'filler');
    await copy.transact([], [{ kind: 'put', key, value }]);
  }
  return copy;
}

async function write(to: MemoryControlStore, key: string, times = 1): Promise<void> {
  for (let i = 0; i < times; i++)
    await to.transact([], [{ kind: 'put', key, value: Buffer.from(String(i)) }]);
}

async function doubtOf(lineage: Lineage): Promise<string> {
  const error = await lineage.require().then(
    () => undefined,
    (thrown: KwamError) => thrown,
  );
  expect(error?.code ?? 'INTEGRITY').toBe('INTEGRITY');
  expect(await lineage.isKnown()).toBe(error === undefined);
  expect(lineage.doubt).toBe(error?.message);
  return error?.message ?? 'none';
}

test('a catalog that goes on is known, over restarts', async () => {
  await settled();
  for (let restart = 0; restart < 3; restart++) {
    await write(control, 'objects/x', 5);
    const lineage = lineageOf();
    expect(await doubtOf(lineage)).toBe('none');
    await lineage.witness();
    expect(await doubtOf(lineage)).toBe('none');
  }
  expect(judged).toEqual([]);
});

test('all nodes of a cluster agree on its name, whoever comes first', async () => {
  const nodes = ['n0001', 'n0002', 'n0003'].map((name) => lineageOf(control, name, new Map()));
  await Promise.all(nodes.map((node) => node.adopt()));
  expect(new TextDecoder().decode((await control.get('identity'))!.value)).toMatch(/^[0-9a-f]{32}$/);
  expect((await control.list('witness/')).map(({ key }) => key)).toHaveLength(3);
});

test('an empty catalog and another one are doubted until they are adopted, and get no witness', async () => {
  await settled();
  const empty = newControl();
  const lineage = lineageOf(empty);
  await lineage.witness();
  expect(await doubtOf(lineage)).toMatch(
    /expected the catalog [0-9a-f]{32}, got one without a name.*--adopt/,
  );
  expect(await empty.list('')).toEqual([]);
  await lineageOf(empty, 'n0002', new Map()).adopt();
  expect(await doubtOf(lineage)).toMatch(/expected the catalog [0-9a-f]{32}, got [0-9a-f]{32}/);
  await lineage.adopt();
  expect(await doubtOf(lineage)).toBe('none');
  expect(judged.map((one) => one !== undefined)).toEqual([true, true, false]);
  expect(await doubtOf(lineageOf(control)), 'and the first one is the stranger now').toMatch(
    'expected the catalog',
  );
});

test('a catalog that went back is doubted for ever, however far it goes on', async () => {
  const lineage = await settled();
  const old = await snapshot();
  await write(control, 'objects/x', 2);
  await lineage.witness();
  for (const writes of [0, 1, 1000]) {
    await write(old, 'objects/y', writes);
    const restarted = lineageOf(old);
    await restarted.witness();
    expect(await doubtOf(restarted)).toMatch(
      /witness\/n0001 of revision \d+, got revision \d+: it went back/,
    );
  }
  expect(await doubtOf(lineageOf(await snapshot())), 'the newest state').toBe('none');
});

test('a process that dies between witness and note knows its catalog', async () => {
  const lineage = await settled();
  const before = notes.get('catalog')!;
  await lineage.witness();
  expect(notes.get('catalog')).not.toBe(before);
  notes.set('catalog', before);
  expect(await doubtOf(lineageOf())).toBe('none');
});

test('packs without a readable note belong to no catalog; a node without packs takes any', async () => {
  await settled();
  notes.clear();
  expect(await doubtOf(lineageOf())).toMatch('got none that is readable');
  packs = 0;
  await lineageOf().witness();
  packs = 1;
  expect(await doubtOf(lineageOf())).toBe('none');
});
