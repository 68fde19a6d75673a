/**
 * An etcd that is killed, stopped, restarted, compacted and too small, with a control store on it: what was acknowledged is there
 * exactly once, watchers miss and repeat nothing, and every call ends.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ControlEvent, Operation } from '../../src/control/control-store.ts';
import { EtcdControlStore, type EtcdControlStoreOptions } from '../../src/control/etcd.ts';
import { parseEtcdUrl } from '../../src/control/etcd-url.ts';
import { KwamError } from '../../src/errors.ts';
import { MIB } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { EtcdCluster, type EtcdOptions } from '../faults/etcd-cluster.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';

const seed = chosenSeed('etcd');
/** For calls that nobody will answer. */
const shortMs = 1000;
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function startEtcd(options: EtcdOptions = {}): Promise<EtcdCluster> {
  const etcd = await EtcdCluster.start(options);
  closing.push(() => etcd.close());
  return etcd;
}

function open(etcd: EtcdCluster, options: Partial<EtcdControlStoreOptions> = {}): EtcdControlStore {
  const store = new EtcdControlStore({ ...parseEtcdUrl(etcd.url), clock: systemClock, ...options });
  closing.push(() => store.close());
  return store;
}

const put = (key: string, value: string | Uint8Array = key): Operation => ({
  kind: 'put',
  key,
  value: typeof value === 'string' ? new TextEncoder().encode(value) : value,
});
const remove = (key: string): Operation => ({ kind: 'delete', key });

/** Everything that a watch gives until it is stopped. */
function collect(store: EtcdControlStore, prefix: string, fromRevision?: number) {
  const ending = new AbortController();
  const events: ControlEvent[] = [];
  const watching = (async () => {
    const options = { signal: ending.signal, ...(fromRevision && { fromRevision }) };
    for await (const event of store.watch(prefix, options)) events.push(event);
  })();
  const stop = async (): Promise<void> => {
    ending.abort();
    await watching;
  };
  const until = async (count: number): Promise<ControlEvent[]> => {
    while (events.length < count) {
      await Promise.race([delay(10), watching]);
    }
    await stop();
    return events;
  };
  closing.push(stop);
  return { until };
}

const keysOf = (events: readonly ControlEvent[]): string[] =>
  events.map((event) => {
    if (event.kind === 'snapshot') return `snapshot of ${event.entries.length}`;
    return `${event.kind} ${event.kind === 'put' ? event.entry.key : event.key} ${event.revision}`;
  });

/** Does again what was not acknowledged, after a look whether it happened all the same: the way callers of `transact` have to. */
async function surely<T>(act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof KwamError && error.code === 'UNAVAILABLE' && error.retryable)) throw error;
    }
  }
}

describe('three members, the leader killed again and again', () => {
  const kills = CAMPAIGN ? 20 : 1;

  it(
    `keeps each acknowledged transaction exactly once over ${kills} kills`,
    async () => {
      const random = seededRandom(seed);
      const etcd = await startEtcd({
        members: 3,
        args: ['--heartbeat-interval=50', '--election-timeout=500'],
      });
      const store = open(etcd);
      const watched = collect(store, 'mark/', (await store.transact([], [])).revision + 1);
      let over = false;
      let unknown = 0;
      const acknowledged = new Map<string, number>();
      const marks: string[] = [];

      const count = async (mark: string): Promise<void> => {
        for (;;) {
          const counter = await surely(() => store.get('counter'));
          const next = String(Number(Buffer.from(counter?.value ?? '0').toString()) + 1);
          const compares = [
            { key: 'counter', modRevision: counter?.modRevision ?? 0 },
            { key: mark, modRevision: 0 },
          ];
          try {
            const { committed, revision } = await store.transact(compares, [put(mark), put('counter', next)]);
            if (committed) return void acknowledged.set(mark, revision);
          } catch (error) {
            expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
            unknown++;
            if ((await surely(() => store.get(mark))) !== undefined) return;
          }
        }
      };
      const writer = async (name: number): Promise<void> => {
        for (let i = 0; !over; i++) {
          const mark = `mark/${name}/${i}`;
          marks.push(mark);
          await count(mark);
        }
      };
      const writers = [1, 2, 3].map(writer);
      for (let kill = 0; kill < kills; kill++) {
        await delay(200 + random.below(500));
        const killed = await etcd.killLeader();
        const before = acknowledged.size;
        // Goes on with two of three.
        while (acknowledged.size < before + 5) await Promise.race([delay(10), ...writers]);
        await etcd.startMember(killed);
      }
      over = true;
      await Promise.all(writers);

      const counter = await store.get('counter');
      expect(Number(Buffer.from(counter!.value).toString())).toBe(marks.length);
      const found = new Map((await store.list('mark/')).map((entry) => [entry.key, entry]));
      expect([...found.keys()].sort()).toEqual(marks.toSorted());
      for (const [mark, revision] of acknowledged) {
        expect(found.get(mark)).toMatchObject({ createRevision: revision, modRevision: revision });
      }
      const inOrder = [...found.values()].sort((a, b) => a.modRevision - b.modRevision);
      expect(keysOf(await watched.until(marks.length))).toEqual(
        inOrder.map(({ key, modRevision }) => `put ${key} ${modRevision}`),
      );
      console.log(
        `${marks.length} transactions, ${acknowledged.size} acknowledged, ${unknown} times unknown`,
      );
    },
    60_000 + kills * 15_000,
  );
});

describe('members that are stopped and keep their connections', () => {
  it('leaves one that hangs for another: calls, a lease and a watch go on', async () => {
    const etcd = await startEtcd({ members: 3 });
    const leader = await etcd.leader();
    const hanging = etcd.names.find((name) => name !== leader)!;
    const index = etcd.names.indexOf(hanging);
    const endpoints = [...etcd.endpoints.slice(index), ...etcd.endpoints.slice(0, index)];
    const store = open(etcd, { endpoints });
    const lease = await store.grantLease(4000);
    await store.transact([], [{ ...put('held'), lease } as Operation]);
    const watched = collect(store, 'w/', (await store.transact([], [])).revision + 1);
    await store.transact([], [put('w/1')]);
    etcd.pause(hanging);
    expect(await store.keepAlive(lease)).toBe(true);
    expect((await store.get('held'))?.lease).toBe(lease);
    await store.transact([], [put('w/2')]);
    expect(keysOf(await watched.until(2)).at(-1)).toMatch(/^put w\/2 /);
  });

  it('ends every call with UNAVAILABLE without a majority, also those that change nothing', async () => {
    const etcd = await startEtcd({ members: 3 });
    const store = open(etcd, { endpoints: etcd.endpoints.slice(0, 1), callMs: shortMs });
    await store.transact([], [put('a', 'old')]);
    for (const name of etcd.names.slice(1)) etcd.pause(name);
    const calls = [
      () => store.get('a'),
      () => store.list(''),
      () => store.transact([], [put('a', 'new')]),
      () => store.transact([], []),
      () => store.transact([{ key: 'a', modRevision: 0 }], []),
      () => store.grantLease(5000),
    ];
    const outcomes = await Promise.allSettled(calls.map((call) => call()));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE', retryable: true } });
    }
    for (const name of etcd.names.slice(1)) etcd.resume(name);
    expect((await surely(() => store.get('a')))?.key).toBe('a');
  });
});

describe('watches', () => {
  it('goes on without gap or repeat over a restart of etcd', async () => {
    const etcd = await startEtcd();
    const store = open(etcd);
    const { revision } = await store.transact([], [put('w/0')]);
    const watched = collect(store, 'w/', revision);
    await store.transact([], [put('w/1'), put('v/1')]);
    await etcd.kill('etcd1');
    await etcd.startMember('etcd1');
    await surely(() => store.get('w/0'));
    await store.transact([], [put('w/2'), put('v/2')]);
    await store.transact([], [remove('w/1')]);
    expect(keysOf(await watched.until(4))).toEqual([
      `put w/0 ${revision}`,
      `put w/1 ${revision + 1}`,
      `put w/2 ${revision + 2}`,
      `delete w/1 ${revision + 3}`,
    ]);
  });

  it('never loses a deletion that lies exactly where etcd was compacted', async () => {
    const etcd = await startEtcd();
    const store = open(etcd);
    for (const value of ['2', '3', '4']) await store.transact([], [put('w/k', value)]);
    const { revision } = await store.transact([], [remove('w/k')]);
    await store.transact([], [put('w/other')]);
    await etcd.gateway('etcd1', 'kv/compaction', { revision, physical: true });
    // From the deletion on: forgotten, so the state of now. From the one after it: what came after.
    expect(keysOf(await collect(store, 'w/', revision).until(1))).toEqual(['snapshot of 1']);
    expect(keysOf(await collect(store, 'w/', revision + 1).until(1))).toEqual([
      `put w/other ${revision + 1}`,
    ]);
  });

  it('puts together what etcd sends in fragments', async () => {
    const etcd = await startEtcd({ args: [`--max-request-bytes=${MIB}`] });
    const store = open(etcd);
    const first = (await store.transact([], [])).revision + 1;
    const values = Array.from({ length: 12 }, (_, i) => new Uint8Array(700_000).fill(i));
    for (const [i, value] of values.entries()) await store.transact([], [put(`w/${i}`, value)]);
    const events = await collect(store, 'w/', first).until(12);
    for (const [i, value] of values.entries()) {
      const event = events[i]!;
      expect(event.revision).toBe(first + i);
      expect(event.kind === 'put' && Buffer.compare(event.entry.value, value) === 0).toBe(true);
    }
  });

  it('ends with UNAVAILABLE when nobody takes it up again', async () => {
    const etcd = await startEtcd();
    const store = open(etcd, { callMs: shortMs });
    const events = store.watch('', { signal: new AbortController().signal })[Symbol.asyncIterator]();
    await events.next();
    await etcd.kill('etcd1');
    await expect(events.next()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });
});

describe('an etcd with its default limits', () => {
  it('is named with the options that it needs, and nothing is written', async () => {
    const etcd = await startEtcd({ args: ['--max-txn-ops=128', '--max-request-bytes=1572864'] });
    const store = open(etcd);
    const many = Array.from({ length: 129 }, (_, i) => put(`many/${i}`));
    const options = expect.stringMatching(/--max-request-bytes=25165824 --max-txn-ops=20000/);
    const refusal = { code: 'LIMIT_EXCEEDED', message: options };
    await expect(store.transact([], many)).rejects.toMatchObject(refusal);
    await expect(store.transact([], [put('large', new Uint8Array(1_600_000))])).rejects.toMatchObject(
      refusal,
    );
    await expect(store.transact([], [put('huge', new Uint8Array(8 * MIB))])).rejects.toMatchObject(refusal);
    expect(await store.list('')).toEqual([]);
  });
});
