/**
 * Exact rational numbers, and the nines of a rate.
 * In: whole numbers, doubles (each is a rational: mantissa × 2^e), decimal text. Out: fractions in lowest terms, denominator > 0.
 * Why rationals: every input of a guard is a quotient of whole milliseconds, so a verdict "loss ≤ 10^−N" is a comparison of two
 *   integers and is the same on every machine. No logarithm: N nines hold exactly when numerator × 10^N ≤ denominator.
 * Does not round, except where a name says so; what is rounded is a loss, and it is rounded up.
 */
import { assert, KwamError } from '../errors.ts';

export interface Ratio {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export function ratio(numerator: bigint, denominator = 1n): Ratio {
  assert(denominator !== 0n, 'a ratio has a denominator');
  const sign = denominator < 0n ? -1n : 1n;
  const shared = sign * greatestCommonDivisor(numerator, denominator);
  return { numerator: numerator / shared, denominator: denominator / shared };
}

/** The double as it is, without rounding: 0.5 is 1/2, and 0.1 is the binary fraction next to one tenth. */
export function exactly(value: number | bigint): Ratio {
  if (typeof value === 'bigint') return ratio(value);
  if (!Number.isFinite(value)) {
    throw new KwamError('USAGE', `expected a finite number, got ${value}; give a number or decimal text`);
  }
  let denominator = 1n;
  while (!Number.isInteger(value)) {
    value *= 2;
    denominator *= 2n;
  }
  return ratio(BigInt(value), denominator);
}

/** Decimal text such as "0.0462", as written: one tenth stays one tenth. */
export function decimal(text: string): Ratio {
  const match = /^(\d{1,30})(?:\.(\d{1,30}))?$/.exec(text);
  if (match === null) {
    throw new KwamError('USAGE', `expected a decimal number such as 0.0462, got ${JSON.stringify(text)}`);
  }
  const fraction = match[2] ?? '';
  return ratio(BigInt(`${match[1]}${fraction}`), 10n ** BigInt(fraction.length));
}

export function plus(a: Ratio, b: Ratio): Ratio {
  return ratio(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
}

export function times(a: Ratio, b: Ratio): Ratio {
  return ratio(a.numerator * b.numerator, a.denominator * b.denominator);
}

/** Negative, zero or positive as a is below, equal to or above b. */
export function compare(a: Ratio, b: Ratio): number {
  const left = a.numerator * b.denominator;
  const right = b.numerator * a.denominator;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The nearest double but for the last bit; for display and sampling, never for a verdict. */
export function toNumber(value: Ratio): number {
  if (value.numerator === 0n) return 0;
  const shift = 80 - bitLength(value.numerator) + bitLength(value.denominator);
  const mantissa =
    shift >= 0
      ? (value.numerator << BigInt(shift)) / value.denominator
      : value.numerator / (value.denominator << BigInt(-shift));
  // In two steps, since 2^−shift alone may lie below the smallest double.
  const half = Math.trunc(shift / 2);
  return Number(mantissa) * 2 ** -half * 2 ** -(shift - half);
}

/**
 * A double that is above the value by at most 2^-52 of it, and that rises with the value. Zero for zero; 2^-1000 for whatever lies below,
 * so that it can be multiplied without leaving the range of full precision.
 */
export function toNumberAbove(value: Ratio): number {
  if (value.numerator === 0n) return 0;
  const shift = 64 - bitLength(value.numerator) + bitLength(value.denominator);
  const quotient =
    shift >= 0
      ? (value.numerator << BigInt(shift)) / value.denominator
      : value.numerator / (value.denominator << BigInt(-shift));
  const dropped = bitLength(quotient) - 53;
  const mantissa = (quotient >> BigInt(dropped)) + 1n;
  return Math.max(2 ** -1000, Number(mantissa) * 2 ** (dropped - shift));
}

/** Whether the rate is at most 10^−nines a year. Exact. */
export function supportsNines(lossPerYear: Ratio, nines: number): boolean {
  return lossPerYear.numerator * 10n ** BigInt(nines) <= lossPerYear.denominator;
}

/** The most whole nines that the rate supports: the digits of ⌊1/loss⌋, less one. Exact. A rate above one a year has none. */
export function wholeNines({ numerator, denominator }: Ratio): number {
  assert(numerator > 0n, 'a guard always has some loss');
  return Math.max(0, (denominator / numerator).toString().length - 1);
}

/**
 * Hundredths of nines that the rate supports, rounded down: 923 reads 9.23 nines. Whole nines are exact.
 * The largest H with loss ≤ 10^(−H/100), that is loss^100 ≤ 10^−H, found by comparing integers. The loss is first rounded up to 128 bits,
 * so that its hundredth power stays small: never too high, and too low only within 10^−36 of a hundredth that is not a whole nine.
 */
export function hundredthsOfNines(loss: Ratio): number {
  if (loss.numerator >= loss.denominator) return 0;
  const shift = 128 + bitLength(loss.denominator) - bitLength(loss.numerator);
  const mantissa = (loss.numerator << BigInt(shift)) / loss.denominator + 1n;
  const whole = wholeNines(loss);
  const numerator = mantissa ** 100n * 10n ** BigInt(100 * whole);
  const denominator = 1n << BigInt(shift * 100);
  let [below, above] = [0, 100];
  while (above - below > 1) {
    const middle = (below + above) >> 1;
    if (numerator * 10n ** BigInt(middle) <= denominator) below = middle;
    else above = middle;
  }
  return 100 * whole + below;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  a = a < 0n ? -a : a;
  b = b < 0n ? -b : b;
  while (b !== 0n) [a, b] = [b, a % b];
  return a === 0n ? 1n : a;
}

function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return 4 * (hex.length - 1) + (32 - Math.clz32(Number.parseInt(hex[0]!, 16)));
}
