/**
 * Where an audit log ends after whatever ended its writer.
 * In: the log's directory. Out: its newest whole record, the file to go on with, and the bytes behind that record: a line that a killed process
 * did not finish, or what a power failure left. Only the last file can have such bytes, because a file is made durable before the next begins.
 * Looks at the last lines only; whether the whole log is intact is for audit-verify.ts.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { DigestHex } from '../digest.ts';
import { auditLineBytesMax } from '../limits.ts';
import { AUDIT_BEGINNING, type AuditHead, auditHash, auditInvalid, parseLine } from './audit-chain.ts';

export interface AuditTail {
  readonly head: AuditHead;
  /** Name of the file to append to. */
  readonly file: string;
  /** How much of that file is whole records. */
  readonly bytes: number;
  /** What comes after them. */
  readonly torn: Uint8Array;
}

const LOG_FILE = /^[0-9]{12}\.log$/;
/** Room for the last whole line and for a torn one, each of the longest. */
const TAIL_BYTES = 4 * auditLineBytesMax;
const LINE_FEED = 0x0a;

export const auditFileName = (seq: number): string => `${String(seq).padStart(12, '0')}.log`;

/** The files of a log in their order. */
export function auditFiles(directory: string): string[] {
  if (!fs.existsSync(directory)) return [];
  const names = fs.readdirSync(directory).filter((name) => LOG_FILE.test(name));
  return names.sort();
}

export function auditTail(directory: string): AuditTail {
  const files = auditFiles(directory);
  const last = files.pop();
  if (last === undefined) return { ...NOTHING, head: AUDIT_BEGINNING, file: auditFileName(0) };
  const tail = tailOf(join(directory, last));
  if (tail.head !== undefined) return { ...tail, head: tail.head, file: last };
  const before = files.pop();
  const head = before === undefined ? AUDIT_BEGINNING : tailOf(join(directory, before)).head;
  if (head !== undefined && auditFileName(head.seq + 1) === last) return { ...tail, head, file: last };
  throw auditInvalid('audit-tail', `whole records at the end of ${join(directory, last)}`, 'none');
}

const NOTHING = { bytes: 0, torn: new Uint8Array() };

type FileTail = Pick<AuditTail, 'bytes' | 'torn'> & { readonly head?: AuditHead };

/** Without a head when the file has no whole record at its end. */
function tailOf(path: string): FileTail {
  const { end, start } = lastBytes(path);
  for (let feed = end.lastIndexOf(LINE_FEED); feed !== -1; feed = before(end, feed)) {
    const from = before(end, feed) + 1;
    const line = end.subarray(from, feed);
    const record = from > 0 || start === 0 ? parseLine(line) : undefined;
    if (record === undefined) continue;
    const head = { seq: record.seq, hash: auditHash(line) };
    return { head, bytes: start + feed + 1, torn: end.subarray(feed + 1) };
  }
  if (start > 0)
    throw auditInvalid('audit-tail', `a record in the last ${TAIL_BYTES} bytes of ${path}`, 'none');
  return { bytes: 0, torn: end };
}

function before(bytes: Buffer, feed: number): number {
  return feed === 0 ? -1 : bytes.lastIndexOf(LINE_FEED, feed - 1);
}

function lastBytes(path: string): { end: Buffer; start: number } {
  const file = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(file);
    const end = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const start = size - end.length;
    let read = 0;
    while (read < end.length) {
      const bytes = fs.readSync(file, end, read, end.length - read, start + read);
      if (bytes === 0) break;
      read += bytes;
    }
    return { end: end.subarray(0, read), start };
  } finally {
    fs.closeSync(file);
  }
}

/** The hash of one record's line; undefined when there is none. Reads the file that has it in pieces, from its beginning. */
export function auditHashAt(directory: string, seq: number): DigestHex | undefined {
  const name = auditFiles(directory).findLast((each) => Number.parseInt(each, 10) <= seq);
  if (name === undefined) return undefined;
  let at = Number.parseInt(name, 10);
  for (const line of linesOf(join(directory, name))) {
    if (at++ === seq) return auditHash(line);
  }
  return undefined;
}

function* linesOf(path: string): Generator<Uint8Array> {
  const file = fs.openSync(path, 'r');
  try {
    const piece = Buffer.alloc(TAIL_BYTES);
    let rest: Buffer = Buffer.alloc(0);
    for (let read = fs.readSync(file, piece); read > 0; read = fs.readSync(file, piece)) {
      const bytes = Buffer.concat([rest, piece.subarray(0, read)]);
      let start = 0;
      for (let feed = bytes.indexOf(LINE_FEED); feed !== -1; feed = bytes.indexOf(LINE_FEED, start)) {
        yield bytes.subarray(start, feed);
        start = feed + 1;
      }
      rest = bytes.subarray(start);
    }
  } finally {
    fs.closeSync(file);
  }
}
