/** What only a faulty machine or another plan reports: that it is counted, under the right name. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { DigestHex } from '../src/digest.ts';
import { KwamError } from '../src/errors.ts';
import { createMetrics } from '../src/metrics.ts';
import { type Observing, observePool, observeRecode } from '../src/observers.ts';
import { emptyReport } from '../src/workers/task.ts';

const PACK = 'ab'.repeat(32) as DigestHex;

function observing(): Observing & { readonly lines: string[] } {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  return { metrics: createMetrics({ node: 'n1' }, { version: '0', codecId: '00' }), log, lines };
}

async function nonZero({ metrics }: Observing): Promise<string[]> {
  const lines = (await metrics.registry.metrics()).split('\n');
  return lines
    .filter((line) => /^kwam_\w+_total\b/.test(line) && !line.endsWith(' 0'))
    .map((line) => line.replace(/,?node="n1"/, '').replace('{}', ''));
}

test.each([
  [['died', 'scrub'], ['kwam_worker_restarts_total 1']],
  [['self-test', 'walk-tree'], ['kwam_worker_retirements_total 1']],
  [
    ['disagreement', 'ingest-part'],
    ['kwam_corruption_detected_total{site="ingest"} 1', 'kwam_worker_retirements_total 1'],
  ],
  [['disagreement', 'verify-pack'], ['kwam_worker_retirements_total 1']],
] as const)('a worker replaced for %j counts %j', async ([reason, task], series) => {
  const seen = observing();
  observePool(seen).workerReplaced(reason, task);
  expect(await nonZero(seen)).toEqual(series);
  expect(seen.lines.join()).toContain(reason);
});

test('what an ingest task cross-checked counts as verified at ingest, what others did does not', async () => {
  const seen = observing();
  const report = { ...emptyReport(), crossChecked: { bytes: 1000, chunks: 2 } };
  observePool(seen).taskDone('verify-pack', report);
  expect(await nonZero(seen)).toEqual([]);
  observePool(seen).taskDone('ingest-files', report);
  expect(await nonZero(seen)).toEqual([
    'kwam_verified_bytes_total{site="ingest"} 1000',
    'kwam_verified_chunks_total{site="ingest"} 2',
  ]);
});

test('a pack that has another redundancy is counted, one that keeps its own is not', async () => {
  const seen = observing();
  const { onRecoded, onFailed } = observeRecode(seen);
  onFailed(PACK, 'rs(4, 2)', new KwamError('UNAVAILABLE', 'too few nodes'));
  expect(await nonZero(seen)).toEqual([]);
  onRecoded(PACK, 'factor 2', 'rs(4, 2)');
  expect(await nonZero(seen)).toEqual(['kwam_recoded_packs_total 1']);
  expect(seen.lines.join()).toContain('too few nodes');
});
