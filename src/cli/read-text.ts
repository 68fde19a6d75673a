/** Reads a file that a command was given; a clear error instead of an errno. */
import { readFileSync } from 'node:fs';
import { KwamError } from '../errors.ts';

export function textOf(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KwamError(
      errno === 'ENOENT' ? 'USAGE' : 'ENVIRONMENT',
      `expected ${what} in ${path}, got ${errno === 'ENOENT' ? 'no such file' : errno}`,
      { cause, context: { path, errno } },
    );
  }
}
