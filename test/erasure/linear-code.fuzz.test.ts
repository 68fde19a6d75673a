/**
 * Differential fuzz: random schemes, lengths, alignments and losses, against the slow reference, on both builds.
 * KWAM_CAMPAIGN=1 raises the number of cases; a failure prints its seed, which replays the case (KWAM_SEED).
 */
import { describe, expect, it } from 'vitest';
import { LinearCode } from '../../src/erasure/linear-code.ts';
import { lossesLeft } from '../../src/erasure/survival.ts';
import { globalParityMax, localGroupDataMax, localGroupsMax, localShardsMax } from '../../src/limits.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { type Random, seededRandom, systemRandom } from '../../src/random.ts';
import { REGION } from '../../src/wasm/kernels.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { encodeSlowly, reconstructSlowly } from '../reference/linear-code.ts';

const CASES = process.env['KWAM_CAMPAIGN'] === '1' ? 20_000 : 300;
/** A campaign of 20,000 cases takes a few minutes on one core. */
const TIMEOUT_MS = 1_800_000;
const firstSeed = Number(process.env['KWAM_SEED'] ?? systemRandom.below(2 ** 31));
const builds = { release: loadKernels('release'), debug: loadKernels('debug') };

interface Case {
  readonly scheme: ErasureScheme;
  readonly shardBytes: number;
  readonly data: readonly Uint8Array[];
  readonly present: readonly boolean[];
}

function reedSolomon(random: Random): ErasureScheme {
  const dataShards = 1 + random.below(random.below(8) === 0 ? 60 : 14);
  const parityShards = 1 + random.below(random.below(8) === 0 ? 20 : 6);
  return { dataShards, parityShards, matrix: random.below(2) === 0 ? 'vandermonde' : 'cauchy1' };
}

function withLocalGroups(random: Random): ErasureScheme {
  const globals = 1 + random.below(globalParityMax);
  const each = 2 + random.below(random.below(8) === 0 ? localGroupDataMax - 1 : 5);
  const most = Math.min(localGroupsMax, Math.floor((localShardsMax - globals) / (each + 1)));
  const localGroups = 2 + random.below(random.below(8) === 0 ? most - 1 : Math.min(4, most) - 1);
  return {
    dataShards: localGroups * each,
    parityShards: localGroups + globals,
    matrix: 'lrc',
    localGroups,
  };
}

/** Takes shards away as long as the rest is enough, up to a drawn number. */
function losses(random: Random, scheme: ErasureScheme): boolean[] {
  const present = Array.from({ length: scheme.dataShards + scheme.parityShards }, () => true);
  for (let left = random.below(scheme.parityShards + 1); left > 0; left--) {
    const shard = random.below(present.length);
    present[shard] = false;
    if (lossesLeft(scheme, present) < 0) present[shard] = true;
  }
  return present;
}

function makeCase(random: Random): Case {
  const scheme = random.below(2) === 0 ? reedSolomon(random) : withLocalGroups(random);
  const shardBytes = 1 + random.below(random.below(6) === 0 ? 3000 : 200);
  return {
    scheme,
    shardBytes,
    data: Array.from({ length: scheme.dataShards }, () => random.fill(new Uint8Array(shardBytes))),
    present: losses(random, scheme),
  };
}

function encodeThrough(build: keyof typeof builds, { scheme, shardBytes, data }: Case): Uint8Array[] {
  const parity = Array.from({ length: scheme.parityShards }, () => new Uint8Array(shardBytes).fill(0x77));
  const shards = [...data.map((shard) => shard.slice()), ...parity];
  new LinearCode(builds[build], scheme).encode(shards);
  return shards;
}

/** In place, with rubbish where shards are missing and odd gaps between the slices. */
function reconstructPlaced(
  build: keyof typeof builds,
  { scheme, shardBytes, present }: Case,
  shards: readonly Uint8Array[],
  gapBytes: number,
): Uint8Array[] {
  const memory = builds[build].bytes();
  const addresses = shards.map((_, i) => REGION.input + gapBytes + i * (shardBytes + gapBytes));
  shards.forEach((shard, i) => {
    memory.set(present[i] ? shard : shard.map((byte) => ~byte), addresses[i]);
  });
  new LinearCode(builds[build], scheme).reconstructInPlace(addresses, present, shardBytes);
  return addresses.map((address) => memory.slice(address, address + shardBytes));
}

describe('the erasure codes against the reference', () => {
  it(
    `${CASES} random stripes from seed ${firstSeed}`,
    () => {
      for (let seed = firstSeed; seed < firstSeed + CASES; seed++) {
        const random = seededRandom(seed);
        const stripe = makeCase(random);
        const gapBytes = random.below(70);
        const { scheme, present, data } = stripe;
        const expected = encodeSlowly(data, scheme);
        const left = expected.map((shard, i) => (present[i] ? shard : undefined));
        expect(reconstructSlowly(left, scheme), `reference, seed ${seed}`).toEqual(expected);
        for (const build of ['release', 'debug'] as const) {
          expect(encodeThrough(build, stripe), `encode, ${build}, seed ${seed}`).toEqual(expected);
          const rebuilt = reconstructPlaced(build, stripe, expected, gapBytes);
          expect(rebuilt, `reconstruct, ${build}, seed ${seed}`).toEqual(expected);
        }
      }
    },
    TIMEOUT_MS,
  );
});
