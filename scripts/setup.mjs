/**
 * Makes a fresh clone ready: installs the packages, builds the kernels and generates the parser, each only when it is missing or stale.
 * Plain JavaScript for any Node 20 or newer, because it runs before anything is installed. Quick when nothing is due.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

function isCurrent(stamp, hash) {
  return existsSync(join(root, stamp)) && readFileSync(join(root, stamp), 'utf8') === hash;
}

function run(what, command, args) {
  process.stderr.write(`setup: ${what} …\n`);
  const path = `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`;
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, PATH: path },
  });
  if (result.status === 0) return;
  process.stderr.write(`setup: ${what} failed (${command} ${args.join(' ')}); see the lines above\n`);
  process.exit(3);
}

function installPackages() {
  const stamp = 'node_modules/.setup-hash';
  const hash = hashOf(['package-lock.json']);
  if (isCurrent(stamp, hash)) return;
  run('installing packages', 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(join(root, stamp), hash);
}

function buildKernels() {
  const sources = readdirSync(join(root, 'assembly'))
    .filter((name) => name.endsWith('.ts'))
    .sort();
  const hash = hashOf([
    ...sources.map((name) => `assembly/${name}`),
    'asconfig.json',
    'asconfig.verify.json',
    'package-lock.json',
  ]);
  const stamp = 'build/.setup-hash';
  const built = ['kernels.wasm', 'kernels.debug.wasm', 'verify.wasm'];
  if (isCurrent(stamp, hash) && built.every((name) => existsSync(join(root, 'build', name)))) return;
  mkdirSync(join(root, 'build'), { recursive: true });
  for (const target of ['release', 'debug']) run(`building kernels (${target})`, 'asc', ['--target', target]);
  run('building kernels (verify)', 'asc', ['--config', 'asconfig.verify.json', '--target', 'release']);
  writeFileSync(join(root, stamp), hash);
}

/** The parser's tables and the types of its tree. The grammar is the source; what is made of it is not kept in the repository. */
function generateLanguage() {
  const hash = hashOf([
    'src/language/kwam.langium',
    'langium-config.json',
    'scripts/generate-language.mjs',
    'package-lock.json',
  ]);
  const out = 'src/language/generated';
  const stamp = 'build/.language-hash';
  const made = [
    `${out}/ast.ts`,
    `${out}/grammar.ts`,
    `${out}/module.ts`,
    'build/langium.mjs',
    'build/langium.d.mts',
  ];
  if (isCurrent(stamp, hash) && made.every((name) => existsSync(join(root, name)))) return;
  mkdirSync(join(root, 'build'), { recursive: true });
  run('generating the parser', 'node', [join(root, 'scripts/generate-language.mjs')]);
  writeFileSync(join(root, stamp), hash);
}

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  process.stderr.write(`kwam-dp needs Node 20 or newer to set itself up, this is ${process.version}\n`);
  process.exit(3);
}
installPackages();
buildKernels();
generateLanguage();
