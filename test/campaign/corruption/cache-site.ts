/**
 * One bit of the dedup index in memory, the cache that says which chunks need not be stored again. It may forget, which costs storing a chunk
 * once more; it must never name a pack for a chunk that the pack does not hold. Half of the faults hit slots that are in use.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DedupIndex } from '../../../src/dedup/dedup-index.ts';
import { nodeFileSystem } from '../../../src/filesystem.ts';
import { KnownChunks } from '../../../src/pipeline/known-chunks.ts';
import { type Random, seededRandom } from '../../../src/random.ts';
import { Store } from '../../../src/store/store.ts';
import { type Kernels, REGION } from '../../../src/wasm/kernels.ts';
import { loadKernels } from '../../../src/wasm/load.ts';
import { buildPack, randomPayloads } from '../../store/packs.ts';
import { count, emptyTally, type Site, type SiteOptions } from './tally.ts';
import { anyMask } from './worker.ts';

const CHUNKS = 16;
const STRANGERS = 16;
const FAULTS_PER_RUN = 1000;

export async function cacheSite({ seed }: SiteOptions): Promise<Site> {
  const random = seededRandom(seed);
  const directory = mkdtempSync(join(tmpdir(), 'kwam-cache-'));
  const store = await Store.open({ directory });
  const payloads = randomPayloads(random, CHUNKS + STRANGERS, 200);
  const pack = await buildPack(nodeFileSystem, store.layout, payloads.slice(0, CHUNKS));
  await store.commitPack(pack);
  const kernels = loadKernels();
  const index = new DedupIndex(kernels, { entriesMax: 1000 });
  const known = new KnownChunks(index, store);
  await known.load();
  const asked = Buffer.concat(payloads.map(({ header }) => header.digest));
  const isRight = (answer: readonly (string | undefined)[]): boolean =>
    answer.every((one, i) => one === undefined || (i < CHUNKS && one === pack.id));
  if (known.find(asked).filter((one) => one === pack.id).length !== CHUNKS)
    throw new Error('chunks are not known');
  return {
    async run(most) {
      const tally = emptyTally();
      const used = usedBytes(kernels, index.bytes);
      for (let i = 0; i < Math.min(most, FAULTS_PER_RUN); i++) {
        const at =
          REGION.index + (i % 2 === 0 ? used[random.below(used.length)]! : random.below(index.bytes + 8));
        tryFault(kernels, at, random, () => {
          const answer = answerOf(() => known.find(asked));
          count(tally, { detected: answer === 'trap', wrong: answer !== 'trap' && !isRight(answer) });
        });
      }
      return tally;
    },
    async close() {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

function tryFault(kernels: Kernels, at: number, random: Random, act: () => void): void {
  const mask = anyMask(random);
  kernels.bytes()[at]! ^= mask;
  act();
  kernels.bytes()[at]! ^= mask;
}

/** A kernel that runs out of its memory ends in a trap: the put fails, loudly. */
function answerOf<T>(act: () => T): T | 'trap' {
  try {
    return act();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return 'trap';
    throw error;
  }
}

function usedBytes(kernels: Kernels, bytes: number): number[] {
  const used: number[] = [];
  const memory = kernels.bytes();
  for (let at = 0; at < bytes + 8; at++) if (memory[REGION.index + at] !== 0) used.push(at);
  return used;
}
