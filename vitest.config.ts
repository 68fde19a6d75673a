import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Not in node_modules, which the demo stores and must not change meanwhile.
  cacheDir: 'build/.vite',
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
