/**
 * Verifies an audit log from its first record to its last.
 * In: its files, in order. Out: what is in it, or the first thing that does not fit. Reads one file at a time in pieces, so a log of any length takes
 * constant memory.
 * What it can show: a record that was edited, moved, put in or taken out breaks the chain at that place, and so do files that are missing
 * between others or at the beginning. What it cannot: records cut off at the end, unless the head is known from elsewhere.
 */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { KwamError } from '../errors.ts';
import { auditLineBytesMax } from '../limits.ts';
import {
  AUDIT_BEGINNING,
  AuditChain,
  type AuditHead,
  type AuditRecord,
  auditInvalid,
} from './audit-chain.ts';
import { auditFileName } from './audit-tail.ts';

export interface AuditReport {
  readonly records: number;
  /** Of decisions. */
  readonly allowed: number;
  readonly refused: number;
  readonly head: AuditHead;
  /** The time of the first and the last record. */
  readonly from: string | null;
  readonly to: string | null;
  /** Bytes after the last whole record: a writer at work, or one that was killed. They prove nothing. */
  readonly tornBytes: number;
  /** What does not fit; null: nothing. */
  readonly problem: { readonly rule: string; readonly message: string } | null;
}

/** A record that must be there: its number and hash, as they were known outside of the log. */
export interface AuditAnchor {
  readonly seq: number;
  readonly hash: string;
}

export interface VerifyAuditOptions {
  /** False: a part of a log, such as one archived file; what came before it is not known. */
  readonly isWhole: boolean;
  readonly anchor?: AuditAnchor | undefined;
}

const LINE_FEED = 0x0a;

export async function verifyAuditFiles(
  paths: readonly string[],
  { isWhole, anchor }: VerifyAuditOptions,
): Promise<AuditReport> {
  const reader = new Reader(isWhole, anchor);
  try {
    if (isWhole) checkBeginning(paths);
    for (const path of paths) await reader.read(path);
    if (!isWhole) reader.checkRecords();
    reader.checkAnchor();
    return reader.report(null);
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'AUDIT_INVALID') throw error;
    return reader.report({ rule: String(error.context['rule']), message: error.message });
  }
}

/** Whoever removes the oldest file leaves a log that is whole from there on. */
function checkBeginning(paths: readonly string[]): void {
  if (paths[0] === undefined || basename(paths[0]) === auditFileName(0)) return;
  throw auditInvalid('audit-beginning', `a log that begins with ${auditFileName(0)}`, basename(paths[0]));
}

class Reader {
  readonly #anchor: AuditAnchor | undefined;
  readonly #chain: AuditChain;
  #counts = { records: 0, allowed: 0, refused: 0 };
  #from: string | null = null;
  #to: string | null = null;
  #tornBytes = 0;
  #anchorSeen = false;

  constructor(isWhole: boolean, anchor: AuditAnchor | undefined) {
    this.#chain = new AuditChain(isWhole ? AUDIT_BEGINNING : undefined);
    this.#anchor = anchor;
  }

  async read(path: string): Promise<void> {
    if (this.#tornBytes > 0)
      throw auditInvalid('audit-torn', 'whole records before the last file', `${this.#tornBytes} bytes more`);
    let rest: Buffer = Buffer.alloc(0);
    for await (const piece of createReadStream(path)) {
      rest = this.#lines(Buffer.concat([rest, piece as Buffer]));
      if (rest.length > auditLineBytesMax)
        throw auditInvalid('audit-form', 'a record', `a line of over ${auditLineBytesMax} bytes`);
    }
    this.#tornBytes = rest.length;
  }

  #lines(bytes: Buffer): Buffer {
    let start = 0;
    for (let feed = bytes.indexOf(LINE_FEED); feed !== -1; feed = bytes.indexOf(LINE_FEED, start)) {
      this.#note(this.#chain.accept(bytes.subarray(start, feed)));
      start = feed + 1;
    }
    return bytes.subarray(start);
  }

  #note(record: AuditRecord): void {
    this.#counts.records++;
    if (record['allowed'] === true) this.#counts.allowed++;
    if (record['allowed'] === false) this.#counts.refused++;
    this.#from ??= record.at;
    this.#to = record.at;
    if (record.kind === 'gap')
      throw auditInvalid('audit-gap', `record ${record['anchored']}`, 'a log that its node found shorter');
    if (record.kind === 'altered') {
      const expected = `record ${record['anchored']} to be ${record['hash']}`;
      throw auditInvalid('audit-altered', expected, 'a log in which its node found another one');
    }
    if (record.seq === this.#anchor?.seq) this.#compare(this.#anchor);
  }

  #compare({ seq, hash }: AuditAnchor): void {
    const { head } = this.#chain;
    if (head.hash !== hash) throw auditInvalid('audit-anchor', `record ${seq} to be ${hash}`, head.hash);
    this.#anchorSeen = true;
  }

  /** The first record of a log may be torn; a file that somebody kept has one. */
  checkRecords(): void {
    if (this.#counts.records > 0 || this.#tornBytes === 0) return;
    throw auditInvalid('audit-form', 'a record', `${this.#tornBytes} bytes that are none`);
  }

  checkAnchor(): void {
    const anchor = this.#anchor;
    if (anchor === undefined || anchor.seq === AUDIT_BEGINNING.seq || this.#anchorSeen) return;
    throw auditInvalid(
      'audit-truncated',
      `record ${anchor.seq}, which the control store knows`,
      `a log that ends with ${this.#chain.head.seq}`,
    );
  }

  report(problem: AuditReport['problem']): AuditReport {
    const { head } = this.#chain;
    return { ...this.#counts, head, from: this.#from, to: this.#to, tornBytes: this.#tornBytes, problem };
  }
}
