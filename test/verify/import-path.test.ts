import { execFileSync } from 'node:child_process';
import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Every import that a bundler for browsers meets from `entry` on, dynamic ones too. */
async function walk(entry: string): Promise<Metafile> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  return result.metafile;
}

const importsOf = (metafile: Metafile): string[] =>
  Object.values(metafile.inputs).flatMap((input) => input.imports.map(({ path }) => path));

describe('the import path of the library', () => {
  it('has no Node built-in', async () => {
    const metafile = await walk('src/verify.ts');
    const builtin = importsOf(metafile).filter(
      (path) => path.startsWith('node:') || builtinModules.includes(path),
    );
    expect(builtin).toEqual([]);
  });

  it('has pure layers only, and three packages at most', async () => {
    const inputs = Object.keys((await walk('src/verify.ts')).inputs);
    const folders = new Set(inputs.map((path) => path.split('/').slice(0, 2).join('/')));
    const allowed = [
      'chunking',
      'digest.ts',
      'errors.ts',
      'hashing',
      'limits.ts',
      'manifest',
      'plan.ts',
      'verify',
      'verify.ts',
      'wasm',
    ];
    const own = [...folders].filter((folder) => folder.startsWith('src/'));
    expect(own.filter((folder) => !allowed.includes(folder.slice(4)))).toEqual([]);
    const packages = [...folders].filter((folder) => folder.startsWith('node_modules/')).sort();
    expect(packages).toEqual(['node_modules/@assemblyscript', 'node_modules/hash-wasm']);
  });

  it('would show a built-in if there were one (canary)', async () => {
    await expect(walk('src/wasm/load.ts')).rejects.toThrow(/node:fs/);
  });
});

describe('verify.wasm', () => {
  const textOf = (file: string): string =>
    execFileSync(`${root}/node_modules/.bin/wasm-dis`, ['--all-features', `${root}/build/${file}`], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });

  it('has SIMD but no relaxed instruction, no floats and no imports', () => {
    const text = textOf('verify.wasm');
    expect(text).toMatch(/i32x4\.add/);
    expect(text).not.toMatch(/relaxed|\bf(32|64)\b|\(import /);
  });

  it('would show a relaxed instruction if there were one (canary)', () => {
    expect(textOf('kernels.wasm')).toMatch(/relaxed_swizzle/);
  });
});
