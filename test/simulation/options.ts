/**
 * What a seed decides before anything runs: the cluster, its data and how bad its world is. Printed for a seed that fails.
 * Sizes are small on purpose: a pack of 16 KiB meets the same code as one of 64 MiB, and thousands of seeds meet more of it.
 */
import { KIB } from '../../src/limits.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import type { MemoryFaults } from '../../src/transport/memory.ts';
import type { DiskRates } from './disk.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly factor: number;
  readonly erasure?: ErasureScheme;
  /** Packs are copies before; absent: they are striped from the start. */
  readonly coldAfterMs?: number;
  readonly packBytesTarget: number;
  /** Times that faults strike, each followed by a time without, in which everything has to become whole again. */
  readonly episodes: number;
  readonly episodeMs: number;
  readonly clients: number;
  readonly network: Omit<MemoryFaults, 'seed'>;
  readonly disk: DiskRates;
  /** On average one change of the control store in so many is made and not confirmed. */
  readonly changesPerLostAnswer: number;
}

const SCHEMES: readonly (ErasureScheme | undefined)[] = [
  undefined,
  { dataShards: 2, parityShards: 1, matrix: 'vandermonde' },
  undefined,
  { dataShards: 3, parityShards: 2, matrix: 'cauchy1' },
  { dataShards: 2, parityShards: 2, matrix: 'vandermonde' },
];

/** The narrowest groups that there are. */
const LOCAL_GROUPS: ErasureScheme = { dataShards: 4, parityShards: 3, matrix: 'lrc', localGroups: 2 };
/** Seven to nine nodes take longer than the others. */
const SEEDS_PER_LOCAL_GROUPS = 30;

/** So that packs are striped in the storm in which they were put, and after it. */
const COLD_AFTER_MS = 90_000;

export function optionsOf(seed: number): SimulationOptions {
  const random = seededRandom(seed);
  const hasGroups = seed % SEEDS_PER_LOCAL_GROUPS === SEEDS_PER_LOCAL_GROUPS - 1;
  const erasure = hasGroups ? LOCAL_GROUPS : SCHEMES[seed % SCHEMES.length];
  const factor = 2 + random.below(2);
  const needed = erasure === undefined ? factor : erasure.dataShards + erasure.parityShards;
  const latencyMsMax = [2, 10, 50][random.below(3)]!;
  return {
    seed,
    nodes: Math.max(3, needed + random.below(3)),
    factor,
    ...(erasure && { erasure }),
    ...(erasure && seed % 2 === 1 && { coldAfterMs: COLD_AFTER_MS }),
    packBytesTarget: [8, 16, 48][random.below(3)]! * KIB,
    episodes: random.below(5) === 0 ? 2 : 1,
    episodeMs: (1 + random.below(3)) * 60_000,
    clients: 1 + random.below(2),
    network: {
      latencyMsMin: 0,
      latencyMsMax,
      resendMsMax: 1000,
      ...rate(random, 'messagesPerBreak', 80, 600),
      ...rate(random, 'messagesPerFlip', 40, 400),
      ...rate(random, 'messagesPerLoss', 20, 200),
      ...rate(random, 'callsPerDuplicate', 10, 100),
    },
    disk: {
      writesPerEio: 40 + random.below(400),
      readsPerUnreadable: 40 + random.below(400),
      writesPerMisdirection: 40 + random.below(400),
      syncsPerLie: 2 + random.below(20),
    },
    changesPerLostAnswer: 10 + random.below(100),
  };
}

/** Two worlds in three have this fault. */
function rate(
  random: Random,
  name: string,
  least: number,
  most: number,
): { readonly [name: string]: number } {
  return random.below(3) === 0 ? {} : { [name]: least + random.below(most - least) };
}
