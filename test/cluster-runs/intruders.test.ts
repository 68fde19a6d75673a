/**
 * Nodes that should not be there, damaged files of one node, and a damaged control store: clear errors, no wrong bytes, no loss.
 * The tests run in order on one cluster.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/filesystem.ts';
import type { Identity } from '../../src/identity/identity.ts';
import { initAuthority, issueIdentity } from '../../src/identity/identity-files.ts';
import type { SpiffeId, TrustDomain } from '../../src/identity/spiffe-id.ts';
import { seededRandom } from '../../src/random.ts';
import { RECORD_TYPE } from '../../src/store/pack-format.ts';
import { openPack, readRecord, withFile } from '../../src/store/pack-reader.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { NodeDidNotStart, TestCluster } from '../faults/cluster.ts';
import { ACKNOWLEDGED, KnownObjects } from '../faults/objects.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { changeTree, flipByte, makeTree } from '../faults/trees.ts';
import { writeExpired } from '../identity/expired.ts';

const seed = chosenSeed('intruders');
const random = seededRandom(seed);

let cluster: TestCluster;
let objects: KnownObjects;
let tree: string;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 4, factor: 2, started: 3 });
  objects = new KnownObjects(cluster);
  tree = join(cluster.directory, 'input');
  makeTree(tree, seed, 1_000_000);
  expect(await objects.put('n0001', 'tree', tree)).toBe(ACKNOWLEDGED);
});

afterAll(() => cluster?.close());

/** A directory beside the cluster's, with the same control store and plan, and identities of its own. */
function strangeDirectory(name: string): string {
  const directory = join(cluster.directory, name);
  fs.mkdirSync(directory);
  fs.symlinkSync(join(cluster.directory, 'control'), join(directory, 'control'));
  fs.copyFileSync(join(cluster.directory, 'plan.json'), join(directory, 'plan.json'));
  return directory;
}

async function whyNotStarted(name: string, directory?: string): Promise<string> {
  try {
    await cluster.startNode(name, directory);
    return 'it started';
  } catch (error) {
    if (!(error instanceof NodeDidNotStart)) throw error;
    return error.log;
  }
}

const spiffeOf = (name: string): SpiffeId =>
  cluster.plan.nodes.find((node) => node.name === name)!.spiffe as SpiffeId;

describe('identity', () => {
  async function strangeIdentities(directory: string): Promise<Identity> {
    const identities = join(directory, 'identity');
    const validity = { nowMs: Date.now() };
    await initAuthority(identities, cluster.plan.trustDomain as TrustDomain, validity);
    await issueIdentity(identities, 'n0004', spiffeOf('n0004'), validity, console.warn);
    const id = `spiffe://${cluster.plan.trustDomain}/dev/local/client/admin` as SpiffeId;
    return issueIdentity(identities, 'admin', id, validity, console.warn);
  }

  test('a node of another authority gets no data and gives none', async () => {
    const directory = strangeDirectory('strange');
    const admin = await strangeIdentities(directory);
    const strange = await cluster.startNode('n0004', directory);
    await cluster.untilMembers((members) =>
      members.some((one) => one.name === 'n0004' && one.state === 'up'),
    );

    // Placement would choose it: the put goes round it.
    changeTree(tree, seed + 1);
    expect(await objects.put('n0002', 'tree', tree)).toBe(ACKNOWLEDGED);
    expect(fs.readdirSync(join(directory, 'n0004', 'packs'))).toEqual([]);
    expect(await objects.wrong('n0003', 'tree')).toBeUndefined();
    expect(strange.log()).toMatch('a client was refused');

    // Its own put finds nobody who takes its packs; its people cannot ask our nodes.
    const transport = grpcTransport({ credentials: admin });
    try {
      const connection = await transport.connect(strange.address, undefined);
      const put = async (): Promise<void> => {
        for await (const _ of connection.call('object.put', { path: tree, name: 'strange' }));
      };
      await expect(put()).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/n000\d: .*(SVID|authorit|certificate)/i),
      });
      await expect(transport.connect(cluster.node('n0001').address, undefined)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
    } finally {
      await transport.close();
    }
    expect(cluster.node('n0001').log() + cluster.node('n0003').log()).toMatch('a client was refused');
    await expect(cluster.catalog.object('strange')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await cluster.stop('n0004');
  });

  test('a node with an expired SVID does not start and says why', async () => {
    const directory = strangeDirectory('expired');
    const identities = join(directory, 'identity');
    fs.cpSync(join(cluster.directory, 'identity'), identities, { recursive: true });
    await writeExpired(identities, 'n0004', spiffeOf('n0004'));
    expect(await whyNotStarted('n0004', directory)).toMatch(/SVID_INVALID.*expired|expired/s);
  });

  test('a second node of one name does not start, on its store or on another', async () => {
    expect(await whyNotStarted('n0001')).toMatch(/expected the store .* to be free/);
    const directory = strangeDirectory('twin');
    fs.cpSync(join(cluster.directory, 'identity'), join(directory, 'identity'), { recursive: true });
    expect(await whyNotStarted('n0001', directory)).toMatch(
      /expected node name n0001 to be free, but process \d+/,
    );
    expect(await objects.wrong('n0001', 'tree')).toBeUndefined();
  });
});

describe('damaged files of a node', () => {
  const ROUNDS = CAMPAIGN ? 100 : 4;
  const FLIPS = 4;

  function filesOf(node: string): string[] {
    const entries = fs.readdirSync(join(cluster.directory, node), { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    return files.filter((file) => fs.statSync(file).size > 0).sort();
  }

  test(`random flips in ${ROUNDS} restarts give right data, and are repaired`, {
    timeout: 3600_000,
  }, async () => {
    const node = 'n0002';
    await cluster.ask(node, 'node.scrub', { full: false }); // leaves a note
    for (let round = 0; round < ROUNDS; round++) {
      if (random.below(2) === 0) await cluster.stop(node);
      else await cluster.kill(node);
      const files = filesOf(node);
      const flips = Array.from({ length: FLIPS }, () => {
        const file = files[random.below(files.length)]!;
        return `${file} at ${flipByte(file, random)}`;
      });
      const where = `${flips.join(', ')}, round ${round}, KWAM_SEED=${seed}`;
      await cluster.startNode(node);
      expect(await objects.wrong(node, 'tree'), where).toBeUndefined();
      expect(await objects.wrong('n0003', 'tree'), where).toBeUndefined();
      await cluster.scrubAll();
      expect((await cluster.repairAll()).remaining, where).toBe(0);
      expect((await cluster.scrubAll()).corrupt, where).toBe(0);
      expect(cluster.running, where).toContain(node);
    }
    expect(await cluster.metricOfAll('kwam_silent_corruption_count_total')).toBe(0);
  });

  test('the canary: the same check sees a flip that is hidden from the nodes', async () => {
    // Content and its digest at the source change together: no node can know, the comparison must.
    changeTree(tree, seed + 2);
    await cluster.ask('n0001', 'object.put', { path: tree, name: 'tree' });
    expect(await objects.wrong('n0003', 'tree')).toMatch('other content than was put');
    expect(await objects.put('n0001', 'tree', tree)).toBe(ACKNOWLEDGED);
  });
});

describe('a damaged control store', () => {
  const ROUNDS = CAMPAIGN ? 60 : 3;

  async function stopAll(): Promise<void> {
    for (const name of cluster.running) await cluster.stop(name);
  }

  test('is a clear error or harmless, never wrong data; restored, everything is there', {
    timeout: 3600_000,
  }, async () => {
    await cluster.forgetControl();
    await stopAll();
    const control = join(cluster.directory, 'control');
    const saved = join(cluster.directory, 'control-saved');
    fs.cpSync(control, saved, { recursive: true });
    for (let round = 0; round < ROUNDS; round++) {
      const files = fs.readdirSync(control).filter((file) => fs.statSync(join(control, file)).size > 0);
      const file = join(control, files[random.below(files.length)]!);
      // A page torn at random: a single bit is found less often.
      const from = random.below(Math.max(1, fs.statSync(file).size - 512));
      for (let i = 0; i < 64; i++) flipByte(file, random, from, Math.min(fs.statSync(file).size, from + 512));
      const where = `${file} at ${from}, round ${round}, KWAM_SEED=${seed}`;
      const why = await whyNotStarted('n0001');
      if (why === 'it started') {
        const wrong = await objects.wrong('n0001', 'tree');
        expect(wrong ?? '', where).not.toMatch('other content');
        await cluster.stop('n0001').catch(() => undefined); // it may have given up by itself
      } else expect(why, where).toMatch(/control store|INTEGRITY|damaged/);
      fs.rmSync(control, { recursive: true });
      fs.cpSync(saved, control, { recursive: true });
    }
    await Promise.all(['n0001', 'n0002', 'n0003'].map((name) => cluster.startNode(name)));
    for (const name of cluster.running) expect(await objects.allWrong(name)).toEqual([]);
  });

  test('does not take the names with it: every manifest in the packs names its object', () => {
    const names = new Set<string>();
    for (const node of cluster.running) {
      for (const id of cluster.packsOf(node)) {
        const path = cluster.packPath(node, id);
        for (const record of openPack(nodeFileSystem, path, id).records) {
          if (record.type !== RECORD_TYPE.manifestPart) continue;
          const bytes = withFile(nodeFileSystem, path, (file) => readRecord(nodeFileSystem, file, record));
          const envelope = JSON.parse(new TextDecoder().decode(bytes)) as { payload: string };
          names.add(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()).name);
        }
      }
    }
    expect([...names]).toContain('tree');
  });
});
