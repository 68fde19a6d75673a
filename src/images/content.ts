/**
 * Reads what a source serves, and holds it to its digest, its size and its form: the only way to a byte of an image.
 * In: a source and a digest or descriptor. Out: documents that are what their digest names. Source: OCI image specification 1.1.
 * Does not know signatures.
 */
import { createHash } from 'node:crypto';
import { type DigestHex, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { imageManifestBytesMax } from '../limits.ts';
import { parseStrictJson } from '../manifest/strict-json.ts';
import type { ImageSource } from './image-source.ts';
import { parseImageDigest, showDigest } from './reference.ts';
import { type ImageRule, quoted, refuse } from './refusal.ts';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const MANIFEST_MEDIA_TYPES = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: DigestHex;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations: ReadonlyMap<string, string>;
}

export interface ImageManifest {
  readonly digest: DigestHex;
  /** Exactly these bytes have that digest. */
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly subject?: DigestHex;
  /** Of an image manifest. */
  readonly layers: readonly Descriptor[];
  /** Of an index. */
  readonly manifests: readonly Descriptor[];
}

export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function digestOf(bytes: Uint8Array): DigestHex {
  return toHex(createHash('sha256').update(bytes).digest());
}

function checkBytes(bytes: Uint8Array, digest: DigestHex, place: string): void {
  const actual = digestOf(bytes);
  if (actual === digest) return;
  throw new KwamError(
    'IMAGE_DIGEST_MISMATCH',
    `image: expected bytes of ${showDigest(digest)} from ${place}, got bytes of ${showDigest(actual)}; do not use them, and look after that place`,
    { context: { rule: 'image-digest', expected: showDigest(digest), actual: showDigest(actual) } },
  );
}

/** Undefined when the source has none. @throws KwamError IMAGE_DIGEST_MISMATCH, IMAGE_REFUSED */
export async function readManifest(
  source: ImageSource,
  digest: DigestHex,
): Promise<ImageManifest | undefined> {
  const served = await source.manifest(digest, imageManifestBytesMax);
  if (served === undefined) return undefined;
  checkBytes(served.bytes, digest, source.place);
  return parseManifest(served.bytes, digest);
}

/** What a tag names now. Its digest follows from its bytes; whether it says anything is for signatures to show. */
export async function readTagged(source: ImageSource, tag: string): Promise<ImageManifest | undefined> {
  const served = await source.tagged(tag, imageManifestBytesMax);
  return served === undefined ? undefined : parseManifest(served.bytes, digestOf(served.bytes));
}

/** Undefined when the source has none. @throws KwamError IMAGE_DIGEST_MISMATCH, IMAGE_REFUSED */
export async function readBlob(
  source: ImageSource,
  { digest, size }: Descriptor,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  if (size > bytesMax) refuseSize(digest, `at most ${bytesMax}`, size);
  const bytes = await source.blob(digest, bytesMax);
  if (bytes === undefined) return undefined;
  checkBytes(bytes, digest, source.place);
  if (bytes.length !== size) refuseSize(digest, `${size}`, bytes.length);
  return bytes;
}

function refuseSize(digest: DigestHex, expected: string, actual: number): never {
  refuse({
    rule: 'image-size',
    expected: `${expected} bytes in ${showDigest(digest)}`,
    actual: `${actual}`,
    remedy: 'do not use this signature, sign again',
  });
}

/** Everything that says it refers to this manifest. Nobody vouches for such a list. */
export async function readReferrers(source: ImageSource, digest: DigestHex): Promise<readonly Descriptor[]> {
  const pages = await source.referrers(digest, imageManifestBytesMax);
  if (pages !== undefined) return pages.flatMap(parseIndex);
  return (await readTagged(source, `sha256-${digest}`))?.manifests ?? [];
}

const FORM = { what: 'image manifest', code: 'IMAGE_REFUSED', rule: 'image-manifest-form' } as const;

export function parseIndex(bytes: Uint8Array): readonly Descriptor[] {
  const value = parseStrictJson(bytes, { ...FORM, what: 'image index', rule: 'image-index-form' });
  const manifests = isObject(value) ? value['manifests'] : undefined;
  return descriptorsOf(manifests, 'image-index-form');
}

function parseManifest(bytes: Uint8Array, digest: DigestHex): ImageManifest {
  const value = parseStrictJson(bytes, FORM);
  const fields = isObject(value) ? value : {};
  const mediaType = mediaTypeOf(fields);
  const { artifactType, subject } = fields;
  return {
    digest,
    bytes,
    mediaType,
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(subject === undefined ? {} : { subject: descriptorOf(subject, 'image-manifest-form').digest }),
    layers: 'layers' in fields ? descriptorsOf(fields['layers'], 'image-manifest-form') : [],
    manifests: 'manifests' in fields ? descriptorsOf(fields['manifests'], 'image-manifest-form') : [],
  };
}

/** OCI lets a manifest leave its type out; then its form says which it is. With both forms it would be two documents. */
function mediaTypeOf(fields: Fields): string {
  const form = 'layers' in fields ? OCI_MANIFEST : OCI_INDEX;
  const mediaType = fields['mediaType'] ?? form;
  const isIndex = mediaType === OCI_INDEX || mediaType === DOCKER_INDEX;
  const known = MANIFEST_MEDIA_TYPES.find((type) => type === mediaType);
  if (known !== undefined && 'layers' in fields !== isIndex && 'manifests' in fields === isIndex)
    return known;
  return refuse({
    rule: 'image-media-type',
    expected: `a manifest or an index of ${MANIFEST_MEDIA_TYPES.join(', ')}`,
    actual: `${quoted(mediaType)} with the members ${quoted(Object.keys(fields))}`,
    remedy: 'name the digest of an image',
  });
}

function descriptorsOf(value: unknown, rule: ImageRule): Descriptor[] {
  if (Array.isArray(value)) return value.map((one) => descriptorOf(one, rule));
  return refuse({
    rule,
    expected: 'a list of descriptors',
    actual: quoted(value),
    remedy: 'build the image again',
  });
}

function descriptorOf(value: unknown, rule: ImageRule): Descriptor {
  const fields = isObject(value) ? value : {};
  const { mediaType, digest, size, artifactType } = fields;
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !isByteCount(size)) {
    return refuse({
      rule,
      expected: 'a descriptor with mediaType, digest and size',
      actual: quoted(value),
      remedy: 'build the image again',
    });
  }
  return {
    mediaType,
    digest: parseImageDigest(digest),
    size,
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    annotations: annotationsOf(fields['annotations'], rule),
  };
}

function isByteCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function annotationsOf(value: unknown, rule: ImageRule): ReadonlyMap<string, string> {
  const entries = Object.entries(isObject(value) ? value : {});
  if (entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    return new Map(entries);
  }
  return refuse({
    rule,
    expected: 'annotations that are strings',
    actual: quoted(value),
    remedy: 'build it again',
  });
}
