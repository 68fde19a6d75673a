/**
 * Secrets that lie on this machine: environment variables and files.
 * In: a place, the environment. Out: the secret. A file is regular (links are followed: orchestrators mount secrets through them), bounded,
 * UTF-8; one line feed at its end is an editor's and dropped. Warns when others may read a file; refuses nothing for it.
 */
import * as fs from 'node:fs';
import { secretBytesMax } from '../limits.ts';
import { secretOfText } from './field.ts';
import type { LocalPlace } from './place.ts';
import { refuse } from './refusal.ts';
import type { Secret } from './secret.ts';

const OTHERS_MAY = 0o007;

export function secretOfEnvironment(place: LocalPlace, environment: NodeJS.ProcessEnv): Secret {
  const text = environment[place.path];
  if (text !== undefined) return secretOfText(place, text);
  return refuse({
    rule: 'secret-missing',
    uri: place.uri,
    expected: `the environment variable ${place.path}`,
    actual: 'none of that name',
    remedy: 'set it for this process',
  });
}

export function secretOfFile(place: LocalPlace, warn: (message: string) => void): Secret {
  const stat = readable(place, () => fs.statSync(place.path));
  if (!stat.isFile()) refuseFile(place, 'secret-missing', 'something that is no file');
  if (stat.size > secretBytesMax) refuseFile(place, 'secret-size', `${stat.size} bytes`);
  if ((stat.mode & OTHERS_MAY) !== 0)
    warn(
      `${place.uri}: expected a file that only its owner reads, got mode ${(stat.mode & 0o777).toString(8)}; chmod 600 it`,
    );
  const bytes = readable(place, () => fs.readFileSync(place.path));
  return secretOfText(place, utf8(place, bytes).replace(/\r?\n$/, ''));
}

function readable<T>(place: LocalPlace, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    const rule = errno === 'EACCES' ? 'secret-denied' : 'secret-missing';
    return refuseFile(place, rule, errno === 'ENOENT' ? 'no such file' : errno, cause);
  }
}

function utf8(place: LocalPlace, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    return refuseFile(place, 'secret-answer', 'bytes that are no UTF-8', cause);
  }
}

function refuseFile(
  place: LocalPlace,
  rule: 'secret-missing' | 'secret-denied' | 'secret-size' | 'secret-answer',
  actual: string,
  cause?: unknown,
): never {
  return refuse({
    rule,
    uri: place.uri,
    expected: `a readable text of at most ${secretBytesMax} bytes in ${place.path}`,
    actual,
    remedy: 'put the secret there, readable for this process',
    cause,
  });
}
