/** The restore plan against a plain reimplementation: simulate the files byte by byte. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asDigest, type DigestHex } from '../../src/digest.ts';
import { sha256Native } from '../../src/hashing/native-engine.ts';
import type { Manifest, ManifestEntry } from '../../src/manifest/manifest.ts';
import { RestorePlan } from '../../src/pipeline/restore-plan.ts';
import type { RestorePackInput } from '../../src/pipeline/restore-tasks.ts';
import { type PackRecord, RECORD_TYPE } from '../../src/store/pack-format.ts';

const inode = { mode: 0o644, mtimeNs: 0n, uid: 0, gid: 0 };

interface Case {
  readonly manifest: Manifest;
  /** Contents of the distinct chunks. */
  readonly chunks: readonly Uint8Array[];
  readonly stream: Uint8Array;
  readonly packs: readonly (readonly PackRecord[])[];
}

/** A stream of chunks with repetitions, cut into files anywhere, and packs that hold the chunks once or more often. */
const cases = fc
  .record({
    distinct: fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 12 }),
    order: fc.array(fc.nat(11), { maxLength: 40 }),
    cuts: fc.array(fc.nat(400), { maxLength: 12 }),
    placing: fc.array(fc.nat(3), { minLength: 12, maxLength: 12 }),
    twice: fc.array(fc.nat(11), { maxLength: 6 }),
  })
  .map(({ distinct, order, cuts, placing, twice }): Case => {
    const unique = [...new Map(distinct.map((bytes) => [bytes.join(), bytes])).values()];
    const chosen = order.map((i) => unique[i % unique.length]!);
    const stream = Uint8Array.from(chosen.flatMap((bytes) => [...bytes]));
    const bounds = [...cuts.map((cut) => Math.min(cut, stream.length)).sort((a, b) => a - b), stream.length];
    const sizes = bounds.map((end, i) => end - (bounds[i - 1] ?? 0));
    const files: ManifestEntry[] = sizes.map((size, i) => ({
      type: 'file',
      path: `f${i}`,
      size,
      sparse: false,
      ...inode,
    }));
    const lengths = Uint32Array.from(chosen, (bytes) => bytes.length);
    const digests = new Uint8Array(chosen.flatMap((bytes) => [...sha256Native(bytes)]));
    const packs: PackRecord[][] = [[], [], [], []];
    const place = (pack: number, bytes: Uint8Array): void => {
      const last = packs[pack]!.at(-1);
      const offset = last === undefined ? 128 : last.offset + 40 + last.length;
      packs[pack]!.push({
        digest: sha256Native(bytes),
        length: bytes.length,
        type: RECORD_TYPE.chunk,
        offset,
      });
    };
    for (const [i, bytes] of unique.entries()) place(placing[i]!, bytes);
    for (const i of twice) place(3, unique[i % unique.length]!);
    const chunker = { rule: 'r', chunkBytesMin: 1, chunkBytesTarget: 2, chunkBytesMax: 3 };
    const manifest: Manifest = {
      name: 'n',
      producer: 'p',
      codecId: '' as DigestHex,
      createdAt: '',
      chunker,
      bytes: stream.length,
      chunks: { lengths, digests },
      files,
    };
    return { manifest, chunks: unique, stream, packs };
  });

/** Carries a task's input out as the worker does, in memory; marks every byte that was written. */
function carryOut(
  input: RestorePackInput,
  chunks: readonly Uint8Array[],
  files: Map<string, { bytes: Uint8Array; times: Uint8Array }>,
): void {
  for (let r = 0; r < input.lengths.length; r++) {
    const digest = input.digests.subarray(r * 32, r * 32 + 32);
    const payload = chunks.find((bytes) => Buffer.compare(sha256Native(bytes), digest) === 0)!;
    expect(input.lengths[r]).toBe(payload.length);
    for (let p = input.pieces.starts[r]!; p < input.pieces.starts[r + 1]!; p++) {
      const file = files.get(String(input.paths[input.pieces.files[p]!]))!;
      const from = input.pieces.recordOffsets[p]!;
      const at = input.pieces.fileOffsets[p]!;
      const length = input.pieces.lengths[p]!;
      file.bytes.set(payload.subarray(from, from + length), at);
      for (let i = at; i < at + length; i++) file.times[i]!++;
    }
  }
}

const filesOf = (manifest: Manifest) =>
  new Map(
    manifest.files.flatMap((entry) =>
      entry.type === 'file'
        ? [
            [
              String(entry.path),
              { bytes: new Uint8Array(entry.size), times: new Uint8Array(entry.size) },
            ] as const,
          ]
        : [],
    ),
  );

/** As they are shown; by looking at every byte. */
function filesWith(manifest: Manifest, isHit: (at: number) => boolean): string[] {
  let start = 0;
  return manifest.files.flatMap((entry) => {
    const size = entry.type === 'file' ? entry.size : 0;
    start += size;
    const bytes = Array.from({ length: size }, (_, i) => start - size + i);
    return bytes.some(isHit) ? [JSON.stringify(entry.path)] : [];
  });
}

describe('a restore plan', () => {
  it('writes every byte of every file exactly once, from whichever pack has it', () => {
    fc.assert(
      fc.property(cases, ({ manifest, chunks, stream, packs }) => {
        const plan = new RestorePlan(manifest);
        const files = filesOf(manifest);
        for (const [i, records] of packs.entries()) {
          const wanted = records.some((record) => plan.wants(record.digest));
          const input = plan.take(`pack${i}`, records, '/root');
          expect(input !== undefined).toBe(wanted);
          if (input === undefined) continue;
          expect(input.packPath).toBe(`pack${i}`);
          expect([...input.offsets]).toEqual([...input.offsets].sort((a, b) => a - b));
          carryOut(input, chunks, files);
        }
        expect([...plan.missing()]).toEqual([]);
        const all = [...files.values()];
        expect(Buffer.concat(all.map(({ bytes }) => bytes)).equals(stream)).toBe(true);
        for (const { times } of all) expect(times.every((count) => count === 1)).toBe(true);
      }),
      { numRuns: process.env['KWAM_CAMPAIGN'] === '1' ? 5000 : 200 },
    );
  });

  it('names what no pack has, and wants again what was given back', () => {
    fc.assert(
      fc.property(cases, fc.nat(3), ({ manifest, packs }, absent) => {
        const plan = new RestorePlan(manifest);
        packs.forEach((records, i) => {
          if (i !== absent) plan.take('p', records);
        });
        const here = new Set(
          packs.flatMap((records, i) => (i === absent ? [] : records.map(({ digest }) => digest.join()))),
        );
        const { lengths, digests } = manifest.chunks;
        const offsets = [...lengths.keys()].map((i) =>
          lengths.slice(0, i).reduce((sum, length) => sum + length, 0),
        );
        const isMissing = (i: number): boolean => !here.has(digests.subarray(i * 32, i * 32 + 32).join());
        const expected = [...lengths.keys()].filter(isMissing);
        expect([...plan.missing()].map(({ chunk }) => chunk)).toEqual(expected);
        for (const { chunk, path } of plan.missing()) {
          let end = 0;
          const owner = manifest.files.find((entry) => {
            end += entry.type === 'file' ? entry.size : 0;
            return end > offsets[chunk]!;
          });
          expect(path).toBe(owner?.path);
        }
        const hit = filesWith(manifest, (at) =>
          expected.some((i) => offsets[i]! <= at && at < offsets[i]! + lengths[i]!),
        );
        expect(plan.damage()).toEqual({ chunks: expected.length, files: hit.length, paths: hit });
        const credited = new RestorePlan(manifest);
        for (const [i, records] of packs.entries()) if (i !== absent) credited.credit(records);
        expect(credited.damage()).toEqual(plan.damage());
        for (const record of packs[absent]!) {
          plan.take('p', [record]);
          expect(plan.wants(record.digest)).toBe(false);
          plan.giveBack(asDigest(record.digest));
        }
        expect([...plan.missing()].map(({ chunk }) => chunk)).toEqual(
          [...lengths.keys()].filter(
            (i) =>
              isMissing(i) ||
              packs[absent]!.some(
                (record) => record.digest.join() === digests.subarray(i * 32, i * 32 + 32).join(),
              ),
          ),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('copes with an object without content', () => {
    const empty: Manifest = {
      name: 'n',
      producer: 'p',
      codecId: '' as DigestHex,
      createdAt: '',
      chunker: { rule: 'r', chunkBytesMin: 1, chunkBytesTarget: 2, chunkBytesMax: 3 },
      bytes: 0,
      chunks: { lengths: new Uint32Array(0), digests: new Uint8Array(0) },
      files: [{ type: 'directory', path: '.', ...inode }],
    };
    expect([...new RestorePlan(empty).missing()]).toEqual([]);
  });
});
