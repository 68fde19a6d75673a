import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/random.ts';
import { chunkStream, type KwamError, verifyChunk, verifyManifest, verifyStream } from '../../src/verify.ts';
import { ed25519Signer, p256Signer, SAMPLE, signWhole } from '../manifest/samples.ts';
import { referenceCuts } from '../reference/chunker.ts';
import { collect, inPieces, listOf, manifestOf, randomSplit, sha256Hex, untilError } from './streams.ts';

const campaign = process.env['KWAM_CAMPAIGN'] === '1' ? 20 : 1;
const random = seededRandom(3);
const sizes = { chunkBytesMin: 1024, chunkBytesTarget: 4096, chunkBytesMax: 16384 };

describe('verifyChunk', () => {
  const bytes = random.fill(new Uint8Array(100_000));
  it('accepts the right digest as bytes or text', async () => {
    await verifyChunk(bytes, sha256Hex(bytes));
    await verifyChunk(bytes, Buffer.from(sha256Hex(bytes), 'hex'));
    await verifyChunk(new Uint8Array(0), sha256Hex(new Uint8Array(0)));
  });

  it('names both digests when the bytes are others', async () => {
    const changed = bytes.slice();
    changed[77_777]! ^= 1;
    await expect(verifyChunk(changed, sha256Hex(bytes))).rejects.toMatchObject({
      name: 'KwamError',
      code: 'CHUNK_DIGEST_MISMATCH',
      context: { expected: sha256Hex(bytes), actual: sha256Hex(changed), length: 100_000 },
    });
  });

  it('refuses what is no digest and what is no chunk', async () => {
    await expect(verifyChunk(bytes, 'abc')).rejects.toMatchObject({ code: 'INTEGRITY' });
    await expect(verifyChunk(bytes, new Uint8Array(31))).rejects.toMatchObject({
      code: 'CHUNK_DIGEST_MISMATCH',
    });
    const large = new Uint8Array(2 ** 24 + 1);
    await expect(verifyChunk(large, sha256Hex(bytes))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  it('serves callers at the same time', async () => {
    const chunks = Array.from({ length: 50 }, () => random.fill(new Uint8Array(random.below(5000))));
    await Promise.all(chunks.map((chunk) => verifyChunk(chunk, sha256Hex(chunk))));
  });
});

describe('verifyStream', () => {
  it('gives the same bytes, however they arrive and are cut', async () => {
    for (let run = 0; run < 40 * campaign; run++) {
      const bytes = random.fill(new Uint8Array(random.below(400_000)));
      const lengths = randomSplit(random, bytes.length, run % 2 ? 200_000 : 3000);
      const manifest = manifestOf(bytes, lengths, randomSplit(random, bytes.length, 60_000));
      const out = await listOf(verifyStream(inPieces(bytes, random, 100_000), manifest));
      expect(out.map((piece) => piece.length)).toEqual(lengths);
      expect(Buffer.concat(out).equals(bytes)).toBe(true);
    }
  });

  it('reports exactly where one changed byte lies, and lets out only what is before that chunk', async () => {
    for (let run = 0; run < 60 * campaign; run++) {
      const bytes = random.fill(new Uint8Array(1 + random.below(100_000)));
      const lengths = randomSplit(random, bytes.length, 10_000);
      const fileSizes = randomSplit(random, bytes.length, 20_000);
      const manifest = manifestOf(bytes, lengths, fileSizes);
      const position = random.below(bytes.length);
      const changed = bytes.slice();
      changed[position]! ^= 1 << random.below(8);
      const { good, error } = await untilError(verifyStream(inPieces(changed, random, 30_000), manifest));
      let offset = 0;
      let chunk = 0;
      while (offset + lengths[chunk]! <= position) offset += lengths[chunk++]!;
      const length = lengths[chunk]!;
      const fileOf = (at: number): string => {
        let file = 0;
        for (let end = fileSizes[0]!; end <= at; ) end += fileSizes[++file]!;
        return `"file-${file}"`;
      };
      expect(error).toMatchObject({
        code: 'CHUNK_DIGEST_MISMATCH',
        context: {
          chunk,
          offset,
          length,
          path: fileOf(offset),
          expected: sha256Hex(bytes.subarray(offset, offset + length)),
          actual: sha256Hex(changed.subarray(offset, offset + length)),
        },
      });
      const last = fileOf(offset + length - 1);
      expect((error as KwamError).context['lastPath'] ?? fileOf(offset)).toBe(last);
      expect(good.equals(bytes.subarray(0, offset))).toBe(true);
    }
  });

  const bytes = random.fill(new Uint8Array(50_000));
  const manifest = manifestOf(bytes, [20_000, 20_000, 10_000], [25_000, 25_000]);

  it.each([0, 1, 19_999, 20_000, 20_001, 49_999])('ends early after %i bytes: too short', async (end) => {
    const { good, error } = await untilError(verifyStream([bytes.subarray(0, end)], manifest));
    expect(error).toMatchObject({
      code: 'STREAM_TOO_SHORT',
      context: {
        actual: end,
        expected: 50_000,
        chunk: Math.floor(end / 20_000),
        path: end < 25_000 ? '"file-0"' : '"file-1"',
      },
    });
    expect(good.length).toBe(Math.floor(end / 20_000) * 20_000);
  });

  it('goes on after its end: too long, after everything that was right', async () => {
    const { good, error } = await untilError(verifyStream([bytes, Uint8Array.of(0)], manifest));
    expect(error).toMatchObject({ code: 'STREAM_TOO_LONG', context: { expected: 50_000 } });
    expect(good.equals(bytes)).toBe(true);
  });

  it('of nothing is nothing; an empty object with bytes is too long', async () => {
    const empty = manifestOf(new Uint8Array(0), [], []);
    expect(await collect(verifyStream([], empty))).toHaveLength(0);
    expect((await untilError(verifyStream([Uint8Array.of(1)], empty))).error).toMatchObject({
      code: 'STREAM_TOO_LONG',
    });
  });

  it('reads web streams and closes the source when its reader stops', async () => {
    let closed = 0;
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(bytes.slice()),
      cancel: () => void closed++,
    });
    for await (const piece of verifyStream(source, manifestOf(bytes, [50_000], [50_000]))) {
      expect(piece).toHaveLength(50_000);
      break;
    }
    const withoutIterator = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(bytes.slice()),
      cancel: () => void closed++,
    });
    Object.defineProperty(withoutIterator, Symbol.asyncIterator, { value: undefined });
    const reader = verifyStream(withoutIterator, manifestOf(bytes, [50_000], [50_000]));
    await untilError(reader);
    expect(closed).toBe(2);
  });

  it('gives arrays that stay as they are while the stream goes on', async () => {
    const piece = new Uint8Array(bytes);
    const kept: Uint8Array[] = [];
    for await (const chunk of verifyStream([piece], manifest)) {
      kept.push(chunk);
      piece.fill(0);
    }
    expect(Buffer.concat(kept).equals(bytes)).toBe(true);
  });

  it('refuses pieces that are not bytes, and hands on the error of the source', async () => {
    const text = ['abc'] as unknown as Uint8Array[];
    expect((await untilError(verifyStream(text, manifest))).error).toMatchObject({ code: 'USAGE' });
    const broken = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(new Error('unplugged')),
    });
    expect((await untilError(verifyStream(broken, manifest))).error).toMatchObject({ message: 'unplugged' });
  });

  it('serves several streams at the same time', async () => {
    const all = Array.from({ length: 6 }, () => verifyStream(inPieces(bytes, random, 3000), manifest));
    for (const out of await Promise.all(all.map(collect))) expect(out.equals(bytes)).toBe(true);
  });
});

describe('chunkStream', () => {
  it('cuts as the reference does, however the stream is fed', async () => {
    for (let run = 0; run < 4 * campaign; run++) {
      const bytes = random.fill(new Uint8Array(random.below(600_000)));
      bytes.fill(7, 200_000, 330_000);
      const cuts = referenceCuts(bytes, sizes);
      const chunks = await listOf(chunkStream(inPieces(bytes, random, 50_000), sizes));
      expect(chunks.map((chunk) => chunk.offset + chunk.length)).toEqual(cuts);
      expect(Buffer.concat(chunks.map((chunk) => chunk.bytes)).equals(bytes)).toBe(true);
      for (const chunk of chunks)
        expect(Buffer.from(chunk.digest).toString('hex')).toBe(sha256Hex(chunk.bytes));
    }
  });

  it('crosses its window without a seam', async () => {
    const bytes = random.fill(new Uint8Array(2_500_000));
    const whole = await listOf(chunkStream([bytes], sizes));
    expect(whole.map((chunk) => chunk.offset + chunk.length)).toEqual(referenceCuts(bytes, sizes));
  });

  it('makes one chunk of little, none of nothing, and refuses odd sizes', async () => {
    expect(await listOf(chunkStream([Uint8Array.of(1)]))).toMatchObject([{ offset: 0, length: 1 }]);
    expect(await listOf(chunkStream([]))).toEqual([]);
    const odd = chunkStream([], { chunkBytesMin: 100 });
    await expect(odd.next()).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('verifyManifest', () => {
  it('takes keys as PEM, JWK, DER or CryptoKey, and envelopes as bytes or text', async () => {
    for (const make of [p256Signer, ed25519Signer]) {
      const { signer, publicKey } = await make();
      const { envelope, digest } = await signWhole(SAMPLE, [signer]);
      const der = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
      const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(der).toString('base64')}\n-----END PUBLIC KEY-----\n`;
      const jwk = await crypto.subtle.exportKey('jwk', publicKey);
      for (const key of [pem, jwk, der, publicKey, { key: pem, identity: SAMPLE.producer }]) {
        expect(await verifyManifest(envelope, { trustedKeys: [key], digest })).toEqual(SAMPLE);
      }
      const text = new TextDecoder().decode(envelope);
      expect(
        await verifyManifest(text, { trustedKeys: [pem], digest: Buffer.from(digest).toString('hex') }),
      ).toEqual(SAMPLE);
    }
  });

  it('asks a trust function, and refuses to be asked about nobody', async () => {
    const { signer, publicKey } = await p256Signer();
    const { envelope } = await signWhole(SAMPLE, [{ ...signer, certs: 'chain' }]);
    const trust = async (signature: { readonly certs?: string }) =>
      signature.certs === 'chain' ? [{ key: publicKey, identity: SAMPLE.producer }] : [];
    expect((await verifyManifest(envelope, { trust })).name).toBe(SAMPLE.name);
    await expect(verifyManifest(envelope, {})).rejects.toMatchObject({ code: 'USAGE' });
    await expect(verifyManifest(envelope, { trustedKeys: [] })).rejects.toMatchObject({
      code: 'MANIFEST_SIGNATURE',
    });
    const threshold = { trust, threshold: 2 };
    await expect(verifyManifest(envelope, threshold)).rejects.toMatchObject({ code: 'MANIFEST_SIGNATURE' });
  });
});
