/**
 * Who vouches for a module: DSSE signatures over its name and digest, by keys that a trust store names.
 * In, to judge: a module's name and digest, and the envelope beside it. Out: nothing, or the reason why it does not count.
 * The trust store holds public keys only, each with the modules that it may sign (a name, or a prefix that ends in `/`). The package
 * brings one for `std/`; a user's own, for an organisation's modules, is a file of the same form.
 */
import { KwamError } from '../errors.ts';
import { isModuleName } from '../language/modules.ts';
import { type ModuleProblem, refused } from '../language/modules-problem.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import { parseEnvelope, type TrustedKey, verifyEnvelope } from '../manifest/dsse.ts';
import { signEnvelope } from '../manifest/envelope-writer.ts';
import { importPublicKey } from '../manifest/public-key.ts';
import { textOf } from './read-text.ts';
import { signingKey } from './signing-key.ts';

export const MODULE_PAYLOAD_TYPE = 'application/vnd.kwam.module.v1+json';
const STATEMENT_SCHEMA = 'kwam.module/v1';
const TRUST_SCHEMA = 'kwam.module-trust/v1';

export interface ModuleKey {
  readonly name: string;
  readonly modules: readonly string[];
  readonly key: CryptoKey;
}

function isRow(value: unknown): value is { name: string; modules: string[]; publicKey: string } {
  if (typeof value !== 'object' || value === null) return false;
  const { name, modules, publicKey } = value as Record<string, unknown>;
  const isList =
    Array.isArray(modules) &&
    modules.length > 0 &&
    modules.every((each) => typeof each === 'string' && isScope(each));
  return typeof name === 'string' && typeof publicKey === 'string' && isList;
}

function isScope(text: string): boolean {
  return text.endsWith('/') ? isModuleName(`${text}x`) : isModuleName(text);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function readTrust(path: string): Promise<readonly ModuleKey[]> {
  const value = jsonOf(textOf(path, 'a trust store')) as
    | { schema?: unknown; keys?: unknown }
    | undefined
    | null;
  if (value?.schema !== TRUST_SCHEMA || !Array.isArray(value.keys) || !value.keys.every(isRow)) {
    throw new KwamError(
      'ENVIRONMENT',
      `expected a trust store (${TRUST_SCHEMA}: keys with name, modules, publicKey) in ${path}, got something else; see std/README.md`,
      { context: { path } },
    );
  }
  return Promise.all(value.keys.map((row) => trustedKey(path, row)));
}

async function trustedKey(
  path: string,
  { name, modules, publicKey }: { name: string; modules: string[]; publicKey: string },
): Promise<ModuleKey> {
  try {
    return { name, modules, key: await importPublicKey(publicKey) };
  } catch (cause) {
    if (!(cause instanceof KwamError)) throw cause;
    throw new KwamError('ENVIRONMENT', `${path}, key "${name}": ${cause.message}`, {
      cause,
      context: { path },
    });
  }
}

function maySign(key: ModuleKey, module: string): boolean {
  return key.modules.some((scope) => (scope.endsWith('/') ? module.startsWith(scope) : module === scope));
}

interface Statement {
  readonly module: string;
  readonly digest: string;
}

function statementBytes({ module, digest }: Statement): Uint8Array<ArrayBuffer> {
  return canonicalBytes({ schema: STATEMENT_SCHEMA, module, digest });
}

/** Whatever is signed is what this writes: a payload of any other form is none of ours. */
function statementOf(payload: Uint8Array): Statement | undefined {
  const value = jsonOf(new TextDecoder().decode(payload)) as Partial<Statement> | undefined | null;
  if (typeof value?.module !== 'string' || typeof value.digest !== 'string') return undefined;
  const statement = { module: value.module, digest: value.digest };
  return Buffer.from(statementBytes(statement)).equals(payload) ? statement : undefined;
}

/** The reason why the envelope does not vouch for this module with this digest. Nothing in it is believed before a key is. */
export async function judgeSignature(
  keys: readonly ModuleKey[],
  module: string,
  digest: string,
  envelope: Uint8Array | undefined,
): Promise<ModuleProblem | undefined> {
  if (envelope === undefined) {
    return refused(
      'signatureMissing',
      module,
      `expected a signature beside the module "${module}", got none; fetch the module again with its .sig file, or sign it with \`kwam-dp module sign\``,
    ).problem;
  }
  const unreadable = formProblem(module, envelope);
  if (unreadable !== undefined) return unreadable;
  const payload = await signedPayload(keys, module, envelope);
  if (!(payload instanceof Uint8Array)) return payload;
  return contentProblem(module, digest, statementOf(payload));
}

function formProblem(module: string, envelope: Uint8Array): ModuleProblem | undefined {
  const value = jsonOf(new TextDecoder().decode(envelope)) as { signatures?: unknown } | undefined | null;
  if (Array.isArray(value?.signatures) && value.signatures.length === 0) {
    return refused(
      'signatureStripped',
      module,
      `expected at least one signature in the envelope of "${module}", got none: they were taken out; fetch the module again with its .sig file`,
    ).problem;
  }
  try {
    parseEnvelope(envelope);
    return undefined;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    return refused(
      'signatureUnreadable',
      module,
      `expected a DSSE envelope beside "${module}", got something else: ${error.message}; fetch it again`,
    ).problem;
  }
}

async function signedPayload(
  keys: readonly ModuleKey[],
  module: string,
  envelope: Uint8Array,
): Promise<Uint8Array | ModuleProblem> {
  const trust = keys.map((each): TrustedKey => ({ key: each.key, identity: each.name }));
  try {
    const { payload, acceptedKeys } = await verifyEnvelope(envelope, {
      payloadTypes: [MODULE_PAYLOAD_TYPE],
      trust,
    });
    const signers = keys.filter((each) => acceptedKeys.some((accepted) => accepted.key === each.key));
    if (signers.some((each) => maySign(each, module))) return payload;
    const names = signers.map((each) => `${each.name} (for ${each.modules.join(', ')})`).join(', ');
    return refused(
      'untrustedKey',
      module,
      `expected a signature by a key that may sign "${module}", got ${names}; add the name to that key's modules in the trust store if this is meant`,
    ).problem;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    if (error.code === 'ENVELOPE_INVALID') {
      return refused(
        'signatureUnreadable',
        module,
        `the envelope beside "${module}": ${error.message}; fetch it again`,
      ).problem;
    }
    if (error.code !== 'SIGNATURE_INVALID') throw error;
    return refused(
      'untrustedKey',
      module,
      `expected a signature of "${module}" by ${namesOf(keys, module)}, got none that holds: another key made it, or the envelope was changed; trust the signer's key or fetch the module from where it comes`,
    ).problem;
  }
}

function namesOf(keys: readonly ModuleKey[], module: string): string {
  const names = keys.filter((each) => maySign(each, module)).map((each) => each.name);
  return names.length === 0 ? 'a trusted key (none may sign it)' : names.join(' or ');
}

function contentProblem(
  module: string,
  digest: string,
  statement: Statement | undefined,
): ModuleProblem | undefined {
  if (statement === undefined) {
    return refused(
      'signatureUnreadable',
      module,
      `expected a statement of ${STATEMENT_SCHEMA} in the envelope of "${module}", got another one; sign it with \`kwam-dp module sign\``,
    ).problem;
  }
  if (statement.module !== module) {
    return refused(
      'signatureOfAnother',
      module,
      `expected a signature of "${module}", got one of "${statement.module}": it belongs to another module; fetch the module again with its own .sig file`,
    ).problem;
  }
  if (statement.digest === digest) return undefined;
  return refused(
    'changedAfterSigning',
    module,
    `expected "${module}" as it was signed, ${statement.digest}, got ${digest}: it was changed after signing; take the signed text, or have the change signed`,
  ).problem;
}

export interface SignedModule {
  readonly envelope: Uint8Array;
  /** For the trust store. */
  readonly publicKeyPem: string;
}

export async function signModule(
  module: string,
  digest: string,
  keyPath: string,
  keyName: string,
): Promise<SignedModule> {
  const { signer, publicKeyPem } = signingKey(keyPath, keyName);
  const envelope = await signEnvelope(MODULE_PAYLOAD_TYPE, statementBytes({ module, digest }), [signer]);
  return { envelope, publicKeyPem };
}
