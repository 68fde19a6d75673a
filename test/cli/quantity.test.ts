/** Sizes, durations and counts as people write and read them. */
import { describe, expect, it } from 'vitest';
import {
  counted,
  parseBytes,
  parseCount,
  parseDurationMs,
  showBytes,
  showCount,
  showSeconds,
} from '../../src/cli/quantity.ts';

describe('sizes', () => {
  it.each([
    ['512mb', 512e6],
    ['512MiB', 512 * 2 ** 20],
    ['1.5 gb', 1.5e9],
    ['2tib', 2 ** 41],
    ['7', 7],
    ['0.5b', 0],
  ])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each(['', 'mb', '-1mb', '1,5gb', '1 xb', '1e3', '1mb2'])('%j is refused', (text) => {
    expect(() => parseBytes(text)).toThrow('expected a size');
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1.25e6, '1.3 MB'],
    [123e6, '123 MB'],
    [12.5e9, '12.5 GB'],
  ])('%d reads %s', (bytes, text) => expect(showBytes(bytes)).toBe(text));
});

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['90s', 90_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ])('%s is %d ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  it.each(['', '10', '1w', '-1s', '1 h'])('%j is refused', (text) => {
    expect(() => parseDurationMs(text)).toThrow('expected a duration');
  });

  it.each([
    [0.04, '0.0 s'],
    [59.9, '59.9 s'],
    [61, '1 min 1 s'],
    [3700, '1 h 1 min'],
  ])('%d reads %s', (seconds, text) => expect(showSeconds(seconds)).toBe(text));
});

describe('counts', () => {
  it('have separators and a fitting noun', () => {
    expect(showCount(1234567)).toBe('1,234,567');
    expect(counted(1, 'file')).toBe('1 file');
    expect(counted(0, 'file')).toBe('0 files');
    expect(counted(2, 'entry', 'entries')).toBe('2 entries');
  });

  it.each(['', '1.5', '-1', 'six', '1e3', '12345678901'])('%j is refused', (text) => {
    expect(() => parseCount(text)).toThrow('whole number');
  });
});
