/**
 * The PEM behind a key of a program: a file beside the program, or a secret, resolved now.
 * In: the reference, the program's or plan's file, this process's surroundings. Out: the text, for the one who parses it at once.
 */
import { dirname, resolve } from 'node:path';
import type { KeyReference } from '../plan.ts';
import { resolveSecret } from '../secrets/resolve.ts';
import { revealSecret } from '../secrets/secret.ts';
import { textOf } from './read-text.ts';
import type { Shell } from './shell.ts';

export async function keyText(
  shell: Shell,
  file: string,
  reference: KeyReference,
  what: string,
): Promise<string> {
  if ('pem' in reference) return textOf(resolve(dirname(file), reference.pem), what);
  return secretText(shell, reference.secret);
}

/** The text of secret://…, for the one expression that uses it. */
export async function secretText(shell: Shell, uri: string): Promise<string> {
  const warn = (message: string): void => shell.note(`kwam-dp: ${message}`);
  return revealSecret(await resolveSecret(uri, { environment: shell.environment, warn }));
}
