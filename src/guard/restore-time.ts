/**
 * The least time in which a lost node's data can be whole again: what `mttr_restore` may not undercut.
 * In: how long a loss takes to be noticed, how long repair waits, how much must be moved and how fast. Out: milliseconds, rounded up, and the
 *   sum in words.
 * Holds: detection + delay + bytes ÷ bandwidth, in integers. Does not know about scrub traffic, retries or a busy network: a time above the
 *   least one may still be too short.
 */
import { KwamError } from '../errors.ts';

export interface RestoreInputs {
  /** From the loss until it is certain: missed heartbeats. */
  readonly detectionMs: number;
  /** From then until repair starts, in case the node comes back. */
  readonly repairDelayMs: number;
  /** What one node holds. */
  readonly nodeBytes: number;
  /** Bytes read for one byte rebuilt: 1 for copies, k for rs(k, m). */
  readonly readsPerByte: number;
  /** What all helpers together move in a second. */
  readonly repairBytesPerSecond: number;
}

export interface RestoreTime {
  readonly leastMs: number;
  readonly moveMs: number;
  /** "3 s to notice + 60 s delay + 8000 MB × 1 at 1000 MB/s = 71 s". */
  readonly reason: string;
}

export interface RestoreVerdict extends RestoreTime {
  readonly possible: boolean;
  readonly declaredMs: number;
}

/** @throws KwamError USAGE for a negative or fractional number, or no bandwidth. */
export function leastRestoreTime(inputs: RestoreInputs): RestoreTime {
  for (const [name, value] of Object.entries(inputs) as [keyof RestoreInputs, number][]) {
    const least = name === 'repairBytesPerSecond' || name === 'readsPerByte' ? 1 : 0;
    if (!Number.isSafeInteger(value) || value < least) {
      throw new KwamError(
        'USAGE',
        `expected ${name} to be a whole number from ${least}, got ${value}; correct the guard's inputs`,
      );
    }
  }
  const { detectionMs, repairDelayMs, nodeBytes, readsPerByte, repairBytesPerSecond } = inputs;
  const bandwidth = BigInt(repairBytesPerSecond);
  const moveMs = Number((BigInt(nodeBytes) * BigInt(readsPerByte) * 1000n + bandwidth - 1n) / bandwidth);
  const leastMs = detectionMs + repairDelayMs + moveMs;
  const moved = `${megabytes(nodeBytes)} × ${readsPerByte} at ${megabytes(repairBytesPerSecond)}/s`;
  return {
    leastMs,
    moveMs,
    reason: `${detectionMs / 1000} s to notice + ${repairDelayMs / 1000} s delay + ${moved} = ${leastMs / 1000} s`,
  };
}

function megabytes(bytes: number): string {
  return `${Number((bytes / 1e6).toPrecision(3))} MB`;
}

export function restoreVerdict(declaredMs: number, inputs: RestoreInputs): RestoreVerdict {
  const least = leastRestoreTime(inputs);
  return { ...least, declaredMs, possible: declaredMs >= least.leastMs };
}
