/** Reads the text of a program for the commands of the language; a clear error instead of an errno. */
import { KwamError } from '../errors.ts';
import { boundedText } from './read-text.ts';

/** The parser refuses longer texts too; this keeps a mistaken file name from filling the memory first. */
const PROGRAM_BYTES_MAX = 16 * 2 ** 20;

export function programText(file: string): string {
  try {
    return boundedText(file, 'a program', PROGRAM_BYTES_MAX);
  } catch (cause) {
    if (cause instanceof KwamError) throw cause;
    const errno = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new KwamError('USAGE', `expected a readable program at ${file}, got ${errno}; check the path`, {
      cause,
    });
  }
}
