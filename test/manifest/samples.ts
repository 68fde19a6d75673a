/**
 * Manifests for tests: one of every kind of entry, and arbitrary valid ones for properties.
 */
import * as fc from 'fast-check';
import type { Digest, DigestHex } from '../../src/digest.ts';
import type { Signer } from '../../src/manifest/dsse.ts';
import { type EntryPath, entryPath, pathKey } from '../../src/manifest/entry-path.ts';
import type { Manifest, ManifestEntry } from '../../src/manifest/manifest.ts';
import { signManifest } from '../../src/manifest/signed-manifest.ts';

const textEncoder = new TextEncoder();
export const PRODUCER = 'spiffe://kwam.dev/node/n0001';

const CHUNKER = {
  rule: 'kwam.cdc/v1',
  chunkBytesMin: 16384,
  chunkBytesTarget: 65536,
  chunkBytesMax: 262144,
};

const inode = { mode: 0o644, mtimeNs: 1_700_000_000_123_456_789n, uid: 1000, gid: 100 };

export const SAMPLE: Manifest = {
  name: 'checkpoints/step-1000',
  producer: PRODUCER,
  codecId: 'ab'.repeat(32) as DigestHex,
  createdAt: '2026-11-02T03:04:05.678Z',
  chunker: CHUNKER,
  bytes: 300,
  chunks: { lengths: Uint32Array.of(100, 150, 50), digests: new Uint8Array(96).map((_, i) => i) },
  files: [
    { type: 'directory', path: '.', ...inode, mode: 0o755 },
    { type: 'directory', path: 'a', ...inode, mode: 0o2755 },
    { type: 'file', path: 'a/empty', ...inode, size: 0, sparse: false },
    { type: 'file', path: 'a/one\nline "two" \\', ...inode, size: 120, sparse: false },
    { type: 'file', path: Uint8Array.of(0x61, 0x2f, 0xff, 0xfe), ...inode, size: 180, sparse: true },
    { type: 'symlink', path: 'link', ...inode, mode: 0o777, target: '../../etc/passwd' },
    { type: 'symlink', path: 'odd', ...inode, mtimeNs: -1n, target: Uint8Array.of(0xc3, 0x28) },
    { type: 'hardlink', path: 'hard', target: 'a/empty' },
    { type: 'file', path: 'größe/😀', ...inode, size: 0, sparse: false },
  ],
};

export const sampleWith = (changes: Partial<Manifest>): Manifest => ({ ...SAMPLE, ...changes });
export const sampleWithEntries = (...files: unknown[]): Manifest =>
  sampleWith({
    files: files as ManifestEntry[],
    bytes: 0,
    chunks: { lengths: new Uint32Array(0), digests: new Uint8Array(0) },
  });
export const fileAt = (path: EntryPath): ManifestEntry => ({
  type: 'file',
  path,
  ...inode,
  size: 0,
  sparse: false,
});
export const symlinkAt = (path: EntryPath, target: EntryPath): ManifestEntry => ({
  type: 'symlink',
  path,
  target,
  ...inode,
});
export const hardlinkAt = (path: EntryPath, target: EntryPath): ManifestEntry => ({
  type: 'hardlink',
  path,
  target,
});

export async function p256Signer(keyid = 'test'): Promise<{ signer: Signer; publicKey: CryptoKey }> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  return {
    signer: signerOf(pair.privateKey, keyid, { name: 'ECDSA', hash: 'SHA-256' }),
    publicKey: pair.publicKey,
  };
}

export async function ed25519Signer(keyid = 'test'): Promise<{ signer: Signer; publicKey: CryptoKey }> {
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  return { signer: signerOf(pair.privateKey, keyid, { name: 'Ed25519' }), publicKey: pair.publicKey };
}

function signerOf(key: CryptoKey, keyid: string, algorithm: EcdsaParams | Algorithm): Signer {
  return {
    keyid,
    sign: async (parts) => new Uint8Array(await crypto.subtle.sign(algorithm, key, Buffer.concat(parts))),
  };
}

/** With the envelope in one array. */
export async function signWhole(
  manifest: Manifest,
  signers: readonly Signer[],
): Promise<{ readonly envelope: Uint8Array<ArrayBuffer>; readonly digest: Digest }> {
  const { digest, parts } = await signManifest(manifest, signers);
  return { digest, envelope: new Uint8Array(Buffer.concat([...parts()])) };
}

const segment = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).map((text) => textEncoder.encode(text)),
    fc.uint8Array({ minLength: 1, maxLength: 6 }),
  )
  .map((bytes) => bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte)))
  .filter((bytes) => ![[0x2e], [0x2e, 0x2e]].some((dots) => String(dots) === String([...bytes])));

const fileInode = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtimeNs: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
  uid: fc.integer({ min: 0, max: 0xffff_ffff }),
  gid: fc.integer({ min: 0, max: 0xffff_ffff }),
});

const anyTarget = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((b) => entryPath(b.map((x) => x || 1)));

const anyEntry: fc.Arbitrary<ManifestEntry> = fc
  .tuple(
    segment,
    fileInode,
    fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const),
    fc.nat(300_000),
    fc.boolean(),
    anyTarget,
  )
  .map(([bytes, node, type, size, sparse, target]): ManifestEntry => {
    const path = entryPath(bytes);
    if (type === 'file') return { type, path, ...node, size, sparse };
    return type === 'directory' ? { type, path, ...node } : { type, path, ...node, target };
  });

/** Moves some entries into the directories before them, and adds hard links to files. */
function asTree(entries: ManifestEntry[], links: number): ManifestEntry[] {
  const seen = new Map<string, ManifestEntry>();
  const directories: Uint8Array[] = [];
  const bytesOf = (path: EntryPath): Uint8Array =>
    typeof path === 'string' ? textEncoder.encode(path) : path;
  for (const [i, entry] of entries.entries()) {
    const parent = i % 2 === 0 ? undefined : directories[i % (directories.length || 1)];
    const path = parent ? entryPath(Uint8Array.of(...parent, 0x2f, ...bytesOf(entry.path))) : entry.path;
    if (seen.has(pathKey(path))) continue;
    seen.set(pathKey(path), { ...entry, path });
    if (entry.type === 'directory') directories.push(bytesOf(path));
  }
  const tree = [...seen.values()];
  const files = tree.filter((entry) => entry.type === 'file');
  for (let i = 0; i < Math.min(links, files.length); i++) {
    tree.push({ type: 'hardlink', path: `hard link ${i} …`, target: files[i]!.path });
  }
  return tree;
}

export const anyManifest: fc.Arbitrary<Manifest> = fc
  .tuple(
    fc.array(anyEntry, { maxLength: 12 }),
    fc.nat(3),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    fc.infiniteStream(fc.integer({ min: 1, max: CHUNKER.chunkBytesMax })),
    fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true }),
  )
  .map(([entries, links, name, lengthStream, created]) => {
    const files = asTree(entries, links);
    const bytes = files.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0);
    const lengths: number[] = [];
    for (let at = 0; at < bytes; at += lengths.at(-1)!) {
      lengths.push(Math.min(bytes - at, lengthStream.next().value as number));
    }
    const digests = new Uint8Array(lengths.length * 32).map((_, i) => (i * 7 + bytes) & 255);
    return sampleWith({
      name: name.replaceAll('\0', '_'),
      createdAt: created.toISOString(),
      bytes,
      files,
      chunks: { lengths: Uint32Array.from(lengths), digests },
    });
  });
