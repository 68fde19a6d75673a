/**
 * What every control store refuses before it does anything, and the order of keys.
 * In: what a caller passed. Out: nothing, or a KwamError that names the bound.
 * Source of the bounds: limits.ts; every implementation refuses the same, so that no caller depends on one of them.
 */
import { KwamError } from '../errors.ts';
import {
  controlKeyBytesMax,
  controlLeaseMsMax,
  controlTransactionBytesMax,
  controlTransactionOperationsMax,
} from '../limits.ts';
import type { Compare, Operation } from './control-store.ts';

/** UTF-8 orders like code points; UTF-16, which `<` compares, does not. */
export function keyBytes(key: string): Buffer {
  return Buffer.from(key, 'utf8');
}

export function compareKeys(a: string, b: string): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Of a UTF-16 unit: surrogates, of code points above U+FFFF, come after all others. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

export function checkKey(key: string): void {
  if (key === '' || key.includes('\0') || !key.isWellFormed()) {
    throw new KwamError(
      'USAGE',
      `expected a control key that is well-formed text without NUL, got ${JSON.stringify(key)}; choose another name`,
    );
  }
  const bytes = Buffer.byteLength(key);
  if (bytes > controlKeyBytesMax) {
    throw new KwamError(
      'LIMIT_EXCEEDED',
      `expected a control key of at most ${controlKeyBytesMax} bytes, got ${bytes}; choose a shorter name`,
      { context: { key: `${key.slice(0, 64)}…` } },
    );
  }
}

export function checkTransaction(compares: readonly Compare[], operations: readonly Operation[]): void {
  for (const { key } of compares) checkKey(key);
  const changed = new Set<string>();
  let bytes = 0;
  for (const operation of operations) {
    checkKey(operation.key);
    if (changed.has(operation.key)) {
      throw new KwamError('USAGE', `expected one change a key in a transaction, got two of ${operation.key}`);
    }
    changed.add(operation.key);
    bytes += Buffer.byteLength(operation.key) + (operation.kind === 'put' ? operation.value.length : 0);
  }
  checkSize('operations', operations.length, controlTransactionOperationsMax);
  checkSize('compares', compares.length, controlTransactionOperationsMax);
  checkSize('bytes', bytes, controlTransactionBytesMax);
}

function checkSize(what: string, found: number, max: number): void {
  if (found <= max) return;
  throw new KwamError(
    'LIMIT_EXCEEDED',
    `expected a control transaction of at most ${max} ${what}, got ${found}; split it, the entry that others look for last`,
  );
}

export function checkLease(ttlMs: number): void {
  if (Number.isSafeInteger(ttlMs) && ttlMs > 0 && ttlMs <= controlLeaseMsMax) return;
  throw new KwamError('USAGE', `expected a lease of 1 to ${controlLeaseMsMax} ms, got ${ttlMs}`);
}

export function leaseGone(lease: string): KwamError {
  return new KwamError(
    'NOT_FOUND',
    `expected a live lease, got ${lease}, which has expired or was revoked; grant a new one and put the keys again`,
    { context: { lease } },
  );
}

export function storeClosed(): KwamError {
  return new KwamError('UNAVAILABLE', 'the control store was closed by this process; open it again');
}
