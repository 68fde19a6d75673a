/**
 * The SHA-256 kernel, both builds: published vectors, every short length in every mix of lanes, random job lists and
 * streams against the plain reference, node:crypto and hash-wasm, and the length field where it carries.
 * KWAM_CAMPAIGN=1 raises the counts of the random ones.
 */
import { createHash, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { createSHA256 } from 'hash-wasm';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/digest.ts';
import { Sha256Stream, sha256 } from '../../src/hashing/sha256.ts';
import { wasmEngine } from '../../src/hashing/wasm-engine.ts';
import { seededRandom } from '../../src/random.ts';
import { type Kernels, REGION } from '../../src/wasm/kernels.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { plainSha256 } from '../reference/sha256.ts';
import { expectedOf, flatten, type Run, splitDigests } from '../suites/hash-engine.ts';

const effort = process.env['KWAM_CAMPAIGN'] === '1' ? 50 : 1;
const vectors = JSON.parse(readFileSync(new URL('../vectors/sha256.json', import.meta.url), 'utf8')) as {
  messages: { message: string; digest: string }[];
  repeated: { byte: string; count: number; digest: string }[];
  monteCarlo: { seed: string; checkpoints: Record<string, string> };
};
const fromText = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

function fillInput(kernels: Kernels, seed: number, bytes: number): void {
  seededRandom(seed).fill(kernels.bytes().subarray(REGION.input, REGION.input + bytes));
}

/** Puts messages one behind the other into INPUT, a byte apart so that they are not aligned. */
function place(kernels: Kernels, messages: readonly Uint8Array[]): Run[] {
  let offset: number = REGION.input + 1;
  return messages.map((message) => {
    kernels.bytes().set(message, offset);
    const run: Run = [offset, message.length];
    offset += message.length + 1;
    return run;
  });
}

describe('the plain reference', () => {
  it('gives the published digests', () => {
    for (const { message, digest } of vectors.messages)
      expect(toHex(plainSha256(fromText(message)))).toBe(digest);
  });
  it('continues from a state', () => {
    const message = seededRandom(3).fill(new Uint8Array(200));
    // The initial value and 0 bytes are a state like any other.
    const initial = [
      0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    ];
    expect(plainSha256(message, { state: initial, bytes: 0n })).toEqual(plainSha256(message));
  });
});

describe.each(['release', 'debug'] as const)('SHA-256, %s kernels', (build) => {
  const kernels = loadKernels(build);
  const engine = wasmEngine(kernels);
  const hashAll = (runs: readonly Run[]): string[] => splitDigests(engine.hashRuns(flatten(runs)));

  it('gives the published digests, together, alone and as a stream', () => {
    const messages = vectors.messages.map(({ message }) => fromText(message));
    const expected = vectors.messages.map(({ digest }) => digest);
    expect(hashAll(place(kernels, messages))).toEqual(expected);
    expect(messages.flatMap((message) => hashAll(place(kernels, [message])))).toEqual(expected);
    expect(messages.map((message) => toHex(sha256(kernels, message)))).toEqual(expected);
  });

  it('gives the published digest of a million times one byte, in each lane and as a stream', () => {
    for (const { byte, count, digest } of vectors.repeated) {
      const message = new Uint8Array(count).fill(Number.parseInt(byte, 16));
      const mates: Run[] = [
        [REGION.input, 70],
        [REGION.input, count],
        [REGION.input, count],
        [REGION.input, 1],
      ];
      kernels.bytes().set(message, REGION.input);
      expect(hashAll(mates)[1]).toBe(digest);
      expect(hashAll(mates)[2]).toBe(digest);
      expect(toHex(sha256(kernels, message))).toBe(digest);
    }
  });

  it("reaches the checkpoints of NIST's Monte Carlo chain", () => {
    const { seed, checkpoints } = vectors.monteCarlo;
    const links = build === 'release' ? 100 : 2;
    const at = REGION.input;
    let digest = fromText(seed);
    for (let link = 0; link < links; link++) {
      for (let third = 0; third < 3; third++) kernels.bytes().set(digest, at + 32 * third);
      for (let step = 0; step < 1000; step++) {
        digest = engine.hashRuns(Uint32Array.of(at, 96)).slice();
        kernels
          .bytes()
          .copyWithin(at, at + 32, at + 96)
          .set(digest, at + 64);
      }
      if (checkpoints[link] !== undefined)
        expect(toHex(digest), `checkpoint ${link}`).toBe(checkpoints[link]);
    }
  });

  it('is right for every length from 0 to 300, in every lane and beside every kind of neighbour', async () => {
    fillInput(kernels, 5, 200_000);
    const hasher = await createSHA256();
    const peer = ([offset, length]: Run): string =>
      hasher
        .init()
        .update(kernels.bytes().subarray(offset, offset + length))
        .digest();
    // Steps that are prime to 301 visit every length; each start shifts which lane a length falls to.
    for (const step of [1, 64, 65, 150]) {
      for (let start = 0; start < 4; start++) {
        const runs = Array.from(
          { length: 301 },
          (_, i): Run => [REGION.input + i * 311 + (i % 17), (i * step + start) % 301],
        );
        const digests = hashAll(runs);
        expect(digests).toEqual(expectedOf(kernels.bytes(), runs));
        expect(digests).toEqual(runs.map(peer));
      }
    }
  });

  it('is right for every length from 0 to 300 among one to five jobs', () => {
    for (let length = 0; length <= 300; length++) {
      for (let count = 1; count <= 5; count++) {
        const at = (length * 5 + count) % count;
        const runs = Array.from(
          { length: count },
          (_, i): Run => [
            REGION.input + 1000 * i + length,
            i === at ? length : (length * (i + 3) * 29) % 257,
          ],
        );
        expect(hashAll(runs), `length ${length} of ${count}`).toEqual(expectedOf(kernels.bytes(), runs));
      }
    }
  });

  it('agrees with the plain reference on random lists of short jobs', () => {
    for (let seed = 1; seed <= 30 * effort; seed++) {
      const random = seededRandom(seed);
      fillInput(kernels, seed, 4096);
      const runs = Array.from(
        { length: random.below(14) },
        (): Run => [REGION.input + random.below(900), random.below(700)],
      );
      const expected = runs.map(([at, length]) =>
        toHex(plainSha256(kernels.bytes().subarray(at, at + length))),
      );
      expect(hashAll(runs), `seed ${seed}`).toEqual(expected);
    }
  });

  it('agrees with node:crypto on random lists of jobs up to 600 KiB', () => {
    fillInput(kernels, 7, 2_000_000);
    const lists = (build === 'release' ? 25 : 4) * effort;
    for (let seed = 1; seed <= lists; seed++) {
      const random = seededRandom(seed);
      const length = (): number => random.below([100, 5_000, 70_000, 600 * 1024][random.below(4)]!);
      const runs = Array.from(
        { length: 1 + random.below(12) },
        (): Run => [REGION.input + random.below(1_000_000), length()],
      );
      expect(hashAll(runs), `seed ${seed}`).toEqual(expectedOf(kernels.bytes(), runs));
    }
  });

  it('streams the same digest however the message is cut, from outside and inside linear memory', () => {
    fillInput(kernels, 9, 70_000);
    const pieces = fc.array(fc.tuple(fc.oneof(fc.nat(130), fc.nat(5000)), fc.boolean()), { maxLength: 12 });
    fc.assert(
      fc.property(pieces, fc.nat(63), (cuts, shift) => {
        const stream = new Sha256Stream(kernels);
        const start = REGION.input + shift;
        let at = start;
        for (const [length, inside] of cuts) {
          const piece = kernels.bytes().subarray(at, at + length);
          stream.update(inside ? piece : piece.slice());
          at += length;
        }
        expect(toHex(stream.digest())).toBe(hash('sha256', kernels.bytes().subarray(start, at)));
      }),
      { numRuns: 100 * effort },
    );
  });

  it('streams pieces larger than SCRATCH', () => {
    const message = seededRandom(11).fill(new Uint8Array(1_300_001));
    expect(toHex(sha256(kernels, message))).toBe(hash('sha256', message));
  });

  it('keeps interleaved streams and job lists apart, and starts anew after a digest', () => {
    const streams = Array.from({ length: 5 }, () => ({
      stream: new Sha256Stream(kernels),
      peer: createHash('sha256'),
    }));
    const random = seededRandom(13);
    for (let turn = 0; turn < 200; turn++) {
      const { stream, peer } = streams[random.below(streams.length)]!;
      const piece = random.fill(new Uint8Array(random.below(300)));
      stream.update(piece);
      peer.update(piece);
      if (turn % 3 === 0)
        hashAll([
          [REGION.input, 200],
          [REGION.input, turn],
        ]);
    }
    for (const { stream, peer } of streams) expect(toHex(stream.digest())).toBe(peer.digest('hex'));
    for (const { stream } of streams) expect(toHex(stream.digest())).toBe(hash('sha256', ''));
  });

  it('counts lengths in 64 bits: around 2^29, 2^32 and 2^61 bytes', () => {
    const { exports } = kernels;
    const random = seededRandom(17);
    for (const bytes of [2n ** 29n, 2n ** 32n, 2n ** 35n, 2n ** 61n - 256n]) {
      for (const [before, more] of [
        [-128n, 127],
        [-64n, 63],
        [-64n, 64],
        [-64n, 65],
        [0n, 0],
        [0n, 129],
      ] as const) {
        const state = Array.from({ length: 8 }, () => random.below(2 ** 32));
        const rest = random.fill(new Uint8Array(more));
        exports.sha256Init();
        const view = new DataView(exports.memory.buffer, exports.sha256State());
        for (const [i, word] of state.entries()) view.setUint32(4 * i, word, true);
        view.setBigUint64(32, bytes + before, true);
        kernels.bytes().set(rest, REGION.input);
        exports.sha256Update(REGION.input, more);
        exports.sha256Final();
        const digest = toHex(kernels.bytes().subarray(REGION.digests, REGION.digests + 32));
        expect(digest).toBe(toHex(plainSha256(rest, { state, bytes: bytes + before })));
      }
    }
  });
});

describe('SHA-256 of half a gibibyte', () => {
  it('is right where the bit count needs its high word', () => {
    const kernels = loadKernels('release');
    kernels.exports.memory.grow(2 ** 29 / 65_536);
    fillInput(kernels, 19, 1_000_000);
    // The campaign fills all four lanes with such messages; otherwise one begins in a lane and ends alone.
    const lengths = effort === 1 ? [2 ** 29 + 70, 100] : [2 ** 29 + 70, 2 ** 29, 2 ** 29 - 1, 2 ** 29 + 119];
    const runs = lengths.map((length, i): Run => [REGION.input + i, length]);
    const digests = splitDigests(wasmEngine(kernels).hashRuns(flatten(runs)));
    expect(digests).toEqual(expectedOf(kernels.bytes(), runs));
  });
});
