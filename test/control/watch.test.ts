/** What a watch holds in memory while it waits. That it reports each change once and in order: test/suites/control-store.suite.ts. */
import { queryObjects } from 'node:v8';
import { expect, test } from 'vitest';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { FakeClock } from './fake-clock.ts';

const CHANGES = 2000;

test('a watch that sees nothing of what it waits for keeps nothing of its waits', async () => {
  const store = new MemoryControlStore({ clock: new FakeClock() });
  const ending = new AbortController();
  const events = store.watch('watched/', { signal: ending.signal })[Symbol.asyncIterator]();
  expect(await events.next()).toMatchObject({ value: { kind: 'snapshot' } });
  const next = events.next();
  const change = () => store.transact([], [{ kind: 'put', key: 'elsewhere', value: new Uint8Array() }]);
  await change();
  const before = queryObjects(Promise, { format: 'count' });
  for (let i = 0; i < CHANGES; i++) await change();
  expect(queryObjects(Promise, { format: 'count' }) - before).toBeLessThan(CHANGES / 10);
  ending.abort();
  expect(await next).toMatchObject({ done: true });
  await store.close();
});
