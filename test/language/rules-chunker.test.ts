/** Chunk sizes are refused exactly where the chunk kernel refuses them, with the defaults that hold for what is left out. */
import { expect, test } from 'vitest';
import { Chunker } from '../../src/chunking/chunker.ts';
import { blocksOf } from '../../src/language/access.ts';
import { check } from '../../src/language/check.ts';
import { replicatePlan } from '../../src/language/plan-blocks.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { front, versioned } from './front.ts';
import { TABLES } from './standard-tables.ts';

test.each([
  ['', 'fits'],
  ['min 16kib target 64kib max 256kib', 'fits'],
  ['min 1kib', 'fits'],
  ['min 1023b', 'at least 1kib, got 1023b'],
  ['max 4mib', 'fits'],
  ['max 5mib', 'at most 4096kib, got 5mib'],
  ['min 64kib', 'got min 64kib before target 64kib (the default)'],
  ['min 64kib target 64kib', 'got min 64kib before target 64kib'],
  ['target 256kib', 'got target 256kib before max 256kib (the default)'],
  ['target 8kib', 'got min 16kib (the default) before target 8kib'],
])('%s: %s', (sizes, expected) => {
  const { program } = front(versioned(`replicate data { factor 1 anti_affinity [] chunker { ${sizes} } }`));
  const found = check(program, { tables: TABLES }).filter(({ code }) => code === 'KW4014');
  const { chunker } = replicatePlan(blocksOf(program, 'replicate')[0]!);
  const make = () => new Chunker(loadKernels(), chunker);
  if (expected === 'fits') {
    expect(found).toEqual([]);
    expect(make).not.toThrow();
  } else {
    expect(found.map(({ message }) => message)).toEqual([expect.stringContaining(expected)]);
    expect(make).toThrow('expected chunk sizes');
  }
});
