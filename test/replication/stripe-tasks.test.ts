/** Coding whole packs through the real pool, compared with the plain arithmetic of ARCHITECTURE.md "Erasure stripe". */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asDigest, type DigestHex, fromHex } from '../../src/digest.ts';
import type { KwamError } from '../../src/errors.ts';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { sha256Native } from '../../src/hashing/native-engine.ts';
import { MIB } from '../../src/limits.ts';
import type { ErasureScheme } from '../../src/plan.ts';
import { seededRandom } from '../../src/random.ts';
import {
  encodeStripe,
  reconstructPack,
  reconstructShard,
  type ShardFile,
} from '../../src/replication/stripe-tasks.ts';
import { layoutOf, makeLayout, type StoreLayout } from '../../src/store/layout.ts';
import { openPack } from '../../src/store/pack-reader.ts';
import type { SealedPack } from '../../src/store/pack-writer.ts';
import type { WorkerPool } from '../../src/workers/pool.ts';
import { faultCell, testPool } from '../pipeline/memory-cluster.ts';
import { encodeSlowly } from '../reference/linear-code.ts';
import { buildPack, CODEC_ID, payloadOf } from '../store/packs.ts';

let root: string;
let layout: StoreLayout;
let pool: WorkerPool;
let count = 0;

beforeAll(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'kwam-stripe-'));
  pool = testPool();
});
afterAll(async () => {
  await pool.close();
  fs.rmSync(root, { recursive: true });
});
beforeEach(() => {
  layout = layoutOf(join(root, String(count++)));
  makeLayout(nodeFileSystem, layout);
});

const errorOf = (run: Promise<unknown>): Promise<KwamError> =>
  run.then(
    () => expect.unreachable('it succeeded'),
    (error: KwamError) => error,
  );

interface Striped {
  readonly pack: SealedPack;
  readonly bytes: Uint8Array;
  readonly shards: readonly SealedPack[];
  readonly scheme: ErasureScheme;
}

async function packOf(payloadBytes: number): Promise<SealedPack> {
  const random = seededRandom(payloadBytes);
  const payloads = [];
  for (let left = payloadBytes; left > 0; left -= 70_000)
    payloads.push(payloadOf(random.fill(new Uint8Array(Math.min(left, 70_000)))));
  return buildPack(nodeFileSystem, layout, payloads, `${payloadBytes}.part`);
}

const pathOf = (id: DigestHex): string => join(layout.packs, `${id}.pack`);
const schemeOf = (
  dataShards: number,
  parityShards: number,
  matrix: ErasureScheme['matrix'] = 'vandermonde',
) => ({
  dataShards,
  parityShards,
  matrix,
});
const GROUPED: ErasureScheme = { dataShards: 12, parityShards: 4, matrix: 'lrc', localGroups: 2 };

async function stripe(payloadBytes: number, scheme: ErasureScheme, on = pool): Promise<Striped> {
  const pack = await packOf(payloadBytes);
  const total = scheme.dataShards + scheme.parityShards;
  const input = {
    pack: fromHex(pack.id),
    packBytes: pack.bytes,
    scheme,
    codecId: CODEC_ID,
    packPath: pathOf(pack.id),
    paths: Array.from({ length: total }, (_, i) => join(layout.incoming, `${i}.part`)),
    packs: layout.packs,
  };
  const shards = await on.run(encodeStripe, input);
  return { pack, bytes: fs.readFileSync(pathOf(pack.id)), shards, scheme };
}

/** The shard's content: its slices without their headers. */
function contentOf(id: DigestHex): Uint8Array {
  const { records } = openPack(nodeFileSystem, pathOf(id), id);
  const file = fs.readFileSync(pathOf(id));
  return Buffer.concat(records.map(({ offset, length }) => file.subarray(offset + 40, offset + 40 + length)));
}

const sourcesOf = ({ shards }: Striped, use: (shard: number) => boolean): ShardFile[] =>
  shards.flatMap(({ id }, shardIndex) => (use(shardIndex) ? [{ shardIndex, id, path: pathOf(id) }] : []));

async function rebuilt(of: Striped, sources: readonly ShardFile[], on = pool): Promise<Uint8Array> {
  const path = join(layout.incoming, 'rebuilt');
  const { pack, scheme } = of;
  await on.run(reconstructPack, {
    pack: fromHex(pack.id),
    packBytes: pack.bytes,
    scheme,
    codecId: CODEC_ID,
    sources,
    path,
  });
  const bytes = fs.readFileSync(path);
  fs.rmSync(path);
  return bytes;
}

function shardInput(of: Striped, shardIndex: number, sources: readonly ShardFile[], codecId = CODEC_ID) {
  const { pack, scheme, shards } = of;
  return {
    pack: fromHex(pack.id),
    packBytes: pack.bytes,
    scheme,
    codecId,
    sources,
    path: join(layout.incoming, 'shard'),
    shardIndex,
    expectedId: shards[shardIndex]!.id,
    packs: layout.packs,
  };
}

/** Of n shards, those that are left after `losses` chosen by the random generator. */
function pattern(total: number, losses: number, seed: number): Set<number> {
  const random = seededRandom(seed);
  const lost = new Set<number>();
  while (lost.size < losses) lost.add(random.below(total));
  return lost;
}

function flip(path: string, at: number): void {
  const bytes = fs.readFileSync(path);
  bytes[at]! ^= 1;
  fs.writeFileSync(path, bytes);
}

describe('encoding a pack', () => {
  it.each([
    [1, 4, 2],
    [1000, 4, 2],
    [64 * 5, 2, 1],
    [1_234_567, 6, 3],
    [3 * MIB + 17, 2, 1],
    [2 * MIB, 20, 5],
    [2_345_678, 12, 4],
  ])('of %i payload bytes as %i + %i shards gives those that the format says', async (bytes, k, m) => {
    const scheme = k === 12 ? GROUPED : schemeOf(k, m, bytes === 1000 ? 'cauchy1' : 'vandermonde');
    const made = await stripe(bytes, scheme);
    const length = Math.ceil(Math.ceil(made.pack.bytes / k) / 64) * 64;
    const data = Array.from({ length: k }, (_, i) => {
      const shard = new Uint8Array(length);
      shard.set(made.bytes.subarray(i * length, (i + 1) * length));
      return shard;
    });
    const expected = encodeSlowly(data, scheme);
    for (const [shardIndex, { id, header }] of made.shards.entries()) {
      expect(Buffer.compare(contentOf(id), expected[shardIndex]!)).toBe(0);
      const opened = openPack(nodeFileSystem, pathOf(id), id);
      expect(opened.header.stripe).toEqual({
        pack: fromHex(made.pack.id),
        packBytes: made.pack.bytes,
        ...scheme,
        shardIndex,
      });
      expect(Buffer.compare(header, opened.headerBytes)).toBe(0);
      expect(opened.records.map((record) => record.length)).toEqual(
        Array.from({ length: Math.ceil(length / MIB) }, (_, i) => Math.min(MIB, length - i * MIB)),
      );
    }
    expect(fs.readdirSync(layout.incoming)).toEqual([]);
  });

  it('refuses a pack that is damaged: its shards would keep the damage and the only copy goes', async () => {
    const pack = await packOf(100_000);
    flip(pathOf(pack.id), 5000);
    const scheme = schemeOf(4, 2);
    const paths = Array.from({ length: 6 }, (_, i) => join(layout.incoming, `${i}.part`));
    const input = {
      pack: fromHex(pack.id),
      packBytes: pack.bytes,
      scheme,
      codecId: CODEC_ID,
      packPath: pathOf(pack.id),
      paths,
    };
    expect(await errorOf(pool.run(encodeStripe, { ...input, packs: layout.packs }))).toMatchObject({
      code: 'PACK_INVALID',
    });
    expect(fs.readdirSync(layout.incoming)).toEqual([]);
    expect(fs.readdirSync(layout.packs)).toEqual([`${pack.id}.pack`]);
  });

  it('begins anew where a worker died, and leaves nothing when it fails', async () => {
    for (let i = 0; i < 6; i++) fs.writeFileSync(join(layout.incoming, `${i}.part`), 'of a dead worker');
    const made = await stripe(50_000, schemeOf(4, 2));
    expect(made.shards.length).toBe(6);
    const pack = await packOf(60_000);
    const paths = [
      ...Array.from({ length: 5 }, (_, i) => join(layout.incoming, `${i}.part`)),
      join(layout.root, 'no', 'such'),
    ];
    const input = {
      pack: fromHex(pack.id),
      packBytes: pack.bytes,
      scheme: schemeOf(4, 2),
      codecId: CODEC_ID,
      packPath: pathOf(pack.id),
      paths,
    };
    expect(await errorOf(pool.run(encodeStripe, { ...input, packs: layout.packs }))).toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(fs.readdirSync(layout.incoming)).toEqual([]);
  });

  it('takes away what it made when it fails, and no shard that was here before', async () => {
    const scheme = schemeOf(4, 2);
    const before = await stripe(80_000, scheme);
    const [first, second, , , , last] = before.shards.map(({ id }) => pathOf(id));
    const kept = fs.readFileSync(first!);
    fs.rmSync(second!);
    fs.rmSync(last!);
    fs.mkdirSync(join(last!, 'in the way'), { recursive: true });
    expect(await errorOf(stripe(80_000, scheme))).toMatchObject({ code: 'IO' });
    expect(fs.readFileSync(first!)).toEqual(kept);
    expect(fs.existsSync(second!)).toBe(false);
    expect(fs.readdirSync(layout.incoming)).toEqual([]);
  });
});

describe('making a pack again', () => {
  it.each([
    [300_001, 4, 2, 'vandermonde'],
    [2_500_000, 10, 4, 'vandermonde'],
    [777_777, 20, 5, 'cauchy1'],
    [1, 3, 3, 'cauchy1'],
  ] as const)(
    'from any k shards of a pack of %i bytes, rs(%i, %i) %s, gives the identical file',
    async (bytes, k, m, matrix) => {
      const made = await stripe(bytes, schemeOf(k, m, matrix));
      for (let seed = 0; seed < 6; seed++) {
        const lost = pattern(k + m, m, seed);
        const file = await rebuilt(
          made,
          sourcesOf(made, (shard) => !lost.has(shard)),
        );
        expect(Buffer.compare(file, made.bytes)).toBe(0);
      }
      const tooFew = sourcesOf(made, (shard) => shard < k - 1);
      expect(await errorOf(rebuilt(made, tooFew))).toMatchObject({ code: 'STRIPE_TOO_FEW_SHARDS' });
      expect(fs.readdirSync(layout.incoming)).toEqual([]);
    },
  );

  it('covers every pattern of losses of rs(4, 2)', async () => {
    const made = await stripe(100_000, schemeOf(4, 2));
    for (let a = 0; a < 6; a++) {
      for (let b = a; b < 6; b++) {
        const file = await rebuilt(
          made,
          sourcesOf(made, (shard) => shard !== a && shard !== b),
        );
        expect(Buffer.compare(file, made.bytes)).toBe(0);
      }
    }
  });

  it('with local groups: from all but any three shards, some fours, and not from the others', async () => {
    const made = await stripe(100_000, GROUPED);
    for (const lost of [
      [0, 1, 2],
      [3, 12, 14],
      [0, 6, 15],
      [0, 1, 6, 7],
      [2, 12, 8, 13],
    ])
      expect(
        Buffer.compare(
          await rebuilt(
            made,
            sourcesOf(made, (shard) => !lost.includes(shard)),
          ),
          made.bytes,
        ),
      ).toBe(0);
    const tooFew = sourcesOf(made, (shard) => ![0, 1, 2, 12].includes(shard));
    expect(await errorOf(rebuilt(made, tooFew))).toMatchObject({
      code: 'STRIPE_TOO_FEW_SHARDS',
      message: expect.stringContaining('lrc(12, 2, 2)'),
    });
  });

  it('does not use a shard that is damaged, absent or another one, as long as k good ones are left', async () => {
    const made = await stripe(400_000, schemeOf(4, 2));
    flip(pathOf(made.shards[1]!.id), 70_000);
    fs.rmSync(pathOf(made.shards[3]!.id));
    expect(
      Buffer.compare(
        await rebuilt(
          made,
          sourcesOf(made, () => true),
        ),
        made.bytes,
      ),
    ).toBe(0);
    const wrong = sourcesOf(made, () => true).map((source) =>
      source.shardIndex === 4 ? { ...source, path: pathOf(made.shards[5]!.id) } : source,
    );
    expect(await errorOf(rebuilt(made, wrong))).toMatchObject({ code: 'STRIPE_TOO_FEW_SHARDS' });
  });

  it('works after a worker died in it', async () => {
    const made = await stripe(200_000, schemeOf(4, 2));
    fs.writeFileSync(join(layout.incoming, 'rebuilt'), 'of a dead worker');
    const crashing = testPool({ worker: { sabotage: { crash: faultCell(1) } } });
    expect(
      Buffer.compare(
        await rebuilt(
          made,
          sourcesOf(made, (shard) => shard > 1),
          crashing,
        ),
        made.bytes,
      ),
    ).toBe(0);
    await crashing.close();
  });
});

describe('making a shard again', () => {
  it('gives the recorded id and the identical file, for data and parity, from any k others', async () => {
    const made = await stripe(2_345_678, schemeOf(4, 3));
    for (let shardIndex = 0; shardIndex < 7; shardIndex++) {
      const { id } = made.shards[shardIndex]!;
      const before = fs.readFileSync(pathOf(id));
      fs.rmSync(pathOf(id));
      const lost = pattern(7, 2, shardIndex).add(shardIndex);
      const sealed = await pool.run(
        reconstructShard,
        shardInput(
          made,
          shardIndex,
          sourcesOf(made, (shard) => !lost.has(shard)),
        ),
      );
      expect(sealed).toEqual(made.shards[shardIndex]);
      expect(Buffer.compare(fs.readFileSync(pathOf(id)), before)).toBe(0);
    }
    expect(fs.readdirSync(layout.incoming)).toEqual([]);
  });

  it('of a local group from its six others alone', async () => {
    const made = await stripe(300_000, GROUPED);
    for (const [shardIndex, first] of [
      [3, 0],
      [13, 6],
    ] as const) {
      const { id } = made.shards[shardIndex]!;
      const before = fs.readFileSync(pathOf(id));
      fs.rmSync(pathOf(id));
      const group = (shard: number): boolean =>
        shard === 12 + first / 6 || (shard >= first && shard < first + 6);
      const sources = sourcesOf(made, (shard) => shard !== shardIndex && group(shard));
      expect(sources.length).toBe(6);
      await pool.run(reconstructShard, shardInput(made, shardIndex, sources));
      expect(Buffer.compare(fs.readFileSync(pathOf(id)), before)).toBe(0);
    }
  });

  it('uses no shards that another codec made than the one that the stripe is of', async () => {
    const made = await stripe(100_000, schemeOf(4, 2));
    fs.rmSync(pathOf(made.shards[0]!.id));
    const sources = sourcesOf(made, (shard) => shard > 0);
    const other = asDigest(sha256Native(Buffer.from('a later release')));
    expect(await errorOf(pool.run(reconstructShard, shardInput(made, 0, sources, other)))).toMatchObject({
      code: 'STRIPE_TOO_FEW_SHARDS',
    });
    expect((await pool.run(reconstructShard, shardInput(made, 0, sources))).id).toBe(made.shards[0]!.id);
  });

  it('that does not come out as recorded installs nothing', async () => {
    const made = await stripe(100_000, schemeOf(4, 2));
    fs.rmSync(pathOf(made.shards[0]!.id));
    const before = fs.readdirSync(layout.packs).sort();
    const input = {
      ...shardInput(
        made,
        0,
        sourcesOf(made, (shard) => shard > 0),
      ),
      expectedId: 'ab'.repeat(32) as DigestHex,
    };
    expect(await errorOf(pool.run(reconstructShard, input))).toMatchObject({ code: 'PACK_INVALID' });
    expect(fs.readdirSync(layout.packs).sort()).toEqual(before);
    expect(fs.readdirSync(layout.incoming)).toEqual([]);
  });
});
