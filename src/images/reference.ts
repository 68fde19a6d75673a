/**
 * The name of an image: REGISTRY/REPOSITORY@sha256:DIGEST, and nothing that somebody could move to other bytes.
 * In: text. Out: its three parts. Source: OCI distribution specification 1.1 (repository names), image specification 1.1 (digests).
 * No default registry and no default tag: what is not written is not guessed. Does not ask anybody whether the image exists.
 */
import { type DigestHex, parseDigestHex } from '../digest.ts';
import { quoted, refuse } from './refusal.ts';

export interface ImageReference {
  /** HOST or HOST:PORT. */
  readonly registry: string;
  readonly repository: string;
  /** Of the manifest or index. */
  readonly digest: DigestHex;
}

const REGISTRY = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/i;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const SHA256 = /^sha256:[0-9a-f]{64}$/;
const TAGGED = /:[\w][\w.-]{0,127}$/;
/** OCI distribution specification: names longer than this are refused by many registries. */
const NAME_CHARACTERS_MAX = 255;
const REMEDY = 'write REGISTRY/REPOSITORY@sha256: and the 64 digits that `crane digest` or the build prints';

export function parseImageReference(text: string): ImageReference {
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  if (at < 0) refuseUndigested(name);
  const { registry, repository } = parseName(name, text);
  return { registry, repository, digest: parseImageDigest(text.slice(at + 1)) };
}

/** `sha256:` and 64 digits, as manifests write digests too. */
export function parseImageDigest(text: string): DigestHex {
  if (SHA256.test(text)) return parseDigestHex(text.slice('sha256:'.length));
  return refuse({
    rule: 'image-digest-algorithm',
    expected: 'sha256: and 64 lower-case hexadecimal digits',
    actual: quoted(text),
    remedy: REMEDY,
  });
}

export function showDigest(digest: DigestHex): string {
  return `sha256:${digest}`;
}

export function showReference({ registry, repository, digest }: ImageReference): string {
  return `${registry}/${repository}@${showDigest(digest)}`;
}

function refuseUndigested(name: string): never {
  const tagged = TAGGED.test(name.slice(name.lastIndexOf('/')));
  return refuse({
    rule: 'image-tag',
    expected: 'an image by digest',
    actual: tagged ? `the tag ${quoted(name)}, which may name other bytes tomorrow` : quoted(name),
    remedy: REMEDY,
  });
}

function parseName(name: string, text: string): Pick<ImageReference, 'registry' | 'repository'> {
  const slash = name.indexOf('/');
  const registry = name.slice(0, Math.max(slash, 0));
  const repository = name.slice(slash + 1);
  // As everywhere: the first part is a host when it could not be part of a repository's path.
  const isHost = /[.:\]]/.test(registry) || registry === 'localhost';
  if (TAGGED.test(repository)) {
    refuse({
      rule: 'image-tag',
      expected: 'a digest alone',
      actual: `a tag beside it in ${quoted(text)}`,
      remedy: 'leave the tag out: beside a digest it says nothing',
    });
  }
  if (isHost && REGISTRY.test(registry) && REPOSITORY.test(repository) && name.length <= NAME_CHARACTERS_MAX)
    return { registry: registry.toLowerCase(), repository };
  return refuse({
    rule: 'image-reference',
    expected: 'REGISTRY/REPOSITORY@sha256:DIGEST with the registry’s host name',
    actual: quoted(text),
    remedy: REMEDY,
  });
}
