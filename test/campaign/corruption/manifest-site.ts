/**
 * One bit of a signed manifest, as it comes out of its parts: refused, or the verified content is the producer's. Every other one is looked at
 * without the digest that the catalog has, so that the signature alone decides. Its parts are records of packs, and repaired as those are.
 */
import { isDeepStrictEqual } from 'node:util';
import { KwamError } from '../../../src/errors.ts';
import { verifySignedManifest } from '../../../src/manifest/signed-manifest.ts';
import { seededRandom } from '../../../src/random.ts';
import { p256Signer, SAMPLE, signWhole } from '../../manifest/samples.ts';
import { count, emptyTally, type Site, type SiteOptions } from './tally.ts';
import { anyMask } from './worker.ts';

const FAULTS_PER_RUN = 500;

export async function manifestSite({ seed }: SiteOptions): Promise<Site> {
  const random = seededRandom(seed);
  const { signer, publicKey } = await p256Signer();
  const { envelope, digest } = await signWhole(SAMPLE, [signer]);
  const trust = { trust: [{ key: publicKey }] };
  return {
    async run(most) {
      const tally = emptyTally();
      for (let i = 0; i < Math.min(most, FAULTS_PER_RUN); i++) {
        const changed = new Uint8Array(envelope);
        changed[random.below(changed.length)]! ^= anyMask(random);
        try {
          const { manifest } = await verifySignedManifest(
            changed,
            i % 2 === 0 ? trust : { ...trust, digest },
          );
          count(tally, { detected: false, wrong: !isDeepStrictEqual(manifest, SAMPLE) });
        } catch (error) {
          if (!(error instanceof KwamError)) throw error;
          count(tally, { detected: true, wrong: false });
        }
      }
      return tally;
    },
  };
}
