/**
 * Our bundle verifier beside Sigstore's own, @sigstore/verify, on the same bundles and keys.
 * Held: what ours accepts, Sigstore's accepts, and what Sigstore's refuses, ours refuses. Where ours alone refuses, it says so by a rule
 * that Sigstore leaves to its caller or does not have. The one place where ours is laxer is named: log entries, which ours does not read.
 */
import { createPublicKey } from 'node:crypto';
import { bundleFromJSON, ValidationError } from '@sigstore/bundle';
import { toSignedEntity, VerificationError, Verifier } from '@sigstore/verify';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import { keysOfBundle } from '../../src/images/bundle.ts';
import { type ImageManifest, readManifest } from '../../src/images/content.ts';
import { acceptedKey } from '../../src/images/signing-key.ts';
import {
  type Bundle,
  json,
  memorySource,
  messageBundle,
  newKey,
  OciContent,
  type SigningKey,
  statementBundle,
  statementOf,
} from './oci-content.ts';

const content = new OciContent();
const digest = content.addImage();
const image = (await readManifest(memorySource(content), digest)) as ImageManifest;

/** Offline, with our key and no log: Sigstore's answer. */
function oracleAccepts(bytes: Buffer, pem: string): boolean {
  const trust = {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    publicKey: () => ({ publicKey: createPublicKey(pem), validFor: () => true }),
  };
  const options = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
  try {
    const bundle = bundleFromJSON(JSON.parse(bytes.toString()));
    new Verifier(trust, options).verify(toSignedEntity(bundle, Buffer.from(image.bytes)));
    return true;
  } catch (error) {
    const refused =
      error instanceof VerificationError ||
      error instanceof ValidationError ||
      error instanceof SyntaxError ||
      error instanceof TypeError ||
      (error instanceof Error && /is not (defined|a valid|recognized)|unrecognized/i.test(error.message));
    if (!refused) throw error;
    return false;
  }
}

/** Ours: `accepted`, or the rule. */
async function ours(bytes: Buffer, pem: string): Promise<string> {
  const keys = [await acceptedKey('release', pem)];
  try {
    keysOfBundle(bytes, image, keys);
    return 'accepted';
  } catch (error) {
    if (error instanceof KwamError && error.code === 'IMAGE_REFUSED') return String(error.context['rule']);
    throw error;
  }
}

const STRICTER = [
  'image-signature-encoding',
  'image-bundle-form',
  'image-bundle-media-type',
  'image-bundle-json',
  'image-other-image',
];
const FORMS: Record<string, (key: SigningKey) => Bundle> = {
  statement: (key) => statementBundle(key, statementOf(digest)),
  message: (key) => messageBundle(key, image.bytes),
};

describe.each(Object.keys(FORMS))('a bundle with a %s', (form) => {
  it('by an accepted key is accepted by both', async () => {
    const key = newKey();
    const bytes = json(FORMS[form]!(key));
    expect([await ours(bytes, key.pem), oracleAccepts(bytes, key.pem)]).toEqual(['accepted', true]);
  });

  it('by an Ed25519 key is accepted by both or by none', async () => {
    const key = newKey('Ed25519');
    const bytes = json(FORMS[form]!(key));
    const verdict = form === 'statement' ? ['accepted', true] : ['image-key', false];
    expect([await ours(bytes, key.pem), oracleAccepts(bytes, key.pem)]).toEqual(verdict);
  });

  it('by another key is refused by both', async () => {
    const bytes = json(FORMS[form]!(newKey()));
    const other = newKey().pem;
    expect([await ours(bytes, other), oracleAccepts(bytes, other)]).toEqual(['image-key', false]);
  });

  it('with any byte changed is refused by ours wherever Sigstore refuses it', async () => {
    const key = newKey();
    const good = json(FORMS[form]!(key));
    const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(127) });
    const verdicts = { both: 0, ours: 0, neither: 0 };
    await fc.assert(
      fc.asyncProperty(change, async ({ at, byte }) => {
        const bytes = Buffer.from(good);
        bytes[at] = byte;
        const [own, oracle] = [await ours(bytes, key.pem), oracleAccepts(bytes, key.pem)];
        if (own === 'accepted') expect(oracle).toBe(true);
        // Sigstore ignores members that it does not know, bundle versions, and what a message says of its own digest.
        if (oracle && own !== 'accepted') expect(STRICTER).toContain(own);
        verdicts[own === 'accepted' ? 'neither' : oracle ? 'ours' : 'both']++;
      }),
      { numRuns: 400 },
    );
    expect(verdicts.both).toBeGreaterThan(100);
    expect(verdicts.neither).toBeGreaterThan(0);
  });
});

it('leaves the subject and the predicate to us: Sigstore accepts what ours must refuse', async () => {
  const key = newKey();
  const cases = {
    'image-other-image': statementOf('c'.repeat(64) as typeof digest),
    'image-predicate-type': statementOf(digest, 'https://cyclonedx.org/bom'),
    'image-statement-type': { ...statementOf(digest), _type: 'https://in-toto.io/Statement/v2' },
  };
  for (const [rule, statement] of Object.entries(cases)) {
    const bytes = json(statementBundle(key, statement));
    expect([await ours(bytes, key.pem), oracleAccepts(bytes, key.pem)]).toEqual([rule, true]);
  }
});

it('does not read log entries: with one that proves nothing ours accepts and Sigstore refuses', async () => {
  const key = newKey();
  const bundle = statementBundle(key, statementOf(digest));
  const entry = {
    logIndex: '0',
    logId: { keyId: 'AAAA' },
    kindVersion: { kind: 'dsse', version: '0.0.1' },
    inclusionProof: {
      logIndex: '0',
      rootHash: 'AAAA',
      treeSize: '1',
      hashes: [],
      checkpoint: { envelope: 'x' },
    },
    canonicalizedBody: 'e30=',
  };
  bundle.verificationMaterial['tlogEntries'] = [entry];
  expect([await ours(json(bundle), key.pem), oracleAccepts(json(bundle), key.pem)]).toEqual([
    'accepted',
    false,
  ]);
});

/**
 * From sigstore/sigstore-conformance, test/assets/bundle-verify/intoto-canonical-log-entry at 8524c2b (Apache-2.0), without its log entry: a
 * statement about a file. Its signature is good, so that the statement is read, and found to be no image signature.
 */
it('verifies the signature of a published bundle before it reads the statement', async () => {
  const pem = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7pBlkILi/WN1X8FiQTlZBK2/GlQD
Ol9bn1iDaSE8B5Eu+uccNndQid2Nmgp8mrTWhT2XhZbshUGMDSDx/6jwvw==
-----END PUBLIC KEY-----
`;
  const payload =
    '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a.txt","digest":{"sha256":"a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf"}}],"predicateType":"https://example.com/test","predicate":{}}';
  const published = json({
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: 'rJuYlKqs5PMzdPzjkZBg4BveZRpD97PBnngUXPZSlr8=' } },
    dsseEnvelope: {
      payload: Buffer.from(payload).toString('base64'),
      payloadType: 'application/vnd.in-toto+json',
      signatures: [
        {
          sig: 'MEUCIBb8Pe4/Z0vKtXSvAHV6pcC1F3eTwCZnVejwWERFVwKeAiEAre6v18YSEs3mKaeMgE8Ti0l62CzT5yZvwfGiVd1eTIw=',
          keyid: '',
        },
      ],
    },
  });
  expect([await ours(published, pem), oracleAccepts(published, pem)]).toEqual(['image-predicate-type', true]);
  const other = newKey().pem;
  expect([await ours(published, other), oracleAccepts(published, other)]).toEqual(['image-key', false]);
  expect((await acceptedKey('conformance', pem)).fingerprint).toBe(
    'rJuYlKqs5PMzdPzjkZBg4BveZRpD97PBnngUXPZSlr8=',
  );
});
