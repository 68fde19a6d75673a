/** The etcd control store against a real etcd: first what every control store does. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { EtcdControlStore } from '../../src/control/etcd.ts';
import { parseEtcdUrl } from '../../src/control/etcd-url.ts';
import { EtcdCluster } from '../faults/etcd-cluster.ts';
import { controlStoreSuite } from '../suites/control-store.suite.ts';

let etcd: EtcdCluster;
let clusters = 0;

beforeAll(async () => {
  // A short election timeout lets leases of one second be granted.
  etcd = await EtcdCluster.start({ args: ['--heartbeat-interval=20', '--election-timeout=200'] });
});
afterAll(() => etcd.close());

/** Their keys would go while a later test counts revisions. */
async function revokeLeases(): Promise<void> {
  const { leases = [] } = await etcd.gateway<{ leases?: { ID: string }[] }>('etcd1', 'lease/leases');
  for (const { ID } of leases) await etcd.gateway('etcd1', 'lease/revoke', { ID }).catch(() => undefined);
}

controlStoreSuite('etcd', () => {
  const place = parseEtcdUrl(`${etcd.url}/suite${++clusters}`);
  const opened: EtcdControlStore[] = [];
  return {
    open() {
      const store = new EtcdControlStore({ ...place, clock: systemClock });
      opened.push(store);
      return store;
    },
    async dispose() {
      for (const store of opened) await store.close();
      await revokeLeases();
    },
    pass: delay,
    forget: (revision) => etcd.gateway('etcd1', 'kv/compaction', { revision }),
  };
});
