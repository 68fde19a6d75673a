/**
 * The audit log of one node: D/<node>/audit/<seq of its first record>.log, appended to and never written over.
 * In: events. Out: records on disk, chained (audit-chain.ts).
 * Holds: `append` has written the record before it returns, so a killed process loses none; `sync` makes all of them durable, which happens
 *   every second, and at once for what cannot be undone. What cannot be recorded must not happen: `append` throws, and its caller refuses.
 * A torn last line is moved to torn-<seq>.bin, byte for byte, and a record says so. A full disk is met with a reserve file that is given up,
 * so that the calls which free space can still be decided.
 * Uses node:fs itself: the FileSystem interface does not append, and nothing here is simulated.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../clock.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { auditFileBytes, auditReserveBytes } from '../limits.ts';
import { type AuditEvent, type AuditHead, nextLine } from './audit-chain.ts';
import { type AuditTail, auditFileName, auditHashAt, auditTail } from './audit-tail.ts';

export interface AuditLogOptions {
  /** D/<node>/audit; made when missing. */
  readonly directory: string;
  readonly clock: Clock;
  /** A new file begins after so many bytes. */
  readonly fileBytes?: number;
}

const RESERVE = 'reserve.bin';
const fsync = promisify(fs.fsync);

export class AuditLog {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #fileBytes: number;
  readonly #found: AuditHead;
  #head: AuditHead;
  #synced: AuditHead;
  #file: number;
  #bytes: number;
  /** After a failed write or fsync nothing that follows could be trusted to be there. */
  #broken: KwamError | undefined;

  static open(options: AuditLogOptions): AuditLog {
    return explained(`open ${options.directory}`, () => {
      fs.mkdirSync(options.directory, { recursive: true });
      const tail = auditTail(options.directory);
      const log = new AuditLog(options, tail);
      if (tail.torn.length > 0) log.#setAside(tail.torn);
      return log;
    });
  }

  private constructor({ directory, clock, fileBytes = auditFileBytes }: AuditLogOptions, tail: AuditTail) {
    this.#directory = directory;
    this.#clock = clock;
    this.#fileBytes = fileBytes;
    this.#found = tail.head;
    this.#head = tail.head;
    this.#synced = tail.head;
    this.#bytes = tail.bytes;
    this.#file = openForAppending(directory, tail.file);
    keepReserve(directory);
  }

  /** The newest record when the log was opened. */
  get found(): AuditHead {
    return this.#found;
  }

  /** The newest record. */
  get head(): AuditHead {
    return this.#head;
  }

  /** What a record's line hashes to, as it is on disk now; undefined when there is no such record. */
  hashOf(seq: number): DigestHex | undefined {
    return explained(`read ${this.#directory}`, () => auditHashAt(this.#directory, seq));
  }

  /** The newest record that is durable. */
  get synced(): AuditHead {
    return this.#synced;
  }

  /** Written when it returns. @throws KwamError IO, DISK_FULL  nothing of it is in the log. */
  append(event: AuditEvent): void {
    if (this.#broken !== undefined) throw this.#broken;
    const at = new Date(this.#clock.now()).toISOString();
    const { line, head } = nextLine(event, this.#head, at);
    this.#write(line);
    this.#head = head;
    if (this.#bytes >= this.#fileBytes) this.#beginFile();
  }

  /** Everything appended so far is durable when it resolves. An error here is fatal for the log. */
  async sync(): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    const head = this.#head;
    if (head.seq === this.#synced.seq) return;
    try {
      await fsync(this.#file);
    } catch (cause) {
      // A file that ended meanwhile was synced before the next began.
      if (this.#synced.seq < head.seq) throw this.#breakOff('make the audit log durable', cause);
    }
    if (head.seq > this.#synced.seq) this.#synced = head;
  }

  async close(): Promise<void> {
    await this.sync();
    fs.closeSync(this.#file);
    this.#broken = new KwamError('UNAVAILABLE', 'the audit log was closed: its node is stopping');
  }

  #write(line: Buffer): void {
    try {
      this.#writeAll(line);
    } catch (cause) {
      this.#takeBack();
      if (!isFull(cause) || !giveUpReserve(this.#directory)) throw asKwamError('record a decision', cause);
      this.#write(line);
    }
  }

  #writeAll(line: Buffer): void {
    for (let at = 0; at < line.length; ) at += fs.writeSync(this.#file, line, at);
    this.#bytes += line.length;
  }

  /** An unfinished record goes, so that the next one begins on a line of its own. */
  #takeBack(): void {
    try {
      fs.ftruncateSync(this.#file, this.#bytes);
    } catch (cause) {
      throw this.#breakOff('take back an unfinished record', cause);
    }
  }

  #breakOff(what: string, cause: unknown): KwamError {
    this.#broken = asKwamError(what, cause);
    return this.#broken;
  }

  #beginFile(): void {
    try {
      fs.fsyncSync(this.#file);
      const next = openForAppending(this.#directory, auditFileName(this.#head.seq + 1));
      fs.closeSync(this.#file);
      this.#file = next;
      this.#bytes = 0;
      this.#synced = this.#head;
    } catch (cause) {
      throw this.#breakOff('begin a new file of the audit log', cause);
    }
  }

  /** Evidence first: the bytes are durable under another name before they leave the log. */
  #setAside(torn: Uint8Array): void {
    const name = `torn-${String(this.#head.seq + 1).padStart(12, '0')}.bin`;
    fs.writeFileSync(join(this.#directory, name), torn, { flush: true });
    fs.ftruncateSync(this.#file, this.#bytes);
    syncDirectory(this.#directory);
    const sha256 = createHash('sha256').update(torn).digest('hex');
    this.append({ kind: 'torn', bytes: torn.length, sha256, file: name });
  }
}

function openForAppending(directory: string, name: string): number {
  const file = fs.openSync(join(directory, name), 'a', 0o640);
  syncDirectory(directory);
  return file;
}

function syncDirectory(directory: string): void {
  const handle = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** Written out, because a file of holes takes no space that could be given up. */
function keepReserve(directory: string): void {
  const path = join(directory, RESERVE);
  if (fs.existsSync(path)) return;
  try {
    fs.writeFileSync(path, Buffer.alloc(auditReserveBytes, 1));
  } catch (cause) {
    fs.rmSync(path, { force: true });
    if (!isFull(cause)) throw cause;
  }
}

/** False when it was given up before. */
function giveUpReserve(directory: string): boolean {
  const path = join(directory, RESERVE);
  if (!fs.existsSync(path)) return false;
  fs.rmSync(path);
  return true;
}

function isFull(cause: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '');
}

function explained<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw asKwamError(what, cause);
  }
}

function asKwamError(what: string, cause: unknown): KwamError {
  if (cause instanceof KwamError) return cause;
  const errno = (cause as NodeJS.ErrnoException).code;
  if (errno === undefined) throw cause;
  return new KwamError(
    isFull(cause) ? 'DISK_FULL' : 'IO',
    `expected to ${what}, got ${errno}; what cannot be recorded is not allowed: free space or repair the disk`,
    { cause, context: { errno }, retryable: isFull(cause) },
  );
}
