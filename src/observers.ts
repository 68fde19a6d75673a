/**
 * Turns what the parts of a node report into metrics and log lines.
 * In: a node's metrics and its log. Out: one observer for each part. Decides nothing, except that damaged own bytes
 * go to quarantine before anyone else is served from them.
 */
import type { Logger } from 'pino';
import type { DigestHex } from './digest.ts';
import type { KwamError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import type { RestoreServices } from './pipeline/restore.ts';
import type { BadRecord } from './pipeline/restore-tasks.ts';
import type { Domain } from './plan.ts';
import type { ScrubObserver } from './repair/scrub.ts';
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
    taskTime(_task, seconds) {
      for (const kind of ['chunk', 'hash', 'erasure', 'disk'] as const)
        metrics.timeSeconds.add(kind, seconds[kind]);
    },
    workerReplaced(reason) {
      if (reason === 'died') metrics.workerRestarts.add();
      else metrics.workerRetirements.add();
      log.error({ reason }, 'a worker was replaced');
    },
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
    corruptReceived(pack, from, records) {
      metrics.corruptionDetected.add('receive', records);
      log.error({ pack, from, records }, 'received bytes did not match their digest');
    },
    verified: (bytes, records) => countVerified(metrics, 'receive', bytes, records),
    networkSeconds: (seconds) => metrics.timeSeconds.add('network', seconds),
  };
}

export function observeScrub({ metrics, log }: Observing, store: Store): ScrubObserver {
  return {
    verified: (bytes, records) => countVerified(metrics, 'scrub', bytes, records),
    corrupt(pack, records, problem) {
      metrics.corruptionDetected.add('scrub', records);
      noteQuarantine(metrics, store, pack);
      log.error({ pack, records, problem }, 'scrub found damage; the pack is in quarantine');
    },
  };
}

type RestoreObserver = Pick<
  RestoreServices,
  'onOwnCorrupt' | 'onOwnUnreadable' | 'onForeignCorrupt' | 'onVerified'
>;

export function observeRestore({ metrics, log }: Observing, store: Store): RestoreObserver {
  const setAside = async (pack: DigestHex, why: string): Promise<void> => {
    await store.quarantine(pack, `read: ${why}`);
    noteQuarantine(metrics, store, pack);
  };
  return {
    async onOwnCorrupt(pack: DigestHex, bad: readonly BadRecord[]) {
      metrics.corruptionDetected.add('read', bad.length);
      log.error(
        { pack, records: bad.length },
        'bytes read from the own store were bad; the pack is in quarantine',
      );
      if (store.hasPack(pack)) await setAside(pack, `${bad.length} records did not match their digests`);
    },
    async onOwnUnreadable(pack: DigestHex, error: KwamError) {
      if (!store.hasPack(pack)) return;
      metrics.corruptionDetected.add('read');
      log.error({ pack, error: error.message }, 'a pack of the own store cannot be opened');
      // Its file is gone: there is nothing to keep as evidence.
      if (error.code === 'NOT_FOUND') store.markMissing(pack);
      else await setAside(pack, error.message);
    },
    onForeignCorrupt(pack, bad) {
      metrics.corruptionDetected.add('receive', bad.length);
      log.error({ pack, records: bad.length }, 'bytes from another node were bad; another copy is used');
    },
    onVerified: (bytes, records) => countVerified(metrics, 'read', bytes, records),
  };
}

export function observeRepair({ metrics, log }: Observing): (pack: DigestHex, bytes: number) => void {
  return (pack, bytes) => {
    metrics.repairedPacks.add();
    metrics.repairedBytes.add(bytes);
    log.info({ pack, bytes }, 'redundancy restored');
  };
}

export function observePlacement({ metrics, log }: Observing) {
  return (pack: DigestHex, domains: readonly (Domain | 'node')[]): void => {
    for (const domain of domains) metrics.placementRelaxations.add(domain);
    log.warn({ pack, domains }, 'copies share a domain because there are too few domains');
  };
}

function countVerified(
  metrics: Metrics,
  site: 'receive' | 'read' | 'scrub',
  bytes: number,
  chunks: number,
): void {
  metrics.verifiedBytes.add(site, bytes);
  metrics.verifiedChunks.add(site, chunks);
}

function noteQuarantine(metrics: Metrics, store: Store, pack: DigestHex): void {
  metrics.quarantinedPacks.add();
  metrics.quarantinedBytes.add(store.packInfo(pack)?.bytes ?? 0);
}
