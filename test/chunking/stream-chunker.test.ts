/**
 * The chunks of a stream against those of the whole, whatever the pieces.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkCuts } from '../../src/chunking/chunker.ts';
import { StreamChunker } from '../../src/chunking/stream-chunker.ts';
import { loadKernels } from '../../src/wasm/load.ts';
import { DATA_KINDS, randomBytes } from './data-kinds.ts';

const CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';
const SIZES = { chunkBytesMin: 1024, chunkBytesTarget: 2048, chunkBytesMax: 4096 };
const kernels = loadKernels();

function wholeChunks(bytes: Uint8Array): Uint8Array[] {
  const cuts = chunkCuts(kernels, SIZES, bytes);
  return cuts.map((cut, i) => bytes.slice(cuts[i - 1] ?? 0, cut));
}

/** Pushes `bytes` in pieces of the given lengths, in turn. */
function streamed(chunker: StreamChunker, bytes: Uint8Array, pieceLengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const piece = bytes.subarray(at, at + pieceLengths[i % pieceLengths.length]!);
    chunks.push(...chunker.push(piece));
    at += piece.length;
  }
  return [...chunks, ...chunker.end()];
}

test('any pieces give the chunks of the whole', () => {
  const anyPieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 50_000 })), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(DATA_KINDS)),
      fc.nat(),
      fc.nat(60_000),
      anyPieces,
      (kind, seed, length, pieces) => {
        const bytes = DATA_KINDS[kind]!(length, seed);
        expect(streamed(new StreamChunker(kernels, SIZES), bytes, pieces)).toEqual(wholeChunks(bytes));
      },
    ),
    { numRuns: CAMPAIGN ? 5000 : 150 },
  );
});

test('after its end a chunker begins anew', () => {
  const chunker = new StreamChunker(kernels, SIZES);
  const [first, second] = [randomBytes(30_000, 1), randomBytes(30_000, 2)];
  expect(streamed(chunker, first, [999])).toEqual(wholeChunks(first));
  expect(streamed(chunker, second, [30_000])).toEqual(wholeChunks(second));
  expect(chunker.end()).toEqual([]);
});

test('two streams share one kernel instance, and a returned chunk is never overwritten', () => {
  const bytes = [randomBytes(50_000, 3), randomBytes(50_000, 4)];
  const chunkers = bytes.map(() => new StreamChunker(kernels, SIZES));
  const chunks: Uint8Array[][] = [[], []];
  for (let at = 0; at < 50_000; at += 777) {
    for (const i of [0, 1]) chunks[i]!.push(...chunkers[i]!.push(bytes[i]!.slice(at, at + 777)));
  }
  for (const i of [0, 1]) expect([...chunks[i]!, ...chunkers[i]!.end()]).toEqual(wholeChunks(bytes[i]!));
});
