/**
 * Arithmetic of GF(2^8), one element at a time: for matrices, not for data (that is assembly/reed-solomon.ts).
 * In and out: bytes. Addition and subtraction are both XOR and need no function.
 * Source: the field x^8+x^4+x^3+x^2+1 (0x11d) with generator 2, as in Backblaze, klauspost and ISA-L.
 */
import { assert } from '../errors.ts';

const POLYNOMIAL = 0x11d;
const GROUP_ORDER = 255;

/** EXP[i] = 2^i, written twice over so that a sum of two logarithms needs no reduction. */
const EXP = new Uint8Array(2 * GROUP_ORDER);
const LOG = new Uint8Array(256);
for (let i = 0, power = 1; i < GROUP_ORDER; i++) {
  EXP[i] = power;
  EXP[i + GROUP_ORDER] = power;
  LOG[power] = i;
  power <<= 1;
  if (power > 255) power ^= POLYNOMIAL;
}

/** Row a holds a · 0 … a · 255: a matrix row is scaled by one look-up an element. */
const PRODUCTS = Array.from({ length: 256 }, (_, a) =>
  Uint8Array.from({ length: 256 }, (_, b) => (a === 0 || b === 0 ? 0 : EXP[LOG[a]! + LOG[b]!]!)),
);

export function productsOf(a: number): Uint8Array {
  return PRODUCTS[a]!;
}

export function multiply(a: number, b: number): number {
  return PRODUCTS[a]![b]!;
}

export function inverse(a: number): number {
  assert(a !== 0, 'zero has no inverse in GF(2^8)');
  return EXP[GROUP_ORDER - LOG[a]!]!;
}

/** a^exponent with 0^0 = 1, as every Vandermonde matrix here needs it. */
export function power(a: number, exponent: number): number {
  if (exponent === 0) return 1;
  return a === 0 ? 0 : EXP[(LOG[a]! * exponent) % GROUP_ORDER]!;
}
