/**
 * The consent tokens that this seed has redeemed, in its own directory: a second witness beside the control store.
 * In: the name of a token. Out: whether it was redeemed here. A control store that was lost, or restored from an older copy, has forgotten its newest
 * claims while their tokens are still valid; the one seed that may redeem them has not. One empty file a token, durable before the claim is
 * answered, and kept as the ledger keeps its entries. The memory twin is a Set.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { KwamError } from '../errors.ts';

export interface UsedTokens {
  has(jti: string): boolean;
  /** Durable when it returns. @throws KwamError DISK_FULL, IO */
  add(jti: string): unknown;
}

export function usedTokensIn(directory: string): UsedTokens {
  return {
    has: (jti) => fs.existsSync(join(directory, jti)),
    add: (jti) => {
      try {
        fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
        fs.writeFileSync(join(directory, jti), '', { flush: true });
        syncDirectory(directory);
      } catch (cause) {
        throw unwritable(directory, cause);
      }
    },
  };
}

function syncDirectory(directory: string): void {
  const handle = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

function unwritable(directory: string, cause: unknown): KwamError {
  const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return new KwamError(
    errno === 'ENOSPC' ? 'DISK_FULL' : 'IO',
    `consent: expected to note a used token in ${directory}, got ${errno}; free space or repair the disk, then resume with the same rollout`,
    { cause, context: { directory, errno } },
  );
}
