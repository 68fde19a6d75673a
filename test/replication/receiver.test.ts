/** Packs from node to node over the memory network. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import type { KwamError } from '../../src/errors.ts';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { MIB } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { findHolders } from '../../src/replication/holders.ts';
import { receivingPath } from '../../src/store/layout.ts';
import type { MemoryFaults } from '../../src/transport/memory.ts';
import { type Cluster, startCluster, type TestNode } from '../pipeline/memory-cluster.ts';
import { buildPack, CAMPAIGN, type Payload, payloadOf } from '../store/packs.ts';

let root: string;
const clusters: Cluster[] = [];
beforeAll(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'kwam-receiver-'));
});
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
});
afterAll(() => fs.rmSync(root, { recursive: true }));

async function start(nodes: number, faults?: MemoryFaults): Promise<Cluster> {
  const cluster = await startCluster({ nodes, threads: 1, ...(faults === undefined ? {} : { faults }) });
  clusters.push(cluster);
  return cluster;
}

const payloadsOf = (seed: number, count: number, bytes: number): Payload[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => payloadOf(random.fill(new Uint8Array(bytes))));
};

async function give(node: TestNode, payloads: readonly Payload[]): Promise<DigestHex> {
  const sealed = await buildPack(nodeFileSystem, node.store.layout, payloads, 'given.part');
  await node.store.commitPack(sealed);
  return sealed.id;
}

const errorOf = (run: Promise<unknown>): Promise<KwamError> =>
  run.then(
    () => expect.unreachable('it succeeded'),
    (error: KwamError) => error,
  );
const fileOf = (node: TestNode, pack: DigestHex): Buffer => fs.readFileSync(node.store.packFile(pack));

function flip(path: string, at: number): void {
  const bytes = fs.readFileSync(path);
  bytes[at]! ^= 1;
  fs.writeFileSync(path, bytes);
}

describe('receiving a pack', () => {
  it('brings the identical file, durable and served, and nothing the second time', async () => {
    const { nodes } = await start(2);
    const [holder, receiver] = nodes as [TestNode, TestNode];
    const pack = await give(holder, payloadsOf(1, 50, 20_000));
    const travelled = await receiver.receiver.receive(pack, ['n0']);
    expect(travelled).toBe(50 * 20_040);
    expect(fileOf(receiver, pack).equals(fileOf(holder, pack))).toBe(true);
    expect(receiver.store.hasPack(pack)).toBe(true);
    expect(await receiver.receiver.receive(pack, ['n0'])).toBe(0);
    expect(fs.readdirSync(receiver.store.layout.incoming)).toEqual([]);
  });

  it('moves only the records that the node has nowhere', async () => {
    const { nodes } = await start(2);
    const [holder, receiver] = nodes as [TestNode, TestNode];
    const payloads = payloadsOf(2, 60, 20_000);
    await give(receiver, [...payloads.slice(10, 30), ...payloads.slice(50, 55)]);
    const pack = await give(holder, payloads);
    const before = receiver.seen.bytesIn;
    expect(await receiver.receiver.receive(pack, ['n0'])).toBe(35 * 20_040);
    expect(receiver.seen.bytesIn - before).toBeLessThan(35 * 20_040 + 10_000);
    expect(fileOf(receiver, pack).equals(fileOf(holder, pack))).toBe(true);
  });

  it('repairs a damaged copy with the bad records alone', async () => {
    const { nodes } = await start(2);
    const [holder, receiver] = nodes as [TestNode, TestNode];
    const payloads = payloadsOf(3, 40, 20_000);
    const pack = await give(holder, payloads);
    await give(receiver, payloads);
    const { offset } = receiver.store.recordsOf(pack)[17]!;
    flip(receiver.store.packFile(pack), offset + 100);
    await receiver.store.quarantine(pack, 'test');
    expect(await receiver.receiver.receive(pack, ['n0'])).toBe(20_040);
    expect(fileOf(receiver, pack).equals(fileOf(holder, pack))).toBe(true);
  });

  it('goes on where a cut connection left it, whatever breaks how often', async () => {
    let resumed = 0;
    for (let seed = 1; seed <= (CAMPAIGN ? 40 : 4); seed++) {
      const { nodes } = await start(2, { seed, messagesPerBreak: 6 });
      const [holder, receiver] = nodes as [TestNode, TestNode];
      const pack = await give(holder, payloadsOf(seed, 120, 40_000));
      const path = receivingPath(receiver.store.layout.incoming, pack);
      let total = 0;
      for (;;) {
        const before = receiver.seen.bytesIn;
        const had = fs.existsSync(path);
        try {
          await receiver.receiver.receive(pack, ['n0']);
          total += receiver.seen.bytesIn - before;
          if (had) resumed++;
          break;
        } catch (error) {
          expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
          expect(receiver.store.hasPack(pack)).toBe(false);
          total += receiver.seen.bytesIn - before;
        }
      }
      expect(fileOf(receiver, pack).equals(fileOf(holder, pack))).toBe(true);
      // Each attempt pays for a frame and repeats at most one message that was cut; never the whole pack again.
      expect(total).toBeLessThan(2 * 120 * 40_040 + 20 * MIB);
      await clusters.pop()!.close();
    }
    expect(resumed).toBeGreaterThan(0);
  });

  it('pulls after a cut only what is missing', async () => {
    const cluster = await start(2);
    const [holder, receiver] = cluster.nodes as [TestNode, TestNode];
    const pack = await give(holder, payloadsOf(5, 100, 100_000));
    const stop = new AbortController();
    let first = 0;
    Object.defineProperty(receiver.seen, 'bytesIn', {
      get: () => first,
      set(bytes: number) {
        first = bytes;
        if (bytes > 3 * MIB) stop.abort();
      },
    });
    const error = await errorOf(receiver.receiver.receive(pack, ['n0'], stop.signal));
    expect(error.code).toBe('CANCELLED');
    const before = first;
    const travelled = await receiver.receiver.receive(pack, ['n0']);
    expect(travelled).toBeLessThan(100 * 100_040);
    expect(before + travelled).toBeLessThan(100 * 100_040 + 9 * MIB);
    expect(fileOf(receiver, pack).equals(fileOf(holder, pack))).toBe(true);
  });

  it('takes a second holder when the first sends bad bytes, counts them, tells the first, and commits nothing bad', async () => {
    const { nodes } = await start(3);
    const [bad, good, receiver] = nodes as [TestNode, TestNode, TestNode];
    const payloads = payloadsOf(6, 30, 20_000);
    const pack = await give(bad, payloads);
    await give(good, payloads);
    for (const i of [3, 20]) flip(bad.store.packFile(pack), bad.store.recordsOf(pack)[i]!.offset + 50);
    expect(await receiver.receiver.receive(pack, ['n0', 'n1'])).toBe(32 * 20_040);
    expect(receiver.seen.corruptReceived).toBe(2);
    expect(bad.seen.suspected).toEqual([pack]);
    expect(good.seen.suspected).toEqual([]);
    expect(fileOf(receiver, pack).equals(fileOf(good, pack))).toBe(true);
  });

  it('refuses when every holder is bad, and keeps what was good for the next time', async () => {
    const { nodes } = await start(2);
    const [bad, receiver] = nodes as [TestNode, TestNode];
    const pack = await give(bad, payloadsOf(7, 30, 20_000));
    const at = bad.store.recordsOf(pack)[3]!.offset + 50;
    flip(bad.store.packFile(pack), at);
    expect(await errorOf(receiver.receiver.receive(pack, ['n0']))).toMatchObject({
      code: 'INTEGRITY',
      retryable: true,
    });
    expect(receiver.store.packInfo(pack)).toBeUndefined();
    flip(bad.store.packFile(pack), at);
    expect(await receiver.receiver.receive(pack, ['n0'])).toBe(20_040);
  });

  it('survives a network that flips bits: every one is detected, none is committed', async () => {
    let detected = 0;
    for (let seed = 1; seed <= (CAMPAIGN ? 40 : 3); seed++) {
      const { nodes } = await start(2, { seed, messagesPerFlip: 8 });
      const [holder, receiver] = nodes as [TestNode, TestNode];
      const pack = await give(holder, payloadsOf(seed, 120, 40_000));
      for (let tries = 0; !receiver.store.hasPack(pack); tries++) {
        expect(tries).toBeLessThan(100);
        await receiver.receiver.receive(pack, ['n0']).catch((error: KwamError) => {
          expect(['INTEGRITY', 'UNAVAILABLE']).toContain(error.code);
        });
      }
      expect(fileOf(receiver, pack).equals(fileOf(holder, pack))).toBe(true);
      detected += receiver.seen.corruptReceived;
      await clusters.pop()!.close();
    }
    expect(detected).toBeGreaterThan(0);
  });

  it('counts a frame that does not hash to its id, and tells its holder', async () => {
    const { nodes } = await start(3);
    const [bad, good, receiver] = nodes as [TestNode, TestNode, TestNode];
    const payloads = payloadsOf(8, 5, 1000);
    const pack = await give(bad, payloads);
    await give(good, payloads);
    flip(bad.store.packFile(pack), 20);
    await receiver.receiver.receive(pack, ['n0', 'n1']);
    expect(receiver.seen.corruptReceived).toBe(1);
    expect(bad.seen.suspected).toEqual([pack]);
  });

  it('runs once for many who ask, and goes on when the first of them leaves', async () => {
    const { nodes } = await start(2, { seed: 1, latencyMsMin: 5, latencyMsMax: 5 });
    const [holder, receiver] = nodes as [TestNode, TestNode];
    const pack = await give(holder, payloadsOf(9, 20, 50_000));
    const leaving = new AbortController();
    const first = receiver.receiver
      .receive(pack, ['n0'], leaving.signal)
      .catch((error: KwamError) => error.code);
    const others = [1, 2, 3].map(() => receiver.receiver.receive(pack, ['n0']));
    leaving.abort();
    expect(await first).toBe('CANCELLED');
    await Promise.all(others);
    expect(receiver.store.hasPack(pack)).toBe(true);
    expect(receiver.seen.bytesIn).toBeLessThan(1.5 * 20 * 50_040);
  });

  it('names who could not give it when nobody can', async () => {
    const cluster = await start(3);
    const unknown = '12'.repeat(32) as DigestHex;
    cluster.kill(1);
    const error = await errorOf(cluster.nodes[2]!.receiver.receive(unknown, ['n0', 'n1']));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(error.message).toContain('n0, n1');
  });
});

describe('finding holders', () => {
  it('names those that can serve a pack, this node first, and passes over those that do not answer', async () => {
    const cluster = await start(4);
    const payloads = payloadsOf(10, 3, 1000);
    const pack = await give(cluster.nodes[0]!, payloads);
    for (const node of cluster.nodes.slice(1)) await give(node, payloads);
    await cluster.nodes[1]!.store.quarantine(pack, 'test');
    const unknown = '34'.repeat(32) as DigestHex;
    const self = cluster.nodes[3]!;
    const find = () => findHolders(self.peers, self.store, [pack, unknown]);
    const holders = await find();
    expect(holders.get(pack)![0]).toBe('n3');
    expect([...holders.get(pack)!].sort()).toEqual(['n0', 'n2', 'n3']);
    expect(holders.get(unknown)).toEqual([]);
    cluster.network.kill(cluster.nodes[0]!.address);
    expect([...(await find()).get(pack)!].sort()).toEqual(['n2', 'n3']);
  });
});
