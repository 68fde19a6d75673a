/**
 * Where this program is installed. In a clone the sources lie in src/cli/, in the published package in dist/cli/: the root
 * is two folders up from either.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export function packageRoot(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', '..');
}

/** The script that starts this program, for child processes. */
export function programPath(): string {
  return join(packageRoot(), 'bin', 'kwam-dp.mjs');
}
