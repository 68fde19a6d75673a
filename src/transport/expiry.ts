/**
 * Connections end with the certificates that they were opened with: TLS looks at them in the handshake only.
 * In: certificates, a clock. Out: when the first of them ends, and a wait until then. Does not renew anything: whoever still
 * wants the peer connects again, and that handshake decides anew.
 */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../clock.ts';

/** The wall clock may jump: it is looked at this often. */
const LOOK_EVERY_MS = 60_000;

export function expiresAtMsOf(chain: readonly Uint8Array[]): number {
  return Math.min(...chain.map((der) => new X509Certificate(der).validToDate.getTime()));
}

/** @param expiresAtMs  asked anew at each look. @returns false when it was aborted before. */
export async function untilExpiry(
  clock: Pick<Clock, 'now' | 'sleep'>,
  expiresAtMs: () => number,
  signal: AbortSignal,
): Promise<boolean> {
  for (;;) {
    const leftMs = expiresAtMs() - clock.now();
    if (leftMs < 0) return true;
    try {
      await clock.sleep(Math.min(leftMs + 1, LOOK_EVERY_MS), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      return false;
    }
  }
}
