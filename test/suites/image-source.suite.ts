/**
 * What every ImageSource must do. In: how to serve given content. Out: vitest cases.
 * Sources judge nothing, so most cases read through content.ts, which judges: damage must be found whatever served it.
 */
import { describe, expect, it } from 'vitest';
import { readBlob, readManifest, readReferrers, readTagged } from '../../src/images/content.ts';
import type { ImageSource } from '../../src/images/image-source.ts';
import { acceptedKey } from '../../src/images/signing-key.ts';
import { verifyImage } from '../../src/images/verify-image.ts';
import {
  addSimpleSignatures,
  attachBundle,
  newKey,
  OciContent,
  payloadOf,
  sha256,
  signedPayload,
  signSimply,
  statementBundle,
  statementOf,
} from '../images/oci-content.ts';

export interface ImageSourceHarness {
  readonly name: string;
  serve(content: OciContent): Promise<ImageSource>;
  /** What is not where content.ts can see it, for example after a redirect. */
  readonly listsReferrers: boolean;
}

const key = newKey();

function signed(): { content: OciContent; image: ReturnType<OciContent['addImage']> } {
  const content = new OciContent();
  const image = content.addImage();
  content.addImage('another');
  signSimply(content, image, key);
  attachBundle(content, image, statementBundle(key, statementOf(image)));
  return { content, image };
}

export function imageSourceSuite(harness: ImageSourceHarness): void {
  describe(`image source: ${harness.name}`, () => {
    it('serves a manifest by digest, byte for byte', async () => {
      const { content, image } = signed();
      const manifest = await readManifest(await harness.serve(content), image);
      expect(Buffer.from(manifest!.bytes)).toEqual(Buffer.from(content.blobs.get(image)!));
    });

    it('has no answer for what is not there', async () => {
      const { content } = signed();
      const source = await harness.serve(content);
      const digest = sha256(Buffer.from('nobody has this'));
      const descriptor = { mediaType: '', digest, size: 1, annotations: new Map() };
      expect(await readManifest(source, digest)).toBeUndefined();
      expect(await readBlob(source, descriptor, 10)).toBeUndefined();
      expect(await readTagged(source, 'v1')).toBeUndefined();
      expect(await readReferrers(source, digest)).toEqual([]);
    });

    it('finds a signature by its tag', async () => {
      const { content, image } = signed();
      const source = await harness.serve(content);
      const [layer] = (await readTagged(source, `sha256-${image}.sig`))!.layers;
      expect(Buffer.from((await readBlob(source, layer!, 1000))!)).toEqual(payloadOf(image));
    });

    it('lists referrers of that image only', async () => {
      const { content, image } = signed();
      const other = content.addImage('third');
      attachBundle(content, other, statementBundle(key, statementOf(other)));
      const found = await readReferrers(await harness.serve(content), image);
      expect(found.map(({ digest }) => `sha256:${digest}`)).toEqual(
        harness.listsReferrers ? content.referrersOf(image).map(({ digest }) => digest) : [],
      );
    });

    it('finds referrers by the fallback tag where there is no list', async () => {
      const content = new OciContent();
      const image = content.addImage();
      const bundle = attachBundle(content, image, statementBundle(key, statementOf(image)));
      content.addFallbackList(image);
      const found = await readReferrers(await harness.serve(content), image);
      expect(found.map(({ digest }) => digest)).toEqual([bundle]);
    });

    it.each(['image', 'referrer', 'payload'])('never lets a damaged %s pass', async (which) => {
      const content = new OciContent();
      const image = content.addImage();
      const payload = payloadOf(image);
      addSimpleSignatures(content, image, [signedPayload(key, payload)]);
      const referrer = attachBundle(content, image, statementBundle(key, statementOf(image)));
      content.addFallbackList(image);
      const digest = { image, referrer, payload: sha256(payload) }[which]!;
      const bytes = Buffer.from(content.blobs.get(digest)!);
      // A space more is the same JSON: only the digest can tell.
      content.blobs.set(digest, Buffer.concat([bytes, Buffer.from(' ')]));
      const policy = { keys: [await acceptedKey('release', key.pem)] };
      await expect(verifyImage(await harness.serve(content), image, policy)).rejects.toMatchObject({
        code: 'IMAGE_DIGEST_MISMATCH',
        context: { rule: 'image-digest' },
      });
    });

    it('refuses more bytes than the reader wants', async () => {
      const content = new OciContent();
      const image = content.addImage();
      const large = content.addBlob(Buffer.alloc(70_000));
      const source = await harness.serve(content);
      const descriptor = { ...large, digest: sha256(Buffer.alloc(70_000)), annotations: new Map() };
      await expect(readBlob(source, descriptor, 65_536)).rejects.toMatchObject({
        context: { rule: 'image-size' },
      });
      expect((await readManifest(source, image))!.layers).toHaveLength(1);
    });

    it('refuses a blob whose descriptor lies about its size', async () => {
      const content = new OciContent();
      content.addImage();
      const digest = sha256(content.blobs.values().next().value!);
      const { mediaType } = content.manifests[0]!;
      const source = await harness.serve(content);
      await expect(
        readBlob(source, { mediaType, digest, size: 3, annotations: new Map() }, 1000),
      ).rejects.toMatchObject({ context: { rule: 'image-size' } });
    });
  });
}
