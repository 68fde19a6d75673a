/**
 * Sizes and durations as people write and read them. Units as in the KWAM language: kb mb gb tb are powers of 1000,
 * kib mib gib tib powers of 1024.
 */
import { KwamError } from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = UNITS[(match?.[2] || 'b').toLowerCase()];
  if (match === null || unit === undefined) {
    throw new KwamError('USAGE', `expected a size such as 512mb or 1gib, got ${JSON.stringify(text)}`);
  }
  return Math.floor(Number(match[1]) * unit);
}

const STEPS = [
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
] as const;

export function showBytes(bytes: number): string {
  for (const [unit, size] of STEPS) {
    if (bytes >= size) return `${(bytes / size).toFixed(bytes >= 100 * size ? 0 : 1)} ${unit}`;
  }
  return `${bytes} B`;
}

export function showSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** 12345 → 12,345, whatever the locale: a count in a sentence or a table. */
export function showCount(count: number): string {
  return count.toLocaleString('en-US');
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${showCount(count)} ${count === 1 ? one : many}`;
}

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (match === null) {
    throw new KwamError(
      'USAGE',
      `expected a duration such as 90s, 10m, 24h or 7d, got ${JSON.stringify(text)}`,
    );
  }
  return Math.round(Number(match[1]) * DURATION_MS[match[2]!]!);
}

export function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new KwamError('USAGE', `expected a whole number, got ${JSON.stringify(text)}`);
}
