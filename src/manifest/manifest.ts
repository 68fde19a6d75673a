/**
 * The manifest of an object: its ordered chunk digests and its table of files.
 * The object's content is one stream, the contents of its regular files in table order; chunks cut that stream, so a
 * chunk may hold several small files, and where a file or chunk lies follows from the lengths (stream-layout.ts).
 * Here are the words only: manifest-writer.ts makes the canonical text, manifest-reader.ts reads it, manifest-check.ts
 * has the rules, signed-manifest.ts the signature.
 * Source: ARCHITECTURE.md "Manifest".
 */
import type { DigestHex } from '../digest.ts';
import type { ChunkerSizes } from '../plan.ts';
import type { EntryPath } from './entry-path.ts';

export const manifestSchema = 'kwam.manifest/v1';
export const manifestPayloadType = 'application/vnd.kwam.manifest.v1+json';

/** What every inode has; `mode` is the twelve permission bits. */
export interface Inode {
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly uid: number;
  readonly gid: number;
}

export interface FileEntry extends Inode {
  readonly type: 'file';
  readonly path: EntryPath;
  /** Bytes of content: the next `size` bytes of the object's stream, in table order. */
  readonly size: number;
  /** The file had holes: whoever restores it may leave runs of zeros unwritten. */
  readonly sparse: boolean;
}

export interface DirectoryEntry extends Inode {
  readonly type: 'directory';
  readonly path: EntryPath;
}

export interface SymlinkEntry extends Inode {
  readonly type: 'symlink';
  readonly path: EntryPath;
  /** As readlink gives it; may point anywhere, and nothing of the manifest passes through it. */
  readonly target: EntryPath;
}

/** One more name of a `file` entry of the same manifest, whose inode it shares. */
export interface HardlinkEntry {
  readonly type: 'hardlink';
  readonly path: EntryPath;
  readonly target: EntryPath;
}

export type ManifestEntry = FileEntry | DirectoryEntry | SymlinkEntry | HardlinkEntry;

export interface ManifestChunker extends ChunkerSizes {
  /** Name and version of the cut rule. */
  readonly rule: string;
}

export interface ManifestChunks {
  /** Bytes of each chunk, in stream order. */
  readonly lengths: Uint32Array;
  /** 32 bytes a chunk, same order. */
  readonly digests: Uint8Array;
}

export interface Manifest {
  readonly name: string;
  /** SPIFFE ID of the node that hashed the bytes at their source. */
  readonly producer: string;
  /** SHA-256 of the kernels that made the chunks. */
  readonly codecId: DigestHex;
  /** RFC 3339, UTC, milliseconds: exactly what Date.toISOString gives. */
  readonly createdAt: string;
  readonly chunker: ManifestChunker;
  /** Length of the stream: the contents of all files, in table order, one after another. */
  readonly bytes: number;
  readonly chunks: ManifestChunks;
  readonly files: readonly ManifestEntry[];
}
