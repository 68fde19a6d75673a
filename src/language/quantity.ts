/**
 * Quantities: a number with a unit. Units and their dimensions are the table below; every amount is an exact rational in the
 * dimension's base unit (bytes, milliseconds, bits per second, a fraction of one, nines, a count).
 * Source: LANGUAGE.md "Text": kb mb gb tb are powers of 1000, kib … of 1024, y is 365 d.
 */
export type Dimension = 'size' | 'duration' | 'bandwidth' | 'ratio' | 'nines' | 'count';

/** numerator / denominator, lowest terms, denominator > 0. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export interface Unit {
  readonly dimension: Dimension;
  readonly factor: Rational;
}

const SECOND = 1000n;
const DAY = 86_400n * SECOND;

const whole = (dimension: Dimension, numerator: bigint): Unit => ({
  dimension,
  factor: { numerator, denominator: 1n },
});

export const UNITS: ReadonlyMap<string, Unit> = new Map<string, Unit>([
  ['x', whole('count', 1n)],
  ['b', whole('size', 1n)],
  ['kb', whole('size', 1000n)],
  ['mb', whole('size', 1000n ** 2n)],
  ['gb', whole('size', 1000n ** 3n)],
  ['tb', whole('size', 1000n ** 4n)],
  ['kib', whole('size', 1024n)],
  ['mib', whole('size', 1024n ** 2n)],
  ['gib', whole('size', 1024n ** 3n)],
  ['tib', whole('size', 1024n ** 4n)],
  ['us', { dimension: 'duration', factor: { numerator: 1n, denominator: 1000n } }],
  ['ms', whole('duration', 1n)],
  ['s', whole('duration', SECOND)],
  ['m', whole('duration', 60n * SECOND)],
  ['h', whole('duration', 3600n * SECOND)],
  ['d', whole('duration', DAY)],
  ['y', whole('duration', 365n * DAY)],
  ['nines', whole('nines', 1n)],
  ['percent', { dimension: 'ratio', factor: { numerator: 1n, denominator: 100n } }],
  ['bps', whole('bandwidth', 1n)],
  ['kbps', whole('bandwidth', 1000n)],
  ['mbps', whole('bandwidth', 1000n ** 2n)],
  ['gbps', whole('bandwidth', 1000n ** 3n)],
  ['tbps', whole('bandwidth', 1000n ** 4n)],
]);

/** For messages: "expected a duration such as 10m". */
export const DIMENSION_WORDS: Readonly<
  Record<Dimension, { readonly noun: string; readonly example: string }>
> = {
  size: { noun: 'a size', example: '512mb' },
  duration: { noun: 'a duration', example: '10m' },
  bandwidth: { noun: 'a bandwidth', example: '25gbps' },
  ratio: { noun: 'a percentage', example: '5percent' },
  nines: { noun: 'a number of nines', example: '6nines' },
  count: { noun: 'a multiple', example: '8x' },
};

function gcd(left: bigint, right: bigint): bigint {
  while (right !== 0n) [left, right] = [right, left % right];
  return left < 0n ? -left : left;
}

function rational(numerator: bigint, denominator: bigint): Rational {
  const divisor = gcd(numerator, denominator) || 1n;
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

export function multiply(left: Rational, right: Rational): Rational {
  return rational(left.numerator * right.numerator, left.denominator * right.denominator);
}

/** The nearest double: exact whenever the value has one (the quotient of two integers below 2^53 is rounded once). */
export function toNumber(value: Rational): number {
  return Number(value.numerator) / Number(value.denominator);
}

/** A decimal such as `-1.25`; the caller bounds its length. */
export function decimal(text: string): Rational {
  const [integer = '0', fraction = ''] = text.split('.');
  return rational(BigInt(integer + fraction), 10n ** BigInt(fraction.length));
}
