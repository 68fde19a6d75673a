/**
 * The public keys that a policy names: files, or secrets, which some people keep them with.
 * In: the directory that paths are relative to (the program's, or that of a cluster which has copies), this process's surroundings. Out: a
 * key's PEM text, opened anew each time.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { KwamError } from '../errors.ts';
import { resolveSecret, type SecretOptions } from '../secrets/resolve.ts';
import { revealSecret } from '../secrets/secret.ts';
import type { OpenKey } from './consent-policy.ts';

export function openKeysIn(base: string, options: SecretOptions): OpenKey {
  return async (reference) =>
    'pem' in reference
      ? textAt(resolve(base, reference.pem))
      : revealSecret(await resolveSecret(reference.secret, options));
}

function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KwamError(
      'ENVIRONMENT',
      `expected a trusted public key in ${path}, got ${errno}; put it there, or correct trusted_keys in the program`,
      { cause, context: { path, errno } },
    );
  }
}
