/**
 * LMDB's and the system's error numbers as KwamErrors.
 * In: an action. Out: its result, or a KwamError; errors that are neither ours nor a number are bugs and pass as they are.
 * Source: lmdb.h (return codes −30799 … −30778), errno(3).
 */
import { constants } from 'node:os';
import { KwamError } from '../errors.ts';
import { damaged } from './lmdb-records.ts';

const pageNotFound = -30797;
const corrupted = -30796;
const panic = -30795;
const versionMismatch = -30794;
const invalid = -30793;
const mapFull = -30792;

const damages: readonly unknown[] = [pageNotFound, corrupted, panic, versionMismatch, invalid];
const fullDisk: readonly unknown[] = ['ENOSPC', 'EDQUOT', constants.errno.ENOSPC, constants.errno.EDQUOT];

export function translated<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw translate(what, cause);
  }
}

function translate(what: string, cause: unknown): unknown {
  if (cause instanceof KwamError || !(cause instanceof Error)) return cause;
  const { code } = cause as { code?: unknown };
  if (damages.includes(code)) return damaged(`"${cause.message}" while trying to ${what}`, cause);
  if (fullDisk.includes(code)) {
    const message = `could not ${what}: the disk is full; free space and try again`;
    return new KwamError('DISK_FULL', message, { cause, retryable: true });
  }
  if (code === mapFull) {
    return new KwamError('LIMIT_EXCEEDED', `could not ${what}: it is full; remove objects`, { cause });
  }
  if (typeof code !== 'number' && typeof code !== 'string') return cause;
  const message = `could not ${what}: ${cause.message}; check the folder's permissions and disk, then try again`;
  return new KwamError('UNAVAILABLE', message, { cause, retryable: true, context: { errno: String(code) } });
}
