/**
 * secret:// → the secret, at the moment of use.
 * In: a reference; this process's environment, which also says how Vault is reached. Out: a Secret. Keeps nothing.
 *   VAULT_ADDR  VAULT_TOKEN or VAULT_TOKEN_FILE or ~/.vault-token  VAULT_CACERT  VAULT_NAMESPACE, as Vault's own command line reads them;
 *   for secret://openbao/… each with BAO_ in the place of VAULT_, and VAULT_ where that one is not set.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import { checkUrl } from '../http-get.ts';
import { secretOfEnvironment, secretOfFile } from './local.ts';
import { parseSecretPlace, type VaultPlace } from './place.ts';
import { refuse } from './refusal.ts';
import { Secret } from './secret.ts';
import { secretOfVault, type VaultSettings } from './vault.ts';

export interface SecretOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly clock?: Clock;
  /** Told of files that others may read. */
  readonly warn?: (message: string) => void;
}

/** @throws KwamError SECRET_UNREADABLE  names the place, and by `context.rule` why. */
export async function resolveSecret(uri: string, options: SecretOptions): Promise<Secret> {
  const place = parseSecretPlace(uri);
  const { environment, clock = systemClock, warn = () => undefined } = options;
  switch (place.provider) {
    case 'env':
      return secretOfEnvironment(place, environment);
    case 'file':
      return secretOfFile(place, warn);
    default:
      return secretOfVault(place, vaultSettings(place, environment), clock);
  }
}

function vaultSettings(place: VaultPlace, environment: NodeJS.ProcessEnv): VaultSettings {
  const setting = (name: string): string | undefined =>
    (place.provider === 'openbao' ? environment[`BAO_${name}`] : undefined) ||
    environment[`VAULT_${name}`] ||
    undefined;
  const authorities = setting('CACERT');
  const namespace = setting('NAMESPACE');
  return {
    address: vaultAddress(place, setting('ADDR')),
    token: vaultToken(place, setting('TOKEN'), setting('TOKEN_FILE')),
    ...(authorities === undefined ? {} : { authorities: textOf(place, authorities, 'VAULT_CACERT') }),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

function vaultAddress(place: VaultPlace, text: string | undefined): URL {
  const address = text === undefined ? null : URL.parse(text);
  if (address === null) {
    return refuse({
      rule: 'secret-address',
      uri: place.uri,
      expected: 'the address of the server in VAULT_ADDR',
      actual: text === undefined ? 'none' : 'something that is no URL',
      remedy: 'set it to https://HOST:8200',
    });
  }
  checkUrl(address);
  return address;
}

function vaultToken(place: VaultPlace, token: string | undefined, file: string | undefined): Secret {
  const text = token ?? textOf(place, file ?? join(homedir(), '.vault-token'), 'VAULT_TOKEN').trim();
  // A header takes visible ASCII only.
  if (/^[\x21-\x7e]+$/.test(text)) return new Secret(text);
  return refuse({
    rule: 'secret-token',
    uri: place.uri,
    expected: 'a token in VAULT_TOKEN, or in a file that VAULT_TOKEN_FILE names',
    actual: 'a text that is none',
    remedy: 'log in with `vault login`, or let an agent write the file',
  });
}

function textOf(place: VaultPlace, path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    return refuse({
      rule: setting === 'VAULT_TOKEN' ? 'secret-token' : 'secret-address',
      uri: place.uri,
      expected: `${setting} or a readable file ${path}`,
      actual: errno === 'ENOENT' ? 'no such file' : errno,
      remedy: 'set it, or write the file',
      cause,
    });
  }
}
