/**
 * The counters that a `metric` may observe, and the series that answers each.
 * Each series is one that a node exports from its start at 0 (metrics.ts): "none happened" and "not measured" look different.
 */
export const COUNTERS: ReadonlyMap<string, string> = new Map([
  ['silent_corruption_count', 'kwam_silent_corruption_count_total'],
  ['corruption_detected_count', 'kwam_corruption_detected_total'],
  ['quarantined_packs', 'kwam_quarantined_packs_total'],
  ['quarantined_bytes', 'kwam_quarantined_bytes_total'],
  ['repaired_packs', 'kwam_repaired_packs_total'],
  ['repaired_bytes', 'kwam_repaired_bytes_total'],
  ['verified_bytes', 'kwam_verified_bytes_total'],
  ['verified_chunks', 'kwam_verified_chunks_total'],
  ['placement_relaxations', 'kwam_placement_relaxations_total'],
  ['worker_retirements', 'kwam_worker_retirements_total'],
  ['worker_restarts', 'kwam_worker_restarts_total'],
]);

/** What a counter is a share of, where a target such as 0.01percent makes sense: two counters of one unit. */
export const TOTALS: ReadonlyMap<string, string> = new Map([
  ['silent_corruption_count', 'verified_chunks'],
  ['corruption_detected_count', 'verified_chunks'],
  ['quarantined_bytes', 'verified_bytes'],
]);
