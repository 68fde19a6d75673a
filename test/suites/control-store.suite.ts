/**
 * What every ControlStore must do. In: how to open one (and a second handle on the same state). Out: vitest cases.
 * The semantics are etcd's; each case names the one it holds the store to.
 */
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControlEvent, ControlStore, LeaseId, Operation } from '../../src/control/control-store.ts';
import { controlKeyBytesMax, controlTransactionBytesMax, MIB } from '../../src/limits.ts';
import { FakeClock } from '../control/fake-clock.ts';

export interface ControlStoreHarness {
  /** Opens the state once more; the memory twin returns the same instance. */
  open(): ControlStore;
  dispose(): Promise<void>;
  /** For a store that keeps its own time: really waits. The others take the fake clock's and are exact to the millisecond. */
  readonly pass?: (ms: number) => Promise<void>;
  /** For a store whose log is not bounded by `logEventsMax`: makes it forget the changes up to and with a revision. */
  readonly forget?: (revision: number) => Promise<void>;
}

export interface HarnessOptions {
  readonly clock: FakeClock;
  readonly logEventsMax: number;
}

const text = (value: string) => new TextEncoder().encode(value);
const put = (key: string, value = key, lease?: LeaseId): Operation => ({
  kind: 'put',
  key,
  value: text(value),
  ...(lease && { lease }),
});
const remove = (key: string): Operation => ({ kind: 'delete', key });
const absent = (key: string) => ({ key, modRevision: 0 });

async function take(events: AsyncIterator<ControlEvent>, count: number): Promise<ControlEvent[]> {
  const taken: ControlEvent[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

function summary(event: ControlEvent): string {
  if (event.kind === 'snapshot') return `snapshot ${event.entries.map(({ key }) => key).join(' ')}`;
  return `${event.kind} ${event.kind === 'put' ? event.entry.key : event.key}`;
}

export function controlStoreSuite(name: string, harnessOf: (options: HarnessOptions) => ControlStoreHarness) {
  const stepMs = 10;

  describe(`control store: ${name}`, () => {
    const logEventsMax = 64;
    let clock: FakeClock;
    let harness: ControlStoreHarness;
    let store: ControlStore;
    let ending: AbortController;

    beforeEach(() => {
      clock = new FakeClock();
      harness = harnessOf({ clock, logEventsMax });
      store = harness.open();
      ending = new AbortController();
    });
    afterEach(async () => {
      ending.abort();
      await harness.dispose();
    });

    const pass = (ms: number): Promise<void> => harness.pass?.(ms) ?? clock.advance(ms);

    /** How much time was let pass until then, in whole steps. */
    const elapsedUntil = async (holds: () => Promise<boolean>): Promise<number> => {
      let elapsedMs = 0;
      for (; !(await holds()); elapsedMs += stepMs) await pass(stepMs);
      return elapsedMs;
    };

    const watch = (prefix: string, fromRevision?: number) =>
      store
        .watch(prefix, { signal: ending.signal, ...(fromRevision && { fromRevision }) })
        [Symbol.asyncIterator]();

    describe('transactions', () => {
      it('lets exactly one of 100 concurrent claimers create a key', async () => {
        const other = harness.open();
        const claims = Array.from({ length: 100 }, (_, i) =>
          (i % 2 ? store : other).transact([absent('name')], [put('name', String(i))]),
        );
        const results = await Promise.all(claims);
        const winner = results.findIndex(({ committed }) => committed);
        expect(results.filter(({ committed }) => committed)).toHaveLength(1);
        expect((await store.get('name'))?.value).toEqual(text(String(winner)));
      });

      it('loses no increment of a counter under concurrent compare-and-set', async () => {
        await store.transact([], [put('n', '0')]);
        const increment = async (): Promise<void> => {
          const entry = (await store.get('n'))!;
          const next = String(Number(Buffer.from(entry.value).toString()) + 1);
          const { committed } = await store.transact([entry], [put('n', next)]);
          if (!committed) await increment();
        };
        await Promise.all(Array.from({ length: 20 }, increment));
        expect((await store.get('n'))?.value).toEqual(text('20'));
      });

      it('gives all changes of a transaction one revision and counts one a transaction', async () => {
        const first = await store.transact([], [put('a'), put('b')]);
        const second = await store.transact([], [remove('a'), put('c')]);
        expect(second.revision).toBe(first.revision + 1);
        expect(await store.get('a')).toBeUndefined();
        expect((await store.get('b'))?.modRevision).toBe(first.revision);
        expect((await store.get('c'))?.createRevision).toBe(second.revision);
      });

      it('changes nothing, not even the revision, when a compare fails', async () => {
        const { revision } = await store.transact([], [put('a', 'old')]);
        const refused = await store.transact(
          [absent('b'), { key: 'a', modRevision: revision - 1 }],
          [put('a', 'new'), put('b')],
        );
        expect(refused).toEqual({ committed: false, revision });
        expect((await store.get('a'))?.value).toEqual(text('old'));
        expect(await store.get('b')).toBeUndefined();
      });

      it('does not raise the revision for deleting nothing or for an empty transaction', async () => {
        const { revision } = await store.transact([], [put('a')]);
        expect(await store.transact([], [remove('nothing')])).toEqual({ committed: true, revision });
        expect(await store.transact([], [])).toEqual({ committed: true, revision });
      });

      it('keeps createRevision over puts and renews it when a key is made again', async () => {
        const created = await store.transact([], [put('a')]);
        const changed = await store.transact([], [put('a')]);
        expect(await store.get('a')).toMatchObject({
          createRevision: created.revision,
          modRevision: changed.revision,
        });
        await store.transact([], [remove('a')]);
        const again = await store.transact([absent('a')], [put('a')]);
        expect(again.committed).toBe(true);
        expect(await store.get('a')).toMatchObject({
          createRevision: again.revision,
          modRevision: again.revision,
        });
      });

      it('keeps its own copy of what callers pass and hand back', async () => {
        const value = text('kept');
        await store.transact([], [{ kind: 'put', key: 'a', value }]);
        value.fill(0);
        (await store.get('a'))!.value.fill(0);
        expect((await store.get('a'))?.value).toEqual(text('kept'));
      });

      it('stores 1 MB exactly', async () => {
        const value = new Uint8Array(MIB).map((_, i) => (i * 31) >> 3);
        await store.transact([], [{ kind: 'put', key: 'big', value }]);
        await store.transact([], [{ kind: 'put', key: 'empty', value: new Uint8Array() }]);
        expect(Buffer.compare((await store.get('big'))!.value, value)).toBe(0);
        expect((await store.get('empty'))!.value).toEqual(new Uint8Array());
      });

      it('refuses by name what goes beyond the bounds', async () => {
        const refused = (operations: Operation[]) => store.transact([], operations);
        await expect(refused([put('')])).rejects.toMatchObject({ code: 'USAGE' });
        await expect(refused([put('a\0b')])).rejects.toMatchObject({ code: 'USAGE' });
        await expect(refused([put('\ud800')])).rejects.toMatchObject({ code: 'USAGE' });
        await expect(refused([put('a'), remove('a')])).rejects.toMatchObject({ code: 'USAGE' });
        await expect(refused([put('k'.repeat(controlKeyBytesMax + 1))])).rejects.toMatchObject({
          code: 'LIMIT_EXCEEDED',
        });
        const value = new Uint8Array(controlTransactionBytesMax);
        await expect(refused([{ kind: 'put', key: 'a', value }])).rejects.toMatchObject({
          code: 'LIMIT_EXCEEDED',
        });
        const key = 'k'.repeat(controlKeyBytesMax);
        await refused([put(key, 'longest')]);
        expect((await store.get(key))?.value).toEqual(text('longest'));
      });
    });

    describe('lists', () => {
      it('orders keys by their bytes and keeps to the prefix', async () => {
        // U+FF5E sorts after U+1F600 in UTF-16 and before it in UTF-8.
        const keys = ['p/\u{1f600}', 'p/\uff5e', 'p/a', 'p/a/b', 'p/B'];
        await store.transact(
          [],
          [...keys, 'o/z', 'p', 'p0'].map((key) => put(key)),
        );
        const listed = (await store.list('p/')).map(({ key }) => key);
        expect(listed).toEqual(['p/B', 'p/a', 'p/a/b', 'p/\uff5e', 'p/\u{1f600}']);
        expect(await store.list('')).toHaveLength(8);
      });

      it('pages through any keys at any page length without gaps or repeats', async () => {
        // Characters at the borders of UTF-8's lengths and where UTF-16 sorts differently.
        const unit = fc.constantFrom(
          '\u0001',
          '/',
          'a',
          '\u007f',
          '\u0080',
          '\u07ff',
          '\ud7ff',
          '\uffff',
          '\u{1f600}',
          '\u{10ffff}',
        );
        const keyOf = fc.string({ unit, minLength: 1, maxLength: 8 });
        await fc.assert(
          fc.asyncProperty(
            fc.uniqueArray(keyOf, { maxLength: 16 }),
            fc.integer({ min: 1, max: 7 }),
            async (keys, limit) => {
              const old = await store.list('');
              await store.transact(
                [],
                old.map(({ key }) => remove(key)),
              );
              await store.transact(
                [],
                keys.map((key) => put(`x/${key}`)),
              );
              const found: string[] = [];
              for (;;) {
                const after = found.at(-1);
                const page = await store.list('x/', { limit, ...(after !== undefined && { after }) });
                found.push(...page.map(({ key }) => key));
                if (page.length < limit) break;
              }
              const sorted = keys
                .map((key) => `x/${key}`)
                .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
              expect(found).toEqual(sorted);
            },
          ),
          { numRuns: process.env['KWAM_CAMPAIGN'] ? 500 : 40 },
        );
      });

      it('starts at the prefix when `after` lies before it', async () => {
        await store.transact([], [put('a'), put('p/1'), put('p/2')]);
        expect((await store.list('p/', { after: 'a' })).map(({ key }) => key)).toEqual(['p/1', 'p/2']);
        expect(await store.list('p/', { after: 'q' })).toEqual([]);
      });
    });

    describe('leases', () => {
      it('ends a lease and its keys at its time, not before', async () => {
        const sinceMs = performance.now();
        const lease = await store.grantLease(1000);
        await store.transact([], [put('n/a', 'a', lease), put('n/b', 'b', lease), put('n/c')]);
        expect((await store.get('n/a'))?.lease).toBe(lease);
        const elapsedMs = await elapsedUntil(async () => (await store.get('n/a')) === undefined);
        if (harness.pass) expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(1000);
        else expect(elapsedMs).toBe(1000);
        expect((await store.list('n/')).map(({ key }) => key)).toEqual(['n/c']);
        expect(await store.keepAlive(lease)).toBe(false);
        await expect(store.transact([], [put('n/a', '', lease)])).rejects.toMatchObject({
          code: 'NOT_FOUND',
        });
        expect((await store.transact([absent('n/a')], [put('n/a')])).committed).toBe(true);
      });

      it('lives on while it is kept alive', async () => {
        const lease = await store.grantLease(3000);
        await store.transact([], [put('n/a', 'a', lease)]);
        for (let i = 0; i < 4; i++) {
          await pass(1000);
          expect(await store.keepAlive(lease)).toBe(true);
        }
        expect(await store.get('n/a')).toBeDefined();
      });

      it('takes its keys along when it is revoked, but none that left it', async () => {
        const lease = await store.grantLease(3000);
        const next = await store.grantLease(60_000);
        await store.transact([], [put('stays', '', lease), put('moves', '', lease), put('goes', '', lease)]);
        await store.transact([], [put('stays'), put('moves', '', next)]);
        const before = await store.transact([], []);
        await store.revokeLease(lease);
        await store.revokeLease(lease);
        expect((await store.transact([], [])).revision).toBe(before.revision + 1);
        expect((await store.list('')).map(({ key }) => key)).toEqual(['moves', 'stays']);
        await store.revokeLease(next);
        expect((await store.list('')).map(({ key }) => key)).toEqual(['stays']);
      });

      it('refuses to put under a lease that is gone and writes nothing', async () => {
        const lease = await store.grantLease(1000);
        await store.revokeLease(lease);
        await expect(store.transact([], [put('a'), put('b', '', lease)])).rejects.toMatchObject({
          code: 'NOT_FOUND',
        });
        expect(await store.get('a')).toBeUndefined();
        await expect(store.grantLease(0)).rejects.toMatchObject({ code: 'USAGE' });
      });
    });

    describe('watches', () => {
      it('begins with a snapshot and goes on with every change of the prefix', async () => {
        await store.transact([], [put('w/1'), put('v/1')]);
        const events = watch('w/');
        expect((await take(events, 1)).map(summary)).toEqual(['snapshot w/1']);
        await store.transact([], [put('w/2'), put('v/2'), remove('w/1')]);
        await store.transact([], [put('w/1')]);
        const seen = await take(events, 3);
        expect(seen.map(summary)).toEqual(['put w/2', 'delete w/1', 'put w/1']);
        expect(seen[0]!.revision).toBe(seen[1]!.revision);
        expect(seen[2]!.revision).toBe(seen[1]!.revision + 1);
      });

      it('has no gap and no duplicate against a model, from any revision', async () => {
        const first = (await store.transact([], [])).revision + 1;
        const truth: string[] = [];
        for (let i = 0; i < 20; i++) {
          const key = `w/${i % 3}`;
          const operation = i % 4 === 3 && (await store.get(key)) ? remove(key) : put(key, String(i));
          const { revision } = await store.transact([], [operation]);
          truth.push(`${revision} ${operation.kind} ${key}`);
        }
        for (const from of [first, first + 7, first + 19]) {
          const seen = await take(watch('w/', from), first + 20 - from);
          expect(seen.map((event) => `${event.revision} ${summary(event)}`)).toEqual(
            truth.slice(from - first),
          );
        }
      });

      it('delivers each value as it was at its revision', async () => {
        const { revision } = await store.transact([], [put('w', 'old')]);
        await store.transact([], [put('w', 'new')]);
        const [old, now] = await take(watch('w', revision), 2);
        expect(old).toMatchObject({ kind: 'put', entry: { value: text('old'), createRevision: revision } });
        expect(now).toMatchObject({ kind: 'put', entry: { value: text('new'), createRevision: revision } });
      });

      it('wakes at once for a change made here', async () => {
        const events = watch('w/');
        await take(events, 1);
        const waiting = take(events, 1);
        await store.transact([], [put('w/1')]);
        expect((await waiting).map(summary)).toEqual(['put w/1']);
      });

      it('reports keys whose lease ran out while nobody wrote', async () => {
        const lease = await store.grantLease(1000);
        await store.transact([], [put('w/1', '', lease)]);
        const events = watch('w/');
        await take(events, 1);
        const waiting = take(events, 1);
        await pass(1000);
        await pass(200);
        expect((await waiting).map(summary)).toEqual(['delete w/1']);
      });

      it('gives a watcher that fell behind the log the current state instead', async () => {
        const { revision } = await store.transact([], [put('w/gone')]);
        await store.transact([], [remove('w/gone')]);
        for (let i = 0; i < logEventsMax; i++) await store.transact([], [put(`w/${i % 5}`, String(i))]);
        await harness.forget?.(revision);
        const events = watch('w/', revision);
        expect((await take(events, 1)).map(summary)).toEqual(['snapshot w/0 w/1 w/2 w/3 w/4']);
        await store.transact([], [put('w/9')]);
        expect((await take(events, 1)).map(summary)).toEqual(['put w/9']);
      });

      it('never gives part of a transaction whose other part was forgotten', async () => {
        const { revision } = await store.transact([], [put('w/a'), put('w/b'), put('w/c')]);
        for (let i = 0; i < logEventsMax - 1; i++) await store.transact([], [put('w/x')]);
        await harness.forget?.(revision);
        const [event] = await take(watch('w/', revision), 1);
        expect(event?.kind).toBe('snapshot');
      });

      it('waits for a revision that is yet to come', async () => {
        const { revision } = await store.transact([], []);
        const waiting = take(watch('w', revision + 2), 1);
        await store.transact([], [put('w', 'early')]);
        await store.transact([], [put('w', 'due')]);
        expect((await waiting)[0]).toMatchObject({ kind: 'put', entry: { value: text('due') } });
      });

      it('ends quietly when aborted and with UNAVAILABLE when the store is closed', async () => {
        const aborted = watch('w/');
        await take(aborted, 1);
        const quiet = aborted.next();
        ending.abort();
        expect((await quiet).done).toBe(true);
        ending = new AbortController();
        const cut = watch('w/');
        await take(cut, 1);
        const waiting = cut.next();
        await store.close();
        await expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await expect(store.get('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      });
    });
  });
}
