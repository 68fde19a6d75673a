/**
 * A small world of consent for tests: four people with keys, a policy, a token that all is well with, and what a seed would do with it.
 * Keys are made anew in every process.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { parseSpiffeId } from '../../src/identity/spiffe-id.ts';
import type { Signer } from '../../src/manifest/dsse.ts';
import { signEnvelope } from '../../src/manifest/envelope-writer.ts';
import type { GrantPlan, KeyReference, TrustedKeyPlan } from '../../src/plan.ts';
import { type ConsentPolicy, compileConsentPolicy } from '../../src/rollout/consent-policy.ts';
import {
  CONSENT_PAYLOAD_TYPE,
  CONSENT_SCHEMA,
  type ConsentToken,
  encodeConsentToken,
} from '../../src/rollout/consent-token.ts';
import type { ConsentUse } from '../../src/rollout/consent-verify.ts';

export const NOW = Date.parse('2026-11-20T12:00:00.000Z');
export const iso = (offsetMs: number): string => new Date(NOW + offsetMs).toISOString();
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const SEED = parseSpiffeId('spiffe://kwam/acme/cl-7/az1/pod0/n0000/seed');
export const PROGRAM = `sha256:${'a'.repeat(64)}`;
export const IMAGE = `sha256:${'b'.repeat(64)}`;

export interface Holder {
  readonly name: string;
  readonly person: string;
  readonly privateKey: KeyObject;
  readonly pem: string;
  readonly signer: Signer;
}

export function holder(name: string, person: string, kind: 'ed25519' | 'p256' = 'ed25519'): Holder {
  const { privateKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string;
  const signBytes = (bytes: Uint8Array) =>
    kind === 'ed25519'
      ? sign(null, bytes, privateKey)
      : sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return {
    name,
    person,
    privateKey,
    pem,
    signer: { keyid: name, sign: async (parts) => signBytes(Buffer.concat(parts)) },
  };
}

/** The signer that the grant names. */
export const ada = holder('acme-prod', 'Ada Steiner');
export const reto = holder('acme-ops', 'Reto Keller', 'p256');
/** A second key of the same person. */
export const adaToo = holder('acme-prod-2', 'Ada  steiner', 'p256');
export const mallory = holder('acme-prod', 'Ada Steiner');

export const GRANT: GrantPlan = {
  pattern: 'spiffe://kwam/acme/cl-7/*/*/*/seed',
  caps: ['discover', 'replicate', 'deploy', 'quarantine'],
  signedBy: 'acme-prod',
  discoverScope: ['10.40.0.0/16'],
  dualControl: true,
};

export const keyOf = ({ name, pem, person }: Holder, more: Partial<TrustedKeyPlan> = {}): TrustedKeyPlan => ({
  name,
  key: { pem },
  person,
  ...more,
});
export const KEYS: readonly TrustedKeyPlan[] = [keyOf(ada), keyOf(reto), keyOf(adaToo)];

/** The text itself stands in the place of a path. */
const openKey = (reference: KeyReference): string => ('pem' in reference ? reference.pem : reference.secret);

export const policyOf = (
  trustedKeys = KEYS,
  grants: readonly GrantPlan[] = [GRANT],
): Promise<ConsentPolicy> => compileConsentPolicy({ grants, trustedKeys }, openKey);

export const TOKEN: ConsentToken = {
  schema: CONSENT_SCHEMA,
  audience: SEED,
  jti: '00112233445566778899aabbccddeeff',
  issuedAt: iso(-MINUTE),
  notBefore: iso(-MINUTE),
  expiresAt: iso(59 * MINUTE),
  capabilities: ['deploy'],
  resource: 'fleet.h100_pool.*',
  program: PROGRAM,
  image: IMAGE,
  deploy: 'rollout_h100',
  pool: 'h100_pool',
  requester: 'Nina Frei',
};

export const USE: ConsentUse = {
  self: SEED,
  rollout: 'rollout-1',
  capabilities: ['deploy'],
  scope: 'fleet.h100_pool.nodes',
  program: PROGRAM,
  image: IMAGE,
  deploy: 'rollout_h100',
  pool: 'h100_pool',
};

/** Where it does not matter who released the image. */
export const releasers = async (): Promise<readonly string[]> => ['acme-prod'];

export function envelopeOf(
  changes: Partial<ConsentToken> = {},
  holders: readonly Holder[] = [ada, reto],
): Promise<Uint8Array> {
  return envelopeOver(encodeConsentToken({ ...TOKEN, ...changes }), holders);
}

/** Signs any payload, also one that our writer would refuse. */
export function envelopeOver(
  payload: Uint8Array,
  holders: readonly Holder[] = [ada, reto],
  type = CONSENT_PAYLOAD_TYPE,
): Promise<Uint8Array> {
  return signEnvelope(
    type,
    payload,
    holders.map(({ signer }) => signer),
  );
}
