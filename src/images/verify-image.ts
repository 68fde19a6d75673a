/**
 * Whether an image was released by the keys that a policy accepts. Offline: no log, no certificate authority, no clock.
 * In: a source, the image's digest, accepted keys and how many of them must have signed. Out: which keys did, and what did not count.
 * Both of cosign's formats are looked at, and one bad signature beside a good one changes nothing: anybody who may write to a registry can
 * attach one. Wrong bytes under a digest do end it: then nothing of that source is to be believed.
 */
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { imageBundleBytesMax, imageSignaturesMax } from '../limits.ts';
import { BUNDLE, keysOfBundle } from './bundle.ts';
import {
  type Descriptor,
  type ImageManifest,
  readBlob,
  readManifest,
  readReferrers,
  readTagged,
} from './content.ts';
import type { ImageSource } from './image-source.ts';
import { showDigest } from './reference.ts';
import { type ImageRule, quoted, refusal, refuse } from './refusal.ts';
import type { AcceptedKey } from './signing-key.ts';
import { keysOfPayload, payloadBytesMax, signatureOf, simpleSigningTag } from './simple-signing.ts';

export type SignatureFormat = 'simple-signing' | 'bundle';

export interface ImagePolicy {
  readonly keys: readonly AcceptedKey[];
  /** Distinct keys that must have signed; 1 unless given. */
  readonly threshold?: number;
}

export interface AcceptedSignature {
  readonly key: AcceptedKey;
  readonly format: SignatureFormat;
  /** Of the signed payload or bundle. */
  readonly blob: DigestHex;
}

export interface RefusedSignature {
  readonly format: SignatureFormat;
  readonly blob: DigestHex;
  readonly rule: ImageRule;
  readonly message: string;
}

export interface VerifiedImage {
  readonly image: ImageManifest;
  /** At least one for each of `threshold` distinct keys. */
  readonly accepted: readonly AcceptedSignature[];
  readonly refused: readonly RefusedSignature[];
}

interface Candidate {
  readonly format: SignatureFormat;
  readonly blob: DigestHex;
  judge(): Promise<readonly AcceptedKey[]>;
}

/**
 * @throws KwamError IMAGE_REFUSED          not signed as the policy asks; `context.rule` says which check failed.
 * @throws KwamError IMAGE_DIGEST_MISMATCH  the source served bytes that are not what their digest says.
 * @throws KwamError NOT_FOUND              no such image there.
 */
export async function verifyImage(
  source: ImageSource,
  digest: DigestHex,
  policy: ImagePolicy,
): Promise<VerifiedImage> {
  const threshold = checkPolicy(policy);
  const image = (await readManifest(source, digest)) ?? missing(source, digest);
  const candidates = [
    ...(await simpleSignatures(source, image, policy.keys)),
    ...(await bundles(source, image, policy.keys)),
  ];
  checkCount(candidates.length);
  const accepted: AcceptedSignature[] = [];
  const refused: RefusedSignature[] = [];
  for (const { format, blob, judge } of candidates) {
    const judgement = await attempt(judge);
    if ('keys' in judgement) accepted.push(...judgement.keys.map((key) => ({ key, format, blob })));
    else refused.push({ format, blob, ...judgement });
  }
  const signers = new Set(accepted.map(({ key }) => key.fingerprint));
  if (signers.size < threshold) throw tooFew(source, digest, threshold, accepted, refused);
  return { image, accepted, refused };
}

function checkPolicy({ keys, threshold = 1 }: ImagePolicy): number {
  const distinct = new Set(keys.map((key) => key.fingerprint)).size;
  if (Number.isInteger(threshold) && threshold >= 1 && threshold <= distinct) return threshold;
  throw new KwamError(
    'USAGE',
    `image: expected a threshold from 1 to the ${distinct} distinct keys that are accepted, got ${threshold}; accept more keys`,
  );
}

async function simpleSignatures(
  source: ImageSource,
  image: ImageManifest,
  keys: readonly AcceptedKey[],
): Promise<Candidate[]> {
  const layers = (await readTagged(source, simpleSigningTag(image.digest)))?.layers ?? [];
  return layers.map((layer) => ({
    format: 'simple-signing',
    blob: layer.digest,
    judge: async () => {
      const signature = signatureOf(layer);
      const payload = await readBlob(source, layer, payloadBytesMax);
      if (payload === undefined) return refuseIncomplete(source, layer.digest);
      return keysOfPayload(payload, signature, image.digest, keys);
    },
  }));
}

async function bundles(
  source: ImageSource,
  image: ImageManifest,
  keys: readonly AcceptedKey[],
): Promise<Candidate[]> {
  const referrers = (await readReferrers(source, image.digest)).filter((one) => one.artifactType === BUNDLE);
  return referrers.map((referrer) => ({
    format: 'bundle',
    blob: referrer.digest,
    judge: async () => {
      const manifest = await readManifest(source, referrer.digest);
      if (manifest === undefined) return refuseIncomplete(source, referrer.digest);
      const layer = bundleLayer(manifest, image.digest);
      const bundle = await readBlob(source, layer, imageBundleBytesMax);
      return bundle === undefined
        ? refuseIncomplete(source, layer.digest)
        : keysOfBundle(bundle, image, keys);
    },
  }));
}

/** The referrer's own manifest must say what the list said of it: lists are made by anybody. */
function bundleLayer(referrer: ImageManifest, image: DigestHex): Descriptor {
  if (referrer.subject !== image) {
    refuse({
      rule: 'image-referrer-subject',
      expected: `a referrer to ${showDigest(image)}`,
      actual: referrer.subject === undefined ? 'one to nothing' : `one to ${showDigest(referrer.subject)}`,
      remedy: 'attach the signature to the image itself',
    });
  }
  const [layer] = referrer.layers;
  if (referrer.layers.length === 1 && layer?.mediaType === BUNDLE) return layer;
  return refuse({
    rule: 'image-layer-media-type',
    expected: `a referrer with one layer of ${BUNDLE}`,
    actual: quoted(referrer.layers.map((one) => one.mediaType)),
    remedy: 'sign the image again with `cosign sign`',
  });
}

function missing(source: ImageSource, digest: DigestHex): never {
  throw new KwamError(
    'NOT_FOUND',
    `image: expected ${showDigest(digest)} at ${source.place}, got nothing of that digest; push it there first`,
    { context: { digest: showDigest(digest) } },
  );
}

function refuseIncomplete(source: ImageSource, digest: DigestHex): never {
  return refuse({
    rule: 'image-signature-incomplete',
    expected: `${showDigest(digest)}, which a signature names, at ${source.place}`,
    actual: 'nothing of that digest',
    remedy: 'copy the image again with its signatures',
  });
}

function checkCount(count: number): void {
  if (count <= imageSignaturesMax) return;
  refuse({
    rule: 'image-signature-count',
    expected: `at most ${imageSignaturesMax} signatures`,
    actual: `${count}`,
    remedy: 'remove those that do not count from the registry',
  });
}

type Judgement =
  | { readonly keys: readonly AcceptedKey[] }
  | { readonly rule: ImageRule; readonly message: string };

/** A signature that does not count is an answer here; everything else that can happen is not. */
async function attempt(judge: () => Promise<readonly AcceptedKey[]>): Promise<Judgement> {
  try {
    return { keys: await judge() };
  } catch (error) {
    const { code, context, message } = error instanceof KwamError ? error : { code: undefined };
    if (code === 'IMAGE_REFUSED') return { rule: context['rule'] as ImageRule, message };
    if (code === 'LIMIT_EXCEEDED') return { rule: 'image-size', message };
    throw error;
  }
}

/** One bad signature alone tells its own rule; otherwise the first of them is quoted. */
function tooFew(
  source: ImageSource,
  image: DigestHex,
  threshold: number,
  accepted: readonly AcceptedSignature[],
  refused: readonly RefusedSignature[],
): KwamError {
  const where = `${showDigest(image)} at ${source.place}`;
  if (accepted.length === 0 && refused.length === 0) {
    return refusal({
      rule: 'image-unsigned',
      expected: `a signature of ${where}`,
      actual: 'none',
      remedy: 'sign it with `cosign sign --key`, and copy its signatures along with it',
    });
  }
  const [first] = refused;
  if (accepted.length === 0 && first !== undefined) {
    const more = refused.length > 1 ? ` (and ${refused.length - 1} more that do not count)` : '';
    return new KwamError('IMAGE_REFUSED', `${first.message}${more}`, { context: { rule: first.rule } });
  }
  return refusal({
    rule: 'image-threshold',
    expected: `signatures of ${where} by ${threshold} distinct keys`,
    actual: `by ${[...new Set(accepted.map(({ key }) => key.name))].join(', ')}`,
    remedy: 'have it signed by another accepted key',
  });
}
