/**
 * A trust store: the public keys whose signatures of modules count.
 * In: a file of kwam.module-trust/v1. Out: its keys, each with the modules that it may sign (a name, or a prefix that ends in `/`), its term,
 * and how many keys the store asks for. The package brings one for `std/`; a user's own, for an organisation's modules, is a file of the same form.
 * Strict: a member that nobody knows is refused, because a misspelt `notAfter` would be a key without an end.
 */
import { KwamError } from '../errors.ts';
import { isModuleName } from '../language/modules.ts';
import { type KeyTerm, keyTermOf, type WrittenTerm } from '../manifest/key-term.ts';
import { importPublicKey } from '../manifest/public-key.ts';
import { textOf } from './read-text.ts';

const TRUST_SCHEMA = 'kwam.module-trust/v1';

export interface ModuleKey extends KeyTerm {
  readonly name: string;
  readonly modules: readonly string[];
  readonly key: CryptoKey;
  /** How many distinct keys its store wants for each of these modules; 1 unless given. */
  readonly threshold?: number;
}

interface Row extends WrittenTerm {
  readonly name: string;
  readonly modules: readonly string[];
  readonly publicKey: string;
}

const STORE_MEMBERS: ReadonlySet<string> = new Set(['schema', 'keys', 'threshold']);
const ROW_MEMBERS: ReadonlySet<string> = new Set(
  'name modules publicKey notBefore notAfter revoked'.split(' '),
);

function hasOnly(value: object, members: ReadonlySet<string>): boolean {
  return Object.keys(value).every((member) => members.has(member));
}

function isRow(value: unknown): value is Row {
  if (typeof value !== 'object' || value === null || !hasOnly(value, ROW_MEMBERS)) return false;
  const { name, modules, publicKey, notBefore, notAfter, revoked } = value as Record<string, unknown>;
  const isList =
    Array.isArray(modules) &&
    modules.length > 0 &&
    modules.every((each) => typeof each === 'string' && isScope(each));
  const isTerm =
    ['string', 'undefined'].includes(typeof notBefore) &&
    ['string', 'undefined'].includes(typeof notAfter) &&
    ['boolean', 'undefined'].includes(typeof revoked);
  return typeof name === 'string' && typeof publicKey === 'string' && isList && isTerm;
}

interface Store {
  readonly keys: readonly Row[];
  readonly threshold?: number;
}

function isStore(value: unknown): value is Store {
  if (typeof value !== 'object' || value === null || !hasOnly(value, STORE_MEMBERS)) return false;
  const { schema, keys, threshold = 1 } = value as Record<string, unknown>;
  const isThreshold = Number.isInteger(threshold) && (threshold as number) >= 1;
  return schema === TRUST_SCHEMA && Array.isArray(keys) && keys.every(isRow) && isThreshold;
}

function isScope(text: string): boolean {
  return text.endsWith('/') ? isModuleName(`${text}x`) : isModuleName(text);
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function readTrust(path: string): Promise<readonly ModuleKey[]> {
  const store = jsonOf(textOf(path, 'a trust store'));
  if (!isStore(store)) {
    throw new KwamError(
      'ENVIRONMENT',
      `expected a trust store (${TRUST_SCHEMA}: keys with name, modules, publicKey, perhaps notBefore, notAfter, revoked; perhaps threshold) in ${path}, got something else; see std/README.md`,
      { context: { path } },
    );
  }
  const { keys, threshold = 1 } = store;
  return Promise.all(keys.map((row) => trustedKey(path, row, threshold)));
}

async function trustedKey(path: string, row: Row, threshold: number): Promise<ModuleKey> {
  const { name, modules, publicKey } = row;
  try {
    return { name, modules, threshold, key: await importPublicKey(publicKey), ...keyTermOf(row) };
  } catch (cause) {
    if (!(cause instanceof KwamError)) throw cause;
    throw new KwamError('ENVIRONMENT', `${path}, key "${name}": ${cause.message}`, {
      cause,
      context: { path },
    });
  }
}

export function maySign(key: ModuleKey, module: string): boolean {
  return key.modules.some((scope) => (scope.endsWith('/') ? module.startsWith(scope) : module === scope));
}
