/**
 * The dedup index on one core, beside a JavaScript Map from hexadecimal digest to number with the same entries.
 *   dedup-lookup           digests that are there and digests that are not, half and half, in batches of 4096
 *   dedup-insert           all entries into an empty index, growth included
 *   dedup-bytes-per-entry  the most after any batch once it has grown; peer: xet-core's entry (u64 hash, u32, u16, u16)
 *                          without the slack of its hash map, the smallest published
 * Out: million operations a second, median of the rounds; both sides take turns. The Map's keys exist as strings before its
 * clock starts, so it does not pay for reading digests, while the index does.
 * digest: SHA-256 over the values found; both sides must find the same.
 */
import { createHash } from 'node:crypto';
import { ABSENT, DedupIndex } from '../src/dedup/dedup-index.ts';
import { assert } from '../src/errors.ts';
import { seededRandom } from '../src/random.ts';
import { loadKernels } from '../src/wasm/load.ts';
import type { Figure } from './figure.ts';

const DIGEST_BYTES = 32;
const BATCH = 4096;
/** Half a million entries, 8 MB of table, lie outside the second-level cache, as a real store's do. */
const SCALE = {
  smoke: { entries: 20_000, rounds: 2 },
  real: { entries: 500_000, rounds: 5 },
} as const;
const MAP = 'Map of hex strings';
/** xet-core, shard_file_manager.rs: truncated hash u64 and a packed (u32, u16, u16). */
const XET_ENTRY_BYTES = 16;

interface Round {
  readonly insertMops: number;
  readonly lookupMops: number;
  readonly bytesPerEntry: number;
  readonly digest: string;
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const { entries, rounds } = options.smoke ? SCALE.smoke : SCALE.real;
  const digests = seededRandom(20261123).fill(new Uint8Array(entries * DIGEST_BYTES));
  const asked = questions(digests);
  const [texts, askedTexts] = [textsOf(digests), textsOf(asked)];
  const ours: Round[] = [];
  const peers: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(indexRound(digests, asked));
    peers.push(mapRound(texts, askedTexts));
  }
  for (const { digest } of [...ours, ...peers])
    assert(digest === ours[0]!.digest, 'index and Map find the same');
  return [
    figure('dedup-lookup', 'Mop/s', 'lookupMops', MAP, ours, peers),
    figure('dedup-insert', 'Mop/s', 'insertMops', MAP, ours, peers),
    figure('dedup-bytes-per-entry', 'B', 'bytesPerEntry', 'xet-core entry', ours, peers),
  ];
}

/** Every second digest is replaced by one that is not there. */
function questions(digests: Uint8Array): Uint8Array {
  const asked = digests.slice();
  const random = seededRandom(20261124);
  for (let at = 0; at < asked.length; at += 2 * DIGEST_BYTES)
    random.fill(asked.subarray(at, at + DIGEST_BYTES));
  return asked;
}

function textsOf(digests: Uint8Array): string[] {
  return Array.from({ length: digests.length / DIGEST_BYTES }, (_, i) =>
    // Flat text, unlike a string built digit by digit, which would make the Map pay for joining it.
    Buffer.from(digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)).toString('hex'),
  );
}

function indexRound(digests: Uint8Array, asked: Uint8Array): Round {
  const entries = digests.length / DIGEST_BYTES;
  const values = Uint32Array.from({ length: entries }, (_, i) => i);
  const index = new DedupIndex(loadKernels(), { entriesMax: 2 * entries });
  let bytesPerEntry = 0;
  const insertMops = clocked(entries, () => {
    const empty = index.bytes;
    for (let from = 0; from < entries; from += BATCH) {
      const to = Math.min(entries, from + BATCH);
      index.insert(digests.subarray(from * DIGEST_BYTES, to * DIGEST_BYTES), values.subarray(from, to));
      if (index.bytes > empty) bytesPerEntry = Math.max(bytesPerEntry, index.bytesPerEntry);
    }
  });
  const found = new Uint32Array(entries);
  const lookupMops = clocked(entries, () => {
    for (let from = 0; from < entries; from += BATCH) {
      found.set(index.lookup(asked.subarray(from * DIGEST_BYTES, (from + BATCH) * DIGEST_BYTES)), from);
    }
  });
  return { insertMops, lookupMops, bytesPerEntry, digest: digestOf(found) };
}

function mapRound(texts: readonly string[], asked: readonly string[]): Round {
  const map = new Map<string, number>();
  const insertMops = clocked(texts.length, () => {
    for (let i = 0; i < texts.length; i++) map.set(texts[i]!, i);
  });
  const found = new Uint32Array(texts.length);
  const lookupMops = clocked(texts.length, () => {
    for (let i = 0; i < asked.length; i++) found[i] = map.get(asked[i]!) ?? ABSENT;
  });
  return { insertMops, lookupMops, bytesPerEntry: XET_ENTRY_BYTES, digest: digestOf(found) };
}

function clocked(operations: number, work: () => void): number {
  const start = performance.now();
  work();
  return operations / 1000 / (performance.now() - start);
}

function digestOf(values: Uint32Array): string {
  return createHash('sha256').update(values).digest('hex');
}

function figure(
  name: string,
  unit: string,
  field: 'insertMops' | 'lookupMops' | 'bytesPerEntry',
  peerName: string,
  ours: readonly Round[],
  peers: readonly Round[],
): Figure {
  const mine = ours.map((round) => round[field]).sort((a, b) => a - b);
  const value = median(mine);
  const peer = { name: peerName, value: median(peers.map((round) => round[field]).sort((a, b) => a - b)) };
  const spread = (mine.at(-1)! - mine[0]!) / value;
  return { name, value, unit, spread, peer, ratio: value / peer.value, digest: ours[0]!.digest };
}

function median(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1]!;
}
