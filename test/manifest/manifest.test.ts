import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manifestPartBytes } from '../../src/limits.ts';
import { canonicalJson } from '../../src/manifest/canonical-json.ts';
import { entryPath } from '../../src/manifest/entry-path.ts';
import { envelopeParts, signPayload } from '../../src/manifest/envelope-writer.ts';
import type { Manifest } from '../../src/manifest/manifest.ts';
import { joinParts } from '../../src/manifest/manifest-parts.ts';
import { parseManifest } from '../../src/manifest/manifest-reader.ts';
import { encodeManifest } from '../../src/manifest/manifest-writer.ts';
import { chunkAt, chunksOfEntry, entryAt, streamLayout } from '../../src/manifest/stream-layout.ts';
import { seededRandom } from '../../src/random.ts';
import {
  anyManifest,
  fileAt,
  hardlinkAt,
  p256Signer,
  SAMPLE,
  sampleWith,
  sampleWithEntries,
  symlinkAt,
} from './samples.ts';

const utf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const invalid = expect.objectContaining({ code: 'MANIFEST_INVALID' });
const directoryAt = (path: string) => ({
  ...fileAt(path),
  type: 'directory',
  size: undefined,
  sparse: undefined,
});
const campaign = process.env['KWAM_CAMPAIGN'] === '1' ? 50 : 1;

describe('the text of a manifest', () => {
  it('is what RFC 8785 makes of the same members', () => {
    const text = utf8(encodeManifest(SAMPLE));
    expect(canonicalJson(JSON.parse(text))).toBe(text);
  });

  it('is fixed (golden, written out by hand)', () => {
    const manifest = sampleWith({
      bytes: 3,
      chunks: { lengths: Uint32Array.of(3), digests: new Uint8Array(32) },
      files: [{ type: 'file', path: 'f', mode: 420, mtimeNs: 1n, uid: 0, gid: 0, size: 3, sparse: false }],
    });
    expect(utf8(encodeManifest(manifest))).toBe(
      '{"bytes":3,"chunker":{"chunkBytesMax":262144,"chunkBytesMin":16384,"chunkBytesTarget":65536,"rule":"kwam.cdc/v1"},' +
        '"chunks":{"count":1,"digests":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","lengths":[3]},' +
        `"codecId":"${'ab'.repeat(32)}","createdAt":"2026-11-02T03:04:05.678Z",` +
        '"files":[{"gid":0,"mode":420,"mtimeNs":"1","path":"f","size":3,"type":"file","uid":0}],' +
        '"name":"checkpoints/step-1000","producer":"spiffe://kwam.dev/node/n0001","schema":"kwam.manifest/v1"}',
    );
  });

  it('reads back as it was', () => {
    expect(parseManifest(encodeManifest(SAMPLE))).toEqual(SAMPLE);
  });
});

describe('properties', () => {
  it('parse ∘ encode is the identity, and the text is canonical', () => {
    fc.assert(
      fc.property(anyManifest, (manifest) => {
        const payload = encodeManifest(manifest);
        expect(parseManifest(payload)).toEqual(manifest);
        expect(canonicalJson(JSON.parse(utf8(payload)))).toBe(utf8(payload));
      }),
      { numRuns: 100 * campaign },
    );
  });

  it('whatever is accepted is written again byte for byte: one content, one text', () => {
    const payload = encodeManifest(SAMPLE);
    const random = seededRandom(11);
    for (let run = 0; run < 3000 * campaign; run++) {
      const changed = payload.slice();
      changed[random.below(changed.length)] = random.below(256);
      try {
        expect(utf8(encodeManifest(parseManifest(changed)))).toBe(utf8(changed));
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/MANIFEST_INVALID|LIMIT_EXCEEDED/) });
      }
    }
  });
});

describe('other texts of the same content are refused', () => {
  const text = utf8(encodeManifest(SAMPLE));
  it.each([
    ['a space', text.replace(',"chunks"', ', "chunks"')],
    ['another order', text.replace(/^(\{)("bytes":300),("chunker":\{[^}]*\})/, '$1$3,$2')],
    ['an unknown member', text.replace('"codecId"', '"codec":"x","codecId"')],
    ['a repeated member', text.replace('"chunker"', '"bytes":300,"chunker"')],
    ['a leading zero', text.replace('"bytes":300', '"bytes":0300')],
    ['an exponent', text.replace('"bytes":300', '"bytes":3e2')],
    ['a needless escape', text.replace('"link"', '"\\u006cink"')],
    ['a false flag written out', text.replace('"size":0,"type"', '"size":0,"sparse":false,"type"')],
    ['text as bytes', text.replace('"path":"link"', '"pathBytes":"bGluaw=="')],
    ['something behind', `${text} `],
    ['a later time written otherwise', text.replace('05.678Z', '05.6780Z')],
    ['a time zone', text.replace('05.678Z', '05.678+00:00')],
  ])('%s', (_, changed) => {
    expect(changed).not.toBe(text);
    expect(() => parseManifest(bytesOf(changed))).toThrow(invalid);
  });

  it('an unknown schema is refused by name', () => {
    const newer = text.replace('manifest/v1', 'manifest/v2');
    expect(() => parseManifest(bytesOf(newer))).toThrow(/schema kwam.manifest\/v1, got "kwam.manifest\/v2"/);
  });
});

describe('a malicious manifest cannot lead outside its destination', () => {
  it.each([
    ['an absolute path', [fileAt('/etc/passwd')]],
    ['a parent segment', [fileAt('a/../../b')]],
    ['a leading parent segment', [fileAt('..')]],
    ['a dot segment', [fileAt('./a')]],
    ['a file named as the root', [fileAt('.')]],
    ['an empty path', [fileAt('')]],
    ['an empty segment', [fileAt('a//b')]],
    ['a trailing slash', [fileAt('a/')]],
    ['NUL', [fileAt('a\0b')]],
    ['NUL in bytes', [fileAt(Uint8Array.of(0xff, 0))]],
    ['a parent segment in bytes', [fileAt(Uint8Array.of(0xff, 0x2f, 0x2e, 0x2e))]],
    ['a path through a symbolic link', [symlinkAt('a', '/etc'), fileAt('a/passwd')]],
    ['a path through a link listed later', [fileAt('a/b/c'), symlinkAt('a', '/etc')]],
    [
      'a path through a link in bytes',
      [symlinkAt(Uint8Array.of(0xff), '/'), fileAt(Uint8Array.of(0xff, 0x2f, 0x61))],
    ],
    ['a path in bytes through a link', [symlinkAt('a', '/'), fileAt(Uint8Array.of(0x61, 0x2f, 0xff))]],
    ['a path through a file', [fileAt('a'), fileAt('a/b')]],
    ['the same path twice', [fileAt('a'), symlinkAt('a', 'b')]],
    ['the same path as bytes', [fileAt('a'), fileAt(Uint8Array.of(0x61))]],
    ['a lone surrogate', [fileAt('\ud800')]],
    ['a hard link out of the tree', [hardlinkAt('a', '../b')]],
    ['a hard link to an absolute path', [hardlinkAt('a', '/etc/passwd')]],
    ['a hard link to nothing', [hardlinkAt('a', 'b')]],
    ['a hard link to itself', [hardlinkAt('a', 'a')]],
    ['a hard link to a symbolic link', [symlinkAt('b', '/etc/passwd'), hardlinkAt('a', 'b')]],
    ['a hard link to a directory', [directoryAt('b'), hardlinkAt('a', 'b')]],
    ['a symbolic link to nothing', [symlinkAt('a', '')]],
    ['a path longer than PATH_MAX', [fileAt('x'.repeat(4097))]],
  ])('%s', (_, files) => {
    expect(() => encodeManifest(sampleWithEntries(...files))).toThrow(invalid);
  });

  it('and the same holds for texts that somebody else wrote', () => {
    const text = utf8(encodeManifest(sampleWithEntries(fileAt('a/b'), symlinkAt('c', 'd'))));
    for (const [from, to] of [
      ['"a/b"', '"../b"'],
      ['"a/b"', '"c/b"'],
      ['"a/b"', '"c"'],
      ['"a/b"', '"/b"'],
    ] as const) {
      expect(() => parseManifest(bytesOf(text.replace(from, to)))).toThrow(invalid);
    }
  });

  it('ordinary oddities stay: newlines, backslashes, dots, links that point anywhere', () => {
    const odd = [
      fileAt('a\nb'),
      fileAt('C:\\x'),
      fileAt('...'),
      fileAt('..a/b..'),
      symlinkAt('l', '/../etc'),
      symlinkAt('s', '.'),
    ];
    const manifest = sampleWithEntries(...odd);
    expect(parseManifest(encodeManifest(manifest)).files).toEqual(odd);
  });
});

describe('numbers that do not agree are refused', () => {
  const chunks = (lengths: number[], digests = new Uint8Array(lengths.length * 32)) => ({
    chunks: { lengths: Uint32Array.from(lengths), digests },
  });
  it.each<[string, Partial<Manifest>]>([
    ['chunks shorter than the stream', chunks([100, 150])],
    ['chunks longer than the stream', chunks([100, 201])],
    ['a chunk without bytes', chunks([0, 150, 150])],
    ['a digest too few', chunks([150, 150], new Uint8Array(32))],
    ['files that miss the stream', { bytes: 299, ...chunks([299]) }],
    ['a chunk above the maximum', { ...chunks([300]), chunker: { ...SAMPLE.chunker, chunkBytesMax: 100 } }],
    ['an unordered chunker', { chunker: { ...SAMPLE.chunker, chunkBytesMin: 100_000 } }],
    ['a producer that is no SPIFFE ID', { producer: 'https://kwam.dev/node' }],
    ['a producer with a dot segment', { producer: 'spiffe://kwam.dev/../node' }],
    ['an empty name', { name: '' }],
    ['a codec that is no digest', { codecId: 'AB'.repeat(32) as Manifest['codecId'] }],
    ['a day that does not exist', { createdAt: '2026-02-30T00:00:00.000Z' }],
  ])('%s', (_, changes) => {
    expect(() => encodeManifest(sampleWith(changes))).toThrow(invalid);
  });

  it.each([
    { mode: 0o10000 },
    { mode: 1.5 },
    { uid: 2 ** 32 },
    { gid: -1 },
    { mtimeNs: 2n ** 63n },
    { size: -1 },
    { size: 2 ** 53 },
  ])('an entry with %o', (change) => {
    expect(() => encodeManifest(sampleWithEntries({ ...fileAt('a'), ...change }))).toThrow(invalid);
  });
});

describe('where files and chunks lie', () => {
  const layout = streamLayout(SAMPLE);
  it('follows from the lengths', () => {
    expect([...layout.chunkOffsets]).toEqual([0, 100, 250, 300]);
    expect([...layout.entryOffsets]).toEqual([0, 0, 0, 0, 120, 300, 300, 300, 300, 300]);
    expect([0, 99, 100, 249, 250, 299].map((offset) => chunkAt(layout, offset))).toEqual([0, 0, 1, 1, 2, 2]);
    expect([0, 119, 120, 299].map((offset) => entryAt(layout, offset))).toEqual([3, 3, 4, 4]);
    expect(chunksOfEntry(layout, 3)).toEqual({ first: 0, end: 2 });
    expect(chunksOfEntry(layout, 4)).toEqual({ first: 1, end: 3 });
    expect(chunksOfEntry(layout, 2)).toEqual({ first: 0, end: 0 });
  });

  it.each([-1, 300, Number.NaN])('and %s is outside', (offset) => {
    expect(() => chunkAt(layout, offset)).toThrow(/inside the stream/);
  });
});

describe('parts', () => {
  it.each([0, 1, 196_607, 196_608, 400_001])('of %i bytes are the envelope, cut anywhere', async (bytes) => {
    const { signer } = await p256Signer();
    const payload = seededRandom(5).fill(new Uint8Array(bytes));
    const signed = await signPayload('text/plain', payload, [signer]);
    const [whole] = [...envelopeParts(signed, Number.MAX_SAFE_INTEGER)];
    expect(JSON.parse(utf8(whole!)).payload).toBe(Buffer.from(payload).toString('base64'));
    for (const partBytes of [9973, 65_536, whole!.length - 1, whole!.length]) {
      const parts = [...envelopeParts(signed, partBytes)];
      expect(parts.slice(0, -1).every((part) => part.length === partBytes)).toBe(true);
      expect(Buffer.compare(await joinParts(parts.length, parts), whole!)).toBe(0);
    }
  });

  it('are refused when there is none, too many, or more than their number says', async () => {
    await expect(joinParts(0, [])).rejects.toThrow(invalid);
    await expect(joinParts(1_000_000, [])).rejects.toThrow(invalid);
    await expect(joinParts(1, [new Uint8Array(manifestPartBytes), new Uint8Array(1)])).rejects.toThrow(
      invalid,
    );
  });
});

describe('names', () => {
  it('have one form: text when the bytes are UTF-8, else bytes', () => {
    expect(entryPath(bytesOf('größe'))).toBe('größe');
    expect(entryPath(Uint8Array.of(0xff))).toEqual(Uint8Array.of(0xff));
    expect(entryPath(bytesOf('\ufeffx'))).toBe('\ufeffx');
  });
});

describe('scale', () => {
  const large = (entries: number, chunks: number): Manifest =>
    sampleWith({
      bytes: chunks * 65536,
      chunks: {
        lengths: new Uint32Array(chunks).fill(65536),
        digests: new Uint8Array(32 * chunks).map((_, i) => i),
      },
      files: Array.from({ length: entries }, (_, i) => ({
        ...(fileAt(`directory-${i % 1000}/part-${i}.bin`) as Extract<
          Manifest['files'][number],
          { type: 'file' }
        >),
        size: i === 0 ? chunks * 65536 : 0,
      })),
    });

  it('200,000 files pass through', () => {
    const manifest = large(200_000, 20_000 * campaign);
    const payload = encodeManifest(manifest);
    const again = parseManifest(payload);
    expect(again.files).toHaveLength(200_000);
    expect(again.files[199_999]).toEqual(manifest.files[199_999]);
  });

  it('more chunks than the limit are a clear error, before memory is taken for them', () => {
    const text = utf8(encodeManifest(SAMPLE)).replace('"count":3', '"count":8388609');
    expect(() => parseManifest(bytesOf(text))).toThrow(/at most 8388608 chunks in a manifest, got 8388609/);
  });
});
