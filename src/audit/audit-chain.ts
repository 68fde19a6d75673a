/**
 * The chain of an audit log: records that name what came before them, so that nothing inside can be changed, moved or taken out.
 * In: events, one after another. Out: lines; and the reverse, with KwamError AUDIT_INVALID whose `context.rule` says what does not fit.
 * A record is one line of canonical JSON (RFC 8785) that ends with a line feed:
 *   at    when, as Date.toISOString writes it       prev  SHA-256 of the line before it, without its line feed; 64 zeros for the first
 *   seq   0, 1, 2 …                                  kind  what happened; the other members depend on it
 * Does not know what the events mean, and touches no file (audit-log.ts). A line cut off at the very end cannot be seen from what is left:
 * for that the newest record's hash is kept elsewhere (cluster/audit-anchor.ts).
 */
import { createHash } from 'node:crypto';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { auditLineBytesMax } from '../limits.ts';
import { canonicalJson } from '../manifest/canonical-json.ts';

export type AuditValue = string | number | boolean;

export interface AuditEvent {
  readonly kind: string;
  readonly [member: string]: AuditValue;
}

export interface AuditRecord extends AuditEvent {
  readonly at: string;
  readonly prev: string;
  readonly seq: number;
}

/** The newest record: its number and the hash of its line. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: DigestHex;
}

/** Before the first record. */
export const AUDIT_BEGINNING: AuditHead = { seq: -1, hash: '0'.repeat(64) as DigestHex };

const LINE_FEED = 0x0a;

export function auditHash(line: Uint8Array): DigestHex {
  return createHash('sha256').update(line).digest('hex') as DigestHex;
}

/** The next line, with its line feed, and the head that it makes. */
export function nextLine(event: AuditEvent, head: AuditHead, at: string): { line: Buffer; head: AuditHead } {
  const seq = head.seq + 1;
  const text = Buffer.from(canonicalJson({ ...event, at, prev: head.hash, seq }));
  if (text.length > auditLineBytesMax) {
    throw new KwamError(
      'LIMIT_EXCEEDED',
      `expected an audit record of at most ${auditLineBytesMax} bytes, got ${text.length}`,
    );
  }
  return { line: Buffer.concat([text, Buffer.of(LINE_FEED)]), head: { seq, hash: auditHash(text) } };
}

/** A line without its line feed; undefined when it is no record in its one spelling. */
export function parseLine(line: Uint8Array): AuditRecord | undefined {
  const text = Buffer.from(line).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isRecord(value) && Buffer.from(canonicalJson(value)).equals(line) ? value : undefined;
}

function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { at, prev, seq, kind } = value as Record<string, unknown>;
  const isFlat = Object.values(value).every((member) => member !== null && typeof member !== 'object');
  return (
    isFlat &&
    typeof at === 'string' &&
    typeof prev === 'string' &&
    Number.isSafeInteger(seq) &&
    typeof kind === 'string'
  );
}

/** Follows a log line by line. */
export class AuditChain {
  #head: AuditHead | undefined;

  /** @param head  the record before the first line; undefined when nobody knows it: then the first line is taken at its word. */
  constructor(head: AuditHead | undefined) {
    this.#head = head;
  }

  /** The last record that was accepted. */
  get head(): AuditHead {
    return this.#head ?? AUDIT_BEGINNING;
  }

  accept(line: Uint8Array): AuditRecord {
    const record = parseLine(line);
    if (record === undefined) throw this.#broken('audit-form', 'a record in canonical JSON', 'another text');
    if (this.#head !== undefined) this.#checkFollows(record, this.#head);
    this.#head = { seq: record.seq, hash: auditHash(line) };
    return record;
  }

  #checkFollows({ seq, prev }: AuditRecord, head: AuditHead): void {
    if (seq !== head.seq + 1) throw this.#broken('audit-sequence', `record ${head.seq + 1}`, `record ${seq}`);
    if (prev === head.hash) return;
    throw this.#broken('audit-chain', `a record that follows ${head.hash}`, `one that follows ${prev}`);
  }

  #broken(rule: string, expected: string, actual: string): KwamError {
    return auditInvalid(rule, `${expected} after record ${this.head.seq}`, actual);
  }
}

export function auditInvalid(rule: string, expected: string, actual: string): KwamError {
  return new KwamError(
    'AUDIT_INVALID',
    `audit: expected ${expected}, got ${actual}; somebody changed the log: keep it as evidence, and compare it with a copy`,
    { context: { rule, expected, actual } },
  );
}
