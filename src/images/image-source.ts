/**
 * Where images and their signatures are read from: a registry, an OCI layout on disk, or memory (in tests).
 * A source hands out bytes and judges nothing: who reads is content.ts, which holds every byte to its digest.
 * Source: OCI distribution specification 1.1 and image layout specification 1.1.
 */
import type { DigestHex } from '../digest.ts';

export interface Served {
  readonly bytes: Uint8Array;
  /** As the source said; absent where it says nothing, and never trusted against the document's own. */
  readonly mediaType?: string;
}

export interface ImageSource {
  /** For messages: where this is. */
  readonly place: string;
  /** A manifest or index by digest; undefined when there is none. */
  manifest(digest: DigestHex, bytesMax: number): Promise<Served | undefined>;
  /** A manifest or index by tag; undefined when there is none. Tags lead to signatures, never to the image itself. */
  tagged(tag: string, bytesMax: number): Promise<Served | undefined>;
  blob(digest: DigestHex, bytesMax: number): Promise<Uint8Array | undefined>;
  /**
   * Lists as an image index what refers to this manifest; undefined when the source has no such list, and the tag
   * `sha256-<hex>` is to be read instead. May be split into several indexes.
   */
  referrers(digest: DigestHex, bytesMax: number): Promise<readonly Uint8Array[] | undefined>;
}
