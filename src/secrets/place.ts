/**
 * Where a secret is kept: secret://PROVIDER/PATH[#FIELD][?version=N], taken apart.
 *   secret://env/NAME[#FIELD]                      an environment variable
 *   secret://file/PATH[#FIELD]                     a file, by its absolute path without the first slash
 *   secret://vault/MOUNT/PATH[#FIELD][?version=N]  a KV v2 engine of Vault; openbao is the same
 * With #FIELD the text is a JSON object and the secret a string in it. In: the URI that a program writes. Opens nothing.
 */
import { refuse } from './refusal.ts';

export type SecretPlace = LocalPlace | VaultPlace;

export interface LocalPlace {
  readonly provider: 'env' | 'file';
  readonly uri: string;
  /** The variable's name, or an absolute path. */
  readonly path: string;
  readonly field?: string;
}

export interface VaultPlace {
  readonly provider: 'vault' | 'openbao';
  readonly uri: string;
  readonly mount: string;
  readonly path: string;
  readonly field?: string;
  readonly version?: number;
}

/** The form that the language accepts (language/literals.ts). */
const FORM =
  /^secret:\/\/([A-Za-z0-9_-]+)\/([A-Za-z0-9_./-]+)(?:#([A-Za-z0-9_.-]+))?(?:\?version=([0-9]{1,9}))?$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function parseSecretPlace(uri: string): SecretPlace {
  const [, provider, path, field, version] = FORM.exec(uri) ?? [];
  if (provider === undefined || path === undefined) return refuseForm(uri, 'something else');
  const segments = path.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    return refuseForm(uri, 'a path with an empty segment or dots');
  const named = field === undefined ? {} : { field };
  switch (provider) {
    case 'env':
    case 'file':
      if (version !== undefined) return refuseForm(uri, 'a version, which only vault and openbao keep');
      if (provider === 'env' && !VARIABLE.test(path)) return refuseForm(uri, 'no name of a variable');
      return { provider, uri, path: provider === 'file' ? `/${path}` : path, ...named };
    case 'vault':
    case 'openbao':
      return { provider, uri, ...vaultPath(uri, segments), ...named, ...versionOf(uri, version) };
    default:
      return refuse({
        rule: 'secret-provider',
        uri,
        expected: 'a secret of vault, openbao, env or file',
        actual: `the provider ${provider}`,
        remedy: 'keep it with one of these',
      });
  }
}

function vaultPath(uri: string, [mount, ...path]: readonly string[]): Pick<VaultPlace, 'mount' | 'path'> {
  if (mount === undefined || path.length === 0) return refuseForm(uri, 'a mount without a path');
  return { mount, path: path.join('/') };
}

function versionOf(uri: string, text: string | undefined): Pick<VaultPlace, 'version'> {
  if (text === undefined) return {};
  return Number(text) > 0 ? { version: Number(text) } : refuseForm(uri, 'version 0; versions count from 1');
}

function refuseForm(uri: string, actual: string): never {
  return refuse({
    rule: 'secret-form',
    uri,
    expected: 'secret://PROVIDER/PATH, with #FIELD or ?version=N if need be',
    actual,
    remedy: 'see examples with `kwam-dp help serve`',
  });
}
