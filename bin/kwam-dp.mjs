#!/usr/bin/env node
/**
 * Starts kwam-dp. Plain JavaScript that any Node can parse, so that one too old gets one clear line.
 * In a clone it runs the TypeScript sources; in the published package the compiled ones.
 */
import { existsSync } from 'node:fs';
// As a whole: a Node that is too old has no such export, and must get as far as the line below.
import module from 'node:module';

const NEEDED = [24, 15];
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  process.stderr.write(
    `kwam-dp: expected Node ${NEEDED.join('.')} or newer, this is ${process.version}; install it, or use the clone's own: npx kwam-dp\n`,
  );
  process.exit(3);
}
module.enableCompileCache?.();
const compiled = new URL('../dist/main.js', import.meta.url);
const source = new URL('../src/main.ts', import.meta.url);
const { main } = await import((existsSync(source) ? source : compiled).href);
process.exitCode = await main(process.argv);
