/**
 * One bit of what a node or a cluster remembers: values of the open control store, its file at rest, the audit log, and notes. A note that
 * is damaged counts as absent; the others are refused and have to come from elsewhere, so nothing is repaired here.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AuditLog } from '../../../src/audit/audit-log.ts';
import { auditFiles } from '../../../src/audit/audit-tail.ts';
import { verifyAuditFiles } from '../../../src/audit/audit-verify.ts';
import { systemClock } from '../../../src/clock.ts';
import type { ControlEntry } from '../../../src/control/control-store.ts';
import { controlFile, EmbeddedControlStore } from '../../../src/control/embedded.ts';
import { KwamError } from '../../../src/errors.ts';
import { type Random, seededRandom } from '../../../src/random.ts';
import { getNote, putNote } from '../../../src/store/notes.ts';
import { FaultyFileSystem } from '../../faults/faulty-filesystem.ts';
import { count, emptyTally, type Site, type SiteOptions, type Tally } from './tally.ts';
import { anyMask } from './worker.ts';

const ENTRIES = 40;
/** Faults of one run. */
const RUN = { values: 600, notes: 200, audit: 50, file: 150 };

export async function journalSite({ seed }: SiteOptions): Promise<Site> {
  const random = seededRandom(seed);
  const base = mkdtempSync(join(tmpdir(), 'kwam-journal-'));
  const keys = Array.from({ length: ENTRIES }, (_, i) => `objects/${i}`);
  const control = await OpenControl.create(join(base, 'control'), keys, random);
  const rest = await ControlAtRest.create(join(base, 'rest'), keys, random);
  const audit = await AuditAtRest.create(join(base, 'audit'));
  const note = new NoteAtRest();
  return {
    async run(most) {
      const tally = emptyTally();
      const share = Math.min(1, most / 1000);
      for (let i = 0; i < RUN.values * share; i++) await control.fault(random, tally);
      for (let i = 0; i < RUN.notes * share; i++) note.fault(random, tally);
      for (let i = 0; i < RUN.audit * share; i++) await audit.fault(random, tally);
      for (let i = 0; i < RUN.file * share; i++) await rest.fault(random, tally);
      return tally;
    },
    async close() {
      await control.close();
      rmSync(base, { recursive: true });
    },
  };
}

async function filled(
  directory: string,
  keys: readonly string[],
  random: Random,
): Promise<EmbeddedControlStore> {
  const store = EmbeddedControlStore.open({ directory, clock: systemClock });
  for (const key of keys) {
    const value = random.fill(new Uint8Array(1 + random.below(120)));
    await store.transact([], [{ kind: 'put', key, value }]);
  }
  return store;
}

const textOf = (entries: readonly (ControlEntry | undefined)[]): string =>
  JSON.stringify(
    entries.map((entry) => entry && [entry.key, entry.modRevision, Buffer.from(entry.value).toString('hex')]),
  );

/** True when it refused; what it answers otherwise is compared by the caller. */
async function refuses(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return false;
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'INTEGRITY') throw error;
    return true;
  }
}

/** A value of the open store, changed under it. */
class OpenControl {
  readonly #store: EmbeddedControlStore;
  readonly #raw: DatabaseSync;
  readonly #keys: readonly string[];

  private constructor(store: EmbeddedControlStore, raw: DatabaseSync, keys: readonly string[]) {
    this.#store = store;
    this.#raw = raw;
    this.#keys = keys;
  }

  static async create(directory: string, keys: readonly string[], random: Random): Promise<OpenControl> {
    const store = await filled(directory, keys, random);
    const raw = new DatabaseSync(controlFile(directory));
    raw.exec('PRAGMA synchronous = OFF');
    return new OpenControl(store, raw, keys);
  }

  async fault(random: Random, tally: Tally): Promise<void> {
    const name = this.#keys[random.below(this.#keys.length)]!;
    const key = Buffer.from(`e${name}`);
    const row = this.#raw.prepare('SELECT value FROM control WHERE key = ?').get(key) as {
      value: Uint8Array;
    };
    const bad = new Uint8Array(row.value);
    bad[random.below(bad.length)]! ^= anyMask(random);
    const right = textOf([await this.#store.get(name)]);
    const write = this.#raw.prepare('UPDATE control SET value = ? WHERE key = ?');
    write.run(bad, key);
    let answer = '';
    const detected = await refuses(async () => {
      answer = textOf([await this.#store.get(name)]);
    });
    count(tally, { detected, wrong: answer !== right });
    write.run(row.value, key);
  }

  async close(): Promise<void> {
    this.#raw.close();
    await this.#store.close();
  }
}

/** The file of a store that nobody has open. */
class ControlAtRest {
  readonly #directory: string;
  readonly #keys: readonly string[];
  readonly #good: Uint8Array;
  #right = '';

  private constructor(directory: string, keys: readonly string[]) {
    this.#directory = directory;
    this.#keys = keys;
    this.#good = readFileSync(controlFile(directory));
  }

  static async create(directory: string, keys: readonly string[], random: Random): Promise<ControlAtRest> {
    await (await filled(directory, keys, random)).close();
    const rest = new ControlAtRest(directory, keys);
    rest.#right = await rest.#answers();
    return rest;
  }

  async #answers(): Promise<string> {
    const store = EmbeddedControlStore.open({ directory: this.#directory, clock: systemClock });
    try {
      const listed = await store.list('objects/');
      const got = await Promise.all(this.#keys.map((key) => store.get(key)));
      return textOf(listed) + textOf(got);
    } finally {
      await store.close();
    }
  }

  async fault(random: Random, tally: Tally): Promise<void> {
    const file = controlFile(this.#directory);
    const bad = new Uint8Array(this.#good);
    bad[random.below(bad.length)]! ^= anyMask(random);
    writeFileSync(file, bad);
    let answers = '';
    const detected = await refuses(async () => {
      answers = await this.#answers();
    });
    count(tally, { detected, wrong: answers !== this.#right });
    for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true });
  }
}

/** The log, whose head the control store knows. */
class AuditAtRest {
  readonly #path: string;
  readonly #good: Buffer;
  readonly #anchor: { seq: number; hash: string };

  private constructor(path: string, anchor: { seq: number; hash: string }) {
    this.#path = path;
    this.#anchor = anchor;
    this.#good = readFileSync(path);
  }

  static async create(directory: string): Promise<AuditAtRest> {
    const log = AuditLog.open({ directory, clock: systemClock });
    for (let i = 0; i < 12; i++) log.append({ kind: 'decision', allowed: i % 3 > 0, method: `m${i}` });
    await log.close();
    const path = join(directory, auditFiles(directory)[0]!);
    copyFileSync(path, `${path}.good`);
    return new AuditAtRest(path, log.head);
  }

  async fault(random: Random, tally: Tally): Promise<void> {
    const bad = Buffer.from(this.#good);
    bad[random.below(bad.length)]! ^= anyMask(random);
    writeFileSync(this.#path, bad);
    const { problem } = await verifyAuditFiles([this.#path], { isWhole: true, anchor: this.#anchor });
    count(tally, { detected: problem !== null, wrong: true });
  }
}

class NoteAtRest {
  readonly #disk = new FaultyFileSystem(seededRandom(1));

  constructor() {
    putNote(this.#disk, '/notes', 'scrub-cursor', 'here and no further', { durable: true });
  }

  fault(random: Random, tally: Tally): void {
    const path = '/notes/scrub-cursor.note';
    const [at, mask] = [random.below(this.#disk.contents(path).length), anyMask(random)];
    this.#disk.flip(path, at, mask);
    let detected = false;
    const text = getNote(this.#disk, '/notes', 'scrub-cursor', () => {
      detected = true;
    });
    count(tally, { detected: detected && text === undefined, wrong: true });
    this.#disk.flip(path, at, mask);
  }
}
