/**
 * Turns what the parts of a node report into metrics and log lines.
 * In: a node's metrics and its log. Out: one observer for each part. Decides nothing, except that damaged own bytes
 * go to quarantine before anyone else is served from them.
 */
import type { Logger } from 'pino';
import type { DigestHex } from './digest.ts';
import type { KwamError } from './errors.ts';
import type { StorageRecord } from './health/storage-record.ts';
import type { Metrics, VerifySite } from './metrics.ts';
import type { RestoreServices } from './pipeline/restore.ts';
import type { BadRecord } from './pipeline/restore-tasks.ts';
import type { Domain } from './plan.ts';
import type { RebuildServices } from './repair/rebuild-shard.ts';
import type { RecodeServices } from './repair/recode.ts';
import type { ScrubObserver } from './repair/scrub.ts';
import type { StorageState } from './repair/storage-guard.ts';
import type { LineageOptions } from './replication/lineage.ts';
import type { ReceiverObserver } from './replication/receiver.ts';
import type { Store } from './store/store.ts';
import type { TransportObserver } from './transport/transport.ts';
import type { PoolObserver } from './workers/pool.ts';

export interface Observing {
  readonly metrics: Metrics;
  readonly log: Logger;
}

export function observePool({ metrics, log }: Observing): PoolObserver {
  return {
    taskDone(task, { seconds, crossChecked }) {
      for (const kind of ['chunk', 'hash', 'erasure', 'disk'] as const)
        metrics.timeSeconds.add(kind, seconds[kind]);
      if (isIngest(task)) countVerified(metrics, 'ingest', crossChecked.bytes, crossChecked.chunks);
    },
    workerReplaced(reason, task) {
      if (reason === 'died') metrics.workerRestarts.add();
      else metrics.workerRetirements.add();
      if (reason === 'disagreement' && isIngest(task)) metrics.corruptionDetected.add('ingest');
      log.error({ reason, task }, 'a worker was replaced');
    },
  };
}

/** At the source there is no digest to compare with, only a second engine's. */
function isIngest(task: string | undefined): boolean {
  return task?.startsWith('ingest-') ?? false;
}

export function observeLineage({ metrics, log }: Observing): LineageOptions['onJudged'] {
  return (doubt) => {
    metrics.catalogInDoubt.set(doubt === undefined ? 0 : 1);
    if (doubt === undefined) log.info('the catalog knows the packs of this node again');
    else log.error(doubt.context, doubt.message);
  };
}

export function observeTransport({ metrics }: Observing): TransportObserver {
  return {
    sent: (_peer, bytes) => metrics.transportBytes.add('out', bytes),
    received: (_peer, bytes) => metrics.transportBytes.add('in', bytes),
    waitedForCredit: (_peer, ms) => metrics.timeSeconds.add('flow_control_wait', ms / 1000),
  };
}

export function observeReceiver({ metrics, log }: Observing): ReceiverObserver {
  return {
    corruptReceived(pack, from, records, site) {
      metrics.corruptionDetected.add(site, records);
      log.error({ pack, from, records }, 'received bytes did not match their digest');
    },
    verified: (bytes, records, site) => countVerified(metrics, site, bytes, records),
    timeSpent: (kind, seconds) => metrics.timeSeconds.add(kind, seconds),
  };
}

export function observeIngest({ metrics }: Observing): (hits: number, misses: number) => void {
  return (hits, misses) => {
    metrics.dedupChunks.add('hit', hits);
    metrics.dedupChunks.add('miss', misses);
  };
}

export function observeQuarantine({ metrics, log }: Observing): (pack: DigestHex, bytes: number) => void {
  return (pack, bytes) => {
    metrics.quarantinedPacks.add();
    metrics.quarantinedBytes.add(bytes);
    log.error({ pack, bytes }, 'a pack is in quarantine');
  };
}

/** What this node's own storage did. */
type StorageWitness = Pick<StorageRecord, 'verified' | 'damaged'>;

const SILENT_NOTE = 'silent-corruption';

/** What was counted before this process: a budget of none must not be forgotten with a restart. */
export function rememberSilent({ metrics }: Observing, store: Store): void {
  metrics.silentCorruption.add(Number(store.getNote(SILENT_NOTE) ?? 0));
}

/**
 * A record of a pack that this node serves passed its verification and is wrong: two other engines say so. What a verification
 * does notice is corruption detected, wherever it came from; this is what would have stayed unseen.
 */
function countSilent({ metrics, log }: Observing, store: Store, pack: DigestHex, records: number): void {
  if (records === 0) return;
  store.putNote(SILENT_NOTE, String(Number(store.getNote(SILENT_NOTE) ?? 0) + records));
  metrics.silentCorruption.add(records);
  log.fatal(
    { pack, records },
    'silent corruption: the verification of this node passes bytes that are wrong',
  );
}

export function observeScrub(observing: Observing, store: Store, storage: StorageWitness): ScrubObserver {
  const { metrics, log } = observing;
  return {
    verified(bytes, records) {
      countVerified(metrics, 'scrub', bytes, records);
      storage.verified(bytes);
    },
    gone(pack) {
      metrics.corruptionDetected.add('scrub');
      log.error({ pack }, 'the file of a pack is gone');
    },
    corrupt(pack, records, problem, passed) {
      metrics.corruptionDetected.add('scrub', records);
      storage.damaged(pack);
      countSilent(observing, store, pack, passed);
      log.error({ pack, records, problem }, 'scrub found damage; the pack is not served any more');
    },
    unfounded: (pack) =>
      log.warn(
        { pack },
        'a peer received bad bytes of a pack that is intact here: look at the network, and at it',
      ),
  };
}

export function observeRounds({ log }: Observing): (error: KwamError) => void {
  return (error) =>
    log.warn(
      { error: String(error) },
      'how far the scrub has come was not noted; a restart goes back further',
    );
}

/** Of what a node saw of failures. */
export function observeRecords({ log }: Observing): (error: KwamError) => void {
  return (error) =>
    log.warn(
      { error: String(error) },
      'a record of failures was not noted; a restart forgets what is new in it',
    );
}

type RestoreObserver = Pick<
  RestoreServices,
  'onOwnCorrupt' | 'onOwnUnreadable' | 'onForeignCorrupt' | 'onForeignUnreadable' | 'onVerified'
>;

/** @param site  what the packs are opened for. */
export function observeAccess(
  observing: Observing,
  store: Store,
  site: 'read' | 'repair',
  storage: StorageWitness,
): RestoreObserver {
  const { metrics, log } = observing;
  const foreignSite = site === 'read' ? 'receive' : site;
  const setAside = async (pack: DigestHex, why: string): Promise<void> => {
    await store.quarantine(pack, `${site}: ${why}`);
    storage.damaged(pack);
  };
  return {
    async onOwnCorrupt(pack: DigestHex, bad: readonly BadRecord[]) {
      metrics.corruptionDetected.add(site, bad.length);
      log.error(
        { pack, records: bad.length },
        'bytes read from the own store were bad; the pack is not served any more',
      );
      if (store.hasPack(pack)) await setAside(pack, `${bad.length} records did not match their digests`);
      countSilent(observing, store, pack, bad.filter(({ wasPassed }) => wasPassed).length);
    },
    async onOwnUnreadable(pack: DigestHex, error: KwamError) {
      if (!store.hasPack(pack)) return;
      metrics.corruptionDetected.add(site);
      log.error({ pack, error: error.message }, 'a pack of the own store cannot be opened');
      // Its file is gone: there is nothing to keep as evidence.
      if (error.code === 'NOT_FOUND') store.markMissing(pack);
      else await setAside(pack, error.message);
    },
    onForeignCorrupt(pack, bad) {
      metrics.corruptionDetected.add(foreignSite, bad.length);
      log.error({ pack, records: bad.length }, 'bytes from another node were bad; another copy is used');
    },
    onForeignUnreadable(pack, node, error) {
      metrics.corruptionDetected.add(foreignSite);
      log.error({ pack, node, error: error.message }, 'a shard that a node gave cannot be used; another is');
    },
    onVerified(bytes, records, isOwn) {
      countVerified(metrics, site, bytes, records);
      if (isOwn) storage.verified(bytes);
    },
  };
}

export function observeRepair({ metrics, log }: Observing): (pack: DigestHex, bytes: number) => void {
  return (pack, bytes) => {
    metrics.repairedPacks.add();
    metrics.repairedBytes.add(bytes);
    log.info({ pack, bytes }, 'redundancy restored');
  };
}

export function observeRebuild({ metrics, log }: Observing): RebuildServices['onRebuilt'] {
  return (shard, way, failure) => {
    metrics.rebuiltShards.add(way);
    if (failure === undefined) log.info({ shard }, 'a shard was rebuilt by partial sums');
    else
      log.warn({ shard, failure: failure.message }, 'partial sums failed; a shard was rebuilt from k others');
  };
}

export function observeStorage({ log }: Observing): (state: StorageState) => void {
  return (state) => {
    if (state.state === 'in order') log.info(state, 'the storage of this node counts as in order');
    else if (state.state === 'held back')
      log.error(state, 'the storage of this node is failing; it is not drained');
    else log.warn(state, 'this node is being drained');
  };
}

export function observeRecode({ metrics, log }: Observing): Pick<RecodeServices, 'onRecoded' | 'onFailed'> {
  return {
    onRecoded(pack, from, to) {
      metrics.recodedPacks.add();
      log.info({ pack, from, to }, 'a pack has another redundancy');
    },
    onFailed: (pack, to, error) =>
      log.warn(
        { pack, to, error: error.message },
        'a pack keeps the redundancy that it has; it is tried again',
      ),
  };
}

export function observePlacement({ metrics, log }: Observing) {
  return (pack: DigestHex, domains: readonly (Domain | 'node')[]): void => {
    for (const domain of domains) metrics.placementRelaxations.add(domain);
    log.warn({ pack, domains }, 'copies share a domain because there are too few domains');
  };
}

function countVerified(metrics: Metrics, site: VerifySite, bytes: number, chunks: number): void {
  metrics.verifiedBytes.add(site, bytes);
  metrics.verifiedChunks.add(site, chunks);
}
