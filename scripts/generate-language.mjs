/**
 * Makes the parser from its grammar: the tables and tree types in src/language/generated/, and build/langium.mjs, the part of Langium
 * that parsing needs in one file. A cold `check` loads it in a fifth of the time that Langium's 290 modules take; what imports
 * it at run time is rewritten to do so, types still come from the package.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const generated = join(root, 'src/language/generated');
/** What parser.ts and the generated files use at run time. */
const NEEDED = [
  'AbstractAstReflection',
  'createDefaultCoreModule',
  'createDefaultSharedCoreModule',
  'DefaultLexer',
  'EmptyFileSystem',
  'inject',
  'loadGrammarFromJson',
];

function generate() {
  const command = join(root, 'node_modules', '.bin', 'langium');
  const { status } = spawnSync(command, ['generate'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(3);
}

async function bundle() {
  await build({
    stdin: { contents: `export { ${NEEDED.join(', ')} } from 'langium';`, resolveDir: root },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import'],
    minify: true,
    keepNames: true,
    legalComments: 'eof',
    outfile: join(root, 'build/langium.mjs'),
    logLevel: 'warning',
  });
  writeFileSync(join(root, 'build/langium.d.mts'), `export * from 'langium';\n`);
}

function pointAtBundle(name) {
  const path = join(generated, name);
  const text = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    text.replace(/^(import (?!type ).*) from 'langium';$/gm, `$1 from '../../../build/langium.mjs';`),
  );
}

generate();
await bundle();
for (const name of ['ast.ts', 'grammar.ts', 'module.ts']) pointAtBundle(name);
