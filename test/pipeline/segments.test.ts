import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FileEntry } from '../../src/manifest/manifest.ts';
import { BATCH_BYTES_MAX, divide, type Work } from '../../src/pipeline/segments.ts';
import { SMALL_FILE_BYTES_MAX } from '../../src/pipeline/walk.ts';

const fileOf = (path: string, size: number): FileEntry => ({
  type: 'file',
  path,
  size,
  sparse: false,
  mode: 0o644,
  mtimeNs: 0n,
  uid: 0,
  gid: 0,
});
const size = fc.oneof(
  fc.nat(2000),
  fc.integer({ min: SMALL_FILE_BYTES_MAX - 2, max: SMALL_FILE_BYTES_MAX + 2 }),
  fc.nat(3_000_000),
  fc.integer({ min: BATCH_BYTES_MAX - 1, max: BATCH_BYTES_MAX + 1 }),
  fc.nat(50_000_000),
);
const files = fc
  .array(size, { maxLength: 400 })
  .map((sizes) => sizes.map((bytes, i) => fileOf(`directory-${i % 7}/file-${i}`, bytes)));
const filesOf = (work: Work): readonly FileEntry[] =>
  work.kind === 'large' ? [work.file] : work.segments.flat();
const segmentKeys = (work: readonly Work[]): string[] =>
  work.flatMap((one) =>
    one.kind === 'large'
      ? [String(one.file.path)]
      : one.segments.map((segment) => segment.map((file) => file.path).join()),
  );

describe('dividing files into work', () => {
  it('gives every file exactly once and in order, within the bounds of a batch', () => {
    fc.assert(
      fc.property(files, (list) => {
        const work = [...divide(list)];
        expect(work.flatMap(filesOf)).toEqual(list);
        for (const one of work) {
          expect(one.bytes).toBe(filesOf(one).reduce((sum, file) => sum + file.size, 0));
          if (one.kind === 'large') expect(one.bytes).toBeGreaterThan(BATCH_BYTES_MAX);
          else {
            expect(one.bytes).toBeLessThanOrEqual(BATCH_BYTES_MAX);
            for (const segment of one.segments) expect(segment.length).toBeGreaterThan(0);
          }
        }
      }),
      { numRuns: process.env['KWAM_CAMPAIGN'] === '1' ? 3000 : 150 },
    );
  });

  it('bounds a batch of tiny files by their number', () => {
    const work = [...divide(Array.from({ length: 10_000 }, (_, i) => fileOf(`f${i}`, 0)))];
    for (const one of work) expect(filesOf(one).length).toBeLessThanOrEqual(2048);
    expect(work.length).toBeLessThan(10);
  });

  it('gives a file of the chunk minimum and more a segment of its own', () => {
    const list = [fileOf('a', 10), fileOf('b', SMALL_FILE_BYTES_MAX), fileOf('c', 10)];
    expect(segmentKeys([...divide(list)])).toEqual(['a', 'b', 'c']);
  });

  it('changes few segments when a file is added anywhere or a folder is renamed', () => {
    const list = Array.from({ length: 5000 }, (_, i) => fileOf(`folder/name-${i}`, 500));
    const before = new Set(segmentKeys([...divide(list)]));
    expect(before.size).toBeGreaterThan(30);
    for (const at of [0, 1234, 4999]) {
      const after = segmentKeys([
        ...divide([...list.slice(0, at), fileOf('folder/new', 500), ...list.slice(at)]),
      ]);
      expect(after.filter((key) => !before.has(key)).length).toBeLessThanOrEqual(2);
    }
    const moved = list.map((file) => ({ ...file, path: `elsewhere/${String(file.path).slice(7)}` }));
    const lengths = (work: Work[]): number[] =>
      work.flatMap((one) => (one.kind === 'files' ? one.segments.map((s) => s.length) : []));
    expect(lengths([...divide(moved)])).toEqual(lengths([...divide(list)]));
  });
});
