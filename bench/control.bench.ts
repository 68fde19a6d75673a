/**
 * How long the control store takes, one call after the other, as nodes use it.
 *   control-txn    transactions a second of an etcd with one member: one compare, two puts of 300 bytes
 *   control-txn-3  the same with three members, all on this machine
 *   control-get    linearizable reads a second of the etcd with one member
 * each beside the embedded store (SQLite) on the same disk; both take turns round by round. Value: 1 over the median time of a
 * call; spread: interquartile range over the median of those times. Digest: what the stores hold in the end, the same in both.
 * Installs Debian's etcd-server when it is missing. Does not measure a network: all is on loopback.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/clock.ts';
import type { ControlStore } from '../src/control/control-store.ts';
import { EmbeddedControlStore } from '../src/control/embedded.ts';
import { EtcdControlStore } from '../src/control/etcd.ts';
import { parseEtcdUrl } from '../src/control/etcd-url.ts';
import { assert } from '../src/errors.ts';
import { EtcdCluster } from '../test/faults/etcd-cluster.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const SCALE = { smoke: { rounds: 2, calls: 5 }, real: { rounds: 10, calls: 100 } } as const;
type Scale = (typeof SCALE)['smoke' | 'real'];
/** About what an object or a node is in the control store. */
const VALUE_BYTES = 300;

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const scale = options.smoke ? SCALE.smoke : SCALE.real;
  const directory = mkdtempSync(join(tmpdir(), 'kwam-bench-'));
  const etcds = await Promise.all(
    ([1, 3] as const).map((members) => EtcdCluster.start({ members, directory })),
  );
  try {
    const [one, three] = etcds as [EtcdCluster, EtcdCluster];
    return [
      await compare('control-txn', one, join(directory, 'txn'), transact, scale),
      await compare('control-txn-3', three, join(directory, 'txn-3'), transact, scale),
      await compare('control-get', one, join(directory, 'get'), read, scale),
    ];
  } finally {
    await Promise.all(etcds.map((etcd) => etcd.close()));
    rmSync(directory, { recursive: true });
  }
}

/** One call, the `count`-th. */
type Act = (store: ControlStore, count: number) => Promise<void>;

const value = (count: number): Uint8Array => new Uint8Array(VALUE_BYTES).fill(count % 251);

async function transact(store: ControlStore, count: number): Promise<void> {
  const { committed } = await store.transact(
    [{ key: `packs/${count}`, modRevision: 0 }],
    [
      { kind: 'put', key: `packs/${count}`, value: value(count) },
      { kind: 'put', key: 'epoch', value: value(count) },
    ],
  );
  assert(committed, 'each key is new');
}

async function read(store: ControlStore, count: number): Promise<void> {
  if (count === 0) await transact(store, 0);
  assert((await store.get('packs/0')) !== undefined, 'the first call put it');
}

async function compare(
  name: string,
  etcd: EtcdCluster,
  directory: string,
  act: Act,
  { rounds, calls }: Scale,
): Promise<Figure> {
  const theirs = EmbeddedControlStore.open({ directory, clock: systemClock });
  const ours = new EtcdControlStore({ ...parseEtcdUrl(`${etcd.url}/${name}`), clock: systemClock });
  const times = { ours: [] as number[], theirs: [] as number[] };
  // The first call connects and compiles.
  for (const store of [ours, theirs]) await act(store, 0);
  for (let round = 0; round < rounds; round++) {
    const from = 1 + round * calls;
    times.theirs.push(...(await timed(theirs, act, from, calls)));
    times.ours.push(...(await timed(ours, act, from, calls)));
  }
  const digests = [await digestOf(ours), await digestOf(theirs)] as const;
  assert(digests[0] === digests[1], 'both stores hold the same');
  await Promise.all([ours.close(), theirs.close()]);
  return figureOf(name, times.ours, times.theirs, digests[0]);
}

async function timed(store: ControlStore, act: Act, from: number, calls: number): Promise<number[]> {
  const times: number[] = [];
  for (let count = from; count < from + calls; count++) {
    const started = performance.now();
    await act(store, count);
    times.push(performance.now() - started);
  }
  return times;
}

async function digestOf(store: ControlStore): Promise<string> {
  const hash = createHash('sha256');
  for (const entry of await store.list('')) hash.update(entry.key).update(entry.value);
  return hash.digest('hex');
}

function figureOf(name: string, ours: readonly number[], theirs: readonly number[], digest: string): Figure {
  const median = quantile(ours, 0.5);
  const peer = { name: 'SQLite', value: 1000 / quantile(theirs, 0.5) };
  const figure = { name, value: 1000 / median, unit: name === 'control-get' ? 'reads/s' : 'txn/s' };
  const spread = (quantile(ours, 0.75) - quantile(ours, 0.25)) / median;
  return { ...figure, spread, peer, ratio: figure.value / peer.value, digest };
}
