/** The real disk: what is written in parts lies there back to back, however the parts are cut. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { nodeFileSystem } from '../src/filesystem.ts';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'kwam-filesystem-'));
afterAll(() => rmSync(DIRECTORY, { recursive: true }));
const PATH = join(DIRECTORY, 'file');

/** Around the size that small parts are gathered to. */
const BORDER = 256 * 1024;
const length = fc.oneof(fc.nat(200), fc.nat(100_000), fc.integer({ min: BORDER - 2, max: BORDER + 2 }));

test('parts of any lengths lie back to back from the position on', () => {
  fc.assert(
    fc.property(fc.array(length, { maxLength: 12 }), fc.nat(1000), (lengths, position) => {
      const parts = lengths.map((bytes, i) => new Uint8Array(bytes).fill(i + 1));
      const file = nodeFileSystem.open(PATH, 'create');
      try {
        nodeFileSystem.write(file, parts, position);
      } finally {
        nodeFileSystem.close(file);
      }
      const expected = parts.length === 0 ? [] : [new Uint8Array(position), ...parts];
      const written = readFileSync(PATH);
      rmSync(PATH);
      const total = lengths.reduce((sum, bytes) => sum + bytes, 0);
      expect(Buffer.compare(written, Buffer.concat(total === 0 ? [] : expected))).toBe(0);
    }),
    { numRuns: 60 },
  );
});
