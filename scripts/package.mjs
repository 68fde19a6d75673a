/**
 * Makes the package that others install.
 * In the repository `exports` points at src/verify.ts, so that examples and tests import 'kwam-dp' by its own name and always run
 * the sources. Node does not strip types under node_modules, so a package must point at dist/ instead. package.json has
 * no condition that tells the two apart; therefore:
 *   build   compiles src/ to dist/ (tsconfig.build.json) and copies what it reads; compiled code finds build/*.wasm at the same relative place
 *   enter   runs before `npm pack`: package.json points at dist/; the repository's text is kept in dist/.package.json
 *   leave   runs after it: the repository's text returns
 * `enter` refuses without dist/, and may run again after a pack that was cut off.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const manifest = join(root, 'package.json');
const dist = join(root, 'dist');
const kept = join(dist, '.package.json');
/** Files in src/ that are not code and lie beside the code that reads them. */
const READ_AT_RUN_TIME = ['control/etcd.proto', 'identity/workload-api.proto'];

function fail(message) {
  process.stderr.write(`package: ${message}\n`);
  process.exit(3);
}

function build() {
  rmSync(dist, { recursive: true, force: true });
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  const result = spawnSync(tsc, ['-p', join(root, 'tsconfig.build.json')], { stdio: ['ignore', 2, 2] });
  if (result.status !== 0) fail('the sources do not compile; see the lines above');
  for (const file of READ_AT_RUN_TIME) copyFileSync(join(root, 'src', file), join(dist, file));
}

function toCompiled(value) {
  if (typeof value !== 'string') return value;
  return value.replace(/^\.\/src\/(.*)\.ts$/, './dist/$1.js');
}

function enter() {
  if (!existsSync(join(dist, 'verify.js'))) fail('expected dist/; run: npm run build:package');
  if (existsSync(kept)) leave();
  const text = readFileSync(manifest, 'utf8');
  const value = JSON.parse(text);
  for (const name of Object.keys(value.exports)) value.exports[name] = toCompiled(value.exports[name]);
  value.exports['.'] = { types: value.exports['.'].replace(/\.js$/, '.d.ts'), default: value.exports['.'] };
  value.types = value.exports['.'].types;
  delete value.devDependencies;
  writeFileSync(kept, text);
  writeFileSync(manifest, `${JSON.stringify(value, null, 2)}\n`);
}

function leave() {
  if (!existsSync(kept)) fail('expected dist/.package.json, which enter leaves; nothing was changed');
  renameSync(kept, manifest);
}

const steps = { build, enter, leave };
const step = steps[process.argv[2]];
if (!step) fail(`expected one of ${Object.keys(steps).join(', ')}, got ${process.argv[2]}`);
step();
