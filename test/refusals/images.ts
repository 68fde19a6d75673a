/**
 * Images that must be refused, each wrong in one thing, with the code and rule of the check that finds it.
 * Keys are made here; the sources are in memory (test/suites/image-source.suite.ts holds the others to the same).
 */

import type { DigestHex } from '../../src/digest.ts';
import { parseImageReference } from '../../src/images/reference.ts';
import { acceptedKey } from '../../src/images/signing-key.ts';
import { type VerifiedImage, verifyImage } from '../../src/images/verify-image.ts';
import { imageBundleBytesMax, imagePayloadBytesMax, imageSignaturesMax } from '../../src/limits.ts';
import {
  addSimpleSignatures,
  attachBundle,
  type Bundle,
  json,
  memorySource,
  messageBundle,
  newKey,
  OciContent,
  payloadOf,
  type SigningKey,
  signatureOver,
  signedPayload,
  signSimply,
  statementBundle,
  statementOf,
} from '../images/oci-content.ts';
import type { Area, Refusal } from './refusal.ts';

const key = newKey();
const stranger = newKey();
const second = newKey('Ed25519');
const DIGEST = 'a'.repeat(64);

type Damage = (content: OciContent, image: DigestHex) => void;

async function verified(
  make: Damage,
  keys: readonly SigningKey[] = [key],
  threshold = 1,
): Promise<VerifiedImage> {
  const content = new OciContent();
  const image = content.addImage();
  make(content, image);
  return verifyImage(memorySource(content), image, {
    keys: await Promise.all(keys.map(({ pem }, i) => acceptedKey(`key ${i + 1}`, pem))),
    threshold,
  });
}

const accepted = (): Promise<VerifiedImage> => verified((content, image) => signSimply(content, image, key));

const row = (input: string, rule: string, attempt: () => unknown, code = 'IMAGE_REFUSED'): Refusal => ({
  input,
  code: `${code}/${rule}`,
  attempt,
});

const reference = (input: string, rule: string, text: string): Refusal =>
  row(input, rule, () => parseImageReference(text));

/** A payload that an accepted key signed, and that says something wrong. */
const payload = (input: string, rule: string, make: (image: DigestHex) => Buffer): Refusal =>
  row(input, rule, () =>
    verified((content, image) => addSimpleSignatures(content, image, [signedPayload(key, make(image))])),
  );

const layer = (input: string, rule: string, make: Damage): Refusal => row(input, rule, () => verified(make));

const bundle = (
  input: string,
  rule: string,
  make: (image: DigestHex, content: OciContent) => Bundle | Buffer,
) => row(input, rule, () => verified((content, image) => attachBundle(content, image, make(image, content))));

/** A statement that an accepted key signed, and that says something wrong. */
const statement = (input: string, rule: string, make: (image: DigestHex) => object | Buffer) =>
  bundle(input, rule, (image) => statementBundle(key, make(image)));

function edited(image: DigestHex, edit: (bundle: Bundle) => void): Bundle {
  const made = statementBundle(key, statementOf(image));
  edit(made);
  return made;
}

const text = (image: DigestHex): string => payloadOf(image).toString();
const replaced =
  (from: string, to: string) =>
  (image: DigestHex): Buffer =>
    Buffer.from(text(image).replace(from, to));
const manifestOf = (content: OciContent, image: DigestHex): Uint8Array => content.blobs.get(image)!;

/** Puts other bytes in the place of a manifest, under the digest that they have. */
function imageOf(bytes: Buffer): Promise<VerifiedImage> {
  const content = new OciContent();
  const { digest } = content.addBlob(bytes);
  return acceptedKey('key', key.pem).then((one) =>
    verifyImage(memorySource(content), digest.slice('sha256:'.length) as DigestHex, { keys: [one] }),
  );
}

const REFERENCES = [
  reference('a tag', 'image-tag', 'registry.example/kwam/seed:v1'),
  reference('a name without tag or digest', 'image-tag', 'registry.example/kwam/seed'),
  reference('a tag beside a digest', 'image-tag', `registry.example/kwam/seed:v1@sha256:${DIGEST}`),
  reference('a name without a registry', 'image-reference', `kwam/seed@sha256:${DIGEST}`),
  reference('dots in a path', 'image-reference', `registry.example/kwam/../seed@sha256:${DIGEST}`),
  reference('a scheme in a name', 'image-reference', `https://registry.example/seed@sha256:${DIGEST}`),
  reference('a user in a name', 'image-reference', `me@registry.example/seed@sha256:${DIGEST}`),
  reference(
    'a digest of another algorithm',
    'image-digest-algorithm',
    `registry.example/seed@sha512:${DIGEST}`,
  ),
  reference(
    'a digest that is too short',
    'image-digest-algorithm',
    `registry.example/seed@sha256:${DIGEST.slice(1)}`,
  ),
  reference(
    'a digest in capitals',
    'image-digest-algorithm',
    `registry.example/seed@sha256:${DIGEST.toUpperCase()}`,
  ),
];

const IMAGES = [
  row(
    'an image whose bytes are others',
    'image-digest',
    () =>
      verified((content, image) => {
        signSimply(content, image, key);
        content.blobs.set(image, Buffer.concat([manifestOf(content, image), Buffer.from('\n')]));
      }),
    'IMAGE_DIGEST_MISMATCH',
  ),
  row('an image of an unknown media type', 'image-media-type', () =>
    imageOf(json({ mediaType: 'application/vnd.docker.distribution.manifest.v1+json', layers: [] })),
  ),
  row('a document that is manifest and index at once', 'image-media-type', () =>
    imageOf(json({ layers: [], manifests: [] })),
  ),
  row('a manifest with a member twice', 'image-manifest-form', () =>
    imageOf(Buffer.from('{"layers":[],"layers":[]}')),
  ),
  row('a manifest that is cut short', 'image-manifest-form', () => imageOf(Buffer.from('{"layers":['))),
  row('a manifest nested without end', 'image-manifest-form', () =>
    imageOf(Buffer.from(`{"layers":${'['.repeat(1e5)}${']'.repeat(1e5)}}`)),
  ),
  row('a manifest in another encoding', 'image-manifest-form', () =>
    imageOf(Buffer.from('{"layers":[],"annotations":{"a":"\xe9"}}', 'latin1')),
  ),
  row('a layer without a size', 'image-manifest-form', () =>
    imageOf(json({ layers: [{ mediaType: 'a/b', digest: `sha256:${DIGEST}` }] })),
  ),
  row('an image without a signature', 'image-unsigned', () => verified(() => undefined)),
  row('one signature where two keys must sign', 'image-threshold', () =>
    verified((content, image) => signSimply(content, image, key), [key, second], 2),
  ),
  row('one key that signed in both formats where two must sign', 'image-threshold', () =>
    verified(
      (content, image) => {
        signSimply(content, image, key);
        attachBundle(content, image, statementBundle(key, statementOf(image)));
      },
      [key, second],
      2,
    ),
  ),
  row('more signatures than anybody needs', 'image-signature-count', () =>
    verified((content, image) => {
      const one = signedPayload(key, payloadOf(image));
      addSimpleSignatures(content, image, Array(imageSignaturesMax + 1).fill(one));
    }),
  ),
];

const SIMPLE = [
  layer('a signature by an unknown key', 'image-key', (content, image) =>
    signSimply(content, image, stranger),
  ),
  layer('a payload that was changed after signing', 'image-key', (content, image) => {
    const { signature } = signedPayload(key, payloadOf(image));
    const changed = Buffer.concat([payloadOf(image), Buffer.from(' ')]);
    addSimpleSignatures(content, image, [{ payload: changed, signature: signature! }]);
  }),
  layer('a signature of another image', 'image-other-image', (content, image) => {
    const other = content.addImage('another');
    addSimpleSignatures(content, image, [signedPayload(key, payloadOf(other))]);
  }),
  layer('a layer without a signature', 'image-layer-unsigned', (content, image) =>
    addSimpleSignatures(content, image, [{ payload: payloadOf(image) }]),
  ),
  layer('a layer of another media type', 'image-layer-media-type', (content, image) =>
    addSimpleSignatures(content, image, [
      { ...signedPayload(key, payloadOf(image)), mediaType: 'application/json' },
    ]),
  ),
  layer('a signature that is no base64', 'image-signature-encoding', (content, image) =>
    addSimpleSignatures(content, image, [{ payload: payloadOf(image), signature: 'not base64!' }]),
  ),
  layer('an empty signature', 'image-signature-encoding', (content, image) =>
    addSimpleSignatures(content, image, [{ payload: payloadOf(image), signature: '' }]),
  ),
  layer('a signature of a megabyte', 'image-signature-encoding', (content, image) =>
    addSimpleSignatures(content, image, [{ payload: payloadOf(image), signature: 'A'.repeat(1 << 20) }]),
  ),
  layer('an ECDSA signature as r ‖ s instead of DER', 'image-key', (content, image) => {
    const der = Buffer.from(signatureOver(key, payloadOf(image)), 'base64');
    addSimpleSignatures(content, image, [
      { payload: payloadOf(image), signature: der.subarray(8, 72).toString('base64') },
    ]);
  }),
  layer('a payload that is not there', 'image-signature-incomplete', (content, image) => {
    signSimply(content, image, key);
    for (const [digest, bytes] of content.blobs)
      if (Buffer.from(bytes).equals(payloadOf(image))) content.blobs.delete(digest);
  }),
  layer('a payload larger than any', 'image-size', (content, image) => {
    const optional = { note: 'x'.repeat(imagePayloadBytesMax) };
    const large = json({ ...JSON.parse(text(image)), optional });
    addSimpleSignatures(content, image, [signedPayload(key, large)]);
  }),
  payload('a payload of another type', 'image-payload-type', (image) =>
    payloadOf(image, 'atomic container signature'),
  ),
  payload('a payload that is cut short', 'image-payload-json', (image) => payloadOf(image).subarray(0, -1)),
  payload('a payload with bytes after it', 'image-payload-json', (image) =>
    Buffer.concat([payloadOf(image), Buffer.from('{}')]),
  ),
  payload('a payload with a member twice', 'image-payload-json', (image) =>
    replaced('"type":', `"image":{"docker-manifest-digest":"sha256:${DIGEST}"},"type":`)(image),
  ),
  payload('a payload with a member twice, once escaped', 'image-payload-json', (image) =>
    replaced('"type":', '"\\u0074ype":"cosign container image signature","type":')(image),
  ),
  payload('a payload that is no JSON', 'image-payload-json', () => Buffer.from([0xff, 0x00])),
  payload('a payload with capital members', 'image-payload-capitals', replaced('"critical"', '"Critical"')),
  payload(
    'a payload with a capital digest member',
    'image-payload-capitals',
    replaced('docker-manifest', 'Docker-manifest'),
  ),
  payload('an unknown member in critical', 'image-payload-form', replaced('"type":', '"until":2027,"type":')),
  payload('a payload without an image', 'image-payload-form', () =>
    json({ critical: { identity: { 'docker-reference': '' }, type: 'cosign container image signature' } }),
  ),
  payload('a payload that is a list', 'image-payload-form', () => json([])),
];

const BUNDLES = [
  row('a message signature of Ed25519 without prehash', 'image-key', () =>
    verified(
      (content, image) => attachBundle(content, image, messageBundle(second, manifestOf(content, image))),
      [second],
    ),
  ),
  bundle('a bundle by an unknown key', 'image-key', (image) => statementBundle(stranger, statementOf(image))),
  bundle('a bundle whose statement was changed', 'image-key', (image) =>
    edited(image, ({ dsseEnvelope }) => {
      const changed = Buffer.from(dsseEnvelope!.payload, 'base64')
        .toString()
        .replace('"predicate":{}', '"predicate":{} ');
      dsseEnvelope!.payload = Buffer.from(changed).toString('base64');
    }),
  ),
  bundle('a signature over the statement without its type', 'image-key', (image) =>
    edited(image, ({ dsseEnvelope }) => {
      const { payload: body } = dsseEnvelope!;
      dsseEnvelope!.signatures = [{ sig: signatureOver(key, Buffer.from(body, 'base64')) }];
    }),
  ),
  bundle('an envelope without a signature', 'image-bundle-form', (image) =>
    edited(image, ({ dsseEnvelope }) => dsseEnvelope!.signatures.pop()),
  ),
  bundle('an envelope with two signatures', 'image-bundle-form', (image) =>
    edited(image, ({ dsseEnvelope }) => dsseEnvelope!.signatures.push(dsseEnvelope!.signatures[0]!)),
  ),
  bundle('an envelope of another type', 'image-statement-media-type', (image) =>
    statementBundle(key, statementOf(image), 'application/json'),
  ),
  bundle('a bundle of version 0.4', 'image-bundle-media-type', (image) =>
    edited(image, (made) => {
      made.mediaType = 'application/vnd.dev.sigstore.bundle.v0.4+json';
    }),
  ),
  bundle('a bundle with a certificate', 'image-keyless', (image) =>
    edited(image, (made) => {
      made.verificationMaterial = { certificate: { rawBytes: 'AAAA' } };
    }),
  ),
  bundle('a bundle with both a key and a certificate', 'image-keyless', (image) =>
    edited(image, (made) => {
      made.verificationMaterial['certificate'] = { rawBytes: 'AAAA' };
    }),
  ),
  bundle('a bundle without a key', 'image-bundle-form', (image) =>
    edited(image, (made) => {
      made.verificationMaterial = {};
    }),
  ),
  bundle('a bundle with two contents', 'image-bundle-form', (image, content) => ({
    ...statementBundle(key, statementOf(image)),
    ...messageBundle(key, manifestOf(content, image)),
    dsseEnvelope: statementBundle(key, statementOf(image)).dsseEnvelope!,
  })),
  bundle('a bundle with no content', 'image-bundle-form', (image) =>
    edited(image, (made) => {
      delete made.dsseEnvelope;
    }),
  ),
  bundle('a bundle that is no JSON', 'image-bundle-json', () => Buffer.from('PK\x03\x04')),
  bundle('a bundle with a member twice', 'image-bundle-json', (image) => {
    const made = JSON.stringify(statementBundle(key, statementOf(image)));
    return Buffer.from(made.replace('"mediaType":', '"mediaType":"","mediaType":'));
  }),
  bundle('a bundle larger than any', 'image-size', () => Buffer.alloc(imageBundleBytesMax + 1, 0x20)),
  statement('a statement of another image', 'image-other-image', () => statementOf(DIGEST as DigestHex)),
  statement('a statement of nothing', 'image-other-image', (image) => ({
    ...statementOf(image),
    subject: [],
  })),
  statement('a statement that names the image by sha512 only', 'image-other-image', (image) => ({
    ...statementOf(image),
    subject: [{ digest: { sha512: image } }],
  })),
  statement('a statement of an unknown type', 'image-statement-type', (image) => ({
    ...statementOf(image),
    _type: 'https://in-toto.io/Statement/v2',
  })),
  statement('an attestation in the place of a signature', 'image-predicate-type', (image) =>
    statementOf(image, 'https://cyclonedx.org/bom'),
  ),
  statement('a statement with a member twice', 'image-statement-json', (image) =>
    Buffer.from(JSON.stringify(statementOf(image)).replace('"subject":', '"subject":[],"subject":')),
  ),
  bundle('a signature of another manifest', 'image-other-image', (_image, content) =>
    messageBundle(key, manifestOf(content, content.addImage('another'))),
  ),
  bundle('a signature that only claims to be of this manifest', 'image-key', (image, content) => {
    const other = messageBundle(key, manifestOf(content, content.addImage('another')));
    const own = messageBundle(key, manifestOf(content, image));
    return {
      ...other,
      messageSignature: { ...other.messageSignature!, messageDigest: own.messageSignature!.messageDigest },
    };
  }),
  bundle('a signature over a digest of another algorithm', 'image-bundle-form', (image, content) => {
    const made = messageBundle(key, manifestOf(content, image));
    made.messageSignature!.messageDigest.algorithm = 'SHA2_512';
    return made;
  }),
  layer('a referrer to another image', 'image-referrer-subject', (content, image) => {
    const other = content.addImage('another');
    attachBundle(content, image, statementBundle(key, statementOf(image)), { subject: other });
    content.referrersOf = () => content.manifests.filter(({ artifactType }) => artifactType !== undefined);
  }),
  layer('a referrer whose layer is no bundle', 'image-layer-media-type', (content, image) =>
    attachBundle(content, image, statementBundle(key, statementOf(image)), { layerMediaType: 'text/plain' }),
  ),
  layer('a referrer that is listed and not there', 'image-signature-incomplete', (content, image) => {
    const referrer = attachBundle(content, image, statementBundle(key, statementOf(image)));
    const listed = content.referrersOf(image);
    content.referrersOf = () => listed;
    content.blobs.delete(referrer);
  }),
  layer('a list of referrers that is none', 'image-index-form', (content) => {
    content.referrersOf = () => ({ length: 1 }) as never;
  }),
];

export const images: Area = {
  name: 'images',
  accepted,
  rows: [...REFERENCES, ...IMAGES, ...SIMPLE, ...BUNDLES],
};
