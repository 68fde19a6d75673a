/**
 * Training jobs and operators, and what they may expect: seeded calls to the cluster, a history of every name, and the check of
 * every answer against it.
 * In: the cluster and a Random. Out: calls until a given time; violations where an answer cannot be explained.
 * What is expected of a name: the last version whose put was acknowledged, or one whose put or removal had no clear end. A name with
 * such an end is not written any more, so that what it may be stays known.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { KwamError } from '../../src/errors.ts';
import { KIB } from '../../src/limits.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import type { SimulatedCluster, SimulatedNode } from './cluster.ts';

/** Name of a file → its bytes; undefined: there is no such object. */
export type Version = ReadonlyMap<string, Uint8Array> | undefined;

interface Named {
  readonly name: string;
  possible: Set<Version>;
  /** Gets that run: what becomes possible meanwhile, they may see. */
  readonly readers: Set<Set<Version>>;
  isFrozen: boolean;
  isBusy: boolean;
}

const NAMES_PER_CLIENT = 3;
const PAUSE_MS_MAX = 12_000;
/** Every file is made of these, so that versions share chunks and removals leave packs half empty. */
const BLOCKS = 10;
const MTIME_S = 1_700_000_000;

export class Client {
  readonly #cluster: SimulatedCluster;
  readonly #random: Random;
  readonly #id: string;
  readonly names: Named[] = [];
  readonly #blocks: Uint8Array[];
  #count = 0;
  acknowledged = 0;
  gets = 0;

  constructor(cluster: SimulatedCluster, index: number, seed: number) {
    this.#cluster = cluster;
    this.#id = `c${index}`;
    this.#random = seededRandom(seed * 64 + 40 + index);
    const content = seededRandom(seed);
    this.#blocks = Array.from({ length: BLOCKS }, () =>
      content.fill(new Uint8Array(KIB + content.below(5 * KIB))),
    );
  }

  async workUntil(atMs: number): Promise<void> {
    const { clock } = this.#cluster;
    while (clock.monotonic() < atMs) {
      await clock.sleep(this.#random.below(PAUSE_MS_MAX));
      const node = this.#cluster.living[this.#random.below(Math.max(1, this.#cluster.living.length))];
      if (node !== undefined) await this.#act(node);
    }
  }

  async #act(node: SimulatedNode): Promise<void> {
    const draw = this.#random.below(100);
    if (draw < 40) return this.put(node);
    if (draw < 75) return this.#getSome(node);
    if (draw < 85) return this.#remove(node);
    const method = ['node.compact', 'node.repair', 'node.scrub', 'cluster.status', 'node.orphans'][draw % 5]!;
    await this.#tried(`${method} at ${node.name}`, () =>
      this.#cluster.ask(node, method, method === 'node.scrub' ? { full: draw % 2 === 0 } : {}),
    );
  }

  #freeName(): Named {
    const open = this.names.filter(({ isFrozen }) => !isFrozen);
    const free = open.filter(({ isBusy }) => !isBusy);
    if (open.length >= NAMES_PER_CLIENT && free.length > 0) return free[this.#random.below(free.length)]!;
    const named: Named = {
      name: `${this.#id}-${this.names.length}`,
      possible: new Set([undefined]),
      readers: new Set(),
      isFrozen: false,
      isBusy: false,
    };
    this.names.push(named);
    return named;
  }

  async put(node: SimulatedNode): Promise<void> {
    const named = this.#freeName();
    const version = this.#newVersion();
    // It stays until the end: the same put may still be carried out a second time.
    const path = join(this.#cluster.directory, `source-${this.#id}-${this.#count++}`);
    writeTree(path, version);
    await this.#change(named, version, `put ${named.name} at ${node.name}`, () =>
      this.#cluster.ask(node, 'object.put', { path, name: named.name }),
    );
  }

  async #remove(node: SimulatedNode): Promise<void> {
    const candidates = this.names.filter(({ isFrozen, possible }) => !isFrozen && !possible.has(undefined));
    if (candidates.length === 0) return;
    const named = candidates[this.#random.below(candidates.length)]!;
    await this.#change(named, undefined, `remove ${named.name} at ${node.name}`, () =>
      this.#cluster.ask(node, 'object.remove', { name: named.name }),
    );
  }

  async #change(named: Named, to: Version, what: string, act: () => Promise<unknown>): Promise<void> {
    named.isBusy = true;
    named.possible.add(to);
    for (const seen of named.readers) seen.add(to);
    const isDone = await this.#tried(what, act);
    if (isDone) named.possible = new Set([to]);
    else named.isFrozen = true;
    named.isBusy = false;
    if (isDone) this.acknowledged++;
  }

  #newVersion(): NonNullable<Version> {
    const files = new Map<string, Uint8Array>();
    for (let i = 1 + this.#random.below(4); i > 0; i--) {
      const blocks = Array.from(
        { length: this.#random.below(5) },
        () => this.#blocks[this.#random.below(BLOCKS)]!,
      );
      files.set(
        `f${i}`,
        Buffer.concat([...blocks, this.#random.fill(new Uint8Array(this.#random.below(2000)))]),
      );
    }
    return files;
  }

  async #getSome(node: SimulatedNode): Promise<void> {
    if (this.names.length === 0) return;
    await this.get(node, this.names[this.#random.below(this.names.length)]!);
  }

  /** @returns whether it answered; what it answered is checked. */
  async get(node: SimulatedNode, named: Named): Promise<boolean> {
    const { name } = named;
    const seen = new Set(named.possible);
    named.readers.add(seen);
    const destination = join(this.#cluster.directory, `got-${this.#id}-${this.#count++}`);
    const what = `get ${name} at ${node.name}`;
    this.gets++;
    try {
      await this.#cluster.ask(node, 'object.get', { name, destination });
      const got = readTree(destination);
      const isExpected = [...seen].some((version) => version !== undefined && isSame(version, got));
      this.#note(what, isExpected ? 'ok' : 'WRONG');
      if (!isExpected) this.#cluster.violation(`${what}: its bytes are of no version that was put`);
      return true;
    } catch (error) {
      this.#failed(what, error);
      const isMissing =
        error instanceof KwamError && error.code === 'NOT_FOUND' && error.message.includes('no object');
      if (isMissing && !seen.has(undefined))
        this.#cluster.violation(`${what}: it was acknowledged and is not known any more`);
      return isMissing;
    } finally {
      named.readers.delete(seen);
      fs.rmSync(destination, { recursive: true, force: true });
    }
  }

  async #tried(what: string, act: () => Promise<unknown>): Promise<boolean> {
    try {
      const answer = await act();
      this.#note(what, `ok ${JSON.stringify(answer)}`);
      return true;
    } catch (error) {
      this.#failed(what, error);
      return false;
    }
  }

  #failed(what: string, error: unknown): void {
    this.#note(what, String(error));
    if (!(error instanceof KwamError)) throw error;
    if (error.code === 'INTERNAL') this.#cluster.violation(`${what}: a bug: ${error.message}`);
  }

  #note(what: string, outcome: string): void {
    this.#cluster.journal.note(this.#id, `${what}: ${outcome}`);
  }
}

function writeTree(path: string, files: NonNullable<Version>): void {
  fs.mkdirSync(path);
  for (const [name, bytes] of files) {
    fs.writeFileSync(join(path, name), bytes, { mode: 0o644 });
    fs.utimesSync(join(path, name), MTIME_S, MTIME_S);
  }
  fs.chmodSync(path, 0o755);
  fs.utimesSync(path, MTIME_S, MTIME_S);
}

function readTree(path: string): NonNullable<Version> {
  return new Map(fs.readdirSync(path).map((name) => [name, fs.readFileSync(join(path, name))]));
}

function isSame(a: NonNullable<Version>, b: NonNullable<Version>): boolean {
  return (
    a.size === b.size &&
    [...a].every(([name, bytes]) => b.has(name) && Buffer.compare(bytes, b.get(name)!) === 0)
  );
}
