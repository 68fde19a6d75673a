/**
 * Who vouches for a module: DSSE signatures over its name and digest, by keys that a trust store names.
 * In, to judge: a module's name and digest, and the envelope beside it. Out: nothing, or the reason why it does not count.
 * The keys come from trust stores (module-trust-store.ts). Where these differ, the stricter one counts: a key that one of them revokes is
 * revoked, and the highest threshold holds.
 */
import { sameBytes } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { type ModuleProblem, refused } from '../language/modules-problem.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import { fingerprint, parseEnvelope, type TrustedKey, verifyEnvelope } from '../manifest/dsse.ts';
import { addSignature, signEnvelope } from '../manifest/envelope-writer.ts';
import { KEY_FAULTS, keyFault } from '../manifest/key-term.ts';
import { jsonOf, type ModuleKey, maySign } from './module-trust-store.ts';
import type { SigningKey } from './signing-key.ts';

export const MODULE_PAYLOAD_TYPE = 'application/vnd.kwam.module.v1+json';
const STATEMENT_SCHEMA = 'kwam.module/v1';

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
  nowMs: number,
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
  const payload = await signedPayload(keys, module, envelope, nowMs);
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
      `expected a DSSE envelope beside "${module}", got something else: ${error.message}`,
    ).problem;
  }
}

async function signedPayload(
  keys: readonly ModuleKey[],
  module: string,
  envelope: Uint8Array,
  nowMs: number,
): Promise<Uint8Array | ModuleProblem> {
  const trust = keys.map((each): TrustedKey => ({ key: each.key, identity: each.name }));
  try {
    const { payload, acceptedKeys } = await verifyEnvelope(envelope, {
      payloadTypes: [MODULE_PAYLOAD_TYPE],
      trust,
    });
    const signers = await rowsOf(keys, acceptedKeys);
    if (signers.some((each) => maySign(each, module)))
      return signersProblem(keys, signers, module, nowMs) ?? payload;
    const names = signers.map((each) => `${each.name} (for ${each.modules.join(', ')})`).join(', ');
    return refused(
      'untrustedKey',
      module,
      `expected a signature by a key that may sign "${module}", got ${names}; add the name to that key's modules in the trust store if this is meant`,
    ).problem;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    if (error.code === 'ENVELOPE_INVALID') {
      return refused('signatureUnreadable', module, `the envelope beside "${module}": ${error.message}`)
        .problem;
    }
    if (error.code !== 'SIGNATURE_INVALID') throw error;
    return refused(
      'untrustedKey',
      module,
      `expected a signature of "${module}" by ${namesOf(keys, module)}, got none that holds: another key made it, or the envelope was changed; trust the signer's key or fetch the module from where it comes`,
    ).problem;
  }
}

interface SignedRow extends ModuleKey {
  readonly fingerprint: string;
}

/** All rows of the keys that signed: a key may stand in several stores. */
async function rowsOf(
  keys: readonly ModuleKey[],
  accepted: readonly TrustedKey[],
): Promise<readonly SignedRow[]> {
  const signed = new Set(await Promise.all(accepted.map(({ key }) => fingerprint(key))));
  const rows = keys.map(async (each) => ({ ...each, fingerprint: await fingerprint(each.key) }));
  return (await Promise.all(rows)).filter((each) => signed.has(each.fingerprint));
}

/** A signature has no time of its own: the key must be good now, in every store that has it. */
function signersProblem(
  keys: readonly ModuleKey[],
  signers: readonly SignedRow[],
  module: string,
  nowMs: number,
): ModuleProblem | undefined {
  const faulty = signers.filter((each) => keyFault(each, nowMs) !== undefined);
  const bad = new Set(faulty.map((each) => each.fingerprint));
  const good = signers.filter((each) => maySign(each, module) && !bad.has(each.fingerprint));
  const count = new Set(good.map((each) => each.fingerprint)).size;
  const wanted = Math.max(
    ...keys.filter((each) => maySign(each, module)).map(({ threshold }) => threshold ?? 1),
  );
  if (count >= wanted) return undefined;
  const [first] = faulty;
  if (first !== undefined) {
    return refused(
      'keyNotValid',
      module,
      `expected a signature of "${module}" by a key that is valid now, got one by ${first.name}, ${KEY_FAULTS[keyFault(first, nowMs)!]}; have it signed with a current key`,
    ).problem;
  }
  const names = good.map(({ name }) => name).join(', ');
  return refused(
    'tooFewSigners',
    module,
    `expected signatures of "${module}" by ${wanted} distinct keys, got ${count} (${names}); have it signed by others too, as the trust store asks`,
  ).problem;
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

/** @param others  an envelope over the same statement, whose signatures are kept. */
export async function signModule(
  statement: Statement,
  { signer, publicKeyPem }: SigningKey,
  others?: Uint8Array,
): Promise<SignedModule> {
  const payload = statementBytes(statement);
  if (others === undefined)
    return { publicKeyPem, envelope: await signEnvelope(MODULE_PAYLOAD_TYPE, payload, [signer]) };
  const envelope = parseEnvelope(others);
  if (envelope.payloadType === MODULE_PAYLOAD_TYPE && sameBytes(envelope.payload, payload))
    return { publicKeyPem, envelope: await addSignature(envelope, signer) };
  throw new KwamError(
    'REFUSED',
    `expected signatures of "${statement.module}" ${statement.digest} beside it, got those of another content; sign it anew without --add`,
  );
}
