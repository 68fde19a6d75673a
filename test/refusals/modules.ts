/** Modules whose signatures must not count: who signed what, and whether the key is good now. */
import { problemError } from '../../src/cli/module-loading.ts';
import { judgeSignature } from '../../src/cli/module-trust.ts';
import type { ModuleKey } from '../../src/cli/module-trust-store.ts';
import { type KeyPair, keyPair, NOW, signed } from '../language/modules-world.ts';
import type { Area, Refusal } from './refusal.ts';

const MODULE = 'acme/domains';
const DIGEST = `sha256:${'a'.repeat(64)}`;
const DAY = 86_400_000;
const at = (offsetMs: number): Date => new Date(NOW + offsetMs);

const [first, second, foreign, stranger] = await Promise.all([
  keyPair('acme-2026', ['acme/']),
  keyPair('acme-ops', [MODULE]),
  keyPair('other-2026', ['other/']),
  keyPair('stranger', ['acme/']),
]);

interface Trial {
  readonly keys?: readonly ModuleKey[];
  readonly signers?: readonly KeyPair[];
  readonly statement?: object;
  readonly envelope?: Uint8Array | undefined;
}

async function attempt(trial: Trial = {}): Promise<void> {
  const { keys = [first.trusted, second.trusted, foreign.trusted], signers = [first] } = trial;
  const statement = { module: MODULE, digest: DIGEST, ...trial.statement };
  const made = await signed(
    signers.map(({ privateKey }) => privateKey),
    statement,
  );
  const envelope = 'envelope' in trial ? trial.envelope : made;
  const problem = await judgeSignature(keys, MODULE, DIGEST, envelope, NOW);
  if (problem !== undefined) throw problemError(problem);
}

const refused = (code: string, input: string, trial: Trial): Refusal => ({
  input,
  code: `REFUSED/${code}`,
  attempt: () => attempt(trial),
});

const term = (input: string, more: Partial<ModuleKey>): Refusal =>
  refused('KW3117', input, { keys: [{ ...first.trusted, ...more }] });

const both = (threshold: number): readonly ModuleKey[] => [
  { ...first.trusted, threshold },
  { ...second.trusted, threshold },
];

const STRIPPED = '{"payload":"","payloadType":"application/vnd.kwam.module.v1+json","signatures":[]}';

export const modules: Area = {
  name: 'modules',
  accepted: async () => {
    await attempt();
    await attempt({ keys: [{ ...first.trusted, notBefore: at(-DAY), notAfter: at(0) }, second.trusted] });
    // Rotation: one key has gone, the other has signed too.
    await attempt({
      keys: [{ ...first.trusted, revoked: true }, second.trusted],
      signers: [first, second],
    });
    await attempt({ keys: both(2), signers: [first, second] });
  },
  rows: [
    refused('KW3104', 'a module without a signature', { envelope: undefined }),
    refused('KW3105', 'an envelope whose signatures were taken out', { envelope: Buffer.from(STRIPPED) }),
    refused('KW3116', 'an envelope that is none', { envelope: Buffer.from('signed, Acme') }),
    refused('KW3116', 'a statement of a later version', { statement: { schema: 'kwam.module/v2' } }),
    refused('KW3106', 'the signature of another module', { statement: { module: 'acme/others' } }),
    refused('KW3108', 'the signature of another content', {
      statement: { digest: `sha256:${'b'.repeat(64)}` },
    }),
    refused('KW3107', 'a key that no store has', { signers: [stranger] }),
    refused('KW3107', 'a key for other modules', { signers: [foreign] }),
    term('a revoked key', { revoked: true }),
    term('a revoked key that is valid for years', { revoked: true, notAfter: at(1000 * DAY) }),
    term('a key that expired a millisecond ago', { notAfter: at(-1) }),
    term('a key that begins in a millisecond', { notBefore: at(1) }),
    refused('KW3117', 'a key that one store trusts and another one revokes', {
      keys: [first.trusted, { ...first.trusted, name: 'mine', modules: ['any/'], revoked: true }],
    }),
    refused('KW3118', 'one signature where two are asked for', { keys: both(2) }),
    refused('KW3118', 'one key twice where two are asked for', { keys: both(2), signers: [first, first] }),
    refused('KW3118', 'a second signature by a stranger', { keys: both(2), signers: [first, stranger] }),
    refused('KW3118', 'a second signature by a key for other modules', {
      keys: [...both(2), foreign.trusted],
      signers: [first, foreign],
    }),
    refused('KW3117', 'a second signature by a key that has expired', {
      keys: [both(2)[0]!, { ...both(2)[1]!, notAfter: at(-DAY) }],
      signers: [first, second],
    }),
    refused('KW3118', 'a store that asks for two, beside one that asks for one', {
      keys: [first.trusted, { ...first.trusted, threshold: 2 }],
    }),
  ],
};
