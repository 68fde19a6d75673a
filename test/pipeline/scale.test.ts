import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { MIB } from '../../src/limits.ts';
import { memoryShares } from '../../src/workers/memory-shares.ts';

const CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';
/** As `serve --memory` divides it; the table of 200,000 entries is never copied whole, neither signed nor wrapped. */
const cases: [files: number, sparseBytes: number, budgetBytes: number][] = CAMPAIGN
  ? [
      [200_000, 1000 * MIB, 512 * MIB],
      [100, 5 * 1024 * MIB, 512 * MIB],
    ]
  : [[2000, 300 * MIB, 512 * MIB]];

it.each(cases)(
  '%i small files and a sparse file of %i bytes come and go within a memory budget of %i bytes',
  async (files, sparseBytes, budgetBytes) => {
    const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-scale-'));
    const heap = `--max-old-space-size=${Math.floor(memoryShares(budgetBytes).mainHeapBytes / MIB)}`;
    const program = join(import.meta.dirname, 'scale.ts');
    const args = [heap, program, directory, String(budgetBytes), String(files), String(sparseBytes)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const seen = JSON.parse(stdout);
    expect(seen).toMatchObject({
      files: files + 1,
      problems: 0,
      replaced: [],
      sparseBytes,
      sparseEnd: 'not zero!',
      sampleText: `content of file ${files - 1}`,
    });
    // The chunks that are not all zeros, each at most 256 KiB and rounded to pages.
    expect(seen.sparseDiskBytes).toBeLessThanOrEqual(6 * 256 * 1024);
    expect(seen.peakBytes).toBeLessThanOrEqual(budgetBytes);
    fs.rmSync(directory, { recursive: true });
  },
  600_000,
);
