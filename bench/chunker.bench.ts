/**
 * The chunker: how fast it scans, and how well its chunks deduplicate.
 *   chunk-scan          GB/s on random data, default sizes, beside gearhash-jit with a 16-bit mask (the same 64 KiB on average). The peer tests
 *                       every byte, as its users do; part of our lead is the skip to min. It copies its input into its own memory, so
 *                       it is fed slices of 16 KiB, which was its fastest way of 4, 16, 64 and 128 KiB.
 *   dedup-ratio         bytes / unique bytes over node_modules, each package a stream of its files, beside FastCDC of the same sizes
 *   dedup-ratio-binary  the same over the first bytes of the running node binary and a second version made from them
 * Both sides of chunk-scan take turns round by round; value: median of the rounds; spread: their interquartile range divided by the
 * median. Ratios are exact: spread 0. Digest: SHA-256 of all cuts.
 * The second version: insertions and deletions of up to 4 KiB and patches of 4 bytes, at places drawn from a seed, some in clusters.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Hasher } from 'gearhash-jit';
import { Bench } from 'tinybench';
import { Chunker, chunkCuts } from '../src/chunking/chunker.ts';
import { assert } from '../src/errors.ts';
import {
  chunkBytesMaxDefault,
  chunkBytesMinDefault,
  chunkBytesTargetDefault,
  KIB,
  MIB,
} from '../src/limits.ts';
import type { ChunkerSizes } from '../src/plan.ts';
import { seededRandom } from '../src/random.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../src/wasm/kernels.ts';
import { loadKernels } from '../src/wasm/load.ts';
import { fastCdcCuts } from '../test/reference/fastcdc.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const SIZES: ChunkerSizes = {
  chunkBytesMin: chunkBytesMinDefault,
  chunkBytesTarget: chunkBytesTargetDefault,
  chunkBytesMax: chunkBytesMaxDefault,
};
const SCALE = {
  smoke: { rounds: 3, roundMs: 20, treeBytes: 12 * MIB, binaryBytes: 8 * MIB },
  real: { rounds: 31, roundMs: 60, treeBytes: 256 * MIB, binaryBytes: 64 * MIB },
} as const;
type Scale = (typeof SCALE)[keyof typeof SCALE];
const SEED = 20261122;
const PEER_MASK = 0xffff_0000_0000_0000n;
const PEER_SLICE_BYTES = 16 * KIB;

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const scale = options.smoke ? SCALE.smoke : SCALE.real;
  const kernels = loadKernels();
  const binary = firstBytes(process.execPath, scale.binaryBytes);
  return [
    await scanFigure(kernels, scale),
    dedupFigure('dedup-ratio', kernels, treeStreams(scale.treeBytes)),
    dedupFigure('dedup-ratio-binary', kernels, [binary, secondVersion(binary)]),
  ];
}

async function scanFigure(kernels: Kernels, scale: Scale): Promise<Figure> {
  const data = seededRandom(SEED).fill(new Uint8Array(INPUT_BYTES));
  kernels.bytes().set(data, REGION.input);
  const chunker = new Chunker(kernels, SIZES);
  const ours = (): Uint32Array => chunker.scan(0, INPUT_BYTES, true);
  const hash = createHash('sha256').update(ours());
  const samples: [number[], number[]] = [[], []];
  for (let round = 0; round <= scale.rounds; round++) {
    const turn = new Bench({ time: scale.roundMs, iterations: 3, warmup: false });
    turn.add('ours', () => void ours()).add('peer', () => void scanWithPeer(data));
    await turn.run();
    // The first round is the warm-up: V8 replaces its first code of a kernel after some 10 ms of use.
    if (round > 0) for (const [i, task] of turn.tasks.entries()) samples[i as 0 | 1].push(rateOf(task));
  }
  const [value, peer] = [quantile(samples[0], 0.5), quantile(samples[1], 0.5)];
  return {
    name: 'chunk-scan',
    value,
    unit: 'GB/s',
    spread: (quantile(samples[0], 0.75) - quantile(samples[0], 0.25)) / value,
    peer: { name: 'gearhash-jit', value: peer },
    ratio: value / peer,
    digest: hash.digest('hex'),
  };
}

function scanWithPeer(data: Uint8Array): number {
  const hasher = new Hasher(PEER_MASK);
  let chunks = 0;
  for (let at = 0; at < data.length; ) {
    const slice = data.subarray(at, at + PEER_SLICE_BYTES);
    const length = hasher.nextMatch(slice);
    at += length < 0 ? slice.length : length;
    if (length < 0) continue;
    hasher.resetHash();
    chunks++;
  }
  return chunks;
}

function rateOf({ result }: Bench['tasks'][number]): number {
  assert(result.state === 'completed', `the benchmark ran: ${result.state}`);
  return INPUT_BYTES / result.latency.p50 / 1e6;
}

/** Counts the bytes of chunks and of different chunks, for one way to cut. */
class Deduplication {
  readonly #seen = new Set<string>();
  #bytes = 0;
  #uniqueBytes = 0;

  add(stream: Uint8Array, cuts: readonly number[]): void {
    let start = 0;
    for (const end of cuts) {
      const name = createHash('sha256').update(stream.subarray(start, end)).digest('base64');
      if (!this.#seen.has(name)) this.#uniqueBytes += end - start;
      this.#seen.add(name);
      this.#bytes += end - start;
      start = end;
    }
    assert(start === stream.length, 'chunks cover the stream');
  }

  get ratio(): number {
    return this.#bytes / this.#uniqueBytes;
  }
}

function dedupFigure(name: string, kernels: Kernels, streams: Iterable<Uint8Array>): Figure {
  const [ours, peer] = [new Deduplication(), new Deduplication()];
  const hash = createHash('sha256');
  const peerSizes = { min: SIZES.chunkBytesMin, average: SIZES.chunkBytesTarget, max: SIZES.chunkBytesMax };
  for (const stream of streams) {
    const cuts = chunkCuts(kernels, SIZES, stream);
    hash.update(cuts.join());
    ours.add(stream, cuts);
    peer.add(stream, fastCdcCuts(stream, peerSizes));
  }
  return {
    name,
    value: ours.ratio,
    unit: 'bytes per unique byte',
    spread: 0,
    peer: { name: 'FastCDC 2016', value: peer.ratio },
    ratio: ours.ratio / peer.ratio,
    digest: hash.digest('hex'),
  };
}

/** One stream a package of node_modules: its regular files one after another, in order of paths, hard links once. */
function* treeStreams(bytesMax: number): Generator<Uint8Array> {
  const root = fileURLToPath(new URL('../node_modules', import.meta.url));
  const seen = new Set<number>();
  let rest = bytesMax;
  for (const name of readdirSync(root).sort()) {
    if (rest <= 0 || !statSync(join(root, name)).isDirectory()) continue;
    const files: Uint8Array[] = [];
    for (const path of filesUnder(join(root, name))) {
      const { size, ino } = statSync(path);
      if (size > rest || seen.has(ino)) continue;
      seen.add(ino);
      files.push(readFileSync(path));
      rest -= size;
    }
    yield Buffer.concat(files);
  }
}

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function firstBytes(path: string, bytesMax: number): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(bytesMax);
    return bytes.subarray(0, readSync(file, bytes, 0, bytesMax, 0));
  } finally {
    closeSync(file);
  }
}

/** One edit for each 256 KiB, every fourth with seven more within the next 16 KiB. */
function secondVersion(first: Uint8Array): Uint8Array {
  const random = seededRandom(SEED);
  const places = new Set<number>();
  for (let i = 0; i < first.length / (256 * KIB); i++) {
    const place = random.below(first.length);
    const cluster = i % 4 === 0 ? 8 : 1;
    for (let j = 0; j < cluster; j++) places.add(Math.min(first.length, place + random.below(16 * KIB)));
  }
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const place of [...places].sort((a, b) => a - b)) {
    if (place < at) continue;
    pieces.push(first.subarray(at, place));
    at = place;
    const kind = random.below(3);
    const length = kind === 2 ? 4 : 1 + random.below(4 * KIB);
    if (kind !== 0) at = Math.min(first.length, at + length);
    if (kind !== 1) pieces.push(random.fill(new Uint8Array(length)));
  }
  pieces.push(first.subarray(at));
  return Buffer.concat(pieces);
}
