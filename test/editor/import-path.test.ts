/** The language and what an editor asks of it run wherever JavaScript does: nothing of Node on their import paths. */
import { readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const filesOf = (folder: string): readonly string[] =>
  readdirSync(`${ROOT}/${folder}`)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`);

/** Every import that a bundler for browsers meets from these files on. */
async function walk(entryPoints: readonly string[]): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [...entryPoints],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    outdir: 'build',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  return metafile;
}

describe('the import paths of src/language and src/editor', () => {
  it('have no Node built-in', async () => {
    const { inputs } = await walk([...filesOf('src/language'), ...filesOf('src/editor')]);
    const imports = Object.values(inputs).flatMap((input) => input.imports.map(({ path }) => path));
    expect(imports.filter((path) => path.startsWith('node:') || builtinModules.includes(path))).toEqual([]);
  });

  it('have pure layers only, and of packages the bundled parser', async () => {
    const inputs = Object.keys((await walk(filesOf('src/editor'))).inputs);
    const folders = new Set(inputs.map((path) => path.split('/').slice(0, 2).join('/')));
    const allowed = [
      'src/editor',
      'src/language',
      'src/guard',
      'src/manifest',
      'src/errors.ts',
      'src/limits.ts',
      'src/digest.ts',
      'src/plan.ts',
      'build/langium.mjs',
    ];
    expect([...folders].filter((folder) => !allowed.includes(folder))).toEqual([]);
  });

  it('would show a built-in if there were one (canary)', async () => {
    await expect(walk(['src/cli/module-files.ts'])).rejects.toThrow(/node:/);
  });
});
