/**
 * The measurements of one node.
 * In: counts from every part of the node. Out: a registry, which metrics-server.ts shows.
 * Source: Prometheus "Metric and label naming" (base units, `_total`) and its text exposition format 0.0.4.
 * Holds: no globals, several nodes may live in one process; every series of corruption and of every other labelled
 * counter exists from the start at 0, so that "no corruption" and "not measured" look different.
 */
import { Counter, Gauge, Registry } from 'prom-client';

/**
 * Where bytes are compared with the producer's digest. At `ingest` that digest is being made: there the sample counts that a
 * second engine hashes too. `repair` is what restores redundancy, `receive` every other copy that arrives.
 */
export const VERIFY_SITES = ['ingest', 'receive', 'read', 'scrub', 'repair'] as const;
export type VerifySite = (typeof VERIFY_SITES)[number];
/**
 * Where a node's time goes. chunk, hash, erasure and disk are worker time, and disk also what the main thread waits for reads
 * and writes of transfers; network is waiting for the bytes of pulls; flow_control_wait is a sender without credit and a
 * receiver without memory to take bytes in.
 */
export const TIME_KINDS = ['chunk', 'hash', 'erasure', 'disk', 'network', 'flow_control_wait'] as const;
export type TimeKind = (typeof TIME_KINDS)[number];
const directions = ['in', 'out'] as const;
const rebuildWays = ['chain', 'gather'] as const;
const dedupResults = ['hit', 'miss'] as const;
const domains = ['node', 'rack', 'pdu', 'spine', 'az'] as const;

export interface Count {
  /** By 1, or by a non-negative amount. */
  add(amount?: number): void;
}

export interface CountBy<L extends string> {
  add(label: L, amount?: number): void;
}

export interface Level {
  set(value: number): void;
}

export interface BuildInfo {
  readonly version: string;
  /** SHA-256 of the release kernels, in hexadecimal. */
  readonly codecId: string;
}

export type Metrics = ReturnType<typeof createMetrics>;

class Family {
  readonly registry = new Registry();

  constructor(labels: Readonly<Record<string, string>>) {
    this.registry.setDefaultLabels(labels);
  }

  count(name: string, help: string): Count {
    const counter = new Counter({ name, help, registers: [this.registry] });
    return { add: (amount = 1) => counter.inc(amount) };
  }

  countBy<N extends string, L extends string>(
    name: string,
    help: string,
    label: N,
    values: readonly L[],
  ): CountBy<L> {
    const counter = new Counter({ name, help, labelNames: [label], registers: [this.registry] });
    const series = new Map(values.map((value) => [value, counter.labels(value)]));
    for (const one of series.values()) one.inc(0);
    return { add: (value, amount = 1) => series.get(value)!.inc(amount) };
  }

  level(name: string, help: string, read?: () => number): Level {
    const gauge = new Gauge({
      name,
      help,
      registers: [this.registry],
      ...(read && {
        collect() {
          this.set(read());
        },
      }),
    });
    return { set: (value) => gauge.set(value) };
  }
}

/** @param labels  put on every series of this node, for example {node: 'n0001'}. */
export function createMetrics(labels: Readonly<Record<string, string>>, build: BuildInfo) {
  const family = new Family(labels);
  const info = new Gauge({
    name: 'kwam_build_info',
    help: 'Always 1; the labels name the program and the codec that runs.',
    labelNames: ['version', 'codec'],
    registers: [family.registry],
  });
  info.set({ version: build.version, codec: build.codecId }, 1);
  return {
    registry: family.registry,
    ...integrityCounters(family),
    ...movementCounters(family),
    ...levels(family),
  };
}

function integrityCounters(family: Family) {
  return {
    verifiedBytes: family.countBy(
      'kwam_verified_bytes_total',
      "Bytes compared with the producer's digest, by site; at ingest, with a second engine's.",
      'site',
      VERIFY_SITES,
    ),
    verifiedChunks: family.countBy(
      'kwam_verified_chunks_total',
      "Records compared with the producer's digest, by site; at ingest, with a second engine's.",
      'site',
      VERIFY_SITES,
    ),
    corruptionDetected: family.countBy(
      'kwam_corruption_detected_total',
      'Chunks, shards or records whose bytes did not match their digest, by site.',
      'site',
      VERIFY_SITES,
    ),
    /**
     * A record of a pack that this node serves, whose bytes its verification passes, and which two other SHA-256 engines
     * refute. Found by the sample of every verification, and by looking at all of a pack that a peer reports as bad. Damage that
     * a verification notices, before or after it was served, is `corruptionDetected`: whoever asked got other bytes instead.
     * Measures what is found, as every such count; kept over restarts.
     */
    silentCorruption: family.count(
      'kwam_silent_corruption_count_total',
      'Records served as good that pass this verification and are wrong by two others; must stay 0.',
    ),
    quarantinedPacks: family.count('kwam_quarantined_packs_total', 'Packs put into quarantine.'),
    quarantinedBytes: family.count('kwam_quarantined_bytes_total', 'Bytes put into quarantine.'),
    repairedPacks: family.count('kwam_repaired_packs_total', 'Packs restored by copy or reconstruction.'),
    repairedBytes: family.count('kwam_repaired_bytes_total', 'Bytes restored by copy or reconstruction.'),
    recodedPacks: family.count(
      'kwam_recoded_packs_total',
      'Packs that were brought to another redundancy: from copies to stripes, back, or to another scheme.',
    ),
    rebuiltShards: family.countBy(
      'kwam_rebuilt_shards_total',
      'Lost shards rebuilt here, by way: chain = partial sums from node to node, gather = k shards brought here.',
      'way',
      rebuildWays,
    ),
  };
}

function movementCounters(family: Family) {
  return {
    placementRelaxations: family.countBy(
      'kwam_placement_relaxations_total',
      'Copies placed in a domain that already held one, because domains ran out, by domain.',
      'domain',
      domains,
    ),
    workerRetirements: family.count(
      'kwam_worker_retirements_total',
      'Workers retired by a failed self-test.',
    ),
    workerRestarts: family.count('kwam_worker_restarts_total', 'Workers replaced because they died.'),
    timeSeconds: family.countBy(
      'kwam_time_seconds_total',
      'Time spent, by kind; parts that run at once add up.',
      'kind',
      TIME_KINDS,
    ),
    transportBytes: family.countBy(
      'kwam_transport_bytes_total',
      'Payload bytes over the transport, by direction.',
      'direction',
      directions,
    ),
    dedupChunks: family.countBy(
      'kwam_dedup_chunks_total',
      'Chunks looked up: hit = stored before, miss = new.',
      'result',
      dedupResults,
    ),
  };
}

function levels(family: Family) {
  family.level('kwam_memory_resident_bytes', 'Resident memory of the whole process.', () =>
    process.memoryUsage.rss(),
  );
  return {
    storedPacks: family.level('kwam_stored_packs', 'Packs this node serves.'),
    storedBytes: family.level('kwam_stored_bytes', 'Bytes of the packs this node serves.'),
    underReplicatedPacks: family.level(
      'kwam_under_replicated_packs',
      'Packs that this node is responsible for with fewer durable copies or shards than the plan asks for.',
    ),
    catalogInDoubt: family.level(
      'kwam_catalog_in_doubt',
      '1 while this node removes nothing, because the catalog is not the one that knows its packs, or went back.',
    ),
    storageDamagedPacks: family.level(
      'kwam_storage_damaged_packs',
      "Packs of this node's own store that were found damaged in the last 30 days, since the last drain ended.",
    ),
    draining: family.level(
      'kwam_draining',
      '1 while this node is being emptied: it gets no new packs, and what it holds counts as missing.',
    ),
    scrubProgress: family.level(
      'kwam_scrub_progress_ratio',
      'Of the bytes stored here, those that the round of reading back in progress has verified; 1 between rounds.',
    ),
    scrubAgeSeconds: family.level(
      'kwam_scrub_oldest_unverified_seconds',
      'The last verification of any byte stored here is at most so long ago.',
    ),
    memoryBudgetBytes: family.level('kwam_memory_budget_bytes', 'The memory this node may use.'),
  };
}
