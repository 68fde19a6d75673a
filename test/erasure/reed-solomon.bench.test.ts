/** The benchmark, small: it runs, its work is the same on every machine, and its figures are numbers. */
import { expect, it } from 'vitest';
import { bench } from '../../bench/reed-solomon.bench.ts';

it('measures encode and reconstruct of known bytes', async () => {
  const figures = await bench({ smoke: true });
  expect(figures.map(({ name, digest }) => [name, digest])).toEqual([
    ['rs-encode-8-3', 'bc5d5fd9527d65b52412e6c6381487fc97305a37db1cae5d2560d1fb640eda67'],
    ['rs-reconstruct-8-3', 'a7ca0e2859307a608028a1cba861a43c046d354b23949d6a794ca1dedf75d0d9'],
  ]);
  for (const { value, unit, spread, peer, ratio } of figures) {
    expect(unit).toBe('GB/s');
    expect([value, spread, peer.value, ratio].every((number) => Number.isFinite(number) && number >= 0)).toBe(
      true,
    );
    expect(ratio).toBeCloseTo(value / peer.value);
  }
});
