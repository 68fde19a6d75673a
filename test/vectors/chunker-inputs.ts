/** The bytes that chunker.json is about. SplitMix64 gives the random ones (src/random.ts: little-endian words). */
import { seededRandom } from '../../src/random.ts';

const random = (length: number, seed: number): Uint8Array => seededRandom(seed).fill(new Uint8Array(length));

export const VECTOR_INPUTS: Readonly<Record<string, Uint8Array>> = {
  'SplitMix64 seed 0, 300000 bytes': random(300_000, 0),
  'zeros, 300000 bytes': new Uint8Array(300_000),
  'i mod 251, 300000 bytes': Uint8Array.from({ length: 300_000 }, (_, i) => i % 251),
  'SplitMix64 seed 1, 100000 bytes with bytes 20000 to 59999 zero': random(100_000, 1).fill(0, 20_000, 60_000),
  'SplitMix64 seed 2, 1023 bytes': random(1023, 2),
  'one byte 7': Uint8Array.of(7),
  empty: new Uint8Array(0),
};
