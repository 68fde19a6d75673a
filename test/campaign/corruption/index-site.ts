/**
 * One bit of the index of a store: of the file or its seal at rest, where LMDB must never open it, or of an entry of the open index, where
 * it must count as missing. What is repaired is seen once a run: a store that starts on a damaged index makes it anew from its packs,
 * whichever bit it is.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { nodeFileSystem } from '../../../src/filesystem.ts';
import { type Random, seededRandom } from '../../../src/random.ts';
import { inspectIndex } from '../../../src/store/index-seal.ts';
import { IndexTables } from '../../../src/store/index-tables.ts';
import { layoutOf } from '../../../src/store/layout.ts';
import { Store } from '../../../src/store/store.ts';
import { FaultyFileSystem } from '../../faults/faulty-filesystem.ts';
import { buildPack, type Payload, randomPayloads } from '../../store/packs.ts';
import { count, emptyTally, type Site, type SiteOptions, type Tally } from './tally.ts';
import { anyMask } from './worker.ts';

const CHUNKS = 64;
const FAULTS_PER_RUN = 2000;
/** One fault in so many hits an entry, the others the file. */
const ENTRY_SHARE = 4;

export async function indexSite({ seed }: SiteOptions): Promise<Site> {
  const random = seededRandom(seed);
  const base = mkdtempSync(join(tmpdir(), 'kwam-index-'));
  const payloads = randomPayloads(random, CHUNKS, 200);
  const store = await Store.open({ directory: join(base, 'store') });
  await store.commitPack(await buildPack(nodeFileSystem, store.layout, payloads));
  await store.close();
  rmSync(join(base, 'store', 'index', 'lock.mdb'), { force: true });
  const rest = new IndexAtRest(base);
  return {
    async run(most) {
      const tally = emptyTally();
      const faults = Math.min(most, FAULTS_PER_RUN);
      while (tally.injected < faults / ENTRY_SHARE) await damageEntries(base, payloads, random, tally);
      while (tally.injected < faults - 1) rest.fault(random, tally);
      await restart(base, payloads, random, tally);
      return tally;
    },
    async close() {
      rmSync(base, { recursive: true });
    },
  };
}

class IndexAtRest {
  readonly #disk = new FaultyFileSystem(seededRandom(1));
  readonly #layout = layoutOf('/store');
  readonly #files: readonly { readonly path: string; readonly bytes: number }[];

  constructor(base: string) {
    this.#files = ['data.mdb', 'seal'].map((name) => {
      const bytes = new Uint8Array(readFileSync(join(base, 'store', 'index', name)));
      const path = join(this.#layout.index, name);
      this.#disk.place(path, bytes);
      return { path, bytes: bytes.length };
    });
    if (inspectIndex(this.#disk, this.#layout) !== 'sealed') throw new Error('a healthy index is refused');
  }

  /** One in eight in the seal, which is small. */
  fault(random: Random, tally: Tally): void {
    const { path, bytes } = this.#files[random.below(8) === 0 ? 1 : 0]!;
    const [at, mask] = [random.below(bytes), anyMask(random)];
    this.#disk.flip(path, at, mask);
    const isOpened = inspectIndex(this.#disk, this.#layout) === 'sealed';
    count(tally, { detected: !isOpened, wrong: isOpened });
    this.#disk.flip(path, at, mask);
  }
}

/** Every entry of a copy of the index is hit once: each is looked up on its own. */
async function damageEntries(
  base: string,
  payloads: readonly Payload[],
  random: Random,
  tally: Tally,
): Promise<void> {
  const directory = join(base, 'entries');
  cpSync(join(base, 'store', 'index'), directory, { recursive: true });
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
  const raw = open<Buffer, Buffer>(directory, { ...binary, noSync: true, maxDbs: 3 });
  const chunks = raw.openDB<Buffer, Buffer>({ name: 'chunks', ...binary });
  for (const { header } of payloads) {
    const key = Buffer.from(header.digest);
    const value = Buffer.from(chunks.getBinary(key)!);
    value[random.below(value.length)]! ^= anyMask(random);
    chunks.putSync(key, value);
  }
  await raw.close();
  let reported = 0;
  const tables = new IndexTables(directory, () => reported++);
  for (const { header } of payloads) {
    const before = reported;
    const places = tables.places(header.digest);
    count(tally, { detected: reported > before && places.length === 0, wrong: true });
  }
  await tables.close();
  rmSync(directory, { recursive: true });
}

/** A real start on a damaged index: every chunk is found again, from an index made anew. */
async function restart(
  base: string,
  payloads: readonly Payload[],
  random: Random,
  tally: Tally,
): Promise<void> {
  const directory = join(base, 'again');
  cpSync(join(base, 'store'), directory, { recursive: true });
  const path = join(directory, 'index', 'data.mdb');
  const bytes = readFileSync(path);
  bytes[random.below(bytes.length)]! ^= anyMask(random);
  writeFileSync(path, bytes);
  const store = await Store.open({ directory });
  const detected = store.recovery.index === 'rebuilt';
  const repaired = payloads.every(({ header }) => store.locate(header.digest)?.state === 'present');
  await store.close();
  rmSync(directory, { recursive: true });
  count(tally, { detected, wrong: !detected, repaired });
}
