/**
 * How a registry of images is asked, from the options of a command.
 * In: the path of authorities, a name and the secret:// of its password. Out: RegistryOptions; the password is resolved when the registry asks for it.
 */
import { KwamError } from '../errors.ts';
import type { RegistryCredentials, RegistryOptions } from '../images/registry.ts';
import { textOf } from './read-text.ts';
import { secretText } from './secret-text.ts';
import type { Shell } from './shell.ts';

export interface RegistryAccess {
  readonly ca?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** @param names  of the two options, for messages. */
export function registryOptions(shell: Shell, access: RegistryAccess, names: LoginNames): RegistryOptions {
  const credentials = credentialsOf(shell, access, names);
  return {
    ...(access.ca === undefined ? {} : { authorities: textOf(access.ca, 'authorities in PEM') }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

interface LoginNames {
  readonly username: string;
  readonly password: string;
}

/** A password on the command line would stand in everybody's list of processes. */
function credentialsOf(
  shell: Shell,
  { username, password }: RegistryAccess,
  names: LoginNames,
): RegistryCredentials | undefined {
  if (username === undefined && password === undefined) return undefined;
  if (username !== undefined && password?.startsWith('secret://'))
    return { username, password: () => secretText(shell, password) };
  throw new KwamError(
    'USAGE',
    `expected ${names.username} NAME together with ${names.password} secret://…, got one of them alone or a plain password; for example ` +
      `${names.username} ci ${names.password} secret://env/REGISTRY_PASSWORD`,
  );
}
