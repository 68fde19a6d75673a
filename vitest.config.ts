import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/setup/longest-first.ts';

/** Tests of code that only computes: they leave nothing behind in their process, so files share it and load what they import once. */
const PURE = [
  'audit',
  'chunking',
  'dedup',
  'editor',
  'erasure',
  'guard',
  'hashing',
  'health',
  'language',
  'manifest',
  'placement',
  'refusals',
  'rollout',
  'wasm',
].map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  // Not in node_modules, which the demo stores and must not change meanwhile.
  cacheDir: 'build/.vite',
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // One more than the cores that CI has: a fifth of the time goes into waiting for processes and leases.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      { extends: true, test: { name: 'systems', include: ['test/**/*.test.ts'], exclude: PURE } },
    ],
  },
});
