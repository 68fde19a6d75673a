/**
 * Every benchmark runs small here, so that none rots: it gives its figures, each beside a peer and with a digest of its work.
 * Says nothing about speed; `kwam-dp bench` does, on a machine that is left alone.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Figure } from '../../bench/figure.ts';
import { ensureDebianPackage } from '../setup/debian.ts';

const DIRECTORY = fileURLToPath(new URL('../../bench/', import.meta.url));
const STEMS = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith('.bench.ts'))
  .sort();
const PROMISED = [
  'chunk-scan',
  'dedup-ratio',
  'sha256-x4',
  'rs-encode-8-3',
  'rs-reconstruct-8-3',
  'put-tree',
  'grpc-pull',
  'control-txn',
  'consent-redeem',
  'authorise-200',
];

const seen: string[] = [];

async function figuresOf(stem: string): Promise<Figure[]> {
  const module = (await import(`${DIRECTORY}${stem}`)) as {
    bench(options: { smoke: boolean }): Promise<Figure[]>;
  };
  return module.bench({ smoke: true });
}

beforeAll(() => ensureDebianPackage('restic', '/usr/bin/restic'));

describe('benchmarks in their smoke setting', () => {
  test.each(STEMS)('%s', async (stem) => {
    const figures = await figuresOf(stem);
    expect(figures.length).toBeGreaterThan(0);
    for (const figure of figures) {
      expect(figure.value, figure.name).toBeGreaterThan(0);
      expect(figure.ratio, figure.name).toBeGreaterThan(0);
      expect(figure.peer.value, figure.name).toBeGreaterThan(0);
      expect(figure.digest, figure.name).toMatch(/^[0-9a-f]{64}$/);
      seen.push(figure.name);
    }
  });

  test('give every figure that the project promises', () => {
    expect(seen).toEqual(expect.arrayContaining(PROMISED));
  });
});
