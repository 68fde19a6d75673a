/**
 * One bit of a pack file at rest: payloads, record headers, header, index and trailer. The scrub's verification looks at it, a
 * restore reads it, and a repair makes the file again from what is good of it and another copy.
 */
import { type RestorePackInput, restorePack } from '../../../src/pipeline/restore-tasks.ts';
import { type Random, seededRandom } from '../../../src/random.ts';
import { installPack, preparePack, verifyPack } from '../../../src/replication/pack-tasks.ts';
import { layoutOf } from '../../../src/store/layout.ts';
import { type PackRecord, RECORD_HEADER_BYTES } from '../../../src/store/pack-format.ts';
import { recordsOfSealed, type SealedPack } from '../../../src/store/pack-writer.ts';
import { FaultyFileSystem } from '../../faults/faulty-filesystem.ts';
import { buildPack, randomPayloads } from '../../store/packs.ts';
import { count, emptyTally, type Site, type SiteOptions, type Tally } from './tally.ts';
import { anyMask, type Engines, type InlineWorker, inlineWorker, isSame } from './worker.ts';

const RECORDS = 8;
const PAYLOAD_BYTES_MAX = 200;
const FAULTS_PER_PACK = 1000;
const layout = layoutOf('/store');
const INCOMING = '/store/incoming/repaired';

export function packSite(engines: Engines, { seed, isBlind }: SiteOptions): Site {
  const random = seededRandom(seed);
  return {
    async run(most) {
      const trial = await PackTrial.create(engines, random, isBlind);
      const tally = emptyTally();
      for (let i = 0; i < Math.min(most, FAULTS_PER_PACK); i++) trial.fault(random, tally);
      return tally;
    },
  };
}

class PackTrial {
  readonly #disk: FaultyFileSystem;
  readonly #worker: InlineWorker;
  readonly #pack: SealedPack;
  readonly #records: readonly PackRecord[];
  readonly #path: string;
  readonly #good: Uint8Array;

  private constructor(engines: Engines, disk: FaultyFileSystem, pack: SealedPack, isBlind: boolean) {
    this.#disk = disk;
    this.#worker = inlineWorker(engines, disk, isBlind);
    this.#pack = pack;
    this.#records = recordsOfSealed(pack);
    this.#path = `${layout.packs}/${pack.id}.pack`;
    this.#good = disk.contents(this.#path);
  }

  static async create(engines: Engines, random: Random, isBlind: boolean): Promise<PackTrial> {
    const disk = new FaultyFileSystem(random);
    const payloads = randomPayloads(random, RECORDS, PAYLOAD_BYTES_MAX);
    const trial = new PackTrial(engines, disk, await buildPack(disk, layout, payloads), isBlind);
    if (!trial.#scrub() || trial.#served().some((is) => !is)) throw new Error('a healthy pack is refused');
    return trial;
  }

  fault(random: Random, tally: Tally): void {
    const at = random.below(this.#good.length);
    this.#disk.flip(this.#path, at, anyMask(random));
    const isServed = this.#served();
    const damaged = this.#disk.contents(this.#path);
    const isWrong = this.#records.some((record, i) => isServed[i] && !this.#isSameRecord(record, damaged));
    const detected = !this.#scrub() && !isWrong;
    // The scrub says of every byte that it is right, so a byte that it passes is wrong wherever it lies.
    count(tally, { detected, wrong: true, repaired: detected && this.#repair() });
    this.#disk.place(this.#path, this.#good);
  }

  #scrub(): boolean {
    return (this.#worker.run(verifyPack, { path: this.#path, id: this.#pack.id }) as { ok: boolean }).ok;
  }

  /** Which records a get would deliver. */
  #served(): boolean[] {
    const { bad } = this.#worker.run(restorePack, this.#reading()) as {
      bad: readonly { digest: string }[];
    };
    const refused = new Set(bad.map(({ digest }) => digest));
    return this.#records.map(({ digest }) => !refused.has(Buffer.from(digest).toString('hex')));
  }

  #reading(): RestorePackInput {
    const none = new Uint32Array();
    return {
      packPath: this.#path,
      paths: [],
      isSparse: new Uint8Array(),
      offsets: Float64Array.from(this.#records, ({ offset }) => offset),
      lengths: Uint32Array.from(this.#records, ({ length }) => length),
      digests: Buffer.concat(this.#records.map(({ digest }) => digest)),
      pieces: {
        starts: new Uint32Array(this.#records.length + 1),
        files: none,
        fileOffsets: new Float64Array(),
        recordOffsets: none,
        lengths: none,
      },
    };
  }

  #isSameRecord({ offset, length }: PackRecord, bytes: Uint8Array): boolean {
    const start = offset + RECORD_HEADER_BYTES;
    return isSame(bytes.subarray(start, start + length), this.#good.subarray(start, start + length));
  }

  /** What is good of the damaged file stays, the rest comes from another copy. */
  #repair(): boolean {
    const all = { records: this.#records, targets: this.#records.map((_, i) => i) };
    const sources = [{ path: this.#path, ...all }];
    const { header, index, id } = this.#pack;
    const missing = this.#worker.run(preparePack, { path: INCOMING, header, index, sources }) as number[];
    const file = this.#disk.open(INCOMING, 'update');
    for (const i of missing) {
      const { offset, length } = this.#records[i]!;
      const bytes = this.#good.subarray(offset, offset + RECORD_HEADER_BYTES + length);
      this.#disk.write(file, [bytes], offset);
    }
    this.#disk.close(file);
    const installed = this.#worker.run(installPack, { path: INCOMING, packs: layout.packs, id }) as {
      ok: boolean;
    };
    return installed.ok && isSame(this.#disk.contents(this.#path), this.#good);
  }
}
