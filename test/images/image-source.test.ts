/** The one suite over every source: memory, an OCI layout, and a registry process in each of its moods. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { OciLayout } from '../../src/images/oci-layout.ts';
import { Registry } from '../../src/images/registry.ts';
import { imageSourceSuite } from '../suites/image-source.suite.ts';
import { memorySource } from './oci-content.ts';
import { PASSWORD, TestRegistry, USER } from './registry.ts';

const directories: string[] = [];
let registry: TestRegistry;
let repositories = 0;

beforeAll(async () => {
  registry = await TestRegistry.start();
});

afterAll(async () => {
  await registry.stop();
  for (const directory of directories) fs.rmSync(directory, { recursive: true });
});

imageSourceSuite({
  name: 'memory',
  listsReferrers: true,
  serve: async (content) => memorySource(content),
});
imageSourceSuite({
  name: 'memory without a list of referrers',
  listsReferrers: false,
  serve: async (content) => memorySource(content, { lists: false }),
});
imageSourceSuite({
  name: 'OCI layout',
  listsReferrers: true,
  serve: async (content) => {
    const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-layout-'));
    directories.push(directory);
    content.write(directory);
    return new OciLayout(directory);
  },
});
for (const mood of ['open', 'bearer', 'basic', 'old', 'paged', 'redirect']) {
  imageSourceSuite({
    name: `registry, ${mood}`,
    listsReferrers: mood !== 'old',
    serve: async (content) => {
      const repository = `${mood}/r${repositories++}`;
      registry.push(repository, content);
      const credentials = { username: USER, password: async () => PASSWORD };
      return new Registry({ registry: registry.address, repository }, { credentials });
    },
  });
}
