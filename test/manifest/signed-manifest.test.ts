import { beforeAll, describe, expect, it } from 'vitest';
import { asDigest, sameBytes } from '../../src/digest.ts';
import type { Signer, TrustedKey } from '../../src/manifest/dsse.ts';
import { signEnvelope } from '../../src/manifest/envelope-writer.ts';
import { manifestPayloadType } from '../../src/manifest/manifest.ts';
import { verifySignedManifest } from '../../src/manifest/signed-manifest.ts';
import { seededRandom } from '../../src/random.ts';
import { ed25519Signer, PRODUCER, p256Signer, SAMPLE, signWhole } from './samples.ts';

const signatureError = expect.objectContaining({ code: 'MANIFEST_SIGNATURE' });
let signer: Signer;
let key: CryptoKey;

beforeAll(async () => {
  ({ signer, publicKey: key } = await p256Signer());
});

const verifiedBy = async (...trust: TrustedKey[]) =>
  verifySignedManifest((await signWhole(SAMPLE, [signer])).envelope, { trust });

describe('a signed manifest', () => {
  it('comes back with the digest that its producer computed', async () => {
    const { envelope, digest } = await signWhole(SAMPLE, [signer]);
    const verified = await verifySignedManifest(envelope, { trust: [{ key }], digest });
    expect(verified.manifest).toEqual(SAMPLE);
    expect(verified.digest).toEqual(digest);
  });

  it('keeps its digest when another key signs it', async () => {
    const other = await ed25519Signer();
    const one = await signWhole(SAMPLE, [signer]);
    const two = await signWhole(SAMPLE, [signer, other.signer]);
    expect(sameBytes(one.digest, two.digest)).toBe(true);
  });

  it('is refused when it is not the one that was asked for', async () => {
    const { envelope } = await signWhole(SAMPLE, [signer]);
    const digest = asDigest(new Uint8Array(32));
    await expect(verifySignedManifest(envelope, { trust: [{ key }], digest })).rejects.toThrow(/another one/);
  });

  it('is refused when a stranger signed it', async () => {
    const stranger = await p256Signer();
    await expect(verifiedBy({ key: stranger.publicKey })).rejects.toThrow(signatureError);
  });

  it('is refused when well signed but not a manifest', async () => {
    const envelope = await signEnvelope(manifestPayloadType, new TextEncoder().encode('{}'), [signer]);
    await expect(verifySignedManifest(envelope, { trust: [{ key }] })).rejects.toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID' }),
    );
  });
});

describe('the producer', () => {
  it('must be the one whom the key speaks for', async () => {
    await expect(verifiedBy({ key, identity: PRODUCER })).resolves.toBeDefined();
    await expect(verifiedBy({ key, identity: 'spiffe://kwam.dev/node/n0002' })).rejects.toThrow(
      /producer spiffe:\/\/kwam.dev\/node\/n0001 .* got one by spiffe:\/\/kwam.dev\/node\/n0002/,
    );
  });

  it('must have signed while its key was valid', async () => {
    const before = new Date('2026-11-02T00:00:00Z');
    const after = new Date('2026-11-03T00:00:00Z');
    await expect(
      verifiedBy({ key, identity: PRODUCER, notBefore: before, notAfter: after }),
    ).resolves.toBeDefined();
    await expect(verifiedBy({ key, identity: PRODUCER, notBefore: after })).rejects.toThrow(signatureError);
    await expect(verifiedBy({ key, identity: PRODUCER, notAfter: before })).rejects.toThrow(signatureError);
  });
});

describe('every single flipped bit of an envelope', () => {
  it('is refused, or leaves the verified content as it was', async () => {
    const { envelope } = await signWhole(SAMPLE, [signer]);
    const random = seededRandom(7);
    const flips = process.env['KWAM_CAMPAIGN'] === '1' ? envelope.length : 700;
    let refused = 0;
    for (let run = 0; run < flips; run++) {
      const changed = envelope.slice();
      const position = flips === envelope.length ? run : random.below(envelope.length);
      changed[position]! ^= 1 << random.below(8);
      const outcome = await verifySignedManifest(changed, { trust: [{ key }] }).catch(
        (error: unknown) => error,
      );
      if (outcome instanceof Error) refused++;
      else expect(outcome).toMatchObject({ manifest: SAMPLE });
    }
    // Only the key id and the unsigned spelling of base64 may change without harm.
    expect(refused).toBeGreaterThan(flips * 0.98);
  });
});
