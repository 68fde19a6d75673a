import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
/** One node runs all of the compiled code; three take fifteen seconds on a busy machine. */
const NODES = process.env['KWAM_CAMPAIGN'] === '1' ? '3' : '1';
const PACKED = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'bin',
  'build',
  'examples',
  'scripts',
  'src',
  'std',
];
let folder: string;
let checkout: string;
let tarball: string;
let consumer: string;

/** Packs a copy of the checkout, because packing rewrites package.json for a moment. */
async function pack(): Promise<string> {
  checkout = join(folder, 'checkout');
  await mkdir(checkout);
  for (const name of PACKED) {
    await cp(join(root, name), join(checkout, name), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'));
  await run(process.execPath, ['scripts/package.mjs', 'build'], { cwd: checkout });
  const { stdout } = await run('npm', ['pack', '--json', '--offline', '--pack-destination', folder], {
    cwd: checkout,
  });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string }];
  return join(folder, filename);
}

/** A project with the package as npm would lay it out: a real folder under node_modules, dependencies beside it. */
async function install(tarball: string, name: string, dependencies: readonly string[]): Promise<string> {
  const project = join(folder, name);
  const modules = join(project, 'node_modules');
  const installed = join(modules, 'kwam-dp');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  for (const dependency of dependencies) {
    const place = join(modules, dependency);
    await mkdir(dirname(place), { recursive: true });
    await symlink(join(root, 'node_modules', dependency), place);
  }
  await chmod(join(installed, 'bin', 'kwam-dp.mjs'), 0o755);
  await mkdir(join(modules, '.bin'));
  await symlink('../kwam-dp/bin/kwam-dp.mjs', join(modules, '.bin', 'kwam-dp'));
  await writeFile(join(project, 'package.json'), '{"type":"module"}');
  return project;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kwam-package-'));
  tarball = await pack();
  consumer = await install(tarball, 'consumer', ['hash-wasm', '@assemblyscript', '@types', 'undici-types']);
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const consume = async (name: string, text: string): Promise<string> => {
  await writeFile(join(consumer, name), text);
  return (await run(process.execPath, [name], { cwd: consumer })).stdout;
};

describe('the package that npm pack makes', () => {
  it('is imported by plain Node and verifies', async () => {
    const out = await consume(
      'use.mjs',
      `import { chunkStream, KwamError, toHex, useKernels, verifyChunk, verifyManifest, verifyStream } from 'kwam-dp';
       const bytes = new Uint8Array(300000).map((_, i) => i * i);
       let count = 0;
       for await (const chunk of chunkStream([bytes])) { await verifyChunk(chunk.bytes, toHex(chunk.digest)); count++; }
       const refusal = await verifyChunk(bytes, '0'.repeat(64)).catch((error) => error);
       console.log(await useKernels(), count > 0, refusal instanceof KwamError, refusal.code, typeof verifyManifest, typeof verifyStream);`,
    );
    expect(out.trim()).toBe('wasm true true CHUNK_DIGEST_MISMATCH function function');
  });

  it('is required by CommonJS too', async () => {
    const out = await consume(
      'use.cjs',
      `console.log(Object.keys(require('kwam-dp')).includes('verifyStream'));`,
    );
    expect(out.trim()).toBe('true');
  });

  it('has types that a strict program compiles against', async () => {
    await writeFile(
      join(consumer, 'use.ts'),
      `import { type Manifest, verifyManifest, verifyStream } from 'kwam-dp';
       export async function total(envelope: string, stream: ReadableStream<Uint8Array>): Promise<number> {
         const manifest: Manifest = await verifyManifest(envelope, { trustedKeys: ['pem'] });
         let bytes = 0;
         for await (const piece of verifyStream(stream, manifest)) bytes += piece.length;
         // @ts-expect-error: a manifest is not a number, so the types above are not any
         return manifest + bytes;
       }`,
    );
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--lib',
      'es2024,dom,dom.iterable,dom.asynciterable',
    ];
    await run(bin('tsc'), [...options, 'use.ts'], { cwd: consumer });
  });

  it('carries compiled code, kernels and no sources', async () => {
    const all = await readdir(join(consumer, 'node_modules', 'kwam-dp'), { recursive: true });
    expect(all).toEqual(
      expect.arrayContaining([
        'dist/verify.js',
        'dist/verify.d.ts',
        'build/verify.wasm',
        'build/kernels.wasm',
      ]),
    );
    expect(all.filter((name) => /(^|\/)(src|test|assembly)(\/|$)|(?<!\.d)\.ts$/.test(name))).toEqual([]);
  });

  it('runs a cluster of its compiled code', { timeout: 60_000 }, async () => {
    const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const project = await install(tarball, 'cluster', Object.keys(dependencies));
    const installed = join(project, 'node_modules', '.bin', 'kwam-dp');
    const kwam = (...args: string[]) => run(installed, args, { cwd: project });
    await writeFile(join(project, 'model.txt'), 'weights');
    try {
      const up = await run('npx', ['--no-install', 'kwam-dp', 'dev', 'up', '--nodes', NODES], {
        cwd: project,
      });
      expect(up.stdout).toContain(`n000${NODES}`);
      await kwam('put', 'model.txt', '--name', 'model');
      await kwam('get', 'model', 'back.txt');
      expect(await readFile(join(project, 'back.txt'), 'utf8')).toBe('weights');
    } finally {
      await kwam('dev', 'down');
    }
  });

  it('leaves package.json of the checkout as it was', async () => {
    const [before, after] = await Promise.all(
      [root, checkout].map((at) => readFile(join(at, 'package.json'), 'utf8')),
    );
    expect(after).toBe(before);
  });
});
