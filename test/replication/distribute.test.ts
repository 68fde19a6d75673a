/** Where the shards of a stripe may go while nodes are away: never so many to one node that losing it alone would lose the pack. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../pipeline/memory-cluster.ts';
import { bytesOf, write } from '../pipeline/trees.ts';

const erasure = { dataShards: 2, parityShards: 1, matrix: 'vandermonde' } as const;
let cluster: Cluster;
const source = mkdtempSync(join(tmpdir(), 'kwam-distribute-'));
write(join(source, 'file'), bytesOf(1, 200_000));

afterEach(async () => {
  await cluster.close();
  rmSync(source, { recursive: true, force: true });
});

async function mostShardsOnOneNode(): Promise<number> {
  let most = 0;
  for await (const { stripe } of cluster.catalog.packs()) {
    const held = cluster.nodes.map(({ store }) => stripe!.shards.filter((id) => store.hasPack(id)).length);
    most = Math.max(most, ...held);
  }
  return most;
}

test('a stripe is not acknowledged on nodes of which one holds more than it survives; a node that fails is replaced by a free one', async () => {
  cluster = await startCluster({ nodes: 4, erasure });
  // Still a member, as until its lease ends; it just does not answer.
  cluster.network.kill(cluster.nodes[1]!.address);
  await cluster.nodes[0]!.put(source, 'three nodes left');
  expect(await mostShardsOnOneNode()).toBe(1);
  cluster.network.kill(cluster.nodes[2]!.address);
  write(join(source, 'file'), bytesOf(2, 200_000));
  await expect(cluster.nodes[0]!.put(source, 'two nodes left')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  expect(await mostShardsOnOneNode()).toBe(1);
});
