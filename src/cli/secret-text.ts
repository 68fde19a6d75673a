/** The text of a secret, for a command that uses it at once. */
import { resolveSecret } from '../secrets/resolve.ts';
import { revealSecret } from '../secrets/secret.ts';
import type { Shell } from './shell.ts';

/** The text of secret://…, for the one expression that uses it. */
export async function secretText(shell: Shell, uri: string): Promise<string> {
  const warn = (message: string): void => shell.note(`kwam-dp: ${message}`);
  return revealSecret(await resolveSecret(uri, { environment: shell.environment, warn }));
}
