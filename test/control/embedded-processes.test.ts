/** Several processes on one embedded control store, killed at any moment. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { EmbeddedControlStore } from '../../src/control/embedded.ts';
import { seededRandom } from '../../src/random.ts';

const script = path.join(import.meta.dirname, 'embedded-writer.ts');
const kills = process.env['KWAM_CAMPAIGN'] ? 300 : 4;
const seed = Number(process.env['KWAM_SEED'] ?? Date.now());

class Writer {
  readonly name: string;
  readonly #child: ChildProcess;
  #output = '';
  #errors = '';

  constructor(directory: string, name: string) {
    this.name = name;
    this.#child = spawn(process.execPath, [script, directory, name], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout!.on('data', (bytes) => {
      this.#output += bytes;
    });
    this.#child.stderr!.on('data', (bytes) => {
      this.#errors += bytes;
    });
  }

  /** Whole acknowledgements only: the last line may be torn by the kill. */
  get acknowledged(): { count: number; revision: number }[] {
    return this.#output
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' ').map(Number))
      .map(([count, revision]) => ({ count: count!, revision: revision! }));
  }

  async progress(acknowledgements: number): Promise<void> {
    const target = this.acknowledged.length + acknowledgements;
    while (this.acknowledged.length < target) {
      if (this.#ended !== null) throw new Error(`${this.name} ended (${this.#ended}): ${this.#errors}`);
      await delay(5);
    }
  }

  get #ended(): number | string | null {
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  async kill(): Promise<void> {
    if (this.#ended !== null) return;
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

let directory: string;
const writers = new Set<Writer>();
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kwam-control-'));
});
afterEach(async () => {
  for (const writer of writers) await writer.kill();
  writers.clear();
  fs.rmSync(directory, { recursive: true });
});

async function countOf(store: ControlStore, key: string): Promise<number> {
  const entry = await store.get(key);
  return entry === undefined ? 0 : Number.parseInt(Buffer.from(entry.value).toString(), 10);
}

it(
  `loses nothing acknowledged and keeps nothing half over ${kills} kills (seed ${seed})`,
  async () => {
    const random = seededRandom(seed);
    const store = EmbeddedControlStore.open({ directory, clock: systemClock });
    const start = (name: string) => {
      const writer = new Writer(directory, name);
      writers.add(writer);
      return writer;
    };
    const bystander = start('bystander');
    for (let round = 0; round < kills; round++) {
      const victim = start('victim');
      await victim.progress(1 + random.below(5));
      await delay(random.below(8));
      await victim.kill();
      writers.delete(victim);
      const { count, revision } = victim.acknowledged.at(-1)!;
      const left = await countOf(store, 'left/victim');
      expect(left).toBeGreaterThanOrEqual(count);
      expect(left).toBeLessThanOrEqual(count + 1);
      expect(await countOf(store, 'right/victim')).toBe(left);
      expect((await store.transact([], [])).revision).toBeGreaterThanOrEqual(revision);
      // The one that lives goes on: the dead one's lock is not in its way.
      await bystander.progress(2);
    }
    await bystander.kill();
    writers.delete(bystander);
    const total = (await countOf(store, 'left/victim')) + (await countOf(store, 'left/bystander'));
    expect(await countOf(store, 'shared')).toBe(total);
    await store.close();
  },
  60_000 + kills * 5000,
);

it('is free again, and without a trace, when a process died inside a transaction with the lock in its hands', async () => {
  const store = EmbeddedControlStore.open({ directory, clock: systemClock });
  await store.transact([], [{ kind: 'put', key: 'before', value: new Uint8Array(1) }]);
  const holder = path.join(import.meta.dirname, 'embedded-lock-holder.ts');
  const { signal, stderr } = spawnSync(process.execPath, [holder, directory], { encoding: 'utf8' });
  expect(signal, stderr).toBe('SIGKILL');
  // The dead one had written that lease 1 is granted.
  expect(await store.grantLease(1000)).toBe('1');
  await store.close();
});

it('shows a watcher every change of other processes, each once, in order', async () => {
  const store = EmbeddedControlStore.open({ directory, clock: systemClock });
  const { revision } = await store.transact([], []);
  const pair = ['one', 'two'].map((name) => new Writer(directory, name));
  for (const writer of pair) writers.add(writer);
  const ending = new AbortController();
  const revisions: number[] = [];
  for await (const event of store.watch('shared', { fromRevision: revision + 1, signal: ending.signal })) {
    expect(event.kind).toBe('put');
    revisions.push(event.revision);
    if (event.kind === 'put') {
      const count = Number.parseInt(Buffer.from(event.entry.value).toString(), 10);
      expect(count).toBe(revisions.length);
    }
    if (revisions.length === 40) ending.abort();
  }
  expect(revisions).toEqual(revisions.map((_, i) => revision + 1 + i));
  await store.close();
});
