/** Reads files that a command was given: a clear error instead of an errno, and never more than the bound, whatever the path names. */
import * as fs from 'node:fs';
import { KwamError } from '../errors.ts';

const STEP_BYTES = 1 << 20;
/** Keys, locks and trust stores are some KiB. */
const TEXT_BYTES_MAX = 16 * 2 ** 20;

export function textOf(path: string, what: string): string {
  try {
    return boundedText(path, what, TEXT_BYTES_MAX);
  } catch (cause) {
    if (cause instanceof KwamError) throw cause;
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KwamError(
      errno === 'ENOENT' ? 'USAGE' : 'ENVIRONMENT',
      `expected ${what} in ${path}, got ${errno === 'ENOENT' ? 'no such file' : errno}`,
      { cause, context: { path, errno } },
    );
  }
}

/**
 * Devices and pipes have no size to ask for: they are read as far as the bound.
 * @throws KwamError LIMIT_EXCEEDED, and what the file system throws.
 */
export function boundedText(path: string, what: string, bytesMax: number): string {
  const fd = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(fd);
    if (size > bytesMax) throw tooLarge(path, what, bytesMax, `${size}`);
    return readAtMost(fd, bytesMax, () => tooLarge(path, what, bytesMax, 'more')).toString('utf8');
  } finally {
    fs.closeSync(fd);
  }
}

function readAtMost(fd: number, bytesMax: number, problem: () => KwamError): Buffer {
  const parts: Buffer[] = [];
  for (let total = 0; ; ) {
    const part = Buffer.allocUnsafe(STEP_BYTES);
    const length = fs.readSync(fd, part, 0, STEP_BYTES, null);
    if (length === 0) return Buffer.concat(parts);
    parts.push(part.subarray(0, length));
    total += length;
    if (total > bytesMax) throw problem();
  }
}

function tooLarge(path: string, what: string, bytesMax: number, got: string): KwamError {
  const most = `${bytesMax / 2 ** 20} MiB`;
  return new KwamError('LIMIT_EXCEEDED', `expected ${what} of at most ${most} in ${path}, got ${got} bytes`, {
    context: { path },
  });
}
