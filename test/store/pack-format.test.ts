import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asDigest, fromHex, parseDigestHex, toHex } from '../../src/digest.ts';
import type { ErasureScheme, MatrixName } from '../../src/plan.ts';
import {
  encodeIndex,
  encodePackHeader,
  encodePackTrailer,
  encodeRecordHeader,
  PACK_HEADER_BYTES,
  type PackHeader,
  packIdOf,
  parseIndex,
  parsePackHeader,
  parsePackTrailer,
  parseRecordHeader,
  RECORD_TYPE,
  type RecordHeader,
} from '../../src/store/pack-format.ts';

interface VectorPack {
  readonly name: string;
  readonly kind: 'chunks' | 'shard';
  readonly codecId: string;
  readonly stripe?: {
    readonly pack: string;
    readonly packBytes: number;
    readonly dataShards: number;
    readonly parityShards: number;
    readonly matrix: MatrixName;
    readonly localGroups?: number;
    readonly shardIndex: number;
  };
  readonly records: readonly {
    readonly type: 1 | 2 | 3;
    readonly payload: string;
    readonly offset: number;
  }[];
  readonly id: string;
  readonly file: string;
}

const { packs } = JSON.parse(readFileSync(new URL('../vectors/pack-v1.json', import.meta.url), 'utf8')) as {
  packs: VectorPack[];
};
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const digestOf = (text: string) => fromHex(parseDigestHex(text));

describe.each(packs)('vector $name', (vector) => {
  const file = hex(vector.file);
  const header: PackHeader = {
    kind: vector.kind,
    codecId: digestOf(vector.codecId),
    ...(vector.stripe === undefined
      ? {}
      : { stripe: { ...vector.stripe, pack: digestOf(vector.stripe.pack) } }),
  };
  const indexAt = file.length - 64 - vector.records.length * 40;

  test('is read', () => {
    expect(parsePackHeader(file.subarray(0, 128))).toEqual(header);
    const records = parseIndex(file.subarray(indexAt, file.length - 64), vector.kind);
    expect(records.map(({ offset, type, length }) => ({ offset, type, length }))).toEqual(
      vector.records.map(({ offset, type, payload }) => ({ offset, type, length: payload.length / 2 })),
    );
    const trailer = parsePackTrailer(file.subarray(file.length - 64));
    expect(trailer).toEqual({ recordCount: vector.records.length, id: digestOf(vector.id) });
  });

  test('is written, byte for byte', () => {
    const headerBytes = encodePackHeader(header);
    const index = encodeIndex(parseIndex(file.subarray(indexAt, file.length - 64), vector.kind));
    const id = packIdOf(headerBytes, index);
    const body = vector.records.map(({ payload }, i) => [index.subarray(i * 40, i * 40 + 40), hex(payload)]);
    const trailer = encodePackTrailer({ recordCount: vector.records.length, id });
    expect(toHex(id)).toBe(vector.id);
    expect(Buffer.concat([headerBytes, ...body.flat(), index, trailer]).toString('hex')).toBe(vector.file);
  });
});

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(asDigest);
const record = fc.record<RecordHeader>({
  digest,
  length: fc.integer({ min: 1, max: 1 << 20 }),
  type: fc.constantFrom(RECORD_TYPE.chunk, RECORD_TYPE.manifestPart),
});
const scheme: fc.Arbitrary<ErasureScheme> = fc.oneof(
  fc.record({
    dataShards: fc.integer({ min: 1, max: 200 }),
    parityShards: fc.integer({ min: 1, max: 55 }),
    matrix: fc.constantFrom('vandermonde' as const, 'cauchy1' as const),
  }),
  fc
    .tuple(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 2, max: 9 }), fc.integer({ min: 1, max: 4 }))
    .map(([localGroups, each, globals]) => ({
      dataShards: localGroups * each,
      parityShards: localGroups + globals,
      matrix: 'lrc' as const,
      localGroups,
    })),
);
const stripe = fc
  .tuple(scheme, digest, fc.integer({ min: 1, max: 2 ** 30 }))
  .map(([value, pack, packBytes]) => ({
    ...value,
    pack,
    packBytes,
    shardIndex: value.dataShards + value.parityShards - 1,
  }));
const header = fc.oneof(
  fc.record<PackHeader>({ kind: fc.constant('chunks'), codecId: digest }),
  fc.record<PackHeader>({ kind: fc.constant('shard'), codecId: digest, stripe }),
);

test('header, index and trailer come back as they went in', () => {
  fc.assert(
    fc.property(header, fc.array(record, { minLength: 1, maxLength: 50 }), digest, (head, records, id) => {
      expect(parsePackHeader(encodePackHeader(head))).toEqual(head);
      const parsed = parseIndex(encodeIndex(records), 'chunks');
      expect(parsed.map(({ offset: _, ...rest }) => rest)).toEqual(records);
      let offset = PACK_HEADER_BYTES;
      for (const { offset: actual, length } of parsed) {
        expect(actual).toBe(offset);
        offset += 40 + length;
      }
      const trailer = { recordCount: records.length, id };
      expect(parsePackTrailer(encodePackTrailer(trailer))).toEqual(trailer);
    }),
  );
});

test('what a parser accepts is what the encoder writes', () => {
  fc.assert(
    fc.property(header, fc.nat(127), fc.nat(7), (head, at, bit) => {
      const bytes = encodePackHeader(head);
      bytes[at]! ^= 1 << bit;
      expect(() => parsePackHeader(bytes)).toThrow(/pack .* at byte \d+: expected .*, got /);
    }),
  );
});

test('an unknown version is refused by name', () => {
  const bytes = encodePackHeader({ kind: 'chunks', codecId: asDigest(new Uint8Array(32)) });
  bytes[8] = 2;
  expect(() => parsePackHeader(bytes)).toThrow('pack version at byte 8: expected 1, got 2');
  const trailer = encodePackTrailer({ recordCount: 1, id: asDigest(new Uint8Array(32)) });
  trailer[12] = 9;
  expect(() => parsePackTrailer(trailer, 500)).toThrow('pack trailer version at byte 512: expected 1, got 9');
});

test.each([
  ['a length of 0', 0, 1],
  ['a length above 16 MiB', (16 << 20) + 1, 1],
  ['an unknown type', 1, 4],
  ['a shard slice among chunks', 1, 3],
])('a record header with %s is refused', (_, length, type) => {
  const bytes = new Uint8Array(40);
  encodeRecordHeader({ digest: asDigest(new Uint8Array(32)), length: 1, type: 1 }, bytes);
  new DataView(bytes.buffer).setUint32(0, length, true);
  new DataView(bytes.buffer).setUint32(4, type, true);
  expect(() => parseRecordHeader(bytes, 0, 'chunks')).toThrow(/PACK_INVALID|expected/);
});

test('an empty pack and a torn index are refused', () => {
  expect(() => parseIndex(new Uint8Array(), 'chunks')).toThrow(/record count/);
  expect(() => parseIndex(new Uint8Array(41), 'chunks')).toThrow(/record count/);
});
