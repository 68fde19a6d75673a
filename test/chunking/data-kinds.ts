/**
 * Bytes of the kinds that chunkers meet or trip over, each a function of length and seed alone.
 */
import { type Random, seededRandom } from '../../src/random.ts';

export type MakeBytes = (length: number, seed: number) => Uint8Array;

export function randomBytes(length: number, seed: number): Uint8Array {
  return seededRandom(seed).fill(new Uint8Array(length));
}

export const constantBytes =
  (value: number): MakeBytes =>
  (length) =>
    new Uint8Array(length).fill(value);

export const periodicBytes =
  (period: number): MakeBytes =>
  (length, seed) => {
    const unit = randomBytes(period, seed);
    return Uint8Array.from({ length }, (_, i) => unit[i % period]!);
  };

const WORDS =
  'the of replica and chunk to in checkpoint node is rack that shard for verify it was on digest as with'.split(
    ' ',
  );

function textBytes(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  let text = '';
  while (text.length < length) text += WORDS[random.below(WORDS.length)]! + (random.below(12) ? ' ' : '.\n');
  return new TextEncoder().encode(text).subarray(0, length);
}

/** Sum of uniforms: near enough to the normal distribution of trained weights, standard deviation 0.02. */
function weight(random: Random): number {
  let sum = 0;
  for (let i = 0; i < 6; i++) sum += random.below(65536) / 65536 - 0.5;
  return sum * 0.03;
}

/** Weights as bfloat16: the upper half of a float32, so every second byte has some eight values. */
function bf16Bytes(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  const values = Float32Array.from({ length: Math.ceil(length / 2) }, () => weight(random));
  const words = new Uint32Array(values.buffer);
  return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer).subarray(0, length);
}

/** Random bytes and runs of zeros, both up to 8 KiB: a sparse image or a padded archive. */
function zeroRichBytes(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += random.below(8192)) {
    const run = bytes.subarray(at, at + random.below(8192));
    random.fill(run);
    at += run.length;
  }
  return bytes;
}

/** Records of 24 bytes with a counter, a small number and zeros: symbol tables, inode tables. */
function recordBytes(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 24 <= length; at += 24) {
    view.setUint32(at, at, true);
    view.setInt16(at + 8, random.below(64) - 32, true);
    view.setUint32(at + 16, random.below(1 << 20), true);
  }
  return bytes;
}

/** Few different bytes, uniformly. */
const sparseAlphabet =
  (values: number): MakeBytes =>
  (length, seed) =>
    randomBytes(length, seed).map((byte) => byte % values);

export const DATA_KINDS: Readonly<Record<string, MakeBytes>> = {
  random: randomBytes,
  zeros: constantBytes(0),
  ones: constantBytes(255),
  ...Object.fromEntries(
    [2, 3, 7, 16, 33, 34, 35, 255, 1000, 4099].map((p) => [`period ${p}`, periodicBytes(p)]),
  ),
  text: textBytes,
  bf16: bf16Bytes,
  'zero-rich': zeroRichBytes,
  records: recordBytes,
  bits: sparseAlphabet(2),
  'four values': sparseAlphabet(4),
};
