/**
 * An image and its signatures in a directory: what `cosign save`, `oras copy --to-oci-layout` and `skopeo copy … oci:` write.
 * In: the directory. Out: an ImageSource. Source: OCI image layout specification 1.0/1.1; cosign's own `kind` annotation.
 * Referrers are found by their `subject`, since a layout has no list of them. Holds: never reads outside `blobs/sha256/`.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { imageManifestBytesMax, imageSignaturesMax } from '../limits.ts';
import { type Descriptor, isObject, OCI_INDEX, OCI_MANIFEST, parseIndex } from './content.ts';
import type { ImageSource, Served } from './image-source.ts';
import { showDigest } from './reference.ts';
import { refuse } from './refusal.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';
/** `cosign save` gives the signatures no name, but a kind. */
const KIND = 'kind';
const COSIGN_SIGNATURES = 'dev.cosignproject.cosign/sigs';

export class OciLayout implements ImageSource {
  readonly place: string;
  readonly #directory: string;
  readonly #entries: readonly Descriptor[];

  /** @throws KwamError ENVIRONMENT, IMAGE_REFUSED  not a directory in this form. */
  constructor(directory: string) {
    this.place = directory;
    this.#directory = directory;
    checkVersion(directory);
    const index = bounded(join(directory, 'index.json'), imageManifestBytesMax);
    this.#entries = parseIndex(index ?? refuseLayout(directory, 'no index.json'));
  }

  async manifest(digest: DigestHex, bytesMax: number): Promise<Served | undefined> {
    const bytes = bounded(this.#blobPath(digest), bytesMax);
    return bytes === undefined ? undefined : { bytes };
  }

  async blob(digest: DigestHex, bytesMax: number): Promise<Uint8Array | undefined> {
    return bounded(this.#blobPath(digest), bytesMax);
  }

  async tagged(tag: string, bytesMax: number): Promise<Served | undefined> {
    const entry = this.#entries.find((one) => hasName(one, tag)) ?? this.#unnamed(tag);
    if (entry === undefined) return undefined;
    const served = await this.manifest(entry.digest, bytesMax);
    // Nothing but its own digest says what a tag names: a damaged file must not pass as what it once was.
    return served ?? refuseLayout(this.place, `no blob ${showDigest(entry.digest)} for the tag ${tag}`);
  }

  /** Cosign lists an image and then its signatures. A wrong guess here finds the signatures of another image, no more. */
  #unnamed(tag: string): Descriptor | undefined {
    if (!tag.endsWith('.sig')) return undefined;
    const image = this.#entries.findIndex((one) => tag === `sha256-${one.digest}.sig`);
    const after = this.#entries.slice(image + 1);
    return after.find((one) => one.annotations.get(KIND) === COSIGN_SIGNATURES);
  }

  async referrers(digest: DigestHex): Promise<readonly Uint8Array[] | undefined> {
    const found = this.#entries.filter((one) => one.mediaType === OCI_MANIFEST && one.digest !== digest);
    if (found.length > imageSignaturesMax) refuseMany(found.length);
    const referring = found.map((one) => ({ one, ...this.#refersBy(one) }));
    const manifests = referring.filter(({ subject }) => subject === showDigest(digest));
    // Without any, the tag may still list them, as in a layout that was copied from an older registry.
    if (manifests.length === 0) return undefined;
    const list = manifests.map(({ one, artifactType }) => ({
      mediaType: one.mediaType,
      digest: showDigest(one.digest),
      size: one.size,
      artifactType,
    }));
    return [Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: list }))];
  }

  /** Unjudged: who follows a referrer reads its manifest again and holds it to its digest. */
  #refersBy({ digest }: Descriptor): { readonly subject?: unknown; readonly artifactType?: unknown } {
    const bytes = bounded(this.#blobPath(digest), imageManifestBytesMax);
    const value = bytes === undefined ? undefined : parsed(bytes);
    if (!isObject(value) || !isObject(value['subject'])) return {};
    return { subject: value['subject']['digest'], artifactType: value['artifactType'] };
  }

  #blobPath(digest: DigestHex): string {
    return join(this.#directory, 'blobs', 'sha256', digest);
  }
}

function hasName({ annotations }: Descriptor, tag: string): boolean {
  const name = annotations.get(REF_NAME);
  return name === tag || (name?.endsWith(`:${tag}`) ?? false);
}

function checkVersion(directory: string): void {
  const bytes = bounded(join(directory, 'oci-layout'), imageManifestBytesMax);
  const marker = bytes === undefined ? undefined : parsed(bytes);
  const version = isObject(marker) ? marker['imageLayoutVersion'] : undefined;
  if (version !== '1.0.0') refuseLayout(directory, 'no file oci-layout of version 1.0.0');
}

function refuseLayout(directory: string, actual: string): never {
  return refuse({
    rule: 'image-layout',
    expected: `an OCI image layout in ${directory}`,
    actual,
    remedy: 'write one with `cosign save --dir` or `oras copy --to-oci-layout`',
  });
}

function refuseMany(count: number): never {
  return refuse({
    rule: 'image-signature-count',
    expected: `at most ${imageSignaturesMax} manifests beside the image`,
    actual: `${count}`,
    remedy: 'copy this image and its signatures into a layout of their own',
  });
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** A regular file of at most so many bytes: a pipe or a device would never end. */
function bounded(path: string, bytesMax: number): Uint8Array | undefined {
  try {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (!stat.isFile() || stat.size > bytesMax) throw notRead(path, bytesMax, stat);
    return new Uint8Array(fs.readFileSync(path));
  } catch (cause) {
    if (cause instanceof KwamError) throw cause;
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KwamError('ENVIRONMENT', `image: expected a readable ${path}, got ${errno}; make it readable`, {
      cause,
      context: { path, errno },
    });
  }
}

function notRead(path: string, bytesMax: number, stat: fs.Stats): KwamError {
  const actual = stat.isFile() ? `${stat.size} bytes` : 'something else';
  return new KwamError(
    'LIMIT_EXCEEDED',
    `image: expected a file of at most ${bytesMax} bytes at ${path}, got ${actual}; nothing that we need is larger`,
    { context: { path, limit: bytesMax } },
  );
}
