/**
 * What a policy says about consent: which seed may be asked for what, whose signatures count, and who is behind a key.
 * In: the policy of a plan, and how to open the places where it keeps public keys. Out: the same, ready to decide, or KwamError USAGE for
 * one that cannot work. Holds: one key is one entry and belongs to one named person; every signer that a grant names has a key.
 */
import { KwamError } from '../errors.ts';
import { compileGrants, type Grant } from '../identity/grants.ts';
import { isPlainlySpelled, personKey } from '../language/person.ts';
import { consentNameCharactersMax, trustedKeysMax } from '../limits.ts';
import { fingerprint } from '../manifest/dsse.ts';
import { type KeyTerm, keyTermOf } from '../manifest/key-term.ts';
import { importPublicKey } from '../manifest/public-key.ts';
import type { GrantPlan, KeyReference, PolicyPlan, TrustedKeyPlan } from '../plan.ts';

export interface ConsentKey extends KeyTerm {
  readonly name: string;
  readonly key: CryptoKey;
  readonly person: string;
}

export interface ConsentPolicy {
  readonly grants: readonly Grant[];
  readonly keys: readonly ConsentKey[];
}

/** The public key in PEM that lies at a place. */
export type OpenKey = (reference: KeyReference) => string | Promise<string>;

export async function compileConsentPolicy(
  { grants, trustedKeys }: Pick<PolicyPlan, 'grants' | 'trustedKeys'>,
  open: OpenKey,
): Promise<ConsentPolicy> {
  checkKeyCount(trustedKeys.length);
  checkNames(trustedKeys);
  const keys = await Promise.all(trustedKeys.map((each) => consentKey(each, open)));
  await checkDistinct(keys);
  for (const grant of grants) checkSigner(grant, keys);
  return { grants: compileGrants(grants), keys };
}

async function consentKey(plan: TrustedKeyPlan, open: OpenKey): Promise<ConsentKey> {
  const { name, person } = plan;
  if (person === undefined) throw badPolicy(`the person who holds the key ${name}`, 'none');
  checkPerson(person);
  return {
    name,
    person,
    key: await importPublicKey(await open(plan.key)),
    ...keyTermOf(plan),
  };
}

/** Whoever reads the policy must see who is who. */
function checkPerson(person: string): void {
  const isName = personKey(person) !== '' && person.length <= consentNameCharactersMax;
  if (isName && isPlainlySpelled(person)) return;
  throw badPolicy('the name of a person, in letters of one script', JSON.stringify(person.slice(0, 120)));
}

function checkSigner({ signedBy, pattern }: GrantPlan, keys: readonly ConsentKey[]): void {
  if (keys.some(({ name }) => name === signedBy)) return;
  throw badPolicy(`a trusted key named ${signedBy}, which grant "${pattern}" asks for`, 'none');
}

function checkKeyCount(count: number): void {
  if (count > trustedKeysMax) throw badPolicy(`at most ${trustedKeysMax} trusted keys`, `${count}`);
}

/** Grants name their signer: with two keys of that name each of them would be he. */
function checkNames(keys: readonly TrustedKeyPlan[]): void {
  const twice = keys.find(({ name }, at) => keys.findIndex((other) => other.name === name) !== at);
  if (twice !== undefined) throw badPolicy('each name once', `two keys named ${twice.name}`);
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
