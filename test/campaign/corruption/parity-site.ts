/**
 * One bit of a shard pack, data or parity alike: verified, left out when its pack is read from the stripe, and rebuilt from the others.
 */
import { fromHex } from '../../../src/digest.ts';
import type { ErasureScheme } from '../../../src/plan.ts';
import { type Random, seededRandom } from '../../../src/random.ts';
import { verifyPack } from '../../../src/replication/pack-tasks.ts';
import {
  encodeStripe,
  reconstructPack,
  reconstructShard,
  type ShardFile,
} from '../../../src/replication/stripe-tasks.ts';
import { layoutOf } from '../../../src/store/layout.ts';
import type { SealedPack } from '../../../src/store/pack-writer.ts';
import { FaultyFileSystem } from '../../faults/faulty-filesystem.ts';
import { buildPack, CODEC_ID, randomPayloads } from '../../store/packs.ts';
import { count, emptyTally, type Site, type SiteOptions, type Tally } from './tally.ts';
import { anyMask, type Engines, type InlineWorker, inlineWorker, isSame } from './worker.ts';

const SCHEME: ErasureScheme = { dataShards: 3, parityShards: 2, matrix: 'vandermonde' };
const SHARDS = SCHEME.dataShards + SCHEME.parityShards;
const FAULTS_PER_STRIPE = 500;
const layout = layoutOf('/store');
const READ = '/store/incoming/read';
const REBUILT = '/rebuilt';

export function paritySite(engines: Engines, { seed, isBlind }: SiteOptions): Site {
  const random = seededRandom(seed);
  return {
    async run(most) {
      const trial = await StripeTrial.create(engines, random, isBlind);
      const tally = emptyTally();
      for (let i = 0; i < Math.min(most, FAULTS_PER_STRIPE); i++) trial.fault(random, tally);
      return tally;
    },
  };
}

class StripeTrial {
  readonly #disk: FaultyFileSystem;
  readonly #worker: InlineWorker;
  readonly #pack: SealedPack;
  readonly #packBytes: Uint8Array;
  readonly #shards: readonly (ShardFile & { readonly good: Uint8Array })[];

  private constructor(
    disk: FaultyFileSystem,
    worker: InlineWorker,
    pack: SealedPack,
    shards: readonly SealedPack[],
  ) {
    this.#disk = disk;
    this.#worker = worker;
    this.#pack = pack;
    this.#packBytes = disk.contents(`${layout.packs}/${pack.id}.pack`);
    this.#shards = shards.map(({ id }, shardIndex) => {
      const path = `${layout.packs}/${id}.pack`;
      return { shardIndex, id, path, good: disk.contents(path) };
    });
  }

  static async create(engines: Engines, random: Random, isBlind: boolean): Promise<StripeTrial> {
    const disk = new FaultyFileSystem(random);
    const worker = inlineWorker(engines, disk, isBlind);
    const pack = await buildPack(disk, layout, randomPayloads(random, 6, 200));
    const shards = worker.run(encodeStripe, {
      ...stripeOf(pack),
      packPath: `${layout.packs}/${pack.id}.pack`,
      paths: Array.from({ length: SHARDS }, (_, i) => `/store/incoming/${i}.part`),
      packs: layout.packs,
    }) as SealedPack[];
    const trial = new StripeTrial(disk, worker, pack, shards);
    if (!trial.#shards.every((shard) => trial.#isIntact(shard)))
      throw new Error('healthy shards are refused');
    return trial;
  }

  /** The damaged shard is among the sources of the read: it would be used, being one of the first k. */
  fault(random: Random, tally: Tally): void {
    const hit = this.#shards[random.below(SHARDS)]!;
    const at = random.below(hit.good.length);
    this.#disk.flip(hit.path, at, anyMask(random));
    const others = this.#shards.filter((shard) => shard !== hit);
    const sources = [hit, ...others.slice(0, SCHEME.dataShards)];
    this.#worker.run(reconstructPack, { ...stripeOf(this.#pack), sources, path: READ });
    const isRight = isSame(this.#disk.contents(READ), this.#packBytes);
    const detected = !this.#isIntact(hit) && isRight;
    count(tally, { detected, wrong: true, repaired: detected && this.#rebuild(hit, others) });
    this.#disk.place(hit.path, hit.good);
  }

  #isIntact({ path, id }: ShardFile): boolean {
    return (this.#worker.run(verifyPack, { path, id }) as { ok: boolean }).ok;
  }

  #rebuild(hit: ShardFile & { readonly good: Uint8Array }, others: readonly ShardFile[]): boolean {
    const { id: expectedId, shardIndex } = hit;
    this.#worker.run(reconstructShard, {
      ...stripeOf(this.#pack),
      sources: others,
      path: '/store/incoming/rebuilt',
      shardIndex,
      expectedId,
      packs: REBUILT,
    });
    return isSame(this.#disk.contents(`${REBUILT}/${expectedId}.pack`), hit.good);
  }
}

function stripeOf({ id, bytes }: SealedPack) {
  return { pack: fromHex(id), packBytes: bytes, scheme: SCHEME, codecId: CODEC_ID };
}
