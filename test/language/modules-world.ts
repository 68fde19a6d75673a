/**
 * Modules in memory with real digests and real signatures: a ModuleLibrary whose entries a test can damage.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { digestOf } from '../../src/cli/domain-digest.ts';
import { bytesDigest } from '../../src/cli/module-files.ts';
import { judgeSignature, MODULE_PAYLOAD_TYPE } from '../../src/cli/module-trust.ts';
import type { ModuleKey } from '../../src/cli/module-trust-store.ts';
import { meaningOf, readModule } from '../../src/language/modules.ts';
import type { ModuleCopy, ModuleLibrary } from '../../src/language/modules-graph.ts';
import { canonicalBytes } from '../../src/manifest/canonical-json.ts';
import { signEnvelope } from '../../src/manifest/envelope-writer.ts';
import { importPublicKey } from '../../src/manifest/public-key.ts';

/** When the modules are judged. */
export const NOW = Date.parse('2026-11-20T12:00:00Z');
export const VERSION = 'apiVersion "kwam.dev/v0.2"';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly trusted: ModuleKey;
}

export async function keyPair(name: string, modules: readonly string[]): Promise<KeyPair> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  return { privateKey, trusted: { name, modules, key: await importPublicKey(pem) } };
}

export function signed(keys: KeyObject | readonly KeyObject[], statement: object): Promise<Uint8Array> {
  const signers = [keys].flat().map((key) => ({
    keyid: 'test',
    sign: async (parts: readonly Uint8Array[]) => sign(null, Buffer.concat(parts), key),
  }));
  return signEnvelope(
    MODULE_PAYLOAD_TYPE,
    canonicalBytes({ schema: 'kwam.module/v1', ...statement }),
    signers,
  );
}

/** The digest of a module without imports. */
export function digestOfText(text: string): string {
  const read = readModule('m.kwam', text);
  if (!read.ok) throw new Error(read.problem.message);
  const meaning = meaningOf(read.value, new Map(), digestOf);
  if (!meaning.ok) throw new Error(meaning.problem.message);
  return meaning.value.digest;
}

export class MemoryLibrary implements ModuleLibrary {
  readonly digestOf = digestOf;
  readonly files = new Map<string, ModuleCopy>();
  readonly cache = new Map<string, ModuleCopy>();
  readonly keys: ModuleKey[] = [];

  put(name: string, text: string, envelope?: Uint8Array): void {
    const bytes = bytesDigest(Buffer.from(text));
    this.files.set(name, { file: `${name}.kwam`, origin: 'file', text, bytes, envelope });
  }

  /** Puts a module without imports, signed; returns its digest. */
  async putSigned(name: string, text: string, key: KeyObject): Promise<string> {
    const digest = digestOfText(text);
    this.put(name, text, await signed(key, { module: name, digest }));
    return digest;
  }

  find(module: string, digest: string | undefined): readonly ModuleCopy[] {
    return [this.files.get(module), this.cache.get(digest ?? '')].filter((each) => each !== undefined);
  }

  judge(module: string, digest: string, envelope: Uint8Array | undefined) {
    return judgeSignature(this.keys, module, digest, envelope, NOW);
  }
}
