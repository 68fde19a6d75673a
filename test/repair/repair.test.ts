/** How much and how fast repair restores: what the plan says about bandwidth and lazy stripes. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { MIB } from '../../src/limits.ts';
import type { ReplicatePlan } from '../../src/plan.ts';
import { type Explanation, explain } from '../../src/repair/explain.ts';
import { Orchestrator } from '../../src/repair/orchestrator.ts';
import { type RepairResult, repair } from '../../src/repair/repair.ts';
import { type Cluster, type ClusterOptions, startCluster } from '../pipeline/memory-cluster.ts';
import { bytesOf } from '../pipeline/trees.ts';

let cluster: Cluster;
afterEach(() => cluster.close());

/** Time passes only while somebody sleeps. */
class SleepingClock implements Clock {
  sleptMs = 0;
  now = (): number => this.sleptMs;
  monotonic = (): number => this.sleptMs;
  sleep = async (ms: number): Promise<void> => {
    this.sleptMs += ms;
  };
}

async function stored(options: ClusterOptions): Promise<void> {
  const memory = existsSync('/dev/shm') ? { directory: '/dev/shm' } : {};
  cluster = await startCluster({ threads: 1, packBytesTarget: MIB / 4, ...memory, ...options });
  const source = join(cluster.directory, 'source');
  mkdirSync(source);
  for (let file = 0; file < 2; file++) writeFileSync(join(source, `${file}`), bytesOf(file, MIB));
  await cluster.nodes[0]!.put(source, 'object');
}

/** Every node that is up repairs what it is responsible for. */
async function repaired(
  rules: Partial<ReplicatePlan['repair']>,
  down: readonly number[],
): Promise<{ results: RepairResult[]; clocks: SleepingClock[] }> {
  const results: RepairResult[] = [];
  const clocks: SleepingClock[] = [];
  for (const [index, { store, peers, services }] of cluster.nodes.entries()) {
    if (down.includes(index)) continue;
    const clock = new SleepingClock();
    const replicate = { ...services.replicate, repair: { delayMs: 0, lazy: false, ...rules } };
    const quiet = { onRepaired: () => undefined, onRelaxed: () => undefined };
    const { catalog } = cluster;
    results.push(
      await repair({ store, peers, catalog, replicate, clock, ...quiet }, { onProgress: () => undefined }),
    );
    clocks.push(clock);
  }
  return { results, clocks };
}

/** By each node for the packs that it is responsible for. */
async function explained(): Promise<Explanation[]> {
  const watch = { absence: () => unreachable(), unreachable: () => undefined };
  const patience = { delayMs: 0, urgentMs: 0, domainWaitMs: 0, freshMs: 0 };
  const all: Explanation[] = [];
  for (const { store, peers, services } of cluster.nodes) {
    const clock = new SleepingClock();
    const orchestrator = new Orchestrator({ watch, clock, antiAffinity: [], patience });
    const quiet = { onRepaired: () => undefined, onRelaxed: () => undefined };
    const replicate = { ...services.replicate, repair: { delayMs: 0, lazy: true } };
    all.push(
      ...(await explain(
        { store, peers, catalog: cluster.catalog, replicate, clock, ...quiet },
        orchestrator,
      )),
    );
  }
  return all;
}

function unreachable(): never {
  throw new Error('nobody is away');
}

const sum = (
  results: readonly RepairResult[],
  of: 'repaired' | 'remaining' | 'postponed' | 'bytes',
): number => results.reduce((total, result) => total + result[of], 0);

describe('the bandwidth of repair', () => {
  it('is kept by each node on average: what it restored takes the time that the plan gives it', async () => {
    await stored({ nodes: 4, factor: 2 });
    cluster.kill(0);
    const { results, clocks } = await repaired({ bitsPerSecondMax: 8e6 }, [0]);
    expect(sum(results, 'repaired')).toBeGreaterThan(0);
    expect(sum(results, 'remaining')).toBe(0);
    for (const [i, { bytes }] of results.entries()) expect(clocks[i]!.sleptMs).toBeCloseTo(bytes / 1000, 6);
  });

  it('is not waited for when the plan sets none', async () => {
    await stored({ nodes: 4, factor: 2 });
    cluster.kill(0);
    const { results, clocks } = await repaired({}, [0]);
    expect(sum(results, 'repaired')).toBeGreaterThan(0);
    expect(clocks.every(({ sleptMs }) => sleptMs === 0)).toBe(true);
  });
});

describe('a node that is being drained', () => {
  const erasure = { dataShards: 2, parityShards: 2, matrix: 'vandermonde' } as const;
  const drain = { schema: 'kwam.drain/v1', node: '', by: 'me', reason: 'a test', since: '' } as const;

  it.each([
    ['copies', { nodes: 4, factor: 2 }],
    ['shards, though the plan is lazy', { nodes: 5, erasure }],
  ])('is a source of its %s, which are restored elsewhere', async (_, options) => {
    await stored(options);
    cluster.know(0, { weight: 0, drain });
    const held = cluster.nodes[0]!.store.listPacks(undefined, 100).length;
    expect(held).toBeGreaterThan(0);
    const why = await explained();
    expect(why.map(({ missing, draining }) => [missing, draining])).toEqual(why.map(() => [1, ['n0']]));
    const { results } = await repaired({ lazy: true }, []);
    expect([sum(results, 'repaired'), sum(results, 'remaining')]).toEqual([why.length, 0]);
    expect(sum(results, 'postponed')).toBe(0);
    expect(await explained()).toEqual([]);
    expect(cluster.nodes[0]!.store.listPacks(undefined, 100).length).toBe(held);
  });
});

describe('a lazy plan', () => {
  const erasure = { dataShards: 2, parityShards: 2, matrix: 'vandermonde' } as const;

  it('leaves a single lost shard of a stripe for later, and says so', async () => {
    await stored({ nodes: 4, erasure });
    cluster.kill(3);
    const { results } = await repaired({ lazy: true }, [3]);
    expect([sum(results, 'repaired'), sum(results, 'remaining')]).toEqual([0, 0]);
    expect(sum(results, 'postponed')).toBeGreaterThan(0);
  });

  it('does not wait with the second one, nor with copies', async () => {
    await stored({ nodes: 4, erasure });
    cluster.kill(3);
    cluster.kill(2);
    const stripes = (await repaired({ lazy: true }, [2, 3])).results;
    expect(sum(stripes, 'postponed')).toBe(0);
    // These nodes rebuild no shards, so what was asked of them is still missing.
    expect(sum(stripes, 'remaining')).toBeGreaterThan(0);
    await cluster.close();
    await stored({ nodes: 4, factor: 2 });
    cluster.kill(0);
    const copies = (await repaired({ lazy: true }, [0])).results;
    expect([sum(copies, 'postponed'), sum(copies, 'remaining')]).toEqual([0, 0]);
    expect(sum(copies, 'repaired')).toBeGreaterThan(0);
  });
});
