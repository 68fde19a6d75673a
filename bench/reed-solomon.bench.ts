/**
 * Reed–Solomon rs(8, 3) on one core: encode, and reconstruction of three lost data shards, on random data in linear memory.
 * Out: GB/s of data (the 8 data shards) beside memcpy of as many bytes in the same memory, which is the limit of any
 * single pass. Kernel and peer alternate round by round; value: median of the rounds; spread: their interquartile range
 * divided by the median; digest: SHA-256 of the parity shards, or of the three rebuilt shards.
 * Does not measure reading or copying shards into linear memory.
 */
import { createHash } from 'node:crypto';
import { Bench } from 'tinybench';
import { layoutSlices } from '../src/erasure/combination.ts';
import { LinearCode } from '../src/erasure/linear-code.ts';
import { assert } from '../src/errors.ts';
import { seededRandom } from '../src/random.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../src/wasm/kernels.ts';
import { loadKernels } from '../src/wasm/load.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const DATA_SHARDS = 8;
const LOST = [1, 4, 6];
const SCALE = { smoke: { rounds: 5, roundMs: 4 }, real: { rounds: 31, roundMs: 25 } } as const;
const SEED = 20261122;
const COPY_TARGET = REGION.input + INPUT_BYTES / 2;

interface Sample {
  readonly value: number;
  readonly spread: number;
}

function summarize(gigabytesPerSecond: readonly number[]): Sample {
  const value = quantile(gigabytesPerSecond, 0.5);
  const spread = (quantile(gigabytesPerSecond, 0.75) - quantile(gigabytesPerSecond, 0.25)) / value;
  return { value, spread };
}

/** One sample per task; all tasks take turns in every round, so that they see the same minutes of a shared machine. */
async function alternate(
  bytes: number,
  scale: { readonly rounds: number; readonly roundMs: number },
  tasks: readonly (() => void)[],
): Promise<Sample[]> {
  const rates: number[][] = tasks.map(() => []);
  for (let round = 0; round < scale.rounds; round++) {
    const bench = new Bench({ time: scale.roundMs, iterations: 3, warmup: round === 0, warmupTime: 50 });
    tasks.forEach((task, i) => {
      bench.add(`${i}`, task);
    });
    await bench.run();
    bench.tasks.forEach(({ result }, i) => {
      assert(result.state === 'completed', `the benchmark ran: ${result.state}`);
      rates[i]!.push(bytes / result.latency.p50 / 1e6);
    });
  }
  return rates.map(summarize);
}

function digestOf(kernels: Kernels, addresses: readonly number[], bytes: number): string {
  const hash = createHash('sha256');
  for (const address of addresses) hash.update(kernels.bytes().subarray(address, address + bytes));
  return hash.digest('hex');
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const scale = options.smoke ? SCALE.smoke : SCALE.real;
  const kernels = loadKernels();
  const codec = new LinearCode(kernels, { dataShards: DATA_SHARDS, parityShards: 3, matrix: 'vandermonde' });
  const { sliceBytes, addresses } = layoutSlices(codec.shardCount);
  const random = seededRandom(SEED);
  for (const address of addresses.slice(0, DATA_SHARDS)) {
    random.fill(kernels.bytes().subarray(address, address + sliceBytes));
  }
  const dataBytes = DATA_SHARDS * sliceBytes;
  const lost = LOST.map((shard) => addresses[shard]!);
  const present = addresses.map((_, shard) => !LOST.includes(shard));
  const lostDigest = digestOf(kernels, lost, sliceBytes);

  const encode = (): void => codec.encodeInPlace(addresses, sliceBytes);
  const reconstruct = (): void => codec.reconstructInPlace(addresses, present, sliceBytes);
  const copy = (): void => {
    kernels.bytes().copyWithin(COPY_TARGET, REGION.input, REGION.input + dataBytes);
  };
  encode();
  for (const address of lost) kernels.bytes().fill(0, address, address + sliceBytes);
  reconstruct();
  const [encoded, reconstructed, copied] = await alternate(dataBytes, scale, [encode, reconstruct, copy]);
  const rebuiltDigest = digestOf(kernels, lost, sliceBytes);
  assert(rebuiltDigest === lostDigest, 'the rebuilt shards are the lost ones');

  const figure = (name: string, mine: Sample, digest: string): Figure => ({
    name,
    ...mine,
    unit: 'GB/s',
    peer: { name: 'memcpy', value: copied!.value },
    ratio: mine.value / copied!.value,
    digest,
  });
  return [
    figure('rs-encode-8-3', encoded!, digestOf(kernels, addresses.slice(DATA_SHARDS), sliceBytes)),
    figure('rs-reconstruct-8-3', reconstructed!, rebuiltDigest),
  ];
}
