/**
 * One ordered table of byte keys and byte values in an SQLite file that several processes have open.
 * In: a file. Out: reads of one moment, writes of all or nothing, and KwamErrors for what SQLite reports.
 * Source: sqlite.org "Write-Ahead Logging", "PRAGMA synchronous" (FULL: a commit is synced before it returns), "Result Codes".
 * Holds: locks belong to the process, so the kernel frees those of a killed one; whoever waits for a lock longer than
 * `lockWaitMs` gets UNAVAILABLE. Runs on the calling thread. Does not know what keys and values mean.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { KwamError } from '../errors.ts';
import { damaged } from './records.ts';

/** Many fsyncs of a busy disk; a process that holds the lock longer is stopped or its disk is stuck. */
const lockWaitMs = 5000;
/** Between two tries to switch a new file to the write-ahead log, which SQLite does not wait for by itself. */
const switchPauseMs = 10;

/** SQLite's primary result codes. */
const SQLITE = {
  /** Our statements are right; so the schema in the file is not. */
  error: 1,
  busy: 5,
  locked: 6,
  corrupt: 11,
  full: 13,
  notADatabase: 26,
} as const;

export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
}

interface StoredRow {
  readonly key: unknown;
  readonly value: unknown;
}

/** A bit that flips in the file may turn a blob into a text or a number. */
function asBuffer(bytes: unknown): Buffer {
  if (!(bytes instanceof Uint8Array)) throw damaged(`a value of type ${typeof bytes}`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export class SqliteTable {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #range: StatementSync;

  static open(file: string): SqliteTable {
    return translated(`open the control store ${file}`, () => {
      const database = new DatabaseSync(file, { timeout: lockWaitMs });
      try {
        return new SqliteTable(database);
      } catch (error) {
        database.close();
        throw error;
      }
    });
  }

  private constructor(database: DatabaseSync) {
    switchToLog(database);
    database.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA cell_size_check = ON;
      CREATE TABLE IF NOT EXISTS control (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL)`);
    this.#database = database;
    this.requireWhole();
    this.#get = database.prepare('SELECT key, value FROM control WHERE key = ?');
    this.#put = database.prepare(
      'INSERT INTO control VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    this.#remove = database.prepare('DELETE FROM control WHERE key = ?');
    this.#range = database.prepare('SELECT key, value FROM control WHERE key >= ? AND key < ? ORDER BY key');
  }

  /** All looks inside see the same moment, which is not older than any commit of any process. */
  read<T>(look: () => T): T {
    return translated('read the control store', () => this.#within('BEGIN', look));
  }

  /** Nothing of `change` remains when it throws. */
  write<T>(change: () => T): T {
    return translated('write the control store', () => this.#within('BEGIN IMMEDIATE', change));
  }

  get(key: Buffer): Buffer | undefined {
    const row = this.#get.get(key) as StoredRow | undefined;
    return row && asBuffer(row.value);
  }

  put(key: Buffer, value: Buffer): void {
    this.#put.run(key, value);
  }

  /** Whether there was one. */
  remove(key: Buffer): boolean {
    return this.#remove.run(key).changes > 0;
  }

  /** Ascending by key, from `start` up to and without `end`. Nothing may be written before the iteration ends. */
  *range(start: Buffer, end: Buffer): Generator<Row, void, undefined> {
    for (const row of this.#range.iterate(start, end)) {
      const { key, value } = row as unknown as StoredRow;
      yield { key: asBuffer(key), value: asBuffer(value) };
    }
  }

  /**
   * Values are sealed by whoever writes them; a bit that flips in a key or between pages makes an entry vanish instead. SQLite has each
   * key twice, in the table and in its index, and compares them. Reads the whole file: 20 ms for 20,000 entries of 300 bytes.
   */
  requireWhole(): void {
    const { integrity_check: found } = this.#database.prepare('PRAGMA integrity_check(1)').get() as {
      integrity_check: string;
    };
    if (found !== 'ok') throw damaged(`"${found}"`);
  }

  close(): void {
    this.#database.close();
  }

  #within<T>(begin: string, act: () => T): T {
    this.#database.exec(begin);
    try {
      const result = act();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors, for example on a full disk.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}

function resultCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** Permanent in the file; several processes that make it at once get in each other's way without waiting. */
function switchToLog(database: DatabaseSync): void {
  for (let waitedMs = 0; ; waitedMs += switchPauseMs) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (resultCode(error) !== SQLITE.busy || waitedMs >= lockWaitMs) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, switchPauseMs);
    }
  }
}

export function translated<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw translate(what, cause);
  }
}

/** What is neither SQLite's nor the system's is a bug of ours and passes as it is. */
function translate(what: string, cause: unknown): unknown {
  if (cause instanceof KwamError || !(cause instanceof Error)) return cause;
  const code = resultCode(cause);
  const errno = (cause as NodeJS.ErrnoException).code;
  if (code === SQLITE.corrupt || code === SQLITE.notADatabase || code === SQLITE.error) {
    return damaged(`"${cause.message}" while trying to ${what}`, cause);
  }
  if (code === SQLITE.full || errno === 'ENOSPC' || errno === 'EDQUOT') {
    const message = `could not ${what}: the disk is full; free space and try again`;
    return new KwamError('DISK_FULL', message, { cause, retryable: true });
  }
  if (code === SQLITE.busy || code === SQLITE.locked) {
    const message = `could not ${what}: another process has held its lock for ${lockWaitMs} ms; look for a stopped node process`;
    return new KwamError('UNAVAILABLE', message, { cause, retryable: true });
  }
  if (code === undefined && (cause as NodeJS.ErrnoException).syscall === undefined) return cause;
  const message = `could not ${what}: ${cause.message}; check the folder's permissions and disk, then try again`;
  return new KwamError('UNAVAILABLE', message, { cause, retryable: true, context: { errno } });
}
