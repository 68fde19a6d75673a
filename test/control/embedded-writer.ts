/**
 * A process that writes to a control store until it is killed: argv DIRECTORY NAME. Each transaction raises its own
 * counter, kept twice, and the one that all writers share; a line on stdout acknowledges each.
 */
import * as fs from 'node:fs';
import { systemClock } from '../../src/clock.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { EmbeddedControlStore } from '../../src/control/embedded.ts';

const [directory, name] = process.argv.slice(2) as [string, string];
const padding = 'x'.repeat(20_000);

async function counter(store: ControlStore, key: string) {
  const entry = await store.get(key);
  const count = entry === undefined ? 0 : Number.parseInt(Buffer.from(entry.value).toString(), 10);
  return { count, compare: { key, modRevision: entry?.modRevision ?? 0 } };
}

async function raise(store: ControlStore): Promise<void> {
  const own = await counter(store, `left/${name}`);
  const shared = await counter(store, 'shared');
  const put = (key: string, count: number) =>
    ({ kind: 'put', key, value: Buffer.from(`${count} ${padding}`) }) as const;
  const operations = [
    put(`left/${name}`, own.count + 1),
    put('shared', shared.count + 1),
    put(`right/${name}`, own.count + 1),
  ];
  const { committed, revision } = await store.transact([own.compare, shared.compare], operations);
  if (committed) fs.writeSync(1, `${own.count + 1} ${revision}\n`);
}

const store = EmbeddedControlStore.open({ directory, clock: systemClock });
for (;;) await raise(store);
