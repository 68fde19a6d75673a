/**
 * What a policy says about consent: which seed may be asked for what, whose signatures count, and who is behind a key.
 * In: grants and public keys as a plan carries them. Out: the same, ready to decide, or KwamError USAGE for a policy that cannot work.
 * Holds: one key is one entry and belongs to one person; every signer that a grant names has a key.
 */
import { KwamError } from '../errors.ts';
import { compileGrants, type Grant, type GrantSource } from '../identity/grants.ts';
import { trustedKeysMax } from '../limits.ts';
import { fingerprint } from '../manifest/dsse.ts';
import { importPublicKey } from '../manifest/public-key.ts';

/** A trusted key as a plan carries it. */
export interface KeySource {
  readonly name: string;
  /** Public key in PEM. */
  readonly pem: string;
  readonly person: string;
  /** The time in which its signatures count; always, unless given. Rotation is an overlap of two keys of one person. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Its signatures do not count any more, whenever they were made: who has a stolen key writes any date. */
  readonly revoked?: boolean;
}

export interface ConsentKey extends Omit<KeySource, 'pem'> {
  readonly key: CryptoKey;
}

export interface ConsentPolicy {
  readonly grants: readonly Grant[];
  readonly keys: readonly ConsentKey[];
}

export async function compileConsentPolicy(
  grants: readonly GrantSource[],
  keys: readonly KeySource[],
): Promise<ConsentPolicy> {
  checkKeyCount(keys.length);
  const imported = await Promise.all(keys.map(importKey));
  await checkDistinct(imported);
  const names = new Set(imported.map(({ name }) => name));
  for (const { pattern, signedBy } of grants) {
    if (!names.has(signedBy))
      throw badPolicy(`a trusted key named ${signedBy}, which grant "${pattern}" asks for`, 'none');
  }
  return { grants: compileGrants(grants), keys: imported };
}

async function importKey({ pem, ...rest }: KeySource): Promise<ConsentKey> {
  return { ...rest, key: await importPublicKey(pem) };
}

function checkKeyCount(count: number): void {
  if (count > trustedKeysMax) throw badPolicy(`at most ${trustedKeysMax} trusted keys`, `${count}`);
}

/** A key under two names could be two people. */
async function checkDistinct(keys: readonly ConsentKey[]): Promise<void> {
  const nameOf = new Map<string, string>();
  for (const { name, key } of keys) {
    const print = await fingerprint(key);
    const other = nameOf.get(print);
    if (other !== undefined) throw badPolicy('each key once', `the same key as ${other} and ${name}`);
    nameOf.set(print, name);
  }
}

function badPolicy(expected: string, actual: string): KwamError {
  return new KwamError(
    'USAGE',
    `policy: expected ${expected}, got ${actual}; correct trusted_keys in the program`,
    {
      context: { rule: 'policy-keys' },
    },
  );
}
