/** Manifests whose signatures must not count: by whom, when, and how many. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { createAuthority, issueSvid } from '../../src/identity/authority.ts';
import { identityFromPems } from '../../src/identity/identity.ts';
import { trustOf } from '../../src/identity/manifest-trust.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import type { Signer, TrustedKey } from '../../src/manifest/dsse.ts';
import { signEnvelope } from '../../src/manifest/envelope-writer.ts';
import { importPublicKey } from '../../src/manifest/public-key.ts';
import { verifySignedManifest } from '../../src/manifest/signed-manifest.ts';
import { PRODUCER, SAMPLE, signWhole } from '../manifest/samples.ts';
import type { Area, Refusal } from './refusal.ts';

const CREATED = Date.parse(SAMPLE.createdAt);
const at = (offsetMs: number): Date => new Date(CREATED + offsetMs);
const OTHER = 'spiffe://kwam.dev/node/n0002';

interface Holder {
  readonly signer: Signer;
  readonly trusted: TrustedKey;
}

async function holder(identity: string): Promise<Holder> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const signer = {
    keyid: identity,
    sign: async (parts: readonly Uint8Array[]) => sign(null, Buffer.concat(parts), privateKey),
  };
  return { signer, trusted: { key: await importPublicKey(pem), identity } };
}

const [own, other, stranger] = await Promise.all([holder(PRODUCER), holder(OTHER), holder(PRODUCER)]);

interface Trial {
  readonly signers?: readonly Holder[];
  readonly trust?: readonly TrustedKey[];
  readonly threshold?: number;
  readonly digest?: Uint8Array;
}

async function attempt({ signers = [own], trust = [own.trusted, other.trusted], ...more }: Trial = {}) {
  const made = await signWhole(
    SAMPLE,
    signers.map(({ signer }) => signer),
  );
  return verifySignedManifest(made.envelope, { trust, ...more });
}

/** Signed by a stranger who sends these certificates along. */
async function certified(certs: string): Promise<unknown> {
  const now = { nowMs: CREATED };
  const authority = await createAuthority(parseTrustDomain('kwam.dev'), now);
  const { certificatePem, privateKeyPem } = await issueSvid(authority, parseSpiffeId(PRODUCER), now);
  const pems = { certificateChainPem: certificatePem, privateKeyPem, bundlePem: authority.certificatePem };
  const made = await signWhole(SAMPLE, [{ ...stranger.signer, certs: certs || certificatePem }]);
  return verifySignedManifest(made.envelope, {
    trust: trustOf({ current: identityFromPems(pems, CREATED) }),
  });
}

const refused = (code: string, input: string, trial: Trial): Refusal => ({
  input,
  code,
  attempt: () => attempt(trial),
});

const termed = (fault: string, input: string, term: Partial<TrustedKey>): Refusal =>
  refused(`MANIFEST_SIGNATURE/${fault}`, input, { trust: [{ ...own.trusted, ...term }] });

export const manifests: Area = {
  name: 'manifests',
  accepted: async () => {
    await attempt();
    await attempt({ trust: [{ ...own.trusted, notBefore: at(0), notAfter: at(0) }] });
    await attempt({ signers: [own, other], threshold: 2 });
  },
  rows: [
    refused('MANIFEST_SIGNATURE', 'a manifest that a stranger signed in its name', { signers: [stranger] }),
    refused('MANIFEST_SIGNATURE', 'one signature where two are asked for', { threshold: 2 }),
    refused('MANIFEST_SIGNATURE', 'one key twice where two are asked for', {
      signers: [own, own],
      threshold: 2,
    }),
    refused('MANIFEST_SIGNATURE', 'another manifest, though well signed', { digest: new Uint8Array(32) }),
    ...[
      ['the certificates of somebody else', ''],
      ['a text that is no PEM', 'consent!'],
      ['PEM of no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ].map(([input, certs]) => ({
      input: `a manifest that comes with ${input}`,
      code: 'MANIFEST_SIGNATURE',
      attempt: () => certified(certs!),
    })),
    refused('MANIFEST_SIGNATURE/producer', 'a manifest that another node signed', { signers: [other] }),
    termed('key-revoked', 'a revoked key', { revoked: true }),
    termed('key-revoked', 'a revoked key whose time had not ended', { revoked: true, notAfter: at(1000) }),
    termed('key-expired', 'a key that ended a millisecond before', { notAfter: at(-1) }),
    termed('key-not-yet-valid', 'a key that began a millisecond later', { notBefore: at(1) }),
    refused('MANIFEST_SIGNATURE/key-expired', 'a second signature by a key that had ended', {
      signers: [own, other],
      trust: [own.trusted, { ...other.trusted, notAfter: at(-1) }],
      threshold: 2,
    }),
    refused('MANIFEST_SIGNATURE/producer', 'the producer with a key that had ended, and another node', {
      signers: [own, other],
      trust: [{ ...own.trusted, notAfter: at(-1) }, other.trusted],
    }),
    {
      input: 'another document under the type of a manifest',
      code: 'MANIFEST_INVALID',
      attempt: async () => {
        const type = 'application/vnd.kwam.manifest.v1+json';
        const envelope = await signEnvelope(type, new TextEncoder().encode('{}'), [own.signer]);
        return verifySignedManifest(envelope, { trust: [own.trusted] });
      },
    },
    {
      input: 'a manifest under the type of a consent token',
      code: 'ENVELOPE_INVALID',
      attempt: async () => {
        const type = 'application/vnd.kwam.consent.v1+json';
        const envelope = await signEnvelope(type, new TextEncoder().encode('{}'), [own.signer]);
        return verifySignedManifest(envelope, { trust: [own.trusted] });
      },
    },
  ],
};
