/**
 * SHA-256 on one core, on random bytes in linear memory.
 *   sha256-x4      the wasm engine on 16 messages of 64 KiB, beside hash-wasm on the same ones
 *   sha256-one     one stream of 1 MiB on the kernel, beside hash-wasm
 *   sha256-native  node:crypto on the 16 messages, beside the wasm engine
 * Out: GB/s. Both sides take turns round by round; value: median of the rounds; spread: their interquartile range
 * divided by the median; digest: SHA-256 of the message digests, which must be the same on both sides.
 */
import { Bench } from 'tinybench';
import { toHex } from '../src/digest.ts';
import { assert } from '../src/errors.ts';
import type { HashEngine } from '../src/hashing/engine.ts';
import { nativeEngine, sha256Native } from '../src/hashing/native-engine.ts';
import { portableEngine } from '../src/hashing/portable-engine.ts';
import { Sha256Stream } from '../src/hashing/sha256.ts';
import { wasmEngine } from '../src/hashing/wasm-engine.ts';
import { seededRandom } from '../src/random.ts';
import { type Kernels, REGION } from '../src/wasm/kernels.ts';
import { loadKernels } from '../src/wasm/load.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const MESSAGE_BYTES = 65_536;
const MESSAGE_COUNT = 16;
const TOTAL_BYTES = MESSAGE_BYTES * MESSAGE_COUNT;
/**
 * V8 replaces its first code of the kernels after some 10 ms of use, so the warm-up comes before all rounds. Rounds are
 * short, so that whatever else runs on the machine meets both sides alike.
 */
const SCALE = {
  smoke: { rounds: 3, roundMs: 20, warmupMs: 60 },
  real: { rounds: 101, roundMs: 10, warmupMs: 300 },
} as const;
type Scale = (typeof SCALE)[keyof typeof SCALE];

/** Does the work once and returns its digests. */
type Work = () => Uint8Array;
interface Side {
  readonly name: string;
  readonly work: Work;
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const scale = options.smoke ? SCALE.smoke : SCALE.real;
  const kernels = loadKernels();
  seededRandom(20261122).fill(kernels.bytes().subarray(REGION.input, REGION.input + TOTAL_BYTES));
  const [wasm, native, hashWasm] = [
    wasmEngine(kernels),
    nativeEngine(kernels),
    await portableEngine(kernels),
  ];
  const peer = 'hash-wasm';
  return [
    await compare('sha256-x4', many(wasm, 'wasm'), many(hashWasm, peer), scale),
    await compare('sha256-one', streamed(kernels), one(hashWasm, peer), scale),
    await compare('sha256-native', many(native, 'node:crypto'), many(wasm, 'sha256-x4'), scale),
  ];
}

function many(engine: HashEngine, name: string): Side {
  const runs = Uint32Array.from({ length: 2 * MESSAGE_COUNT }, (_, i) =>
    i % 2 === 0 ? REGION.input + (i / 2) * MESSAGE_BYTES : MESSAGE_BYTES,
  );
  return { name, work: () => engine.hashRuns(runs) };
}

function one(engine: HashEngine, name: string): Side {
  const run = Uint32Array.of(REGION.input, TOTAL_BYTES);
  return { name, work: () => engine.hashRuns(run) };
}

function streamed(kernels: Kernels): Side {
  const stream = new Sha256Stream(kernels);
  const message = kernels.bytes().subarray(REGION.input, REGION.input + TOTAL_BYTES);
  return { name: 'wasm stream', work: () => stream.update(message).digest() };
}

async function compare(name: string, ours: Side, peer: Side, scale: Scale): Promise<Figure> {
  const digest = toHex(sha256Native(ours.work()));
  assert(digest === toHex(sha256Native(peer.work())), `${name}: ${ours.name} and ${peer.name} agree`);
  const rates: [number[], number[]] = [[], []];
  await takeTurns([ours.work, peer.work], scale.warmupMs, 1, rates);
  rates[0].length = rates[1].length = 0;
  await takeTurns([ours.work, peer.work], scale.roundMs, scale.rounds, rates);
  const [value, peerValue] = [quantile(rates[0], 0.5), quantile(rates[1], 0.5)];
  return {
    name,
    value,
    unit: 'GB/s',
    spread: (quantile(rates[0], 0.75) - quantile(rates[0], 0.25)) / value,
    peer: { name: peer.name, value: peerValue },
    ratio: value / peerValue,
    digest,
  };
}

/** Appends one GB/s a round to each side's list: total bytes by the median time of the round. */
async function takeTurns(works: [Work, Work], roundMs: number, rounds: number, rates: [number[], number[]]) {
  for (let round = 0; round < rounds; round++) {
    const turn = new Bench({ time: roundMs, iterations: 3, warmup: false });
    for (const [i, work] of works.entries()) turn.add(`${i}`, () => void work());
    await turn.run();
    for (const [i, { result }] of turn.tasks.entries()) {
      assert(result.state === 'completed', `the benchmark ran: ${result.state}`);
      rates[i as 0 | 1].push(TOTAL_BYTES / result.latency.p50 / 1e6);
    }
  }
}
