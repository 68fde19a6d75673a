/**
 * The order of the test files: long ones first, so that none of them runs alone at the end while the other workers have nothing to do.
 * vitest goes by how long each took the last time, but in a fresh clone by size, and our longest files are among the smallest.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take ten seconds or more on two idle cores. */
const LONG = [
  'cluster-runs/kill',
  'cluster-runs/replication',
  'simulation/simulation',
  'control/etcd-faults',
  'cluster-runs/etcd',
  'cluster-runs/names',
  'cli/cluster',
  'cli/identity-sources',
  'slo/prometheus-rules',
  'cluster-runs/erasure',
  'bench/benches',
  'transport/grpc',
  'cluster-runs/intruders',
  'pipeline/ingest',
  'cli/demo',
  'cluster-runs/restart',
  'repair/reconstruction',
  'verify/package',
  'examples/examples',
].map((stem) => `/test/${stem}.test.ts`);

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONG.findIndex((path) => moduleId.endsWith(path));
  return rank < 0 ? LONG.length : rank;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
  }
}
