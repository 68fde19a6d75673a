/** Reads the text of a program for the commands of the language; a clear error instead of an errno. */
import { readFileSync, statSync } from 'node:fs';
import { KwamError } from '../errors.ts';

/** The parser refuses longer texts too; this keeps a mistaken file name from filling the memory first. */
const PROGRAM_BYTES_MAX = 16 * 2 ** 20;

export function programText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > PROGRAM_BYTES_MAX) {
      throw new KwamError(
        'LIMIT_EXCEEDED',
        `expected a program of at most 16 MiB, ${file} has ${size} bytes`,
      );
    }
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof KwamError) throw cause;
    const errno = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new KwamError('USAGE', `expected a readable program at ${file}, got ${errno}; check the path`, {
      cause,
    });
  }
}
